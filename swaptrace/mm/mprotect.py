"""Changing protection: mprotect and userfaultfd's write-protection (mm/mprotect.c)."""

from __future__ import annotations

from swaptrace.mm.column import GUARD, Marker, Pte, SwapPte
from swaptrace.mm.page import Page
from swaptrace.mm.policy import needs_soft_dirty_wp


def mprotect_fixup(page: Page, p: int, readable: bool, writable: bool) -> None:
    """mprotect(): the VMA gets the new protection, and the PTE what is left of its write bit."""
    vma = page.vma(p)._replace(readable=readable, writable=writable)
    page.set_map(p, vma=vma)
    change_pte(page, p)


def change_pte(page: Page, p: int, wp: bool | None = None) -> None:
    """change_pte_range(), hugetlb_change_protection(); `wp` sets (MM_CP_UFFD_WP) or clears
    (…_RESOLVE) the uffd-wp bit.

    The write bit is lost, unless vm_page_prot has it, which that of a private VMA never has, and
    given back where no fault is needed (MM_CP_TRY_CHANGE_WRITABLE): by mprotect for dirty pages
    since 64fe24a3e05e (6.0) and for clean ones since d84887739d5c (6.2), when un-protecting
    by userfaultfd since 931298e103c2 (6.3). Not in a shared VMA, whose vm_page_prot lacks the
    write bit where there is something to track (vma_wants_writenotify() is false of that).
    """
    page.enter("change_pte_range")
    pte = page.maps[p].pte
    if isinstance(pte, SwapPte):
        if wp is not None:
            page.set_pte(p, pte._replace(uffd_wp=wp))
    elif isinstance(pte, Marker) and wp is False and not pte.guard:
        page.set_pte(p, None)
    elif pte is None and wp and page.vma(p).uses_markers:
        page.set_pte(p, Marker())
    elif isinstance(pte, Pte):
        pte = pte._replace(write=page.vma(p).prot_writes)
        if wp is not None:
            pte = pte.mkuffd_wp() if wp else pte.clear_uffd_wp()
        by_mprotect = wp is None and (pte.dirty or page.facts.mprotect_upgrades)
        private = not (page.vma(p).shared or page.vma(p).hugetlb)
        upgradable = (page.facts.write_upgrade or by_mprotect) and private
        asked = page.policy.functions.get("can_change_pte_writable", can_change_pte_writable)
        if not (wp or pte.write) and upgradable and page.vma(p).writable and asked(page, p, pte):
            pte = pte._replace(write=True, dirty=pte.dirty or page.facts.mkwrite_dirties)
        page.set_pte(p, pte)
        if wp and page.facts.wp_unreadable:
            page.set_map(p, protnone=page.vma(p).writable and not page.vma(p).readable)


def do_numa_page(page: Page, p: int) -> None:
    """A fault on a PTE that is PROT_NONE, where the VMA is not: it gets the protection of that, the
    write bit in 6.2 if mprotect() would give it (6a56ccbcf6c6)."""
    page.enter("do_numa_page")
    pte, vma = page.maps[p].pte, page.vma(p)
    assert isinstance(pte, Pte)
    upgrades = page.facts.mprotect_upgrades and vma.writable
    page.set_pte(p, pte._replace(write=upgrades and can_change_pte_writable(page, p, pte)))


def can_change_pte_writable(page: Page, p: int, pte: Pte) -> bool:
    """Whether a write that the VMA allows needs no fault: nothing to track, and the page is
    exclusive."""
    vma = page.vma(p)
    if needs_soft_dirty_wp(vma, pte) or (vma.uffd_armed and pte.uffd_wp):
        return False
    return not pte.is_zero_page and page.folios[pte.folio].anon_exclusive


def uffd_wp_range(page: Page, p: int, wp: bool, rwp: bool = False) -> None:
    """UFFDIO_WRITEPROTECT, or mrwprotect_range() (`rwp`), after which the uffd bit means PROT_NONE.
    A page that was never touched has nothing to protect, unless the userfaultfd has
    WP_UNPOPULATED, or it is that of an object: then a marker stands in its place."""
    change_pte(page, p, wp)
    page.set_map(p, armed=wp and not rwp and page.maps[p].pte not in (None, GUARD))


def clear_soft_dirty(page: Page, p: int) -> None:
    """clear_refs (fs/proc/task_mmu.c): write-protect and forget soft-dirty, in swap PTEs too. What
    is pinned stays as it is, for writes through the pin are not seen."""
    page.enter("clear_soft_dirty")
    pte, written = page.maps[p].pte, False
    if isinstance(pte, SwapPte):
        pte = pte._replace(soft_dirty=False)
    elif isinstance(pte, Pte) and pte_is_pinned(page, p, pte):
        written = pte.soft_dirty
    elif isinstance(pte, Pte):
        pte = pte.wrprotect().clear_soft_dirty()
    page.set_map(p, vma=page.vma(p)._replace(soft_dirty=False), pte=pte, written=written)


def pte_is_pinned(page: Page, p: int, pte: Pte) -> bool:
    """Whether a private page that its process may write to is maybe pinned, for long; nobody asks
    of a huge entry (clear_soft_dirty_pmd())."""
    if not pte.write or page.vma(p).shared or page.is_huge(p):
        return False
    return page.maybe_dma_pinned_by(p, pte.folio)
