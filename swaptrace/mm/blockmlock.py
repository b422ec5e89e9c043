"""PG_mlocked of large folios, which is set and cleared batch by batch (mm/mlock.c, mm/rmap.c).

A batch are the PTEs in a row, of one VMA, that map a folio in order. A locked VMA marks only what
it maps whole; for each batch that goes the folio is mlocked once less, whatever is left.
"""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.blockwalk import folio_pte_batch
from swaptrace.mm.column import MlockEntry, Pte
from swaptrace.mm.event import Dontneed, Event, SetVma, Unmap


def large_mlocks(page: BlockPage, event: Event, pages: range) -> dict[int, tuple[int, MlockEntry]]:
    """What a walk does to large folios, by the page where it comes to each: mlock_pte_range(), or
    zap_present_folio_ptes() where the VMA is locked."""
    found: dict[int, tuple[int, MlockEntry]] = {}
    if not isinstance(event, SetVma | Unmap | Dontneed):
        return found
    p = event.process
    for i, length in batches(page, p, pages):
        pte, vma = page.block.maps[i][p].pte, page.block.maps[i][p].vma
        assert isinstance(pte, Pte)
        assert vma is not None
        locked = isinstance(event, SetVma) and event.vma.locked
        if vma.locked and not locked:
            found[i] = pte.folio, "unlock"
        elif locked and not vma.locked and length == page.nr_pages(pte.folio):
            found[i] = pte.folio, "lock"
    return found


def batches(page: BlockPage, p: int, pages: range) -> Iterator[tuple[int, int]]:
    """Of large folios that a process maps in a range: where each batch begins, and its length."""
    maps, i = page.block.maps, pages.start
    while i < pages.stop:
        pte, length = maps[i][p].pte, 1
        if isinstance(pte, Pte) and not pte.is_zero_page and page.nr_pages(pte.folio) > 1:
            end = next((j for j in range(i, pages.stop) if maps[j][p].vma != maps[i][p].vma), None)
            length = folio_pte_batch(page.at(i), p, pages.stop if end is None else end)
            yield i, length
        i += length
