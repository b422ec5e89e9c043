"""Walks of faults that read ahead, one page table at a time.

No window leaves the VMA nor the stretch that one page table covers (2 MiB with pages of 4 KiB).
What happens within such a block depends on its columns and the read-ahead state alone; it is
remembered, and a long uniform pass jumps over the blocks that repeat.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from swaptrace.counters import ViolationKind
from swaptrace.mm.event import Access, Event, Populate
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.lists import RunLists, merged
from swaptrace.replay.runs.readahead import Overlay, Pass, relative
from swaptrace.replay.runs.region import FEW, Region
from swaptrace.replay.runs.visit import with_facts
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World


class BlockPass(NamedTuple):
    """What a pass does to one block of so many pages, relative to its first page.

    `runs` are its columns then, `taken` the transitions with their numbers of pages; `readahead` is
    the state that it leaves, None if it never asked the swap cache.
    """

    runs: RunLists
    pages: int
    taken: tuple[tuple[Event, int, int], ...]
    violations: tuple[tuple[ViolationKind, int, int], ...]
    readahead: ReadAhead | None
    slots: int


def send_reading(
    world: World,
    tally: Tally,
    shared: SharedRegion,
    walk: Walk,
    event: Access | Populate,
    bounds: tuple[int, int],
    readahead: ReadAhead,
) -> ReadAhead:
    """Send an event to pages of one VMA some of which are swapped in through the cache.

    `bounds` is the VMA's part of the region, in pages; returns the VMA's new read-ahead state.
    """
    walk = walk.ordered()
    task = Pass(world, shared, event, bounds, readahead)
    if world.batched is not None:
        world.batched.read(tally, walk, task)
    elif walk.scattered is not None:
        from swaptrace.replay.runs.arrays import as_arrays

        ids = Overlay(shared.region)
        task.visit(ids, 0, walk.scattered.tolist())
        shared.region.assign(*as_arrays(RunLists(sorted(ids), [ids[page] for page in sorted(ids)])))
        report(task, tally, shared)
    else:
        visit_blocks(task, tally, walk)
    return task.readahead


def report(task: Pass, tally: Tally, shared: SharedRegion) -> None:
    """Hand over what the pass has done."""
    for event, column, pages in task.taken:
        tally.take(shared, event, column, task.world.table.row(event, column), pages)
    for kind, member, page in task.violations:
        tally.see(kind, *shared.seen_at(member, page), 1)


def visit_blocks(task: Pass, tally: Tally, walk: Walk) -> None:
    """Block by block in the walk's direction; blocks that repeat are multiplied."""
    shared, size = task.shared, task.table_pages
    first, last = (shared.base + walk.first) // size, (shared.base + walk.end - 1) // size
    pieces: list[tuple[int, BlockPass, int]] = []
    number, end, step = (last, first - 1, -1) if walk.backward else (first, last + 1, 1)
    while number != end:
        start, stop = block_bounds(task, number)
        before = (relative(task.readahead, shared.base + start), task.world.device.full)
        block = replay_block(task, walk, start, stop)
        after = relative(task.readahead, shared.base + start + step * size)
        repeats = 1
        if (after, task.world.device.full) == before:
            repeats += same_ahead(task, walk, number, step, block)
        settle(task, tally, block, start, step * size, repeats)
        pieces.append((min(start, start + step * size * (repeats - 1)), block, repeats))
        number += step * repeats
    write_back(shared.region, pieces)


def block_bounds(task: Pass, number: int) -> tuple[int, int]:
    """The pages of the VMA that one page table covers."""
    start = number * task.table_pages - task.shared.base
    return max(start, task.low), min(start + task.table_pages, task.high)


def block_visits(walk: Walk, start: int, stop: int) -> range:
    """The pages of a block that the walk visits, in its order."""
    skipped = max(0, -(-(start - walk.first) // walk.stride))
    pages = range(walk.first + skipped * walk.stride, min(stop, walk.end), walk.stride)
    return pages[::-1] if walk.backward else pages


def replay_block(task: Pass, walk: Walk, start: int, stop: int) -> BlockPass:
    """What the pass does to one block: remembered, or replayed page by page.

    A block within which the facts change is neither remembered nor recalled.
    """
    world, address = task.world, task.shared.base + start
    columns = task.shared.region.listed(start, stop)
    pages = block_visits(walk, start, stop)
    visits = (pages.start - start, pages.stop - start, pages.step)
    state = relative(task.readahead, address)
    if task.own is None and not -1 <= state.last <= stop - start:
        state = state._replace(last=-2)
    key = (
        type(task.event),
        with_facts(world, task.event),
        array("q", columns).tobytes(),
        visits,
        state,
        world.machine.swap.page_cluster,
        address % task.table_pages,
    )
    known: BlockPass | None = world.table.blocks.get(key)
    if known is not None and facts_last(world, known.slots):
        world.device.used += known.slots
        if known.readahead is not None:
            task.readahead = relative(known.readahead, -address)
        return known
    used, task.looked_up = world.device.used, False
    task.visit(columns, start, pages)
    block = BlockPass(
        runs=merged(RunLists(list(range(stop - start)), columns)),
        pages=stop - start,
        taken=tuple(task.taken),
        violations=tuple((kind, member, page - start) for kind, member, page in task.violations),
        readahead=relative(task.readahead, address) if task.looked_up else None,
        slots=world.device.used - used,
    )
    task.taken, task.violations = [], []
    if not task.facts_changed:
        world.table.blocks[key] = block
    return block


def facts_last(world: World, slots: int) -> bool:
    """Whether the facts stay as they are until so many slots (0 or less) have been freed."""
    alike = world.device.pages_alike(-1)
    return slots == 0 or alike is None or -slots <= alike


def same_ahead(task: Pass, walk: Walk, number: int, step: int, block: BlockPass) -> int:
    """How many blocks follow in which the very same happens, given the state comes out alike.

    They must lie in the same run and VMA, be visited in the same pattern from end to end, and
    see the same facts.
    """
    size, device = task.table_pages, task.world.device
    start, stop = block_bounds(task, number)
    low, high = task.shared.region.uniform_around(start)
    phase = (walk.first - start) % walk.stride
    low = max(low, task.low, walk.first - phase)
    high = min(high, task.high, walk.end + walk.stride - 1 - phase)
    if stop - start != size or size % walk.stride or start < low or high < stop:
        return 0
    ahead = (high - stop) // size if step > 0 else (start - low) // size
    alike = device.pages_alike(-1) if block.slots else None
    return ahead if alike is None else min(ahead, alike // -block.slots)


def settle(
    task: Pass, tally: Tally, block: BlockPass, start: int, stride: int, repeats: int
) -> None:
    """Count a block so many times over, and move the read-ahead state past the last."""
    shared, table = task.shared, task.world.table
    for event, column, pages in block.taken:
        tally.take(shared, event, column, table.row(event, column), pages * repeats)
    task.world.device.used += block.slots * (repeats - 1)
    for kind, member, page in block.violations:
        first = min(start, start + stride * (repeats - 1)) + page
        tally.see(kind, *shared.seen_at(member, first), repeats)
    if repeats > 1:
        task.readahead = relative(task.readahead, -stride * (repeats - 1))


def write_back(region: Region, pieces: list[tuple[int, BlockPass, int]]) -> None:
    """Put the blocks, each so many times in a row, back into the region."""
    pieces = sorted(pieces, key=lambda piece: piece[0])
    first = pieces[0][0]
    last, block, repeats = pieces[-1]
    end = last + block.pages * repeats
    if sum(len(block.runs.ids) * times(block, repeats) for _, block, repeats in pieces) <= FEW:
        new = RunLists([], [])
        for start, block, repeats in pieces:
            for at in range(start, start + block.pages * times(block, repeats), block.pages):
                new.starts.extend(at + each for each in block.runs.starts)
                new.ids.extend(block.runs.ids)
        region.splice_lists(first, end, new)
    else:
        from swaptrace.replay.runs.arrays import tiled

        of = [(start, block.runs, block.pages, times(block, n)) for start, block, n in pieces]
        region.splice(first, end, *tiled(of))


def times(block: BlockPass, repeats: int) -> int:
    """How often the runs of a block that repeats are put: of one that is uniform, once."""
    return 1 if len(block.runs.ids) == 1 else repeats
