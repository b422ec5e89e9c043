"""Pages one by one, where they depend on one another: under a memory limit, and in traces.

An `Arena` numbers the pages of all regions through, keeps their columns in one array, and lets the
inner loop of `swaptrace.reclaim` send events to them. What the loop cannot decide, the arena
does: transitions not met before, and read-ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swaptrace.counters import ReclaimCounter
from swaptrace.errors import NotModelled, OutOfMemory
from swaptrace.mm.event import Dontneed, Event, Fork, Free, Pageout, Populate, SwapIn, Unmap
from swaptrace.reclaim import loop, madvise, memory
from swaptrace.reclaim.batches import lru_add_drain
from swaptrace.reclaim.compiled import COMPILED
from swaptrace.reclaim.memory import Memory, viewed
from swaptrace.reclaim.pages import at_hand, shared_of
from swaptrace.reclaim.swapfile import swap_reclaim_work
from swaptrace.replay.pages.dense import Dense, first_page
from swaptrace.replay.pages.flat import FlatTable, Integers
from swaptrace.replay.pages.lookup import look_up
from swaptrace.replay.pages.nodes import Layout, Nodes, empty_nodes, extended
from swaptrace.replay.pages.pagetables import (
    PageTables,
    lru_gen,
    new_page_tables,
    start_generations,
)
from swaptrace.replay.pages.placing import NOT_PLACED, slots_moved, swap_device
from swaptrace.replay.pages.recurring import recurring_key
from swaptrace.replay.runs.walk import Pages, Walk, check_listable
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.tally import Tally
from swaptrace.result.lrugen import LruGen

if TYPE_CHECKING:
    from swaptrace.replay.processes import Process, SharedRegion
    from swaptrace.replay.world import World

PORTION = 1 << 16
"""How many pages of a walk are listed at a time."""

MOST_FOLIOS = 62
"""How many a page of a region may have: accessed bits are looked up in one word."""


RECLAIM_COUNTS: Final = (
    (memory.PGSCAN, ReclaimCounter.PGSCAN),
    (memory.PGSTEAL, ReclaimCounter.PGSTEAL),
    (memory.PGACTIVATE, ReclaimCounter.PGACTIVATE),
    (memory.PGDEACTIVATE, ReclaimCounter.PGDEACTIVATE),
    (memory.REFAULTS, ReclaimCounter.WORKINGSET_REFAULT),
    (memory.ACTIVATED, ReclaimCounter.WORKINGSET_ACTIVATE),
    (memory.RESTORED, ReclaimCounter.WORKINGSET_RESTORE),
)
"""Where the inner loop counts what /proc/vmstat has under these names."""


class Arena:
    """All pages of a world, in one array.

    `column` is by page; what else there is by page is the state of reclaim, kept under a limit
    alone. `shared_regions` are the regions in the order of their pages.
    """

    def __init__(self, world: World, placed: bool = False) -> None:
        machine = world.machine
        self.world = world
        self.limited = machine.memory is not None
        self.placed = placed
        self.pinned = False
        self.swap = swap_device(machine) if placed else NOT_PLACED
        self.shared_regions: list[SharedRegion] = []
        self.column = np.zeros(0, np.uint16)
        self.table: FlatTable
        self.v = np.zeros(memory.SCALARS, np.int64)
        self.v[memory.CAPACITY] = (machine.memory or 0) // machine.page_size
        self.v[memory.PAGES_SHIFT] = (1 << 30).bit_length() - machine.page_size.bit_length()
        self.v[memory.SLOTS] = world.device.total
        self.v[memory.FULL_FROM] = world.device.full_from
        self.v[memory.STAT_FLUSH] = machine.stat_flush or 0
        self.v[memory.LRU_DRAIN] = machine.lru_drain or 0
        self.v[memory.EXACT] = machine.reclaim == "lru"
        self.v[memory.TRACKED] = self.limited
        self.generations = self.limited and machine.reclaim == "mglru"
        if self.generations:
            start_generations(self.v, machine.page_size)
        self.v[memory.READAHEAD] = machine.swap.page_cluster > 0
        self.v[memory.AGE] = memory.FIRST_AGE
        self.v[memory.PINNED] = -1
        self.page_tables = PageTables()
        self.counted = [0] * memory.SCALARS
        self.nodes: Nodes = {}
        self._memory: Memory | None = None
        self._tables: Integers
        self.widen(1)

    @property
    def followed(self) -> bool:
        """Whether something is kept by folio or slot."""
        return self.limited or self.placed

    def widen(self, width: int) -> None:
        """Make room for so many folios of a page of each region."""
        old = int(self.v[memory.WIDTH])
        if width <= old:
            return
        if width > MOST_FOLIOS:
            raise NotModelled(
                f"a region is shared by more than {MOST_FOLIOS} processes, or {MOST_FOLIOS // 2} "
                "where one pins it; under a memory limit, or where swap can fill up, it is the most"
            )
        to = Layout(width)
        self.v[memory.BASE], self.v[memory.WIDTH] = to.base, width
        self.table = FlatTable(
            self.world.table, self.world.facts, width, self.limited, self.generations, self.placed
        )
        if self.followed and old:
            self.nodes = Layout(old).spread(self.nodes, to)
            batches = self.v[memory.BATCHES :].reshape(memory.BATCH_KINDS, -1)
            batches[:, 1:] = Layout(old).moved(batches[:, 1:], to)
            if self.placed:
                slots_moved(self.swap, Layout(old), to)
        else:
            self.nodes = empty_nodes(to.base if self.followed else 0, self.generations, self.placed)
        self._memory = None

    def place(self, shared: SharedRegion, pages: int, column: int) -> None:
        """Room for a new region, all of one column; where an old one was, if it fits."""
        first = len(self.column)
        check_listable(first + pages)
        gone = next(
            (f for f in self.shared_regions if not f.members and f.region.pages == pages), None
        )
        if gone is not None:
            assert isinstance(gone.region, Dense)
            first = gone.region.first
            self.shared_regions[self.shared_regions.index(gone)] = shared
        else:
            self.shared_regions.append(shared)
            self._extend(pages)
        self.column[first : first + pages] = column
        if self.generations:
            new_page_tables(self, first, pages)
        shared.region = Dense(self, first, pages)

    def _extend(self, pages: int) -> None:
        self.column = np.append(self.column, np.zeros(pages, self.column.dtype))
        if self.followed:
            self.nodes = extended(self.nodes, pages * int(self.v[memory.WIDTH]))
        self._memory = None

    def memory(self) -> Memory:
        """Everything as the inner loop takes it."""
        if self._memory is None or self._tables is not self.table.buffer:
            self.table.make_room("F", len(self.shared_regions))
            starts = [first_page(shared) for shared in self.shared_regions]
            self.table.arrays["starts"][: len(starts)] = starts
            if self.generations:
                self.page_tables.describe(self)
            for place, begin in self.table.places().items():
                self.v[place] = begin
            self.v[memory.COLUMNS] = self.table.size["C"]
            self.v[memory.CELLS] = self.table.size["C"] * self.table.size["E"]
            self.v[memory.SHARED_REGIONS] = len(self.shared_regions)
            self._tables = self.table.buffer
            arrays: Nodes = {
                "v": self.v,
                "t": self._tables,
                "column": self.column,
                "swap": self.swap,
                **self.nodes,
            }
            self._memory = Memory(**{name: view(array) for name, array in arrays.items()})
        return self._memory

    def fill(self) -> None:
        """The loop has asked for a transition."""
        event, column = self.v[memory.ASKED : memory.ASKED + 2].tolist()
        self.table.fill(event, column)
        self.widen_columns()
        self._memory = None

    def widen_columns(self) -> None:
        """Let `column` hold the number of every column there is."""
        if len(self.world.table.columns) > np.iinfo(self.column.dtype).max:
            self.column = self.column.astype(np.uint32)

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in order; False if one ended the step."""
        walk = walk.ordered()
        self.follow_spaces()
        self.pinned |= isinstance(event, Populate) and event.pin
        if self.pinned or isinstance(event, Fork):
            # What a process has pinned can be another folio than what it maps.
            self.widen((len(shared.members) + isinstance(event, Fork)) * (1 + self.pinned))
        number, going, first = self.table.number(event), True, first_page(shared)
        if drains_first(event):
            lru_add_drain(self.memory())
        for skip in range(0, walk.count, PORTION):
            pages = walk.part(skip, min(PORTION, walk.count - skip)).pages() + first
            going = self.drive(pages, number, isinstance(event, Pageout))
            adjust_young(self, shared, pages, event)
            if not going:
                break
        if isinstance(event, SwapIn):
            lru_add_drain(self.memory())
        if self.placed:
            swap_reclaim_work(self.memory())
        self.settle(tally)
        return going

    def drive(self, pages: Pages, event: int, advised: bool = False) -> bool:
        """The same event for each page, in order."""
        events = np.full(len(pages), event, np.int64)
        if advised:
            self.v[memory.IN_FAULT] = 0
            return self._until_done(
                len(pages),
                lambda at: madvise.pageout(self.memory(), view(pages), event, at, len(pages)),
            )
        return self.drive_all(pages, events, bool(self.table.arrays["touches"][event]))

    def follow_spaces(self) -> None:
        """Let the inner loop know of processes and VMAs that are new, or gone."""
        if self.generations and self.page_tables.changed(self):
            self._memory = None

    def drive_all(self, pages: Pages, events: Pages, in_fault: bool = True) -> bool:
        """An event for each page, in order; False if one ended the step. `in_fault` is that they
        are faults, or would be."""
        end = len(pages)
        self.v[memory.IN_FAULT] = in_fault
        self.v[memory.ALL_MARKED] = 0  # since the last time there may be new PMD entries
        self.follow_spaces()

        def go(at: int) -> tuple[int, int]:
            at, why = loop.run(self.memory(), view(pages), view(events), at, end)
            if why != loop.LOOKS_UP:
                return at, why
            why = look_up(self, int(pages[at]), int(events[at]))
            if why and why != loop.ENDED:
                return at, why
            if self.table.arrays["touches"][events[at]] == 1:
                loop.tick(self.memory(), 1)
            return at + 1, why

        return self._until_done(end, go)

    def _until_done(self, end: int, go: Callable[[int], tuple[int, int]]) -> bool:
        device, at, why = self.world.device, 0, loop.DONE
        self.v[memory.SLOTS_USED] = device.used
        while at < end and why != loop.ENDED:
            at, why = go(at)
            self.check(why)
        device.used = int(self.v[memory.SLOTS_USED])
        return why != loop.ENDED

    def check(self, why: int) -> None:
        """Do what the loop has stopped for, where it is not to end."""
        if why == loop.UNKNOWN:
            self.fill()
        elif why == loop.KILLED:
            swap = "swap.size" if self.world.machine.swap_max is None else "swap_max"
            raise OutOfMemory(
                "the memory limit is reached and nothing can be reclaimed: the kernel would kill a "
                "process here; give machine.memory more"
                f"{f' or machine.{swap}' if self.v[memory.SLOTS] else ''}"
            )

    def settle(self, tally: Tally) -> None:
        """Hand over what has been counted."""
        for met in self.table.met():
            shared = self.shared_regions[met.shared]
            row = self.world.table.row(met.event, met.column)
            tally.take(shared, met.event, met.column, row, met.pages)
            for kind, process in row.violations:
                page = met.first - first_page(shared)
                tally.see(kind, shared.members[process], shared.name, page, met.pages)
        for at, name in RECLAIM_COUNTS:
            tally.reclaim[name] += int(self.v[at]) - self.counted[at]
            self.counted[at] = int(self.v[at])

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """No entry is huge."""

    def lru_add_drain(self, tally: Tally) -> None:
        """All that waits in a batch moves to its list."""
        if self.limited:
            lru_add_drain(self.memory())
            self.settle(tally)

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, process: int) -> None:
        """MADV_COLD, which says nothing where there are no lists."""
        if not self.limited:
            return
        self.follow_spaces()
        m = self.memory()
        lru_add_drain(m)
        madvise.cold(m, view(walk.pages() + first_page(shared)), process)
        self.settle(tally)

    def happen(self, page: int, number: int) -> int:
        """One event of one page, read-ahead or not; what `loop.happen` says of it."""
        why = loop.UNKNOWN
        while why == loop.UNKNOWN:
            m = self.memory()
            self.v[memory.READAHEAD] = 0
            why = loop.happen(m, page, number)
            self.v[memory.READAHEAD] = 1
            if why == loop.UNKNOWN:
                self.fill()
        return int(why)

    def row(self, page: int, number: int) -> TransitionRow:
        """The transition that an event of a page would be, as things are."""
        event = self.table.events[at_hand(self.memory(), number)]
        return self.world.table.row(event, int(self.column[page]))

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""
        return recurring_key(self, self.page_tables.name(int(self.v[memory.CURRENT])))

    def switched_to(self, name: str) -> None:
        """The process runs its next step (lru_gen_use_mm())."""
        if self.generations:
            self.follow_spaces()
            self.page_tables.switched_to(self, name)

    def switch_after(self, folios: int) -> None:
        """The process that reclaims is switched from and to again after so many are written."""
        self.v[memory.SWITCHED] = folios

    def drain_stock(self) -> None:
        """Where all folios are pages, those charged in advance are as good as free."""

    def columns(self, shared: SharedRegion) -> None:
        """The region's say it."""

    def huge(self, shared: SharedRegion, _member: int) -> Iterator[tuple[int, bool]]:
        """No entry is huge."""
        yield shared.region.pages, False

    def lru_gen(self) -> LruGen | None:
        """Generations and tiers, where the LRU has any."""
        return lru_gen(self.v) if self.generations else None

    def locate(self, page: int) -> SharedRegion:
        """The region that a page belongs to."""
        return self.shared_regions[shared_of(self.memory(), page)]


def view(array: np.ndarray[Any, Any]) -> memory.Array:
    """An array as the inner loop takes it."""
    return viewed(array, interpreted=not COMPILED)


def drains_first(event: Event) -> bool:
    """Whether the system call begins with lru_add_drain()."""
    return isinstance(event, Pageout | Dontneed | Free | Unmap)


def adjust_young(arena: Arena, shared: SharedRegion, pages: Pages, event: Event) -> None:
    """The accessed bits after an event that moves processes or clears PTEs.

    A child's PTEs are old (copy_present_ptes), as are those that MADV_FREE has cleared.
    """
    if not arena.limited:
        return
    width, base = int(arena.v[memory.WIDTH]), int(arena.v[memory.BASE])
    flags = arena.nodes["flags"][base:].reshape(-1, width)
    bits = memory.OF_PROCESS if arena.generations else memory.YOUNG
    kept = ~bits & int(np.iinfo(flags.dtype).max)
    if isinstance(event, Fork):
        flags[pages, len(shared.members)] &= kept
        if arena.generations:
            flags[pages, len(shared.members)] |= memory.PMD_YOUNG
    elif isinstance(event, Unmap) and event.gone:
        following = flags[pages, event.process + 1 :] & bits
        flags[pages, event.process :] &= kept
        flags[pages, event.process : -1] |= following
    elif isinstance(event, Free):
        columns = arena.column[pages]
        folio = arena.table.arrays["folio_of"][columns, event.process].astype(np.int64)
        lazy = arena.table.arrays["lazy"][columns] >> np.maximum(folio, 0) & 1
        cleared = pages[(folio >= 0) & (lazy != 0)]
        flags[cleared, event.process] &= ~memory.YOUNG & int(np.iinfo(flags.dtype).max)
