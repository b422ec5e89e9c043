"""Reclaim of one page (mm/vmscan.c, mm/rmap.c)."""

from __future__ import annotations

from itertools import islice

from swaptrace.mm.column import Pte, Shmem, SwapPte
from swaptrace.mm.page import Page, drop_data
from swaptrace.mm.shmem import pte_install_uffd_wp_if_needed, shmem_writeout
from swaptrace.mm.swap import folio_free_swap, swap_writepage


def madvise_pageout(page: Page, p: int) -> None:
    """madvise_cold_or_pageout_pte_range(): only a folio mapped once is isolated."""
    page.enter("madvise_cold_or_pageout_pte_range")
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or pte.is_zero_page or page.mapcount(pte.folio) != 1:
        return
    lazyfree = page.folios[pte.folio].lazyfree
    shrink_folio(page, pte.folio)
    kept = page.folios[pte.folio].slot is not None or page.in_page_cache(pte.folio)
    if kept or page.mapcount(pte.folio):
        page.lru_add(pte.folio)  # folio_putback_lru(): it was not freed
        # It was made inactive first, and one that is found to be in use becomes active.
        page.set_active(pte.folio, lazyfree and not page.folios[pte.folio].lazyfree)


def madvise_cold(page: Page, p: int) -> None:
    """The same function, of a folio that is mapped once."""
    page.enter("madvise_cold_or_pageout_pte_range")
    pte = page.maps[p].pte
    if isinstance(pte, Pte) and not pte.is_zero_page and page.mapcount(pte.folio) == 1:
        deactivate(page, pte.folio)


def deactivate(page: Page, f: int) -> None:
    """folio_deactivate(): an active folio waits to be made inactive."""
    active = page.folios[f].active
    if active is None:
        page.queue_perhaps(f)
    elif active:
        page.queue_inactive(f)


def shrink_folio(page: Page, f: int, held: bool = False) -> None:
    """shrink_folio_list() for one folio, whoever maps it; `held` as in `Reclaim`. One that may be
    pinned is left alone (folio_maybe_dma_pinned()), another reference keeps it from being freed."""
    if page.in_page_cache(f):
        shrink_shmem(page, f)
        return
    if page.folios[f].lazyfree:
        shrink_lazyfree(page, f, held)
        return
    if page.maybe_dma_pinned(f):
        return
    held = held or page.pin_count(f) > 0
    if page.folios[f].slot is None and not add_to_swap(page, f):
        return
    try_to_unmap(page, f)
    if held:  # is_page_cache_freeable(), __remove_mapping()
        return
    clean = swap_writepage(page, f) if page.folios[f].dirty else True
    if clean:
        page.set_folio(f, slot=None)  # __remove_mapping(): nothing refers to it any more


def shrink_shmem(page: Page, f: int) -> None:
    """The same of a folio of the page cache: what was never written is dropped, the rest goes to
    swap, if there is a slot. PTEs are cleared either way, and with them what they say."""
    page.enter("try_to_unmap_one")
    for p, pte in mappings(page, f):
        page.set_folio(f, dirty=page.folios[f].dirty or pte.dirty)
        page.set_map(p, pte=pte_install_uffd_wp_if_needed(page, p), written=False)
    if page.pin_count(f):
        return  # folio_maybe_dma_pinned(), is_page_cache_freeable(), __remove_mapping()
    if page.folios[f].dirty:
        shmem_writeout(page, f)
    else:
        page.shmem = Shmem()


def shrink_lazyfree(page: Page, f: int, held: bool) -> None:
    """After MADV_FREE: discard the page, or keep it as an ordinary one if it was written since.

    The mappings go one by one, until one is found to be dirty.
    """
    page.enter("try_to_unmap_one")
    for p, pte in mappings(page, f):
        if pte.dirty:
            page.set_folio(f, dirty=True)
        if page.folios[f].dirty:
            page.set_folio(f, lazyfree=False)
            return
        if page.pin_count(f):
            page.set_folio(f, lazyfree=page.facts.lazyfree_stays)
            return
        if held:
            return
        page.set_pte(p, None)
        if page.maps[p].freed:
            drop_data(page, p)


def activate(page: Page, f: int) -> None:
    """A folio that is spared gives its slot up where swap is scarce (mem_cgroup_swap_full). One
    that a locked VMA maps and that is not mlocked is so then (folio_referenced_one())."""
    if not page.mlocked(f):
        locked = (p for p, _ in mappings(page, f) if page.vma(p).locked)
        for p in islice(locked, 1):
            page.mlock_vma_folio(f, p)
    if page.facts.swap_full:
        folio_free_swap(page, f)


def add_to_swap(page: Page, f: int) -> bool:
    """Give the folio a slot and a place in the swap cache; fails where no slot is free."""
    page.enter("add_to_swap")
    if not page.facts.slot_free:
        return False
    page.set_folio(f, slot=page.new_slot(), dirty=True)
    return True


def try_to_unmap(page: Page, f: int) -> None:
    """try_to_unmap_one(): the dirty bit goes to the folio, the rest into the swap PTE."""
    folio = page.folios[f]
    assert folio.slot is not None
    for p, pte in mappings(page, f):
        page.set_pte(p, SwapPte(folio.slot, folio.anon_exclusive, pte.soft_dirty, pte.uffd_wp))
        page.set_folio(f, anon_exclusive=False, dirty=page.folios[f].dirty or pte.dirty)


def mappings(page: Page, f: int) -> list[tuple[int, Pte]]:
    """Which processes map folio `f`, and how."""
    found = ((p, m.pte) for p, m in enumerate(page.maps))
    return [(p, pte) for p, pte in found if isinstance(pte, Pte) and pte.folio == f]
