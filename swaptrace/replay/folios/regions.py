"""Regions whose memory may come in large folios: blocks of pages, page table by page table."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule
from swaptrace.mm.block import Block, Pmd
from swaptrace.mm.blockvalue import empty, recounted
from swaptrace.mm.column import Column
from swaptrace.mm.column import Mapping as PageMapping
from swaptrace.replay.folios.around import Piece, Pieces
from swaptrace.replay.folios.cutting import first_pages
from swaptrace.replay.folios.effects import Effects
from swaptrace.replay.folios.slotmap import SLOT_CACHE, SlotMap
from swaptrace.replay.folios.statekey import state_key
from swaptrace.replay.folios.stretches import StretchTables, single
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.table import Table
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag


class Regions:
    """All regions of a world, with the swap device. A page table maps `table_pages`; `orders` are
    those of large folios that a VMA may have, by its flags; a block has as many pages as `largest`
    is the order of."""

    def __init__(
        self,
        world: World,
        slots: SlotMap,
        table_pages: int,
        orders: Mapping[VmFlag, tuple[int, ...]],
        largest: int,
    ) -> None:
        self.world, self.slots, self.orders = world, slots, orders
        self.table_pages = table_pages
        self.tables: dict[int, StretchTables] = {}
        self.effects = effects_of(world.table, 1 << largest)

    def swap_full(self) -> bool:
        """vm_swap_full(), where it is known how many slots are in use."""
        slots = self.slots
        known = self.world.follows(Rule.NO_SLOT_CACHE)
        if not known and (slots.total - slots.used - SLOT_CACHE) * 2 < slots.total:
            raise NotModelled(
                "large folios (machine.thp) are not modelled before Linux 6.15 on a swap device "
                "that is nearly half full, since a CPU sets slots aside"
            )
        return slots.swap_full

    def tables_of(self, shared: SharedRegion) -> StretchTables:
        """The page tables of a region, which processes may have at several addresses."""
        return self.tables[id(shared.region)]

    def place(self, shared: SharedRegion, maps: tuple[PageMapping, ...]) -> None:
        """A new region, all pages of which are mapped so, with nothing in it."""
        tables = self.tables[id(shared.region)] = StretchTables()
        self.fill(tables, shared.base, shared.end, maps)

    def fill(
        self, tables: StretchTables, start: int, end: int, maps: tuple[PageMapping, ...]
    ) -> None:
        """Append page tables with nothing in them."""
        size = self.table_pages
        while start < end:
            stop = min(start - start % size + size, end)
            count = max((end - start) // size, 1) if start % size == 0 else 1
            blocks = tuple(self.empty(start, stop, maps))
            tables.append(single(blocks, ())._replace(tables=count))
            start = stop + (count - 1) * size

    def empty(self, start: int, end: int, maps: tuple[PageMapping, ...]) -> Iterator[int]:
        """Blocks of pages that are all alike and have no folios."""
        size = self.effects.size
        while start < end:
            stop = min(start - start % size + size, end)
            yield self.effects.number(empty(start % size, stop - start, maps, size))
            start = stop

    def views(self, shared: SharedRegion) -> Iterator[tuple[AddressSpace, int]]:
        """The address space of each process that shares a region, and where it lies in that."""
        for name in shared.members:
            process = self.world.processes[name]
            yield process.space, process.regions.get(shared.name, shared).base

    def pieces(self, shared: SharedRegion, first: int, end: int) -> Pieces:
        """The VMAs that pages of a region lie in, of each process that shares it."""
        end = min(end, shared.region.pages)
        return tuple(
            tuple(
                Piece(
                    max(area.start - base, first) - first,
                    min(area.end - base, end) - first,
                    self.orders_of(area),
                )
                for area in space.within(base + first, base + end)
            )
            for space, base in self.views(shared)
        )

    def orders_of(self, area: VmArea) -> tuple[int, ...]:
        """thp_vma_allowable_orders()."""
        return self.orders[area.flags & (VmFlag.HUGEPAGE | VmFlag.NOHUGEPAGE)]

    def alike(self, shared: SharedRegion, first: int, end: int) -> tuple[int, int]:
        """The pages of a region around some that lie in the same VMAs, if those lie in one each."""
        low, high = 0, shared.region.pages
        for space, base in self.views(shared):
            for area in space.areas:
                start, stop = area.start - base, area.end - base
                if start <= first and end <= stop:
                    low, high = max(low, start), min(high, stop)
                elif stop <= first:
                    low = max(low, stop)
                elif end <= start:
                    high = min(high, start)
                else:
                    return first, first
        return low, high

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        """The pages of a region by themselves, those alike together."""
        return first_pages(self.stored_columns(shared), shared.region.pages)

    def stored_columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        """The same with those beyond its end."""
        for stretch in self.tables_of(shared).stretches:
            found = [run for each in stretch.blocks for run in self.effects.pages(each)]
            if len({column for _, column in found}) == 1:
                yield stretch.tables * sum(pages for pages, _ in found), found[0][1]
            else:
                for _ in range(stretch.tables):
                    yield from found

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        """How many pages each block has, and whether a PMD entry of the process maps it whole."""
        blocks = (
            (value.pages, bool(value.pmds) and value.pmds[member] is Pmd.HUGE)
            for stretch in self.tables_of(shared).stretches
            for _ in range(stretch.tables)
            for value in (self.effects.blocks[number] for number in stretch.blocks)
        )
        return first_pages(blocks, shared.region.pages)

    def block_at(self, shared: SharedRegion, page: int) -> tuple[Hashable, Block, int]:
        """The block of a page, not to be changed, where that is, and which of its pages it is."""
        tables, phase = self.tables_of(shared), shared.base % self.table_pages
        number = (phase + page) // self.table_pages
        index, _ = tables.find(number)
        i = page - max(number * self.table_pages - phase, 0)
        for k, block in enumerate(tables.stretches[index].blocks):
            if i < self.effects.sizes[block]:
                return (id(tables), number, k), self.effects.thawed(block), i
            i -= self.effects.sizes[block]
        raise AssertionError("the region has such a page")

    def recount(self, shared: SharedRegion, total: Mapping[int | None, int]) -> None:
        """Note which KSM folios are mapped elsewhere."""
        stretches = self.tables_of(shared).stretches
        numbers = {number for stretch in stretches for number in stretch.blocks}
        blocks = self.effects.blocks
        new = {each: self.effects.number(recounted(blocks[each], total)) for each in numbers}
        if all(number == to for number, to in new.items()):
            return
        tables = self.tables[id(shared.region)] = StretchTables()
        for stretch in stretches:
            tables.append(stretch._replace(blocks=tuple([new[each] for each in stretch.blocks])))

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""
        tables = [self.tables_of(shared) for shared in self.world.shared_regions()]
        return state_key(self.slots, tables, self.effects.size)

    def cached_alone(self, shared: SharedRegion, number: int, block: int) -> bool:
        """Whether there is a folio in the swap cache that no swap PTE needs, in another block than
        this one of that page table."""
        for each in self.world.shared_regions():
            for start, stretch in self.tables_of(each).numbered():
                here = each.region is shared.region and start == number
                for k, value in enumerate(stretch.blocks):
                    if not (here and block in (k, -1)) and self.effects.cached_alone(value):
                        return True
        return False


def effects_of(table: Table, size: int) -> Effects:
    """What the table remembers of blocks of a size."""
    key = (Effects, size)
    if key not in table.blocks:
        table.blocks[key] = Effects(table, size)
    effects: Effects = table.blocks[key]
    return effects
