"""Advice on one page other than MADV_PAGEOUT (mm/madvise.c)."""

from __future__ import annotations

from swaptrace.mm.column import GUARD, Pte, SwapPte
from swaptrace.mm.memory import zap_pte
from swaptrace.mm.page import Page, drop_data
from swaptrace.mm.shmem import shmem_swapin_range
from swaptrace.mm.swap import folio_free_swap, free_swap_and_cache, read_swap_cache


def swapin_walk(page: Page, p: int, readahead: bool) -> None:
    """MADV_WILLNEED (swapin_walk_pmd_entry), or a neighbour's read-ahead: into the swap cache."""
    if page.vma(p).shmem and not readahead:
        shmem_swapin_range(page)
        return
    page.enter("swap_vma_readahead" if readahead else "swapin_walk_pmd_entry")
    pte = page.maps[p].pte
    if isinstance(pte, SwapPte):
        read_swap_cache(page, pte.slot, readahead)


def guard(page: Page, p: int, install: bool) -> None:
    """guard_install_pte_entry(), after what is there was given up, or guard_remove_pte_entry()."""
    is_guard = page.maps[p].pte == GUARD
    if install and not is_guard:
        zap_pte(page, p)
        page.enter("guard_install_set_pte")
        page.set_pte(p, GUARD)
    elif is_guard and not install:
        page.enter("guard_remove_pte_entry")
        page.set_pte(p, None)


def madvise_free(page: Page, p: int) -> None:
    """madvise_free_pte_range(): a swap entry is dropped, a folio of our own becomes lazyfree."""
    page.enter("madvise_free_pte_range")
    pte = page.maps[p].pte
    if isinstance(pte, SwapPte):
        free_swap_and_cache(page, p, pte.slot)
        drop_data(page, p)
    elif isinstance(pte, Pte) and not pte.is_zero_page and _freeable(page, pte.folio):
        # folio_mark_lazyfree() passes over what is unevictable: locked by another process.
        was = page.folios[pte.folio].lazyfree
        lazyfree = was or not page.mlocked(pte.folio)
        if lazyfree and not was:
            page.queue_inactive(pte.folio)
        page.set_folio(pte.folio, dirty=False, lazyfree=lazyfree)
        page.set_map(p, pte=pte.mkclean(), freed=page.maps[p].freed or lazyfree)


def _freeable(page: Page, f: int) -> bool:
    """A cached or dirty folio must be ours alone and leave the swap cache.

    The kernel does not look at the map count of one that is neither.
    """
    folio = page.folios[f]
    if folio.slot is None and not folio.dirty:
        return True
    if page.mapcount(f) != 1:
        return False
    return folio.slot is None or folio_free_swap(page, f)
