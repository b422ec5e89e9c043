"""Shmem objects: shared anonymous memory and files of tmpfs, as far as regions go (mm/shmem.c)."""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.errors import NotModelled
from swaptrace.mm.event import Remove
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.claims import UNCHANGED
from swaptrace.scenario.schema import CheckStep, MmapStep


def check_modelled(world: World, step: MmapStep) -> None:
    """Raise `NotModelled` where no object can be mapped."""
    if "MAP_FIXED" in step.flags and step.at is None:
        raise NotModelled("shared memory or a file over a part of a region is not modelled")
    if world.arena is not None or (world.batch is not None and step.huge):
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
        shared = process.regions[region]
        several = shared.of is not None and len(set(shared.of.views)) > 1
        private = any(a.vma.shmem and not a.vma.shared for a in areas_of(process, shared))
        if several and private and UNCHANGED in str(data):
            raise NotModelled(
                f"region {region} is a private mapping of a file that has others: until it has a "
                f"copy of a page it sees theirs; say which byte that is, not '{UNCHANGED}'"
            )


def areas_of(process: Process, shared: SharedRegion) -> list[VmArea]:
    """The VMAs that the process has in a region."""
    return process.space.within(shared.base, shared.end)


def refuse(areas: list[VmArea], what: str) -> None:
    """Raise `NotModelled` for what is done to private anonymous memory alone."""
    if any(area.vma.shmem for area in areas):
        raise NotModelled(f"{what} of shared memory or a file is not modelled")


def is_object(process: Process, shared: SharedRegion) -> bool:
    """Whether the region is of shared memory or a file, or the process maps huge pages of one."""
    return shared.of is not None or any(area.vma.shmem for area in areas_of(process, shared))


def shmem_remove(world: World, tally: Tally, shared: SharedRegion, walk: Walk) -> None:
    """MADV_REMOVE of a part of a region: the pages are the object's, whoever gives the advice."""
    drains = releases(world, shared, walk)
    send(world, tally, shared, walk, Remove(0, world.facts))
    if drains and world.batch is not None:
        world.batch.drain()


def releases(world: World, shared: SharedRegion, walk: Walk) -> bool:
    """Whether something is in the page cache, so that truncating the pages calls lru_add_drain()
    (__folio_batch_release())."""
    found = (world.table.columns[each].shmem for each in shared.region.histogram(walk))
    return any(shmem is not None and shmem.folio is not None for shmem in found)


def evict_last(
    world: World, tally: Tally, process: Process, shared: SharedRegion, start: int, end: int
) -> bool:
    """shmem_evict_inode(), before the process unmaps a part of a region: if no VMA maps the object
    then, it goes, and its swap slots with it. A file of tmpfs has a name and stays. Whether the
    kernel, which does so after the system call, drains the per-CPU batches."""
    if shared.of is not None and shared.of.name is not None:
        return False
    within = [
        (name, area)
        for name, of in views(world, shared)
        for area in world.processes[name].space.within(of.base, of.end)
        if area.vma.shmem
    ]
    last = all(n == process.name and start <= a.start and a.end <= end for n, a in within)
    if not within or not last:
        return False
    whole = shared.whole
    walk = Walk(0, whole.region.pages)
    drains = releases(world, whole, walk)
    send(world, tally, whole, walk, Remove(0, world.facts))
    return drains


def views(world: World, shared: SharedRegion) -> Iterator[tuple[str, SharedRegion]]:
    """Each process that maps the same, and the region in which it does."""
    if shared.of is None:
        yield from ((name, shared) for name in shared.members)
        return
    for view in shared.of.views:
        yield view.process, world.processes[view.process].regions[view.region]
