"""Shmem objects: shared anonymous memory and files of tmpfs, as far as regions go (mm/shmem.c)."""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.errors import NotModelled
from swaptrace.mm.event import Remove
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.region import Walk
from swaptrace.replay.runs.visit import send
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.claims import UNCHANGED
from swaptrace.scenario.schema import CheckStep, MmapStep


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


def check_claims(world: World, step: CheckStep) -> None:
    """Raise `NotModelled` for a claim that nobody can hold a kernel to."""
    process = world.processes[step.process]
    for region, data in step.claims.data:
        family = process.regions[region]
        several = family.of is not None and len(set(family.of.views)) > 1
        private = any(a.vma.shmem and not a.vma.shared for a in areas_of(process, family))
        if several and private and UNCHANGED in str(data):
            raise NotModelled(
                f"region {region} is a private mapping of a file that has others: until it has a "
                f"copy of a page it sees theirs; say which byte that is, not '{UNCHANGED}'"
            )


def areas_of(process: Process, family: SharedRegion) -> list[VmArea]:
    """The VMAs that the process has in a region."""
    return process.space.within(family.base, family.end)


def refuse(areas: list[VmArea], what: str) -> None:
    """Raise `NotModelled` for what is done to private anonymous memory alone."""
    if any(area.vma.shmem for area in areas):
        raise NotModelled(f"{what} of shared memory or a file is not modelled")


def is_object(process: Process, family: SharedRegion) -> bool:
    """Whether the region is of shared memory or a file, or the process maps huge pages of one."""
    return family.of is not None or any(area.vma.shmem for area in areas_of(process, family))


def shmem_remove(world: World, tally: Tally, family: SharedRegion, walk: Walk) -> None:
    """MADV_REMOVE of a part of a region: the pages are the object's, whoever gives the advice."""
    send(world, tally, family, walk, Remove(0, world.facts))


def evict_last(
    world: World, tally: Tally, process: Process, family: SharedRegion, start: int, end: int
) -> None:
    """shmem_evict_inode(), before the process unmaps a part of a region: if no VMA maps the object
    then, it goes, and its swap slots with it. A file of tmpfs has a name and stays."""
    if family.of is not None and family.of.name is not None:
        return
    within = [
        (name, area)
        for name, of in views(world, family)
        for area in world.processes[name].space.within(of.base, of.end)
        if area.vma.shmem
    ]
    if within and all(n == process.name and start <= a.start and a.end <= end for n, a in within):
        shmem_remove(world, tally, family.whole, Walk(0, family.whole.region.pages))


def views(world: World, family: SharedRegion) -> Iterator[tuple[str, SharedRegion]]:
    """Each process that maps the same, and the region in which it does."""
    if family.of is None:
        yield from ((name, family) for name in family.members)
        return
    for view in family.of.views:
        yield view.process, world.processes[view.process].regions[view.region]
