"""Which PTEs of large folios are young: the processor, or a fault, has set the accessed bit."""

from __future__ import annotations

from itertools import chain
from typing import TypeAlias

from swaptrace.mm.block import Block
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Access, Event, Populate, Unmap
from swaptrace.replay.folios.lru import LruFolio
from swaptrace.replay.folios.pagewise import Near, Pagewise
from swaptrace.replay.world import World

Entry: TypeAlias = tuple[int, int]
"""A block, by its identity, and a process."""

Sharer: TypeAlias = tuple[int, tuple[int, int]]
"""A process, and the part of the block that a VMA of it covers."""


class Young(Pagewise):
    """`young` are the young PTEs of each block and process; of one that maps no page, or another,
    it says nothing."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.young: dict[Entry, set[int]] = {}
        self.largest = 1 << max((0, *chain(*self.allowed.values())))
        self.was_mapped = False
        self.before: set[int] = set()

    def ptes(self, entry: Entry) -> set[int]:
        """The young PTEs under an entry."""
        return self.young.setdefault(entry, set())

    def begin(self, near: Near, i: int, event: Access | Populate) -> None:
        """A page is about to be used."""
        block, p = near.block, event.process
        pte = block.maps[i][p].pte
        self.was_mapped = isinstance(pte, Pte) and not pte.is_zero_page
        if not self.was_mapped:
            places = block.aligned(i, self.largest)
            places = range(max(places.start, 0), min(places.stop, len(block.maps)))
            self.before = {j for j in places if isinstance(block.maps[j][p].pte, Pte)}

    def marks(self, _event: Access | Populate, _faulted: bool) -> bool:
        """Whether the PTE of a page that has been used is young."""
        return True

    def used_by(self, near: Near, i: int, event: Access | Populate, faulted: bool) -> None:
        """A page has been used. A fault leaves all PTEs young that it makes (vm_page_prot has the
        accessed bit)."""
        block, p = near.block, event.process
        pte = block.maps[i][p].pte
        if not isinstance(pte, Pte) or pte.is_zero_page:
            return
        young, folio = self.ptes((id(block), p)), block.folios[pte.folio]
        if self.marks(event, faulted):
            young.add(i)
        if not self.was_mapped and folio.nr_pages > 1:
            pages = (j for j in folio.pages if j not in self.before)
            young.update(j for j in pages if self.maps(block, j, p, pte.folio))

    def maps(self, block: Block, i: int, p: int, folio: int) -> bool:
        """Whether the process maps page `i` of a folio."""
        pte = block.maps[i][p].pte
        return isinstance(pte, Pte) and pte.folio == folio

    def make_old(self, folio: LruFolio, process: int) -> list[int]:
        """The PTEs of a process that map the folio are no longer young; which ones were."""
        block, young = folio.block, self.ptes((id(folio.block), process))
        pages = sorted(young.intersection(folio.pages))
        mapped = [i for i in pages if self.maps(block, i, process, folio.number)]
        young.difference_update(mapped)
        return mapped

    def look_at(self, folio: LruFolio) -> int:
        """folio_referenced(): how many VMAs map the folio by PTEs that were young until now."""
        near, found = Near(self, folio.shared, folio.block), 0
        for p in range(len(folio.block.pmds)):
            end = 0
            for i in self.make_old(folio, p):
                if i >= end:
                    _, end = near.bounds(p, i)
                    found += 1
        return found

    def forget_young(self, block: Block, event: Event) -> None:
        """A process that has gone has used nothing; those after it move up."""
        if not isinstance(event, Unmap) or not event.gone:
            return
        own = {entry: self.young.pop(entry) for entry in list(self.young) if entry[0] == id(block)}
        for entry, ptes in own.items():
            if entry[1] != event.process:
                self.young[moved_up(entry, event.process)] = ptes


def moved_up(entry: Entry, gone: int) -> Entry:
    """An entry by its new number, once a process has gone."""
    return entry[0], entry[1] - (entry[1] > gone)
