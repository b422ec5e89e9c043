"""Mappings that grow down to where an access comes (MAP_GROWSDOWN; mm/mmap.c, since 6.13
mm/vma.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from swaptrace.errors import NotModelled
from swaptrace.mm.event import SetVma
from swaptrace.replay.access import access, anon_vma_prepare, by_vma
from swaptrace.replay.locking import mlock_future_ok
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import AccessStep, MemsetStep, Step
from swaptrace.vmflags import VmFlag

ACCESSES: Final = ("access", "trace", "poke", "pin")
"""The steps that can come to a hole as a fault does, of which growth is not modelled; that of the
first two is, where it is replayed an access at a time."""

STACK_GUARD_GAP: Final = 256
"""stack_guard_gap, in pages, as it is unless the command line of the kernel says otherwise."""

RLIMIT_STACK: Final = 8 << 20
"""What a VMA with VM_GROWSDOWN may come to have by growth, in bytes, as most systems have it."""


def may_grow(process: Process, page: int) -> VmArea | None:
    """The VMA that an access to an address which nothing is mapped at makes grow (find_vma())."""
    area = process.space.first_from(page)
    grows = area is not None and page < area.start and VmFlag.GROWSDOWN in area.flags
    return area if grows else None


def expand_downwards(
    world: World, tally: Tally, process: Process, shared: SharedRegion, page: int
) -> bool:
    """The VMA begins with a page of the region where nothing is mapped; False if it does not grow,
    and the access is a SIGSEGV. It has an anon_vma then, whatever acct_stack_growth() says."""
    area = may_grow(process, page)
    if area is None or not has_gap(process, page):
        return False
    anon_vma_prepare(world, process, area)
    area = next(iter(process.space.within(area.start, area.start + 1)))
    size, more = area.end - page, area.start - page
    if size * world.machine.page_size > RLIMIT_STACK:
        return False
    if area.vma.locked and not mlock_future_ok(world, process, more):
        return False
    check_modelled(world, shared, area)
    process.space.put(area, area._replace(start=page))
    event = SetVma(shared.member(process.name), world.facts, area.vma)
    send(world, tally, shared, Walk(page - shared.base, more), event)
    return True


def has_gap(process: Process, page: int) -> bool:
    """Whether what is mapped below leaves the gap, or grows down as well, or cannot be accessed."""
    below = [other for other in process.space.areas if other.end <= page]
    if not below or VmFlag.GROWSDOWN in below[-1].flags or not below[-1].vma.accessible:
        return True
    return page - below[-1].end >= STACK_GUARD_GAP


def access_growing(
    world: World, tally: Tally, process: Process, step: AccessStep | MemsetStep
) -> None:
    """As `access`, where a mapping may grow."""

    def parts(process: Process, shared: SharedRegion, walk: Walk) -> Iterator[Walk]:
        walk = walk.ordered()
        while walk.count:
            part = next(iter(by_vma(process, shared, walk)))
            page = shared.base + part.part(0, 1).bounds[0]
            hole = not process.space.within(page, page + 1)
            if not hole or not expand_downwards(world, tally, process, shared, page):
                yield part
                walk = walk.part(part.count, walk.count - part.count)

    access(world, tally, process, step, parts)


def grow_to(world: World, tally: Tally, process: Process, shared: SharedRegion, page: int) -> None:
    """Before an access to a page of a region."""
    at = shared.base + page
    if world.grows and not process.space.within(at, at + 1):
        expand_downwards(world, tally, process, shared, at)


def check_modelled(world: World, shared: SharedRegion, area: VmArea) -> None:
    """Raise `NotModelled` where it is not known what growth comes to."""
    why = ""
    if world.arena is not None or world.batch is not None:
        why = "under a memory limit, with large folios, where swap can fill, or with lru_batch"
    elif not shared.base <= area.start < shared.end:
        why = f"into region {shared.name}, of a mapping that begins in another"
    elif area.vma.uffd.missing:
        why = "where a userfaultfd waits for missing pages"
    if why:
        raise NotModelled(f"growth of a mapping with MAP_GROWSDOWN is not modelled {why}")


def check_holes(world: World, step: Step) -> None:
    """Raise `NotModelled` before a step that may touch a hole below a mapping that grows down, and
    that the kernel would fill (expand_stack())."""
    each = step.op in ACCESSES[:2] and world.arena is None and world.batch is None
    if each or step.op not in ACCESSES:
        return
    process = world.processes[step.process]
    growing = [a.start for a in process.space.areas if VmFlag.GROWSDOWN in a.flags]
    if not growing:
        return
    name = getattr(step, "region", None)
    for shared in process.shared_regions():
        hole = first_hole(process, shared) if name in (None, shared.name) else None
        if hole is not None and hole < max(growing):
            raise NotModelled(
                f"region {shared.name} has a hole below a mapping with MAP_GROWSDOWN, which may "
                f"grow; with '{step.op}' that is not modelled"
            )


def first_hole(process: Process, shared: SharedRegion) -> int | None:
    """The first page of a region that is not mapped."""
    at = shared.base
    for start, end, _ in process.space.clipped(shared.base, shared.end):
        if start > at:
            break
        at = end
    return at if at < shared.end else None
