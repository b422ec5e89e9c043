"""Equal pages that map one folio (mm/ksm.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.column import ZERO_PAGE, Pte, filled_with
from swaptrace.mm.memory import handle_mm_fault, mk_pte, mm_account_fault
from swaptrace.mm.page import Page
from swaptrace.mm.swap import free_swap_cache


def merge_one_page(page: Page, p: int, kept: bool, zero: bool = False) -> None:
    """try_to_merge_one_page(): a large folio is split, then write_protect_page(), and either the
    folio itself becomes the one that is shared, dirty so that reclaim does not drop it, or it is
    replaced. A page of zeroes that the split gave up is not found any more.

    Whoever else maps a folio that is kept then maps a KSM folio, too.
    """
    page.enter("try_to_merge_one_page")
    if not page.split_huge_page(p):
        return
    pte = page.maps[p].pte
    assert isinstance(pte, Pte), "ksmd looks at present pages"
    if kept:
        page.set_folio(pte.folio, ksm=True, anon_exclusive=False, dirty=True)
        page.set_folio(pte.folio, mlocked=False, mlock_count=0)  # not kept of it
        page.set_active(pte.folio, None)  # other columns change it as well
        page.set_pte(p, pte.mkclean().wrprotect())
    elif zero:
        map_zero_page(page, p, pte)
    else:
        replace_page(page, p, pte)


def map_zero_page(page: Page, p: int, old: Pte) -> None:
    """replace_page() by the zero page, whose PTE is dirty where ksmd has made it (79271476b336,
    6.6)."""
    page.enter("replace_page")
    page.given = p
    page.set_pte(p, Pte(ZERO_PAGE).mkdirty())
    page.munlock_vma_folio(old.folio, p)  # folio_remove_rmap_pte()
    free_swap_cache(page, old.folio)


def replace_page(page: Page, p: int, old: Pte) -> None:
    """The new PTE is made by mk_pte(): soft-dirty and uffd-wp bits are lost."""
    page.enter("replace_page")
    mapping, data = page.maps[p], page.folios[old.folio].data
    f = ksm_folio(page, data)
    page.set_active(f, None)
    own = page.folios[f].data if mapping.data == data else mapping.data
    page.set_pte(p, Pte(*mk_pte(page.facts, f)))
    page.set_map(p, data=own)
    page.munlock_vma_folio(old.folio, p)  # folio_remove_rmap_pte()
    free_swap_cache(page, old.folio)


def ksm_folio(page: Page, data: int) -> int:
    """The KSM folio of these data, which is here already or is that of other pages."""
    for number in page.folios_here():
        folio = page.folios[number]
        if folio.ksm and filled_with(folio.data) == filled_with(data):
            return number
    return page.new_folio(data, ksm=True, dirty=True)


def break_ksm(page: Page, p: int, unshare: bool, by_ksmd: bool = False) -> None:
    """break_ksm(): a fault that gives the process a copy, for reading only unless it is a write. If
    `by_ksmd`, it is not the process's."""
    pte = page.maps[p].pte
    if not isinstance(pte, Pte):
        return
    if not (pte.dirty if pte.is_zero_page else page.folios[pte.folio].ksm):  # is_ksm_zero_pte()
        return
    page.enter("break_ksm")
    if page.maps[p].protnone:
        if not unshare:
            return  # follow_page() does not find it
        mm_account_fault(page, handle_mm_fault(page, p, write=False).major)
    if not unshare:
        mm_account_fault(page, handle_mm_fault(page, p, write=True).major)
        return
    page.enter("wp_page_copy")
    page.count(Counter.WP_COPY)
    f = page.new_folio(page.content(p), anon_exclusive=True)
    page.lru_add_vma(f, p)
    bits = {"soft_dirty": pte.soft_dirty, "uffd_wp": pte.uffd_wp}
    page.set_pte(p, Pte(*mk_pte(page.facts, f))._replace(**bits))
    if not pte.is_zero_page:
        page.munlock_vma_folio(pte.folio, p)  # folio_remove_rmap_pte()
        free_swap_cache(page, pte.folio)
    if not by_ksmd:
        mm_account_fault(page, major=False)
