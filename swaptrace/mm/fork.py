"""fork(): what becomes of a page in both processes (mm/memory.c)."""

from __future__ import annotations

from swaptrace.mm.column import HOLE, Mapping, Marker, Pte, SwapPte
from swaptrace.mm.event import Inherited
from swaptrace.mm.page import Page


def copy_page_range(page: Page, p: int, copy: bool, inherited: Inherited = "same") -> None:
    """fork(): the child's mapping, last in line; both sides write-protected, nothing exclusive.

    The child's VMA is not locked, and registered only with EVENT_FORK; without it uffd-wp bits and
    markers are dropped.
    """
    page.enter("copy_page_range")
    parent = page.maps[p]
    if parent.vma is None:
        page.add_process(parent)
        return
    if inherited == "none":
        page.add_process(HOLE)
        return
    vma = parent.vma._replace(locked=False)
    if not vma.uffd.event_fork:
        vma = vma.unregistered()
    if inherited == "wiped":
        page.add_process(Mapping(vma))
        return
    written = parent.written and not vma.shmem  # of a page of its own
    child = Mapping(vma, None, parent.data, parent.freed, written)
    if copy and isinstance(parent.pte, Pte) and needs_cow_for_dma(page, p, parent.pte):
        child = copy_present_page(page, p, child)
    elif copy and isinstance(parent.pte, Pte):
        shared = parent.pte if vma.shared else parent.pte.wrprotect()
        page.set_pte(p, shared)
        page.set_map(p, protnone=parent.protnone)
        if not shared.is_zero_page:
            page.set_folio(shared.folio, anon_exclusive=False)
        kept = shared if vma.uffd_wp else shared.clear_uffd_wp()
        kept = kept.mkclean() if vma.shared else kept
        child = child._replace(pte=kept, written=parent.written, protnone=parent.protnone)
    elif copy and isinstance(parent.pte, SwapPte):
        entry = parent.pte
        page.set_pte(p, SwapPte(entry.slot, False, entry.soft_dirty, entry.uffd_wp))
        copied = SwapPte(entry.slot, False, entry.soft_dirty, vma.uffd_wp and entry.uffd_wp)
        child = child._replace(pte=copied, written=parent.written)
    elif copy and isinstance(parent.pte, Marker) and (vma.uffd_wp or parent.pte.guard):
        child = child._replace(pte=parent.pte)
    page.add_process(child._replace(armed=parent.armed and vma.uffd_wp))


def needs_cow_for_dma(page: Page, p: int, pte: Pte) -> bool:
    """folio_needs_cow_for_dma() of an exclusive page, which folio_try_dup_anon_rmap_pte() refuses:
    the process has pinned pages (MMF_HAS_PINNED), and maybe this one."""
    if pte.is_zero_page or not page.maybe_dma_pinned_by(p, pte.folio):
        return False
    return page.folios[pte.folio].anon_exclusive


def copy_present_page(page: Page, p: int, child: Mapping) -> Mapping:
    """The child gets a copy at once, and the parent keeps its page as it is."""
    page.enter("copy_present_page")
    vma, f = page.vma(p), page.new_folio(page.content(p), anon_exclusive=True)
    page.lru_add(f)
    pte = Pte(f).mkdirty()
    pte = pte.mkwrite() if vma.writable else pte
    old = page.maps[p].pte
    kept = vma.uffd_wp and vma.uffd.event_fork and isinstance(old, Pte) and old.uffd_wp
    return child._replace(pte=pte.mkuffd_wp() if kept else pte)
