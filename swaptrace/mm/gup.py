"""Faults that the kernel takes for the process: mlock, MADV_POPULATE_*, pins, and mprotect that
makes a locked VMA writable (mm/gup.c)."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.mm.checks import store
from swaptrace.mm.column import Pinned, Pte
from swaptrace.mm.event import Populate
from swaptrace.mm.memory import (
    MAX_FAULTS,
    do_wp_page,
    handle_mm_fault,
    mm_account_fault,
    never_ends,
)
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import Page
from swaptrace.mm.policy import needs_soft_dirty_wp


def populate(page: Page, p: int, event: Populate) -> None:
    """__get_user_pages() for one page: fault until follow_page_pte() is content, then touch.

    A fault that asks for a retry is not counted; the next one counts as major if it
    carries FAULT_FLAG_TRIED. One that fails is not counted either, and ends the range.
    """
    write, retried = event.write, False
    if event.pin and not event.slow and pin_user_page_fast(page, p, event):
        folio_mark_accessed(page, p, drained=False)
        return
    page.may_retry = event.may_retry
    for _ in range(MAX_FAULTS):
        pte, unshare = page.maps[p].pte, event.unshare and gup_must_unshare(page, p)
        permitted = is_permitted(page, p, write) or (event.store and can_follow_forced(page, p))
        if permitted and not unshare:
            break
        result = unshare_fault(page, p) if unshare else handle_mm_fault(page, p, write)
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
        assert isinstance(pte, Pte)
        follow_page_touch(page, p, pte)
    folio_mark_accessed(page, p, drained=not event.pin)
    if event.pin:
        pin_user_page_fast(page, p, event)
    if event.store is not None:
        page.given = p
        store(page, p, event.store, forced=True)


def unshare_fault(page: Page, p: int) -> FaultResult:
    """handle_mm_fault() with FAULT_FLAG_UNSHARE, of what is there."""
    huge = page.is_huge(p)
    result = page.handle_pmd_fault(p, False, True) if huge else None
    own = page.policy.functions.get("do_wp_page", do_wp_page)
    unshared: FaultResult = result or own(page, p, unshare=True)
    return unshared


def folio_mark_accessed(page: Page, p: int, drained: bool = True) -> None:
    """Of the folio that the process maps, or a change of its lock. Raises `NotModelled` where it
    may wait to be activated, and the per-CPU batches are kept and not `drained`."""
    pte = page.maps[p].pte
    if not page.facts.batch_left or not isinstance(pte, Pte) or pte.is_zero_page:
        return
    if page.folios[pte.folio].marked and not drained:
        raise NotModelled(
            "a pin of a page after mlock, MADV_POPULATE or another pin is not modelled where the "
            "batch is kept (machine.lru_batch): whether it is made active is not known"
        )
    page.set_folio(pte.folio, active=None, marked=True)


def is_permitted(page: Page, p: int, write: bool) -> bool:
    """follow_page_pte(): whether the PTE is one that can be read, or written. What PROT_WRITE alone
    permits is read only with FOLL_FORCE, to which PROT_NONE is nothing."""
    pte = page.maps[p].pte
    return isinstance(pte, Pte) and (pte.write or not write) and not page.rwp(p)


def can_follow_forced(page: Page, p: int) -> bool:
    """can_follow_write_pte() with FOLL_FORCE (5535be309971, 6.0): in a private VMA that cannot be
    written, an exclusive page of which nobody has to see the write."""
    pte, vma = page.maps[p].pte, page.vma(p)
    if not isinstance(pte, Pte) or vma.shared or vma.writable or pte.is_zero_page:
        return False
    if page.traps(p):
        return False
    hidden = not needs_soft_dirty_wp(vma, pte) and not (vma.uffd_wp and pte.uffd_wp)
    return page.folios[pte.folio].anon_exclusive and hidden


def gup_must_unshare(page: Page, p: int) -> bool:
    """Whether a longterm pin to read needs a page of the process's own first, since pins_break_cow
    also in the place of the zero page, and of one of the page cache that is mapped private."""
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or pte.write or page.rwp(p) or page.vma(p).shared:
        return False
    if pte.is_zero_page or page.in_page_cache(pte.folio):
        return page.facts.pins_break_cow
    return not page.folios[pte.folio].anon_exclusive


def pin_user_page_fast(page: Page, p: int, event: Populate) -> bool:
    """gup_fast_pte_range() for one page: the PTE alone decides; whether it was content. The
    reference to the zero page is one to no folio."""
    unshare = event.unshare and gup_must_unshare(page, p)
    if not is_permitted(page, p, event.write) or unshare:
        return False
    pte = page.maps[p].pte
    if isinstance(pte, Pte) and not pte.is_zero_page:
        data = page.folios[pte.folio].data
        longterm = event.write or event.unshare
        page.add_pin(Pinned(p, pte.folio, longterm, data=data))
    return True


def unpin(page: Page, p: int) -> None:
    """unpin_user_page() and put_page()."""
    page.enter("unpin_user_page")
    page.drop_pins(p)


def follow_page_touch(page: Page, p: int, pte: Pte) -> None:
    """FOLL_TOUCH with FOLL_WRITE dirties the folio behind a clean PTE, or a huge entry itself
    (touch_pmd())."""
    if pte.dirty:
        return
    if page.is_huge(p):
        page.set_pte(p, pte.mkdirty())
        page.mmu_dirties(p)
    else:
        page.set_folio(pte.folio, dirty=True)
