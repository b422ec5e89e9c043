"""Reclaim of one page (mm/vmscan.c, mm/rmap.c)."""

from __future__ import annotations

from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.page import Page, drop_data
from swaptrace.mm.swap import swap_writepage


def madvise_pageout(page: Page, p: int) -> None:
    """madvise_cold_or_pageout_pte_range(): only a folio mapped once is isolated."""
    page.enter("madvise_cold_or_pageout_pte_range")
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or pte.is_zero_page or page.mapcount(pte.folio) != 1:
        return
    shrink_folio(page, p, pte)


def shrink_folio(page: Page, p: int, pte: Pte) -> None:
    """shrink_folio_list() for a folio that only process `p` maps."""
    f = pte.folio
    if page.folios[f].lazyfree:
        shrink_lazyfree(page, p, pte)
        return
    if page.folios[f].slot is None and not add_to_swap(page, f):
        return
    try_to_unmap(page, p, pte)
    clean = swap_writepage(page, f) if page.folios[f].dirty else True
    if clean:
        page.set_folio(f, slot=None)  # __remove_mapping(): nothing refers to it any more


def shrink_lazyfree(page: Page, p: int, pte: Pte) -> None:
    """After MADV_FREE: discard the page, or keep it as an ordinary one if it was written since."""
    page.enter("try_to_unmap_one")
    if pte.dirty:
        page.set_folio(pte.folio, dirty=True)
    if page.folios[pte.folio].dirty:
        page.set_folio(pte.folio, lazyfree=False)
        return
    page.set_pte(p, None)
    if page.maps[p].freed:
        drop_data(page, p)


def add_to_swap(page: Page, f: int) -> bool:
    """Give the folio a slot and a place in the swap cache; fails where no slot is free."""
    page.enter("add_to_swap")
    if not page.facts.slot_free:
        return False
    page.set_folio(f, slot=page.new_slot(), dirty=True)
    return True


def try_to_unmap(page: Page, p: int, pte: Pte) -> None:
    """try_to_unmap_one(): the dirty bit goes to the folio, the rest into the swap PTE."""
    f = pte.folio
    folio = page.folios[f]
    assert folio.slot is not None
    page.set_pte(p, SwapPte(folio.slot, folio.anon_exclusive, pte.soft_dirty, pte.uffd_wp))
    page.set_folio(f, anon_exclusive=False, dirty=folio.dirty or pte.dirty)
