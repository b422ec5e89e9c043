"""Regions in large folios that move, grow, shrink, or are left empty (mm/mremap.c)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from swaptrace.errors import NotModelled, TooManyPages
from swaptrace.mm.block import Block, Pmd
from swaptrace.mm.blockvalue import BlockValue, Rows, has_pmds, thaw
from swaptrace.mm.column import Mapping
from swaptrace.replay.folios.cutting import cut, established, held_end
from swaptrace.replay.folios.regions import Regions
from swaptrace.replay.folios.stretches import Stretch, StretchTables, single
from swaptrace.replay.folios.sweep import MAX_TABLES
from swaptrace.replay.processes import SharedRegion

Maps = tuple[Mapping, ...]


class StoredPages:
    """The page tables of a region that begins at `base`. Beyond its end there may be pages that are
    mapped no more, of folios that are mapped in part."""

    def __init__(self, regions: Regions, tables: StretchTables, base: int) -> None:
        self.regions, self.tables, self.base = regions, tables, base
        self.effects, self.size = regions.effects, regions.table_pages
        self.phase = base % self.size

    @property
    def pages(self) -> int:
        """How many pages there are."""
        sizes = self.effects.sizes
        return sum(
            each.tables * sum(sizes[number] for number in each.blocks)
            for each in self.tables.stretches
        )

    def first(self, number: int) -> int:
        """The first page of a page table."""
        return max(number * self.size - self.phase, 0)

    def number(self, page: int) -> int:
        """Which page table maps a page."""
        return (self.phase + page) // self.size

    def blocks(self, number: int) -> list[tuple[BlockValue, Rows]]:
        """The blocks of a page table, with their rows."""
        index, inside = self.tables.find(number)
        stretch, effects = self.tables.stretches[index], self.effects
        ends = [*accumulate(effects.row_counts[each] for each in stretch.blocks)]
        rows = stretch.rows_at(inside)
        return [
            (effects.blocks[each], rows[end - effects.row_counts[each] : end])
            for each, end in zip(stretch.blocks, ends, strict=True)
        ]

    def holds_any(self, start: int) -> bool:
        """Whether page tables from one on have folios or slots."""
        return any(
            self.effects.blocks[block].holds_any
            for number, each in self.tables.numbered()
            if start < number + each.tables
            for block in each.blocks
        )

    def opened(self, numbers: range, base: int) -> Block:
        """Page tables as one block, if the region began at `base`. The PMD entries are those of the
        only one, or of a page table to which all of them move."""
        tables = [self.blocks(number) for number in numbers]
        parts = [part for table in tables for part in table]
        block = thaw(base + self.first(numbers[0]), parts, self.effects.size)
        if has_pmds(self.effects.size) and len(tables) > 1:
            block.pmds = established(blocks[0][0].pmds for blocks in tables)
        return block

    def table(self, block: Block, pages: range) -> Stretch:
        """Some pages of a block as a page table."""
        parts = [*cut(block, pages, self.effects.size)]
        blocks = tuple(self.effects.number(part.value) for part in parts)
        return single(blocks, tuple(row for part in parts for row in part.rows))


def rebase(regions: Regions, shared: SharedRegion, old_base: int) -> None:
    """A region has moved. Unless it was by a multiple of what one maps, its page tables are
    others."""
    size = regions.table_pages
    if (shared.base - old_base) % size == 0:
        return
    check_alone(regions, shared, old_base)
    old, phase = StoredPages(regions, regions.tables_of(shared), old_base), shared.base % size
    pages, start = old.pages, 0
    check_few(old.tables)
    new = regions.tables[id(shared.region)] = StretchTables()
    while start < pages:
        end = min(start - (phase + start) % size + size, pages)
        numbers = range(old.number(start), old.number(end - 1) + 1)
        first = old.first(numbers[0])
        block = old.opened(numbers, shared.base)
        new.append(old.table(block, range(start - first, end - first)))
        start = end


def check_alone(regions: Regions, shared: SharedRegion, old_base: int) -> None:
    """Raise where page tables would map other pages of a region in each process, or where a PMD
    entry may be one of both places."""
    if len(shared.members) > 1:
        raise NotModelled(
            "mremap of a region that another process has as well is modelled with large folios "
            "(machine.thp) only by a multiple of 2 MiB"
        )
    old, new = (
        range(
            base // regions.table_pages, (base + shared.region.pages - 1) // regions.table_pages + 1
        )
        for base in (old_base, shared.base)
    )
    if has_pmds(regions.effects.size) and old.start < new.stop and new.start < old.stop:
        raise NotModelled(
            "mremap of folios of 2 MiB (machine.thp) to 2 MiB of addresses in which the region has "
            "been is not modelled"
        )


def check_few(tables: StretchTables) -> None:
    """Raise where page tables are too many to be looked at one by one."""
    if tables.end > MAX_TABLES:
        raise TooManyPages(
            f"with large folios (machine.thp) mremap moves at most {MAX_TABLES} page tables, if "
            "not by a multiple of 2 MiB"
        )


def resize(regions: Regions, shared: SharedRegion, maps: Maps) -> int:
    """A region has its size, `region.pages`, anew: pages are appended that are mapped so, or go,
    but for those of folios. How many there were, of which some may have to be mapped again."""
    stored = StoredPages(regions, regions.tables_of(shared), shared.base)
    tables, before, wanted = stored.tables, stored.pages, shared.region.pages
    last = min(stored.number(wanted - 1), tables.end - 1)
    if stored.holds_any(last + 1):
        return before
    numbers, first = range(last, last + 1), stored.first(last)
    block = stored.opened(numbers, shared.base)
    end = min(max(wanted, held_end(block) + first), stored.first(last + 1)) - first
    block.maps += [[*maps] for _ in range(end - len(block.maps))]
    tables.cut_off(last)
    tables.append(stored.table(block, range(end)))
    regions.fill(tables, shared.base + first + end, shared.end, maps)
    return before


def leave_empty(
    regions: Regions, moved: SharedRegion, left: SharedRegion, maps: Maps, kept: Sequence[range]
) -> None:
    """MREMAP_DONTUNMAP: `left` has nothing in it, but the page tables, at addresses `kept`, that
    were gone over entry by entry."""
    regions.place(left, maps)
    if not has_pmds(regions.effects.size):
        return
    stored, tables = (
        StoredPages(regions, regions.tables_of(moved), left.base),
        regions.tables_of(left),
    )
    check_few(stored.tables)
    for number in range(stored.tables.end):
        (value, _), *_ = stored.blocks(number)
        address = left.base + stored.first(number)
        if Pmd.TABLE in value.pmds and any(address in each for each in kept):
            empty = value._replace(maps=((value.pages, maps),), folios=(), slots=(), pins=())
            tables.replace(number, [single((regions.effects.number(empty),), ())])
