"""Faults that the kernel takes for the process: mlock, MADV_POPULATE_*, pins, and mprotect that
makes a locked VMA writable (mm/gup.c)."""

from __future__ import annotations

from swaptrace.mm.column import Pinned, Pte
from swaptrace.mm.event import Populate
from swaptrace.mm.memory import MAX_FAULTS, handle_mm_fault, mm_account_fault, never_ends
from swaptrace.mm.page import Page


def populate(page: Page, p: int, event: Populate) -> None:
    """__get_user_pages() for one page: fault until follow_page_pte() is content, then touch.

    A fault that asks for a retry is not counted; the next one counts as major if it
    carries FAULT_FLAG_TRIED. One that fails is not counted either, and ends the range.
    """
    write, retried = event.write, False
    if event.pin and pin_user_page_fast(page, p, write):
        return
    page.may_retry = event.may_retry
    for _ in range(MAX_FAULTS):
        pte = page.maps[p].pte
        if isinstance(pte, Pte) and (pte.write or not write) and not page.protnone(p):
            break
        result = handle_mm_fault(page, p, write)
        if result.error:
            page.ends = True
            return
        if result.retry:
            retried = event.tried
        else:
            mm_account_fault(page, result.major or retried)
    else:
        raise never_ends(page)
    if write:
        follow_page_touch(page, pte)
    if event.pin:
        pin_user_page_fast(page, p, write)


def pin_user_page_fast(page: Page, p: int, write: bool) -> bool:
    """gup_fast_pte_range() for one page: the PTE alone decides; whether it was content. The
    reference to the zero page is one to no folio."""
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or not (pte.write or not write) or page.protnone(p):
        return False
    if not pte.is_zero_page:
        data = page.folios[pte.folio].data
        page.pins.append(Pinned(p, pte.folio, longterm=write, data=data))
    return True


def unpin(page: Page, p: int) -> None:
    """unpin_user_page() and put_page()."""
    page.enter("unpin_user_page")
    page.pins = [pin for pin in page.pins if pin.process != p]


def follow_page_touch(page: Page, pte: Pte) -> None:
    """FOLL_TOUCH with FOLL_WRITE dirties the folio behind a clean PTE."""
    if not pte.dirty:
        page.set_folio(pte.folio, dirty=True)
