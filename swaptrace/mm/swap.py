"""The swap cache and the swap device (mm/swap_state.c, mm/swapfile.c, mm/page_io.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.column import ZERO, SwapSlot
from swaptrace.mm.page import Page


def swap_read_folio(page: Page, s: int, f: int) -> None:
    """Fill folio `f` from swap, slot `s` being this page's, and count where the data came from."""
    page.set_fresh(f, True)
    page.set_active(f, None)  # workingset_refault() compares with how many file pages there are
    zeroes, pages = page.load(s, f), page.nr_pages(f)
    if page.facts.zeromap and zeroes:
        page.count(Counter.SWPIN_ZERO, pages)
    elif page.facts.backend.compressed:
        zswap_load(page, s, f)
    else:
        page.count(Counter.PSWPIN, pages)
        page.count(Counter.MTHP_SWPIN, pages > 1)


def zswap_load(page: Page, s: int, f: int) -> None:
    """A load into the swap cache may make the folio the only copy, and dirty."""
    page.count(Counter.ZSWPIN)
    if page.facts.backend.load_erases and page.folios[f].slot is not None:
        page.slots[s] = SwapSlot(None)
        page.set_folio(f, dirty=True)


def read_swap_cache(page: Page, s: int, readahead: bool = False) -> int:
    """__read_swap_cache_async(): a folio in the swap cache for slot `s`, read if need be."""
    cached = page.cached_folio(s)
    if cached is not None:
        return cached
    f = page.new_folio(ZERO, slot=s, readahead=readahead)
    # Up to 7.2 the fault that reads ahead drains the batch then.
    if page.facts.exclusive_alone if readahead else not page.facts.read_listed:
        page.lru_add(f)
    swap_read_folio(page, s, f)
    if readahead:
        page.count(Counter.SWAP_RA)
    return f


def swap_writepage(page: Page, f: int) -> bool:
    """Write folio `f` to its slot; whether it was clean at once, or is left in writeback.

    Only a store to a device that works in the background leaves a folio in the swap cache
    (its writeback is over by the time of the next event).
    """
    page.enter("swap_writepage")
    page.written = True
    zeroes, pages = page.store(f), page.nr_pages(f)
    page.set_folio(f, dirty=False)
    if page.facts.zeromap and zeroes:
        page.count(Counter.SWPOUT_ZERO, pages)
        return True
    if page.facts.backend.compressed:
        page.count(Counter.ZSWPOUT, pages)
        return True
    page.count(Counter.PSWPOUT, pages)
    page.count_swpout(f)
    return page.facts.backend.synchronous_io


def folio_free_swap(page: Page, f: int) -> bool:
    """Take the folio out of the swap cache if no swap PTE needs the slot; it is then dirty."""
    if page.folios[f].slot is None or page.folio_swapped(f):
        return False
    page.enter("folio_free_swap")
    page.set_folio(f, slot=None, dirty=True)
    return True


def try_to_reclaim_swap(page: Page, s: int) -> None:
    """__try_to_reclaim_swap() for the allocator: the folio of slot `s` leaves the swap cache."""
    page.enter("__try_to_reclaim_swap")
    f = page.cached_folio(s)
    assert f is not None, "a slot that only the swap cache holds has its folio there"
    folio_free_swap(page, f)


def free_swap_and_cache(page: Page, p: int, s: int) -> None:
    """Process `p` gives up its swap PTE; the cache goes with the last one.

    __try_to_reclaim_swap() spares a folio that is still mapped unless swap is full.
    """
    page.set_pte(p, None)
    f = page.cached_folio(s)
    if f is not None and (page.mapcount(f) == 0 or page.facts.swap_full):
        folio_free_swap(page, f)


def free_swap_cache(page: Page, f: int) -> None:
    """After the last mapping of folio `f` went, so does its place in the swap cache."""
    if page.mapcount(f) == 0:
        folio_free_swap(page, f)
