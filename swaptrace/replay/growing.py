"""Mappings that grow down (MAP_GROWSDOWN), as far as they do not grow."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.world import World
from swaptrace.scenario.schema import Step
from swaptrace.vmflags import VmFlag

ACCESSES = ("memset", "read", "write", "read_write", "access", "trace", "poke", "pin")
"""The steps that can come to a hole as a fault does."""


def check_holes(world: World, step: Step) -> None:
    """Raise `NotModelled` before a step that may touch a hole below a mapping that grows down, and
    that the kernel would fill (expand_stack())."""
    if step.op not in ACCESSES:
        return
    process = world.processes[step.process]
    growing = [a.start for a in process.space.areas if VmFlag.GROWSDOWN in a.flags]
    if not growing:
        return
    name = getattr(step, "region", None)
    for family in process.families():
        hole = first_hole(process, family) if name in (None, family.name) else None
        if hole is not None and hole < max(growing):
            raise NotModelled(
                f"region {family.name} has a hole below a mapping with MAP_GROWSDOWN, which an "
                "access would make grow; that is not modelled"
            )


def first_hole(process: Process, family: SharedRegion) -> int | None:
    """The first page of a region that is not mapped."""
    at = family.base
    for start, end, _ in process.space.clipped(family.base, family.end):
        if start > at:
            break
        at = end
    return at if at < family.end else None
