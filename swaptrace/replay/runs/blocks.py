"""Walks of faults that read ahead, one page table at a time.

No window leaves the VMA nor the stretch that one page table covers (2 MiB with pages of 4 KiB).
What happens within such a block depends on its columns and the read-ahead state alone; it is
remembered, and a long uniform pass jumps over the blocks that repeat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from swaptrace.counters import ViolationKind
from swaptrace.mm.event import Access, Event, Populate
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.readahead import Overlay, Pass, relative
from swaptrace.replay.runs.region import Pages, Region, Walk, differs
from swaptrace.replay.runs.visit import with_facts
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World


class BlockPass(NamedTuple):
    """What a pass does to one block, relative to its first page.

    `taken` are the transitions with their numbers of pages; `readahead` is the state that it
    leaves, None if it never asked the swap cache.
    """

    ids: Pages
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
    if world.batch is not None:
        world.batch.read(tally, walk, task)
    elif walk.scattered is not None:
        ids = Overlay(shared.region)
        task.visit(ids, 0, walk.scattered.tolist())
        changed = np.array(sorted(ids), dtype=np.int64)
        shared.region.assign(changed, np.array([ids[p] for p in changed.tolist()], dtype=np.int64))
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
    pieces: list[tuple[int, Pages, int]] = []
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
        pieces.append((min(start, start + step * size * (repeats - 1)), block.ids, repeats))
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
    ids = task.shared.region.at(np.arange(start, stop, dtype=np.int64))
    pages = block_visits(walk, start, stop)
    visits = (pages.start - start, pages.stop - start, pages.step)
    state = relative(task.readahead, address)
    if task.own is None and not -1 <= state.last <= stop - start:
        state = state._replace(last=-2)
    key = (
        type(task.event),
        with_facts(world, task.event),
        ids.tobytes(),
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
    columns = ids.tolist()
    task.visit(columns, start, pages)
    block = BlockPass(
        ids=np.array(columns, dtype=np.int64),
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


def write_back(region: Region, pieces: list[tuple[int, Pages, int]]) -> None:
    """Put the blocks, each so many times in a row, back into the region."""
    pieces = sorted(pieces, key=lambda piece: piece[0])
    starts: list[Pages] = []
    ids: list[Pages] = []
    for start, columns, repeats in pieces:
        change = np.flatnonzero(differs(columns))
        if len(change) == 1:
            starts.append(np.array([start], dtype=np.int64))
            ids.append(columns[:1])
            continue
        offsets = start + len(columns) * np.arange(repeats, dtype=np.int64)
        starts.append((offsets[:, None] + change[None, :]).ravel())
        ids.append(np.tile(columns[change], repeats))
    last, columns, repeats = pieces[-1]
    end = last + len(columns) * repeats
    region.splice(pieces[0][0], end, np.concatenate(starts), np.concatenate(ids))
