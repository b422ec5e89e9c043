"""Shmem objects: shared anonymous memory and files of tmpfs, as far as regions go (mm/shmem.c)."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.mm.event import Remove
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.region import Walk
from swaptrace.replay.runs.visit import send
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MmapStep


def check_modelled(world: World, step: MmapStep) -> None:
    """Raise `NotModelled` where no object can be mapped."""
    if "MAP_FIXED" in step.flags and step.at is None:
        raise NotModelled("shared memory or a file over a part of a region is not modelled")
    if world.arena is not None or world.batch is not None:
        raise NotModelled(
            "shared memory, files and huge pages are modelled only without a memory limit and "
            "large folios, and where swap is twice as large as the memory that is touched"
        )
    if world.table.policy.functions:
        what = "huge pages" if step.huge else "an object"
        raise NotModelled(f"{step.op} of {what} is not modelled where functions of a tree run")


def refuse(areas: list[VmArea], what: str) -> None:
    """Raise `NotModelled` for what is done to private anonymous memory alone."""
    if any(area.vma.shmem for area in areas):
        raise NotModelled(f"{what} of shared memory or a file is not modelled")


def refuse_trace(process: Process, region: str | None) -> None:
    """The same of a trace of a region, or of any."""
    regions = process.regions if region is None else (region,)
    if any(is_object(process, process.regions[name]) for name in regions):
        raise NotModelled("trace of shared memory or a file is not modelled")


def is_object(process: Process, family: SharedRegion) -> bool:
    """Whether the process maps shared memory or a file in the region."""
    return any(area.vma.shmem for area in process.space.within(family.base, family.end))


def shmem_remove(world: World, tally: Tally, family: SharedRegion, walk: Walk) -> None:
    """MADV_REMOVE of a part of a region: the pages are the object's, whoever gives the advice."""
    send(world, tally, family, walk, Remove(0, world.facts))


def evict_last(
    world: World, tally: Tally, process: Process, family: SharedRegion, start: int, end: int
) -> None:
    """shmem_evict_inode(), before the process unmaps a part of a region: if no VMA maps the object
    then, it goes, and its swap slots with it."""
    within = [
        (name, area)
        for name in family.members
        for area in world.processes[name].space.within(family.base, family.end)
    ]
    if not any(area.vma.shmem for _, area in within):
        return
    if all(name == process.name and start <= a.start and a.end <= end for name, a in within):
        shmem_remove(world, tally, family, Walk(0, family.region.pages))
