"""A second implementation of the replay: page by page, nothing remembered.

It shares with the engine the system calls (which VMAs a call changes, in which order) and the
transition function, and replaces what the engine does cleverly: histograms, thresholds met
by arithmetic, read-ahead by blocks, jumping over repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np

from swaptrace.mm.column import Column
from swaptrace.mm.event import Access, Event, FreeSwap, MapPages, Pageout, SwapIn
from swaptrace.mm.policy import Policy
from swaptrace.mm.transition import transition
from swaptrace.replay import access, call, engine, growing, hugetlb, mapping, scanning
from swaptrace.replay.engine import Replay
from swaptrace.replay.pages import sequence
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import AccessPatternStep, RepeatStep, Scenario
from swaptrace.traces.patterns import accesses
from tests.replay.placed import Slots

real_world_of = engine.world_of


def naive_replay(scenario: Scenario, policy: Policy) -> PolicyResult:
    """As `swaptrace.replay.engine.replay`, with steps and page maps."""
    with naive():
        return engine.replay(scenario, policy, steps=True, pages=True)


@contextmanager
def naive() -> Iterator[None]:
    """Replace the engine's ways of sending events to many pages, and its repeat."""
    with (
        mock.patch.object(access, "send", send),
        mock.patch.object(mapping, "send", send),
        mock.patch.object(call, "send", send),
        mock.patch.object(scanning, "send", send),
        mock.patch.object(hugetlb, "send", send),
        mock.patch.object(growing, "send", send),
        mock.patch.object(access, "send_reading", send_reading),
        mock.patch.object(access, "send_across", send_reading),
        mock.patch.object(Replay, "repeat", repeat),
        mock.patch.object(sequence, "replay_pattern", replay_pattern),
        mock.patch.object(engine, "world_of", world_of),
    ):
        yield


class NaiveWorld(World):
    """A world that sends its events here; `slots` is its swap device, where positions matter."""

    def __init__(self, machine: Machine, table: Table, placed: bool, locks: bool) -> None:
        super().__init__(machine, table, locks)
        self.slots = Slots(self, free_swap) if placed else None


def world_of(machine: Machine, table: Table, placed: bool, collapsing: bool, locks: bool) -> World:
    """In the place of the engine's."""
    if machine.memory is not None:
        return real_world_of(machine, table, placed, collapsing, locks)
    return NaiveWorld(machine, table, placed, locks)


def free_swap(world: World, shared: SharedRegion, page: int, slot: int) -> None:
    """The allocator takes a slot back."""
    happen(world, Tally(), shared, page, FreeSwap(0, world.facts, slot))


def repeat(self: Replay, step: RepeatStep, path: str, window: str | None, record: object) -> None:
    """Every iteration."""
    for index in range(step.count):
        self.steps(step.steps, f"{path}[{index}].", window, record)  # type: ignore[arg-type]


def replay_pattern(
    world: World,
    tally: Tally,
    process: Process,
    step: AccessPatternStep,
    _along: object,
) -> None:
    """Each access as the only one of its step."""
    size, shared = world.machine.page_size, process.regions[step.region]
    first = step.span.offset // size
    pages = -(-(step.span.offset + step.span.length) // size) - first
    member = shared.member(process.name)
    for chunk in accesses(step, pages):
        for page, write in zip(chunk.page.tolist(), chunk.write.tolist(), strict=True):
            event = Access(member, world.facts, read=not write, store="fresh" if write else None)
            growing.grow_to(world, tally, process, shared, first + page)
            if not access.touch(world, tally, process, shared, Walk(first + page, 1), event):
                return


def send(
    world: World, tally: Tally, shared: SharedRegion, walk: Walk, event: Event, _met: object = None
) -> None:
    """One page after the other."""
    for page in walk.pages().tolist():
        happen(world, tally, shared, page, event)
    if isinstance(world, NaiveWorld) and world.slots is not None:
        world.slots.clusters.do_work()


def happen(
    world: World,
    tally: Tally,
    shared: SharedRegion,
    page: int,
    event: Event,
    readahead: bool = True,
) -> None:
    """One event on one page."""
    used, total = world.device.used, world.device.total
    facts = world.facts._replace(readahead=readahead and world.facts.readahead)
    slots = world.slots if isinstance(world, NaiveWorld) else None
    if slots is not None and isinstance(event, Pageout):
        facts = facts._replace(slot_free=slots.reserve(shared, page, event))
    elif slots is not None:
        facts = facts._replace(swap_full=slots.clusters.full)
    elif isinstance(event, Pageout):
        facts = facts._replace(slot_free=used < total)
    else:
        facts = facts._replace(swap_full=used >= world.device.full_from)
    where = np.array([page], dtype=np.int64)
    event = event._replace(facts=facts)
    before = column_of(world, shared, page)  # which taking a slot back may have changed
    outcome = transition(world.table.policy, before, event)
    column = world.table.intern(outcome.column)
    if slots is not None:
        slots.follow(shared, page, event)
    shared.region.assign(where, np.array([column], dtype=np.int64))
    world.device.used += len(outcome.column.slots) - len(before.slots)
    tally.counts = [a + b for a, b in zip(tally.counts, outcome.counts, strict=True)]
    for kind, member in outcome.violations:
        tally.see(kind, *shared.seen_at(member, page), 1)


def column_of(world: World, shared: SharedRegion, page: int) -> Column:
    """The column of a page."""
    return world.table.columns[int(shared.region.at(np.array([page], dtype=np.int64))[0])]


def send_reading(
    world: World,
    tally: Tally,
    shared: SharedRegion,
    walk: Walk,
    event: Event,
    bounds: tuple[int, int],
    state: ReadAhead,
) -> ReadAhead:
    """The same with read-ahead, a fault at a time."""
    shift = world.machine.page_size.bit_length() - 1
    most = 2 ** (shift // 2) - 1
    for page in walk.pages().tolist():
        address = shared.base + page
        where = np.array([page], dtype=np.int64)
        before = world.table.columns[int(shared.region.at(where)[0])]
        outcome = transition(world.table.policy, before, event)
        lookup = outcome.lookup
        for neighbour in around(world, address, bounds, shared) if outcome.around else ():
            if neighbour != page:
                happen(world, tally, shared, neighbour, MapPages(event.process, world.facts))
        size, window = window_of(world, address, state)
        alone = lookup == "read" and size == 1
        happen(world, tally, shared, page, event, readahead=not alone)
        if lookup == "read":
            state = ReadAhead(address, size, 0)
            for neighbour in window:
                inside = bounds[0] <= neighbour - shared.base < bounds[1]
                if size > 1 and inside and neighbour != address:
                    process = world.processes[shared.members[event.process]]
                    other = process.shared_at(neighbour)
                    member = other.member(process.name)
                    ahead = SwapIn(member, world.facts, readahead=True)
                    happen(world, tally, other, neighbour - other.base, ahead)
        elif lookup == "hit":
            state = ReadAhead(address, state.window, state.hits)
        elif lookup == "readahead_hit":
            state = ReadAhead(address, state.window, min(most, state.hits + 1))
    return state


def around(world: World, address: int, bounds: tuple[int, int], shared: SharedRegion) -> list[int]:
    """The pages of the region that a read fault of a file maps, its own as well: 64 KiB, from an
    aligned page or the first of the VMA on, of one page table."""
    pages, table = 65536 // world.machine.page_size, world.machine.page_size // 8
    low, high = (shared.base + bound for bound in bounds)
    first = max(address // pages * pages, low)
    same = [a for a in range(first, first + pages) if a // table == address // table and a < high]
    return [a - shared.base for a in same]


def window_of(world: World, address: int, state: ReadAhead) -> tuple[int, range]:
    """The window's size and pages, not yet clipped to the VMA."""
    largest = 2 ** min(5, world.machine.swap.page_cluster)
    size = world.table.policy.readahead_window(
        address, state.last, state.hits, state.window, largest
    )
    if address - state.last == 1:
        window = range(address, address + size)
    elif state.last - address == 1:
        window = range(address - size + 1, address + 1)
    else:
        window = range(address - (size - 1) // 2, address - (size - 1) // 2 + size)
    table = world.machine.page_size // 8
    first = address // table * table
    return size, range(max(window.start, first), min(window.stop, first + table))
