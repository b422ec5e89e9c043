"""userfaultfd: events, their handler, and the pages that user space gives (fs/userfaultfd.c,
mm/userfaultfd.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.column import FILLED, ZERO, ZERO_PAGE, Pte
from swaptrace.mm.mprotect import uffd_wp_range
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import Page


def handle_userfault(page: Page, p: int) -> None:
    """One event; the handler un-protects the page that faulted and wakes the writer."""
    page.enter("handle_userfault")
    rwp = page.vma(p).uffd_rwp
    page.count(Counter.UFFD_RWP if rwp else Counter.UFFD_WP)
    uffd_wp_range(page, p, False, rwp)


def do_uffd_rwp(page: Page, p: int) -> FaultResult:
    """Any access to a page that is read-write protected (7.3): an event, and then once more."""
    page.enter("do_uffd_rwp")
    if not page.may_retry:
        return FaultResult(error=True)  # handle_userfault(): VM_FAULT_SIGBUS, and no event
    handle_userfault(page, p)
    return FaultResult(retry=True)


def handle_missing(page: Page, p: int) -> None:
    """One event; the handler copies a page to where there is none, and wakes who faulted."""
    page.enter("handle_userfault")
    page.count(Counter.UFFD_MISSING)
    mfill_copy(page, p, page.vma(p).uffd.fill, wp=False)


def mfill_copy(page: Page, p: int, byte: int, wp: bool) -> None:
    """mfill_atomic_pte_copy(), mfill_atomic_install_pte(): a dirty page of the process's own, which
    takes the place of a marker."""
    page.enter("mfill_atomic_pte_copy")
    page.given = p
    data = page.new_token(byte | FILLED) if byte else ZERO
    f = page.new_folio(data, anon_exclusive=True)
    page.lru_add_vma(f, p)
    pte = Pte(f).mkdirty()
    if page.vma(p).writable:
        pte = pte.mkwrite()
    page.set_pte(p, pte.mkuffd_wp() if wp else pte)
    page.set_map(p, data=data, freed=False, written=True, armed=wp)


def mfill_zeropage(page: Page, p: int) -> None:
    """mfill_atomic_pte_zeropage()."""
    page.enter("mfill_atomic_pte_zeropage")
    page.set_pte(p, Pte(ZERO_PAGE))
