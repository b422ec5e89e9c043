"""One event on the pages of a walk, page table by page table and block by block, where memory may
come in large folios."""

from __future__ import annotations

from itertools import accumulate
from typing import Final, NamedTuple

from swaptrace.errors import NotModelled, TooManyPages
from swaptrace.mm.block import Block, cached_alone
from swaptrace.mm.blockevent import BlockEvent, Isolate, Shrink
from swaptrace.mm.event import Access, Pageout, Populate
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.folios.effects import BlocksOutcome, Known, PageSpan
from swaptrace.replay.folios.jump import Before, Counted, Jump, Visit, before
from swaptrace.replay.folios.opened import Opened, shifted, within
from swaptrace.replay.folios.regions import Regions
from swaptrace.replay.folios.slotmap import SLOT_CACHE, Moved
from swaptrace.replay.folios.stretches import Stretch
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.readahead import Pass, relative
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, ReadAhead, VmArea
from swaptrace.replay.tally import Tally

MAX_TABLES: Final = 1 << 15
"""How many page tables that are not alike a step may visit: those of 64 GiB."""

MAX_PAGES: Final = 1 << 20
"""How many pages a step may visit in an order that is not regular: 4 GiB."""


class CurrentEvent(NamedTuple):
    """An event while it is so that more than half of the swap device is in use, or not."""

    full: bool
    event: BlockEvent
    known: Known


class Sweep:
    """An event that goes over the pages of a region; `scanned` is what MADV_COLLAPSE has found in
    those that were visited."""

    def __init__(
        self, regions: Regions, tally: Tally, shared: SharedRegion, event: BlockEvent
    ) -> None:
        self.regions, self.tally, self.shared, self.event = regions, tally, shared, event
        self.slots, self.effects = regions.slots, regions.effects
        self.tables = regions.tables_of(shared)
        self.size = regions.table_pages
        self.phase, self.end = shared.base % self.size, shared.region.pages
        self.table: Opened | None = None
        self.visited = 0
        self.scanned: list[KhugepagedScan] = []
        self.current: dict[type[BlockEvent], CurrentEvent] = {}

    def over(self, walk: Walk) -> bool:
        """Visit the pages of a walk in its order; False if one ended the step."""
        self.end = max(self.end, walk.end)
        if walk.scattered is not None or walk.seed is not None or walk.stride >= self.size:
            return self.one_by_one(walk)
        numbers = range(self.number(walk.first), self.number(walk.end - 1) + 1)
        number, step = (numbers[-1], -1) if walk.backward else (numbers[0], 1)
        pages = range(walk.first, walk.end, walk.stride)
        trail: list[Visit] = []
        while number in numbers:
            self.visited += 1
            if self.visited > MAX_TABLES:
                raise TooManyPages(
                    f"with large folios (machine.thp) a step visits at most {MAX_TABLES} page "
                    "tables that are not alike"
                )
            before, self.slots.moved = self.before(number, pages), Moved()
            self.table = self.open(number)
            goes_on = self.visit(self.table, within(pages, self.bounds(number))[::step])
            visit = Visit(before, self.table.counted, self.table.stretch, self.slots.moved)
            self.close()
            if not goes_on:
                return False
            trail = [*trail[-1:], visit]
            number += step
            if len(trail) == 2 and number in numbers:
                number += step * self.jump(trail, number, pages, step)
        return True

    def one_by_one(self, walk: Walk) -> bool:
        """The same of pages in any order."""
        if walk.count > MAX_PAGES:
            raise TooManyPages(
                f"with large folios (machine.thp) a step visits at most {MAX_PAGES} pages in an "
                "order that is not regular"
            )
        goes_on = True
        for page in walk.pages().tolist():
            number = self.number(page)
            if self.table is None or self.table.number != number:
                self.close()
                self.table = self.open(number)
            goes_on = self.visit(self.table, range(page, page + 1))
            if not goes_on:
                break
        self.close()
        return goes_on

    def number(self, page: int) -> int:
        """Which of the region's page tables maps a page."""
        return (self.phase + page) // self.size

    def address(self, number: int) -> int:
        """Where what a page table maps begins."""
        return self.shared.base - self.phase + number * self.size

    def bounds(self, number: int) -> tuple[int, int]:
        """The pages of the region that a page table maps."""
        start = number * self.size - self.phase
        return max(start, 0), min(start + self.size, self.end)

    def open(self, number: int) -> Opened:
        """A page table to visit."""
        index, inside = self.tables.find(number)
        stretch, (first, end) = self.tables.stretches[index], self.bounds(number)
        flat = iter(stretch.rows_at(inside))
        counts = self.effects.row_counts
        rows = [tuple([next(flat) for _ in range(counts[each])]) for each in stretch.blocks]
        starts = [0, *accumulate(self.effects.sizes[each] for each in stretch.blocks)]
        pieces = self.regions.pieces(self.shared, first, end)
        return Opened(number, first, [*stretch.blocks], rows, starts, pieces)

    def close(self) -> None:
        """Write the page table back that was visited, and count."""
        if self.table is not None:
            self.tables.replace(self.table.number, [self.table.stretch])
            self.count(self.table.counted, self.table.first, 1)
            self.table = None

    def count(self, counted: Counted, first: int, times: int) -> None:
        """Count what page tables have met; the pages of the lowest begin at `first`."""
        for at, count in counted.counts.items():
            self.tally.counts[at] += count * times
        for change, often in counted.changes.items():
            self.tally.add_change(self.shared, change, often * times)
        for kind, p, page in counted.violations:
            self.tally.see(kind, self.shared.members[p], self.shared.name, first + page, times)

    def visit(self, table: Opened, pages: range) -> bool:
        """Let the event happen to pages of a page table; False if it ended the step."""
        if not pages:
            return True
        if isinstance(self.event, Pageout):
            return self.pageout(table, self.event, pages)
        if len(pages) > 1 and isinstance(self.event, Access | Populate) and self.near(len(pages)):
            # Each fault asks anew whether swap is full, which the one before may have changed.
            return all(self.visit(table, pages[at : at + 1]) for at in range(len(pages)))
        for k, inside in table.blocks_of(pages):
            outcome = self.block(table, k, self.event, inside)
            if outcome is None:
                rest = pages[pages.index(table.first + table.starts[k] + inside[0]) :]
                return not self.whole(table, rest).ends
            if outcome.ends:
                return False
            if outcome.stops:
                break
        return True

    def pageout(self, table: Opened, event: Pageout, pages: range) -> bool:
        """reclaim_pages() of all folios that are found in the range of the page table."""
        isolated: list[tuple[int, range, tuple[int, ...]]] = []
        for k, inside in table.blocks_of(pages):
            outcome = self.block(table, k, Isolate(event.process, event.facts), inside)
            assert outcome is not None, "nothing is read"
            isolated.append((k, inside, outcome.isolated))
            if outcome.stops:
                break
        for k, inside, folios in isolated:
            if folios:
                self.block(table, k, Shrink(event.process, event.facts, folios), inside)
        return True

    def now(self, event: BlockEvent, pages: int) -> tuple[BlockEvent, Known | None]:
        """The event with the facts as they are, and what is known of it, unless it may be that
        within so many pages more than half of the swap device comes to be in use, or less."""
        full = self.slots.swap_full
        current = self.current.get(type(event))
        if current is None or current.full != full or isinstance(event, Shrink):
            facts = event.facts._replace(swap_full=full)
            event = event._replace(facts=facts)
            current = CurrentEvent(full, event, self.effects.known(event))
            self.current[type(event)] = current
        reclaims = full and isinstance(event, Shrink)
        return current.event, None if self.near(pages) or reclaims else current.known

    def near(self, pages: int) -> bool:
        """Whether so many pages could let more than half of the swap device be in use, or less."""
        return abs(2 * self.slots.used - self.slots.total) <= 2 * self.slack(pages)

    def slack(self, pages: int) -> int:
        """How many slots so many pages can come to use, or not, at most, with those that a
        CPU sets aside."""
        return pages * (len(self.shared.members) + 1) + SLOT_CACHE

    def block(self, table: Opened, k: int, event: BlockEvent, pages: range) -> BlocksOutcome | None:
        """Let an event happen to pages of a block; None if others beside it have a part in it."""
        low, high = table.starts[k : k + 2]
        span = PageSpan(
            self.shared.base + table.first + low,
            (table.blocks[k],),
            (table.rows[k],),
            table.parts(low, high),
            None,
            lambda block: self.check(table, k, block),
        )
        event, known = self.now(event, high - low)
        found = self.effects.take(known, event, span, pages, self.slots)
        if found is None:
            return None
        outcome, rows = found
        self.apply(table, k, outcome, rows)
        return outcome

    def whole(self, table: Opened, pages: range) -> BlocksOutcome:
        """Let the event happen to pages of a page table which read ahead, or find what was."""
        address = self.shared.base + table.first
        event, known = self.now(self.event, table.starts[-1])
        space, area = self.area(event.process, self.shared.base + pages[0])
        bounds = max(area.start - self.shared.base, 0), min(area.end, self.shared.end)
        ahead = Pass(
            self.regions.world,
            self.shared,
            Access(event.process, event.facts, read=True, store=None),
            (bounds[0], bounds[1] - self.shared.base),
            area.readahead,
        )
        span = PageSpan(
            address,
            tuple(table.blocks),
            tuple(table.rows),
            table.pieces,
            ahead,
            lambda block: self.check(table, -1, block),
        )
        inside = shifted(pages, -table.first)
        found = self.effects.take(known, event, span, inside, self.slots)
        assert found is not None, "nothing goes beyond a page table"
        outcome, rows = found
        self.apply(table, 0, outcome, rows)
        if outcome.readahead is not None:
            table.looked_up = True
            state = relative(outcome.readahead, -address)
            space.put(area, area._replace(readahead=state))
        return outcome

    def apply(self, table: Opened, k: int, outcome: BlocksOutcome, rows: list[int]) -> None:
        """Blocks from number `k` on have become others."""
        counted, low = table.counted, table.starts[k]
        for at, (block, own) in enumerate(zip(outcome.values, outcome.rows, strict=True)):
            table.blocks[k + at] = block
            table.rows[k + at] = tuple([rows[row] for row in own])
        for at, count in outcome.counts:
            counted.counts[at] = counted.counts.get(at, 0) + count
        counted.violations += [(kind, p, low + page) for kind, p, page in outcome.violations]
        if outcome.scanned is not None:
            self.scanned.append(outcome.scanned)
        for change in outcome.changes:
            counted.changes[change] = counted.changes.get(change, 0) + 1
        if outcome.prepared:
            world, name = self.regions.world, self.shared.members[self.event.process]
            _, area = self.area(self.event.process, self.shared.base + table.first + low)
            anon_vma_prepare(world, world.processes[name], area)

    def area(self, p: int, address: int) -> tuple[AddressSpace, VmArea]:
        """The VMA that a page of a process lies in, and the address space of which it is."""
        space = self.regions.world.processes[self.shared.members[p]].space
        return space, space.within(address, address + 1)[0]

    def before(self, number: int, pages: range) -> Before:
        """What a page table is about to meet."""
        index, inside = self.tables.find(number)
        stretch, (first, end) = self.tables.stretches[index], self.bounds(number)
        around = (
            self.regions.pieces(self.shared, first, end),
            shifted(within(pages, (first, end)), -first),
            self.readahead(number),
        )
        rows = stretch.rows_at(inside)
        return before(self.slots, stretch.blocks, rows, self.effects.size, around)

    def readahead(self, number: int) -> ReadAhead | None:
        """The read-ahead of the VMA that all of a page table lies in, as seen from there; where its
        last fault was matters only nearby."""
        space = self.regions.world.processes[self.shared.members[self.event.process]].space
        start = self.address(number)
        areas = space.within(start, start + self.size)
        if len(areas) != 1:
            return None
        state = relative(areas[0].readahead, start)
        return state if -1 <= state.last <= self.size else state._replace(last=-2)

    def jump(self, trail: list[Visit], number: int, pages: range, step: int) -> int:
        """How many page tables from one on have been counted without a visit."""
        ahead = self.ahead(number, pages, step)
        if not ahead.tables:
            return 0
        now = self.before(number, pages)
        jump = Jump(self.slots, trail[0], trail[1], now, ahead, self.slack(self.size))
        times = jump.most()
        if not times:
            return 0
        after = jump.take(times)
        if step < 0:
            back = tuple([-stride for stride in after.strides])
            after = Stretch(times, after.blocks, after.rows_at(times - 1), back)
        lowest = number if step > 0 else number - times + 1
        self.tables.replace(lowest, [after])
        self.count(trail[1].counted, lowest * self.size - self.phase, times)
        self.move_readahead(number - step, step * times * self.size)
        return times

    def move_readahead(self, number: int, further: int) -> None:
        """The last fault was so many pages further on, if it was in a page table."""
        space = self.regions.world.processes[self.shared.members[self.event.process]].space
        start = self.address(number)
        for area in space.within(start, start + 1):
            if start <= area.readahead.last < start + self.size:
                space.put(area, area._replace(readahead=relative(area.readahead, -further)))

    def ahead(self, number: int, pages: range, step: int) -> Stretch:
        """The page tables from one on in the walk's direction that are alike: their pages, what is
        visited of them, and the VMAs that they lie in."""
        index, inside = self.tables.find(number)
        stretch, (first, end) = self.tables.stretches[index], self.bounds(number)
        low, high = self.regions.alike(self.shared, first, end)
        low, high = max(low, pages[0] - pages.step + 1), min(high, pages[-1] + pages.step)
        fits = end - first == self.size and self.size % pages.step == 0
        if not fits or first < low or high < end:
            return stretch._replace(tables=0)
        if step > 0:
            part = stretch.part(inside, stretch.tables - inside)
            return part._replace(tables=min(part.tables, (high - first) // self.size))
        strides = tuple([-stride for stride in stretch.strides])
        count = min(inside + 1, (end - low) // self.size)
        return Stretch(count, stretch.blocks, stretch.rows_at(inside), strides)

    def check(self, table: Opened, k: int, block: Block) -> None:
        """Refuse to look for slots where the allocator could take some back: of a folio in the swap
        cache that no swap PTE needs."""
        if not self.regions.swap_full():
            return
        self.tables.replace(table.number, [table.stretch])
        if cached_alone(block) or self.regions.cached_alone(self.shared, table.number, k):
            raise NotModelled(
                "large folios (machine.thp) are not modelled on a swap device that is more than "
                "half full and has slots that only the swap cache holds"
            )
