"""Large folios page by page: a block for each page table, nothing remembered, nothing counted
twice. It shares with the engine the kernel's functions, which change a block in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from swaptrace.errors import NotModelled, SwaptraceError
from swaptrace.kernels import Rule
from swaptrace.mm.block import Block, Pmd, cached_alone
from swaptrace.mm.blockcolumn import columns
from swaptrace.mm.blockevent import BlockEvent, Collapse, Isolate, Shrink, SplitPmd
from swaptrace.mm.blocktransition import Happened, happen
from swaptrace.mm.column import Column
from swaptrace.mm.event import Access, Event, Facts, Free, Pageout, Populate
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.engine import Replay
from swaptrace.replay.folios import chosen
from swaptrace.replay.folios.memory import MODELLED, Folios, orders_of
from swaptrace.replay.folios.slotmap import SLOT_CACHE, slot_map
from swaptrace.replay.pages import sequence
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.vmflags import NO_FLAGS, VmFlag
from tests.replay.naive import repeat, replay_pattern

TABLE = 512


class NaiveFolios(Folios):
    """Takes the place of `swaptrace.replay.folios.memory.Folios`."""

    def __init__(self, world: World, _collapsing: bool) -> None:
        machine = world.machine
        self.world = world
        self.blocks: dict[int, list[Block]] = {}
        self.slots = slot_map(machine.kernel, world.device.total, TABLE)
        kinds = (NO_FLAGS, VmFlag.HUGEPAGE, VmFlag.NOHUGEPAGE)
        self.allowed = {flags: orders_of(machine, flags) for flags in kinds}
        self.shared: SharedRegion | None = None
        self.block: Block | None = None

    def place(self, shared: SharedRegion, _pages: int, column: int) -> None:
        ends = [*range(shared.base - shared.base % TABLE + TABLE, shared.end, TABLE), shared.end]
        starts = [shared.base, *ends[:-1]]
        maps = self.world.table.columns[column].maps
        self.blocks[id(shared)] = [
            Block(start, [list(maps) for _ in range(start, end)])
            for start, end in zip(starts, ends, strict=True)
        ]

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        for block in self.blocks[id(shared)]:
            yield from ((1, column) for column in columns(block))

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        for block in self.blocks[id(shared)]:
            yield len(block.maps), block.pmds[member] is Pmd.HUGE

    def key(self) -> tuple[object, ...]:
        return ()

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event | Isolate) -> bool:
        self.shared = shared
        if not isinstance(event, (*MODELLED, Isolate)):
            raise SwaptraceError("not modelled")
        on_range = isinstance(event, Pageout | Isolate | Free)
        for block, pages in self.parts(shared, walk) if on_range else []:
            self.advise(tally, block, pages, event)
        if not isinstance(event, Access | Populate) and not on_range:
            for block, pages in self.parts(shared, walk):
                self.happen(tally, block, event, pages)
            return True
        for page in [] if on_range else walk.pages().tolist():
            number = (shared.base + page) // TABLE - shared.base // TABLE
            block = self.blocks[id(shared)][number]
            at = shared.base + page - block.base
            if self.happen(tally, block, event, range(at, at + 1)).ends:
                return False
        return True

    def parts(self, shared: SharedRegion, walk: Walk) -> Iterator[tuple[Block, range]]:
        for block in self.blocks[id(shared)]:
            low = max(shared.base + walk.first, block.base) - block.base
            high = min(shared.base + walk.end, block.base + len(block.maps)) - block.base
            if low < high:
                yield block, range(low, high)

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        if not any(address in (area.start, area.end) for area in process.space.areas):
            return
        for shared in process.shared_regions():
            if shared.base < address < shared.end and address % TABLE:
                self.shared = shared
                event = SplitPmd(shared.members.index(process.name), self.world.facts)
                for block, pages in self.parts(shared, Walk(address - shared.base, 1)):
                    self.happen(tally, block, event, pages)

    def collapse(
        self, tally: Tally, shared: SharedRegion, walk: Walk, member: int
    ) -> list[KhugepagedScan]:
        self.shared = shared
        event, found = Collapse(member, self.world.facts), list[KhugepagedScan]()
        for block, pages in self.parts(shared, walk):
            scanned = self.happen(tally, block, event, pages).scanned
            assert scanned is not None
            found.append(scanned)
            if scanned.ends:
                break
        return found

    def advise(self, tally: Tally, block: Block, pages: range, event: Event | Isolate) -> None:
        if isinstance(event, Pageout):
            p, facts = event.process, event.facts
            isolated = self.happen(tally, block, Isolate(p, facts), pages).isolated
            self.happen(tally, block, Shrink(p, facts, isolated), pages)
        else:
            self.happen(tally, block, event, pages)

    def happen(self, tally: Tally, block: Block, event: BlockEvent, pages: range) -> Happened:
        shared, self.block = self.shared, block
        assert shared is not None
        done = happen(block, event, pages, self.world.table.policy, self)
        tally.counts = [a + b for a, b in zip(tally.counts, done.counts, strict=True)]
        for kind, p, i in done.violations:
            tally.see(kind, shared.members[p], shared.name, block.base + i - shared.base, 1)
        return done

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, member: int) -> None:
        self.send(tally, shared, walk, Isolate(member, self.world.facts))

    # what lies around a block

    @property
    def facts(self) -> Facts:
        return self.world.facts._replace(swap_full=self.slots.swap_full)

    def area(self, p: int, i: int) -> tuple[AddressSpace, VmArea]:
        assert self.shared is not None
        assert self.block is not None
        space = self.world.processes[self.shared.members[p]].space
        address = self.block.base + i
        return space, space.within(address, address + 1)[0]

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        return self.allowed[self.area(p, i)[1].flags & (VmFlag.HUGEPAGE | VmFlag.NOHUGEPAGE)]

    def anon_vma_prepare(self, p: int, i: int) -> None:
        assert self.shared is not None
        process = self.world.processes[self.shared.members[p]]
        anon_vma_prepare(self.world, process, self.area(p, i)[1])

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        _, area = self.area(p, i)
        assert self.block is not None
        base = self.block.base
        return max(area.start - base, 0), min(area.end - base, len(self.block.maps))

    def charge(self, _p: int | None, _pages: range) -> bool:
        return True

    def allocate(self, order: int) -> int | None:
        left = self.slots.total - self.slots.used - SLOT_CACHE
        if not self.world.follows(Rule.NO_SLOT_CACHE) and left * 2 < self.slots.total:
            raise NotModelled("nearly half full")
        blocks = (b for shared in self.world.shared_regions() for b in self.blocks[id(shared)])
        if self.slots.swap_full and any(map(cached_alone, blocks)):
            raise NotModelled("more than half full")
        return self.slots.allocate(order)

    def release(self, slot: int) -> None:
        self.slots.release(slot)

    def ahead(self, p: int, i: int) -> tuple[Pass, AddressSpace, VmArea]:
        space, area = self.area(p, i)
        shared = self.shared
        assert shared is not None
        event = Access(p, self.world.facts, read=True, store=None)
        bounds = max(area.start - shared.base, 0), min(area.end, shared.end) - shared.base
        return Pass(self.world, shared, event, bounds, area.readahead), space, area

    def window(self, p: int, i: int) -> range:
        if not self.world.machine.swap.page_cluster:
            return range(i, i + 1)
        ahead, space, area = self.ahead(p, i)
        assert self.block is not None
        assert self.shared is not None
        start, end = ahead.window(self.block.base + i)
        space.put(area, area._replace(readahead=ahead.readahead))
        moved = self.shared.base - self.block.base
        return range(start + moved, end + moved)

    def hit(self, p: int, i: int, ahead: bool) -> None:
        if self.world.machine.swap.page_cluster:
            state, space, area = self.ahead(p, i)
            assert self.block is not None
            state.note_hit(self.block.base + i, ahead)
            space.put(area, area._replace(readahead=state.readahead))


@contextmanager
def page_by_page() -> Iterator[None]:
    """Replace the engine's large folios, and its repeat."""
    with (
        mock.patch.object(chosen, "Folios", NaiveFolios),
        mock.patch.object(Replay, "repeat", repeat),
        mock.patch.object(sequence, "replay_pattern", replay_pattern),
    ):
        yield
