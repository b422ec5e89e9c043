"""Faults on the huge pages of hugetlbfs (mm/hugetlb.c), as each of the pages of one sees them."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.column import ZERO, Pte
from swaptrace.mm.event import HugetlbFault
from swaptrace.mm.memory import MAX_FAULTS, mm_account_fault, never_ends
from swaptrace.mm.page import Page
from swaptrace.mm.shmem import shmem_get_folio


def hugetlb_access(page: Page, p: int, event: HugetlbFault) -> None:
    """Fault until the entry permits the access. It is one entry, of all pages of the huge page."""
    for _ in range(MAX_FAULTS):
        pte = page.maps[p].pte
        if isinstance(pte, Pte) and (pte.write or not event.write):
            break
        hugetlb_fault(page, p, event.write)
        mm_account_fault(page, major=False)
    else:
        raise never_ends(page)
    if not event.head:
        page.counts = [0] * len(page.counts)


def hugetlb_fault(page: Page, p: int, write: bool) -> None:
    """Where there is none, or a marker, a huge page comes. A write to a protected one takes the
    mark away: of userfaultfd only the asynchronous mode is modelled."""
    page.enter("hugetlb_fault")
    pte = page.maps[p].pte
    if not isinstance(pte, Pte):
        hugetlb_no_page(page, p, write, marked=pte is not None)
        return
    hugetlb_wp(page, p, pte.clear_uffd_wp())


def hugetlb_no_page(page: Page, p: int, write: bool, marked: bool) -> None:
    """A huge page of zeroes of the process's own, also to read; a shared one is the file's. It
    stays protected if a marker stood there, and is else writable if shared or written."""
    page.enter("hugetlb_no_page")
    vma = page.vma(p)
    if vma.shared:
        pte = Pte(shmem_get_folio(page)[0])
    else:
        page.count(Counter.ZERO_FILL)
        pte = Pte(page.new_folio(ZERO, anon_exclusive=True))
    if vma.writable and (vma.shared or (write and not marked)):
        pte = pte.mkdirty().mkwrite()
    page.set_pte(p, pte.mkuffd_wp() if marked else pte)


def hugetlb_wp(page: Page, p: int, pte: Pte) -> None:
    """A shared huge page, and one that nobody else maps, becomes writable, any other is copied."""
    page.enter("hugetlb_wp")
    if page.vma(p).shared or page.mapcount(pte.folio) == 1:
        page.count(Counter.WP_REUSE)
        page.set_folio(pte.folio, anon_exclusive=not page.vma(p).shared)
    else:
        page.count(Counter.WP_COPY)
        pte = Pte(page.new_folio(page.content(p), anon_exclusive=True))
    page.set_pte(p, pte.mkdirty().mkwrite())
