"""The pages that ksmd looks at."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from swaptrace.errors import NotModelled
from swaptrace.mm.blockcolumn import FoliosOf
from swaptrace.mm.column import Folio, Mapping, Pte, filled_with
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.pagemap import pages_of
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag


class Mapped(NamedTuple):
    """What a process maps at a page: a page of a folio of `pages`, of which `folio` is what it
    shows there, in a VMA that is `locked` or not. `place` and `page` are equal for all that map the
    same folio, and page."""

    place: Hashable
    page: Hashable
    folio: Folio
    pages: int
    locked: bool


class Item(NamedTuple):
    """A page of a process that ksmd looks at (ksm_rmap_item)."""

    shared: SharedRegion
    page: int
    member: int

    @property
    def address(self) -> int:
        """Where the process has it, in pages."""
        return self.shared.base + self.page

    @property
    def process(self) -> str:
        """Whose page it is."""
        return self.shared.members[self.member]

    def mapped(self, world: World) -> Mapped | None:
        """What is mapped there now; None where that is nothing but the zero page."""
        if isinstance(world.arena, Folios):
            return self.in_block(world.arena)
        column = world.table.columns[self.shared.region.column_at(self.page)]
        mapping = column.maps[self.member]
        pte = mapping.pte
        if not isinstance(pte, Pte) or pte.is_zero_page:
            return None
        of = self.shared if self.shared.of is None else self.shared.of
        place = id(of), self.shared.first + self.page, pte.folio
        return Mapped(place, place, column.folios[pte.folio], 1, is_locked(mapping))

    def in_block(self, arena: Folios) -> Mapped | None:
        """The same where folios may be large."""
        where, block, i = arena.block_at(self.shared, self.page)
        mapping = block.maps[i][self.member]
        pte = mapping.pte
        if not isinstance(pte, Pte) or pte.is_zero_page:
            return None
        if block.pinned(pte.folio):
            raise NotModelled("ksm_scan of pages that are pinned is not modelled")
        place = where, pte.folio
        folio = FoliosOf(block, i)[pte.folio]
        pages = block.folios[pte.folio].nr_pages
        return Mapped(place, (*place, i), folio, pages, is_locked(mapping))

    def is_ksm_zero(self, world: World) -> bool:
        """is_ksm_zero_pte(): whether ksmd has mapped the zero page there."""
        _, column = next(pages_of(world, self.shared, Walk(self.page, 1)))
        pte = column.maps[self.member].pte
        return isinstance(pte, Pte) and pte.is_zero_page and pte.dirty

    def is_ksm_elsewhere(self, world: World) -> bool:
        """Whether another process maps a KSM folio there."""
        _, column = next(pages_of(world, self.shared, Walk(self.page, 1)))
        return any(folio.ksm for folio in column.folios)

    def content(self, folio: Folio) -> int:
        """The byte that the page is filled with."""
        found = filled_with(folio.data)
        if found is None:
            raise NotModelled(
                f"ksm_scan: not all bytes of page {self.page} of {self.shared.name} are known; "
                "write pages that may be merged by memset, whole"
            )
        return found


def is_locked(mapping: Mapping) -> bool:
    """VM_LOCKED."""
    return mapping.vma is not None and mapping.vma.locked


def scanned(world: World) -> Iterator[Item]:
    """What is present in VMAs with VM_MERGEABLE, processes in the order of ksm_enter()."""
    for name in world.mergeable:
        process = world.processes[name]
        for area in process.space.areas:
            if VmFlag.MERGEABLE not in area.flags:
                continue
            for shared in process.shared_regions():
                start, end = max(area.start, shared.base), min(area.end, shared.end)
                if start < end:
                    walk = Walk(start - shared.base, end - start)
                    yield from in_region(world, shared, walk, shared.member(name))


def in_region(world: World, shared: SharedRegion, walk: Walk, member: int) -> Iterator[Item]:
    """Those of one region: no zero page, nothing in swap or of the page cache."""
    at = walk.first
    for count, column in pages_of(world, shared, walk):
        pte, shmem = column.maps[member].pte, column.shmem
        cached = None if shmem is None else shmem.folio
        if isinstance(pte, Pte) and not pte.is_zero_page and pte.folio != cached:
            if column.maps[member].protnone:
                raise NotModelled(
                    "ksm_scan of pages that only PROT_WRITE permits, write-protected by "
                    "userfaultfd, is not modelled before Linux 6.3"
                )
            if any(pin.folio == pte.folio for pin in column.pins):
                raise NotModelled("ksm_scan of pages that are pinned is not modelled")
            yield from (Item(shared, at + each, member) for each in range(count))
        at += count
