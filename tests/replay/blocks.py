"""Large folios page by page: a block for each page table, nothing remembered, nothing counted
twice. It shares with the engine the kernel's functions, which change a block in place."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule
from swaptrace.mm.block import Block, Pmd, cached_alone
from swaptrace.mm.blockcolumn import columns
from swaptrace.mm.blockevent import BlockEvent, Collapse, Isolate, Shrink, SplitPage, SplitPmd
from swaptrace.mm.blocktransition import Happened, happen
from swaptrace.mm.column import Column, Entry, Pte, filled_with
from swaptrace.mm.event import Access, Facts, Free, Pageout, Populate
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.engine import Replay
from swaptrace.replay.folios import chosen
from swaptrace.replay.folios.memory import SIZES, Folios, check_apart, orders_of
from swaptrace.replay.folios.slotmap import SLOT_CACHE, slot_map
from swaptrace.replay.pages import sequence
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.thp import sizes
from swaptrace.vmflags import NO_FLAGS, VmFlag
from tests.replay.naive import repeat, replay_pattern

TABLE = 512


class NaiveFolios(Folios):
    """Takes the place of `swaptrace.replay.folios.memory.Folios`."""

    def __init__(self, world: World, collapsing: bool) -> None:
        machine = world.machine
        allowed = [SIZES[each.size] for each in sizes(machine.thp) if each.enabled != "never"]
        self.largest = 9 if collapsing else max(allowed)
        self.world = world
        self.blocks: dict[int, list[Block]] = {}
        self.bases: dict[int, int] = {}
        self.slots = slot_map(machine.kernel, world.device.total, TABLE)
        kinds = (NO_FLAGS, VmFlag.HUGEPAGE, VmFlag.NOHUGEPAGE)
        self.allowed = {flags: orders_of(machine, flags) for flags in kinds}
        self.shared: SharedRegion | None = None
        self.block: Block | None = None

    def place(self, shared: SharedRegion, _pages: int, column: int) -> None:
        maps = self.world.table.columns[column].maps
        self.bases[id(shared.region)] = shared.base
        self.blocks[id(shared.region)] = [
            Block(start, [list(maps) for _ in range(start, end)])
            for start, end in tables(shared.base, shared.end)
        ]

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        found = [column for block in self.blocks[id(shared.region)] for column in columns(block)]
        yield from ((1, column) for column in found[: shared.region.pages])

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        left = shared.region.pages
        for block in self.blocks[id(shared.region)]:
            if left > 0:
                yield min(left, len(block.maps)), block.pmds[member] is Pmd.HUGE
            left -= len(block.maps)

    def stored(self, shared: SharedRegion) -> int:
        return sum(len(block.maps) for block in self.blocks[id(shared.region)])

    def check_room(self, process: Process, shared: SharedRegion) -> None:
        if any(self.allowed.values()):
            check_apart(process, shared, TABLE)

    def rebase(self, shared: SharedRegion, base: int) -> None:
        if (shared.base - base) % TABLE == 0:
            return
        old, new = (
            range(at // TABLE, (at + shared.region.pages - 1) // TABLE + 1)
            for at in (base, shared.base)
        )
        if len(shared.members) > 1 or (
            self.largest == 9 and old.start < new.stop and new.start < old.stop
        ):
            raise NotModelled("by other than a multiple of 2 MiB")
        key = id(shared.region)
        whole = joined(shared.base, self.blocks[key])
        pmds = [
            (block.base, block.base + len(block.maps), block.pmds[0] is not Pmd.NONE)
            for block in self.blocks[key]
        ]
        self.blocks[key] = []
        for start, end in tables(shared.base, shared.base + len(whole.maps)):
            block = part(whole, start - shared.base, end - shared.base)
            by = self.bases[key] - shared.base
            old_pmds = {on for low, high, on in pmds if low < end + by and start + by < high}
            block.pmds = [Pmd.TABLE if True in old_pmds else Pmd.NONE]
            self.blocks[key].append(block)
        self.bases[key] = shared.base

    def resize(self, shared: SharedRegion, column: int) -> int:
        key, maps = id(shared.region), self.world.table.columns[column].maps
        before, blocks = self.stored(shared), self.blocks[key]
        for start, end in tables(self.bases[key], self.bases[key] + shared.region.pages):
            block = next((block for block in blocks if block.base == start), None)
            if block is None:
                blocks.append(Block(start, [list(maps) for _ in range(start, end)]))
            else:
                block.maps += [list(maps) for _ in range(len(block.maps), end - start)]
        return before

    def leave_empty(
        self, moved: SharedRegion, left: SharedRegion, column: int, kept: list[range]
    ) -> None:
        self.place(left, 0, column)
        shift = left.base - self.bases[id(moved.region)]
        for old, new in zip(
            self.blocks[id(moved.region)], self.blocks[id(left.region)], strict=False
        ):
            assert new.base == old.base + shift
            if old.pmds[0] is Pmd.TABLE and any(new.base in each for each in kept):
                new.pmds = [Pmd.TABLE]

    def key(self) -> tuple[object, ...]:
        return ()

    def sweep(self, tally: Tally, shared: SharedRegion, walk: Walk, event: BlockEvent) -> bool:
        self.shared = shared
        on_range = isinstance(event, Pageout | Isolate | Free)
        for block, pages in self.parts(shared, walk) if on_range else []:
            self.advise(tally, block, pages, event)
        if not isinstance(event, Access | Populate) and not on_range:
            for block, pages in self.parts(shared, walk):
                self.happen(tally, block, event, pages)
            return True
        for page in [] if on_range else walk.pages().tolist():
            number = (shared.base + page) // TABLE - shared.base // TABLE
            block = self.blocks[id(shared.region)][number]
            at = page - self.first(block)
            if self.happen(tally, block, event, range(at, at + 1)).ends:
                return False
        return True

    def parts(self, shared: SharedRegion, walk: Walk) -> Iterator[tuple[Block, range]]:
        for block in self.blocks[id(shared.region)]:
            first = self.first(block)
            low, high = max(walk.first - first, 0), min(walk.end - first, len(block.maps))
            if low < high:
                yield block, range(low, high)

    def first(self, block: Block) -> int:
        """Which page of the region it begins with."""
        assert self.shared is not None
        return block.base - self.bases[id(self.shared.region)]

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

    def block_at(self, shared: SharedRegion, page: int) -> tuple[Hashable, Block, int]:
        self.shared = shared
        number = (shared.base + page) // TABLE - shared.base // TABLE
        block = self.blocks[id(shared.region)][number]
        return id(block), block, page - self.first(block)

    def recount(self, shared: SharedRegion, total: Mapping[int | None, int]) -> None:
        for block in self.blocks[id(shared.region)]:
            for f, folio in block.folios.items():
                if folio.ksm:
                    here = block.mappings(f, folio.first)
                    more = total[filled_with(folio.data[0])] > here
                    folio.elsewhere = more and folio.slot is None

    def split_page(self, tally: Tally, shared: SharedRegion, page: int, member: int) -> None:
        self.sweep(tally, shared, Walk(page, 1), SplitPage(member, self.world.facts))

    def advise(self, tally: Tally, block: Block, pages: range, event: BlockEvent) -> None:
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
            tally.see(kind, shared.members[p], shared.name, self.first(block) + i, 1)
        return done

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, member: int) -> None:
        self.sweep(tally, shared, walk, Isolate(member, self.world.facts))

    # what lies around a block

    @property
    def facts(self) -> Facts:
        return self.world.facts._replace(swap_full=self.slots.swap_full)

    def area(self, p: int, i: int) -> tuple[AddressSpace, VmArea]:
        assert self.shared is not None
        assert self.block is not None
        process = self.world.processes[self.shared.members[p]]
        address = self.base(p) + self.first(self.block) + i
        return process.space, process.space.within(address, address + 1)[0]

    def base(self, p: int) -> int:
        """Where the process that is a member has the region."""
        assert self.shared is not None
        regions = self.world.processes[self.shared.members[p]].regions
        return next(r.base for r in regions.values() if r.region is self.shared.region)

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        return self.allowed[self.area(p, i)[1].flags & (VmFlag.HUGEPAGE | VmFlag.NOHUGEPAGE)]

    def anon_vma_prepare(self, p: int, i: int) -> None:
        assert self.shared is not None
        process = self.world.processes[self.shared.members[p]]
        anon_vma_prepare(self.world, process, self.area(p, i)[1])

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        _, area = self.area(p, i)
        assert self.block is not None
        base = self.base(p) + self.first(self.block)
        return max(area.start - base, 0), min(area.end - base, len(self.block.maps))

    def charge(self, _p: int | None, _pages: range) -> bool:
        return True

    def allocate(self, order: int) -> int | None:
        left = self.slots.total - self.slots.used - SLOT_CACHE
        if not self.world.follows(Rule.NO_SLOT_CACHE) and left * 2 < self.slots.total:
            raise NotModelled("nearly half full")
        regions = self.world.shared_regions()
        blocks = (b for shared in regions for b in self.blocks[id(shared.region)])
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
        first = self.first(self.block)
        start, end = ahead.window(self.shared.base + first + i)
        space.put(area, area._replace(readahead=ahead.readahead))
        return range(start - first, end - first)

    def hit(self, p: int, i: int, ahead: bool) -> None:
        if self.world.machine.swap.page_cluster:
            state, space, area = self.ahead(p, i)
            assert self.block is not None
            assert self.shared is not None
            state.note_hit(self.shared.base + self.first(self.block) + i, ahead)
            space.put(area, area._replace(readahead=state.readahead))


def tables(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a range that page tables map."""
    ends = [*range(start - start % TABLE + TABLE, end, TABLE), end]
    return zip([start, *ends[:-1]], ends, strict=True)


def renumbered(pte: Entry, by: int) -> Entry:
    """The entry of a folio whose number is another."""
    if isinstance(pte, Pte) and not pte.is_zero_page:
        return pte._replace(folio=pte.folio + by)
    return pte


def joined(base: int, blocks: list[Block]) -> Block:
    """Blocks side by side as one."""
    whole = Block(base, [])
    for block in blocks:
        start, by = len(whole.maps), whole.next_folio
        whole.maps += [[m._replace(pte=renumbered(m.pte, by)) for m in maps] for maps in block.maps]
        for f, folio in block.folios.items():
            folio.first += start
            whole.folios[by + f] = folio
        for slot, held in block.slots.items():
            whole.slots[slot] = held._replace(page=held.page + start)
        for i, pins in block.pins.items():
            whole.pins[start + i] = [pin._replace(folio=by + pin.folio) for pin in pins]
        whole.cached |= {slot: by + f for slot, f in block.cached.items()}
        whole.next_folio = by + block.next_folio
    return whole


def part(whole: Block, start: int, end: int) -> Block:
    """Some pages of a block, which no folio may cross."""
    block = Block(whole.base + start, whole.maps[start:end])
    for f, folio in list(whole.folios.items()):
        if folio.pages.start < start < folio.pages.stop:
            raise NotModelled("two page tables map a folio")
        if start <= folio.pages.start < end:
            if folio.pages.stop > end:
                raise NotModelled("two page tables map a folio")
            block.folios[f] = whole.folios.pop(f)
            block.folios[f].first -= start
    for slot, held in whole.slots.items():
        if start <= held.page < end:
            block.slots[slot] = held._replace(page=held.page - start)
    block.pins = {i - start: pins for i, pins in whole.pins.items() if start <= i < end}
    block.cached = {slot: f for slot, f in whole.cached.items() if f in block.folios}
    block.next_folio = whole.next_folio
    return block


@contextmanager
def page_by_page() -> Iterator[None]:
    """Replace the engine's large folios, and its repeat."""
    with (
        mock.patch.object(chosen, "Folios", NaiveFolios),
        mock.patch.object(Replay, "repeat", repeat),
        mock.patch.object(sequence, "replay_pattern", replay_pattern),
    ):
        yield
