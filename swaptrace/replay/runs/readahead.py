"""Faults that go through the swap cache, with read-ahead around them (mm/swap_state.c).

Read-ahead couples neighbouring pages: a fault that must read brings in a window of its
neighbours, and what later faults find decides how large the next window is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

from swaptrace.counters import ViolationKind
from swaptrace.mm.column import ENTRY_BYTES
from swaptrace.mm.event import Access, Event, MapPages, Populate, SwapIn
from swaptrace.mm.readahead import (
    ROOT,
    ReadWindows,
    max_window,
    window_bounds,
    window_size,
)
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.around import fault_around
from swaptrace.replay.runs.region import Region
from swaptrace.replay.runs.visit import with_facts
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.world import World


def hits_max(page_size: int) -> int:
    """Where the count of hits saturates: SWAP_RA_HITS_MAX, which has half of PAGE_SHIFT bits."""
    return (1 << (page_size.bit_length() - 1) // 2) - 1


class Overlay(dict[int, int]):
    """The columns of single pages, taken from a region on demand, and changed without it."""

    def __init__(self, region: Region) -> None:
        super().__init__()
        self._starts, self._ids = region.lists()

    def __missing__(self, page: int) -> int:
        return self._ids[bisect_right(self._starts, page) - 1]


Noted: TypeAlias = dict[tuple["Sent", int], int]
"""How many pages of a column have had an event, in the order in which they first had."""


class Sent:
    """An event that a pass sends to pages; what has had it is noted."""

    __slots__ = ("event", "noted", "rows")

    def __init__(self, world: World, event: Event, noted: Noted) -> None:
        self.event = event
        self.rows = world.table.rows(event)
        self.noted = noted

    def note(self, column: int) -> None:
        """One page more."""
        key = (self, column)
        self.noted[key] = self.noted.get(key, 0) + 1


class PassEvents:
    """The events of a pass while the facts stay as they are: `access` is the fault or access
    itself; the others are made when they are needed."""

    def __init__(self, world: World, event: Access | Populate) -> None:
        self.world = world
        self.full = world.device.full
        self.now = with_facts(world, event)
        self.noted: Noted = {}
        self.access = Sent(world, self.now, self.noted)

    @cached_property
    def alone(self) -> Sent:
        """The access where the window is the one page."""
        facts = self.now.facts._replace(readahead=False)
        return Sent(self.world, self.now._replace(facts=facts), self.noted)

    @cached_property
    def ahead(self) -> Sent:
        """What read-ahead does to a neighbour."""
        event = SwapIn(self.now.process, self.now.facts, readahead=True)
        return Sent(self.world, event, self.noted)

    @cached_property
    def around(self) -> Sent:
        """What a read fault of a file does to a neighbour."""
        return Sent(self.world, MapPages(self.now.process, self.now.facts), self.noted)

    def taken(self) -> Iterator[tuple[Event, int, int]]:
        """Every transition: event, column, pages."""
        yield from ((sent.event, column, pages) for (sent, column), pages in self.noted.items())


class Pass:
    """One walk within one VMA by an event that may ask the swap cache.

    Pages are counted from the region's first; `low` and `high` bound the VMA's part of the
    region. `readahead` changes as the pass goes on.
    `alone` is that the last window was of one page, `own` the policy's windows if it decides
    about them itself, to which it may matter where a fault far away was.
    """

    def __init__(
        self,
        world: World,
        shared: SharedRegion,
        event: Access | Populate,
        bounds: tuple[int, int],
        readahead: ReadAhead,
    ) -> None:
        self.world = world
        self.shared = shared
        self.event = event
        self.low, self.high = bounds
        self.last, self.size, self.hits = readahead
        self.looked_up = False
        self.alone = False
        self.facts_changed = False
        self.taken: list[tuple[Event, int, int]] = []
        self.violations: list[tuple[ViolationKind, int, int]] = []
        page_size, page_cluster = world.machine.page_size, world.machine.swap.page_cluster
        self.table_pages = page_size // ENTRY_BYTES
        self.bounds = shared.base + self.low, shared.base + self.high
        machine = page_cluster, self.table_pages, page_size
        own = world.table.policy.functions.get(ROOT)
        self.own: ReadWindows | None = None if own is None else own(machine)
        self.max_window = max_window(page_cluster)
        self.hits_max = hits_max(page_size)

    @property
    def readahead(self) -> ReadAhead:
        """The VMA's state, as page addresses."""
        return ReadAhead(self.last, self.size, self.hits)

    @readahead.setter
    def readahead(self, state: ReadAhead) -> None:
        self.last, self.size, self.hits = state

    def visit(self, ids: list[int] | Overlay, offset: int, pages: Iterable[int]) -> None:
        """Visit pages one by one; `ids[page - offset]` is a page's column.

        Slots are only ever freed on the way (a fault takes none), so the facts change once at
        most, when swap is no longer more than half full.
        """
        self.facts_changed = False
        table, device, base = self.world.table, self.world.device, self.shared.base
        events, size = PassEvents(self.world, self.event), self.world.machine.page_size
        for page in pages:
            sent, column = events.access, ids[page - offset]
            row = sent.rows.get(column) or table.row(sent.event, column)
            if row.lookup == "read":
                start, end = self.window(base + page)
                if self.alone:
                    sent = events.alone
                    row = sent.rows.get(column) or table.row(sent.event, column)
                sent.note(column)
                if not self.alone:
                    self.read_ahead(events.ahead, ids, offset, page, range(start, end))
            else:
                if row.lookup != "none":
                    self.note_hit(base + page, row.lookup == "readahead_hit")
                if row.around:
                    near = fault_around(base, page, self.low, self.high, size)
                    self.read_ahead(events.around, ids, offset, page, near)
                sent.note(column)
            ids[page - offset] = row.new
            if row.violations:
                self.note_violations(row, page)
            if row.slots:
                device.used += row.slots
                if device.full != events.full:
                    self.taken += events.taken()
                    self.facts_changed = True
                    events = PassEvents(self.world, self.event)
        self.taken += events.taken()

    def note_violations(self, row: TransitionRow, page: int) -> None:
        """Where a transition broke a promise."""
        for kind, member in row.violations:
            self.violations.append((kind, member, page))

    def note_hit(self, address: int, ahead: bool) -> None:
        """swap_cache_get_folio(): a hit moves the last address; one read ahead counts."""
        self.last = address
        if ahead and self.hits < self.hits_max:
            self.hits += 1
        self.looked_up = True

    def read_ahead(
        self, sent: Sent, ids: list[int] | Overlay, offset: int, page: int, window: range
    ) -> None:
        """swap_vma_readahead(), filemap_map_pages(): read the window's other pages, or map them."""
        for neighbour in window:
            if neighbour != page:
                column = ids[neighbour - offset]
                row = sent.rows.get(column) or self.world.table.row(sent.event, column)
                if row.new != column:
                    ids[neighbour - offset] = row.new
                    sent.note(column)

    def window(self, address: int) -> tuple[int, int]:
        """swap_vma_ra_win(): the pages to read for a fault, and the new state."""
        self.looked_up = True
        if self.own is not None:
            return self.own_window(self.own, address)
        policy, last = self.world.table.policy, self.last
        size = window_size(policy, address, last, self.hits, self.size, self.max_window)
        self.last, self.size, self.hits = address, size, 0
        self.alone = size == 1
        if self.alone:
            return 0, 0
        start, end = window_bounds(address, last, size, *self.bounds, self.table_pages)
        return start - self.shared.base, end - self.shared.base

    def own_window(self, own: ReadWindows, address: int) -> tuple[int, int]:
        """The same by a function of the policy."""
        last, base = self.last, self.shared.base
        found = own.window(address, last, self.size, self.hits, self.bounds)
        size, start, end, self.last, self.size, self.hits = found
        self.alone = size == 1
        return start - base, end - base


def relative(state: ReadAhead, address: int) -> ReadAhead:
    """The state as seen from an address; where the last fault was matters only nearby."""
    return ReadAhead(state.last - address, state.window, state.hits)
