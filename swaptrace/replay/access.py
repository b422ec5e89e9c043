"""Loads and stores: which pages a step touches, and what faulting in does to the VMA."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeAlias

from swaptrace.errors import NotModelled
from swaptrace.mm.column import FILLED
from swaptrace.mm.event import Access, Populate, Store
from swaptrace.replay.hugetlb import access_huge, has_huge_pages
from swaptrace.replay.pages.protocol import SinglePages
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.across import send_across
from swaptrace.replay.runs.blocks import send_reading
from swaptrace.replay.runs.visit import NEW_ANON, Met, send, survey
from swaptrace.replay.runs.walk import Walk, check_listable, listed
from swaptrace.replay.space import VmArea, find_mergeable_anon_vma
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import AccessStep, MemsetStep

Faulting: TypeAlias = Access | Populate


def access(
    world: World,
    tally: Tally,
    process: Process,
    step: AccessStep | MemsetStep,
    parts: Callable[[Process, SharedRegion, Walk], Iterator[Walk]] | None = None,
) -> None:
    """Touch pages one after another until the end, or to the first SIGSEGV or SIGBUS. `parts` cuts
    the walk as `by_vma` does."""
    shared = process.regions[step.region]
    walk = walk_of(step, world.machine.page_size)
    member = shared.member(process.name)
    store = store_of(step, world)
    event = Access(member, world.facts, read=step.op.startswith("read"), store=store)
    huge = world.machine.hugepages > 0 and has_huge_pages(process, shared)
    visit = access_huge if huge else touch
    for part in (parts or by_vma)(process, shared, walk):
        if not visit(world, tally, process, shared, part, event):
            return


def store_of(step: AccessStep | MemsetStep, world: World) -> Store | None:
    """What the step leaves in a page that it writes, with its byte if somebody asks for that."""
    if step.op == "read":
        return None
    if step.op == "read_write":
        return "same"
    if step.value == 0:
        return "zero"
    if step.value is None or not world.keeps_bytes:
        return "fresh"
    size, span = world.machine.page_size, step.span
    whole = isinstance(step, MemsetStep) and not (span.offset % size or span.length % size)
    return step.value | FILLED if whole else step.value


def walk_of(step: AccessStep | MemsetStep, page_size: int) -> Walk:
    """The pages that a step touches.

    With a stride below the page size a page is touched several times in a row; after the
    first the touches change nothing, so it is visited once.
    """
    offset, length = step.span.offset, step.span.length
    if isinstance(step, MemsetStep):
        return regular(offset, length, 1, page_size)
    walk = regular(offset, length, step.stride, page_size)
    if step.order == "random":
        if walk.scattered is not None:
            from swaptrace.traces.generator import order

            return listed(walk.scattered[order(step.seed, walk.count)])
        return walk._replace(seed=step.seed)
    if step.order == "backward":
        if walk.scattered is not None:
            return listed(walk.scattered[::-1])
        return walk._replace(backward=True)
    return walk


def regular(offset: int, length: int, stride: int, page_size: int) -> Walk:
    """One byte at each stride, upward."""
    first, positions = offset // page_size, -(-length // stride)
    if stride <= page_size:
        last = (offset + (positions - 1) * stride) // page_size
        return Walk(first, last - first + 1)
    if stride % page_size == 0:
        return Walk(first, positions, stride // page_size)
    check_listable(positions)
    from swaptrace.replay.runs.arrays import spaced

    return listed(spaced(offset, positions, stride) // page_size)


def by_vma(process: Process, shared: SharedRegion, walk: Walk) -> Iterator[Walk]:
    """The walk cut where it enters another VMA (or a hole)."""
    low, high = walk.bounds
    areas = list(process.space.clipped(shared.base + low, shared.base + high))
    if len(areas) == 1 and areas[0][:2] == (shared.base + low, shared.base + high):
        yield walk
        return
    marks = sorted({edge - shared.base for start, end, _ in areas for edge in (start, end)})
    pages = walk.ordered().pages() if not walk.contiguous or walk.seed is not None else None
    if pages is None:
        yield from _cut_range(walk, marks)
        return
    from swaptrace.replay.runs.arrays import cuts

    for start, end in pairwise(cuts(pages, marks)):
        yield walk.part(start, end - start)


def _cut_range(walk: Walk, marks: list[int]) -> Iterator[Walk]:
    inner = [mark - walk.first for mark in marks if walk.first < mark < walk.end]
    cuts = [0, *inner, walk.count]
    parts = [(start, end - start) for start, end in pairwise(cuts)]
    if walk.backward:
        parts = [(walk.count - start - count, count) for start, count in reversed(parts)]
    for start, count in parts:
        yield walk.part(start, count)


def touch(
    world: World, tally: Tally, process: Process, shared: SharedRegion, walk: Walk, event: Faulting
) -> bool:
    """Send accesses within one VMA; False if one of them ended the step, as a SIGSEGV does.

    The VMA gets its anon_vma with its first own page, and its read-ahead state moves on.
    """
    if world.arena is not None:
        return touch_limited(world, world.arena, tally, process, shared, walk, event)
    met = survey(world, shared, walk, event)
    ends = {column for column, (row, _) in met.items() if row.ends}
    if ends:
        walk = walk.ordered()
        last = next(at for at, _, column in shared.region.segments(walk) if column in ends)
        walk = walk.part(0, last + 1)
        met = survey(world, shared, walk, event)
    before = new_anon_pages(tally)
    page = shared.base + walk.bounds[0]
    area = next(iter(process.space.within(page, page + 1)), None)
    if area is not None and (goes_through_cache(world, met) or maps_around(met)):
        reading = send_reading if shared.holds(area) else send_across
        if world.batch is not None and reading is send_across:
            raise NotModelled("a VMA of several regions is not modelled with machine.lru_batch")
        bounds = area.start - shared.base, area.end - shared.base
        moved = reading(world, tally, shared, walk, event, bounds, area.readahead)
        process.space.put(area, area._replace(readahead=moved))
    else:
        send(world, tally, shared, walk, event, met)
    if new_anon_pages(tally) > before:
        anon_vma_prepare(world, process, next(iter(process.space.within(page, page + 1))))
    return not ends


def touch_limited(
    world: World,
    arena: SinglePages,
    tally: Tally,
    process: Process,
    shared: SharedRegion,
    walk: Walk,
    event: Faulting,
) -> bool:
    """The same where each access may concern other pages: under a memory limit, which may reclaim
    them, and with large folios."""
    before = new_anon_pages(tally)
    goes_on = arena.send(tally, shared, walk, event)
    if new_anon_pages(tally) > before:
        page = shared.base + walk.bounds[0]
        anon_vma_prepare(world, process, next(iter(process.space.within(page, page + 1))))
    return goes_on


def maps_around(met: Met) -> bool:
    """Whether a read fault may map neighbours."""
    return any(row.around for row, _ in met.values())


def goes_through_cache(world: World, met: Met) -> bool:
    """Whether a page asks the swap cache, where that can lead to read-ahead at all."""
    if world.machine.swap.page_cluster == 0:
        return False
    return any(row.lookup != "none" for row, _ in met.values())


def new_anon_pages(tally: Tally) -> int:
    """How often the step has given a process a page of its own."""
    return sum(NEW_ANON(tally.counts))


def anon_vma_prepare(world: World, process: Process, area: VmArea) -> None:
    """__anon_vma_prepare(): share a neighbour's anon_vma or get a new one."""
    if area.anon_vma is None:
        shared = find_mergeable_anon_vma(process.space.areas, area)
        anon_vma = world.new_anon_vma() if shared is None else shared
        process.space.put(area, area._replace(anon_vma=anon_vma))
