"""Swap as it is where memory comes in large folios: every line of the table is one function."""

from __future__ import annotations

from typing import Any, Final

from swaptrace.counters import Counter
from swaptrace.csource.arithmetic import LONG
from swaptrace.csource.scope import fit
from swaptrace.ktree.faults.fault import Unmodelled, folio
from swaptrace.ktree.faults.largefault import LargeFault
from swaptrace.ktree.faults.pagetable import swap
from swaptrace.ktree.faults.primitive import Table, does, gives
from swaptrace.ktree.faults.swapping import STATE, SWAPFILE, number, slot_of, whole
from swaptrace.ktree.faults.values import Pointer, SwapEntry
from swaptrace.mm.block import PMD_ORDER
from swaptrace.mm.column import ZERO, SwapPte
from swaptrace.mm.swap import folio_free_swap, read_swap_cache, swap_read_folio

PAGES: Final = 1 << PMD_ORDER
"""A page of a folio is a pointer: the number of the folio times this, and which page it is."""

OUT_OF_ORDER: Final = "slots are read that do not hold the pages of the folio in order"


def page_of(f: int, at: int) -> Pointer:
    """A pointer to a page of a folio."""
    return Pointer("page", f * PAGES + at)


def parts(value: Any) -> tuple[int, int]:
    """The folio of a page, and which of its pages it is; of a folio its first."""
    if isinstance(value, Pointer) and value.kind == "page":
        return divmod(value.number, PAGES)
    return number(value), 0


def _held(fault: LargeFault, f: int) -> Pointer:
    fault.held[f] += 1
    return folio(f)


def first_of(fault: LargeFault, value: Any) -> SwapEntry:
    """folio->swap: the first slot of a folio."""
    f = number(value)
    if f in fault.entries:
        return fault.entries[f]
    slot = fault.block.folios[f].slot
    if slot is None:
        raise Unmodelled("the folio is in no swap cache")
    return SwapEntry(slot)


def _offset(_fault: LargeFault, entry: Any) -> int:
    return slot_of(entry)


def _entry(fault: LargeFault, page: Any) -> SwapEntry:
    f, at = parts(page)
    return SwapEntry(first_of(fault, folio(f)).slot + at)


def _free(fault: LargeFault, entry: Any, count: Any = 1) -> None:
    for at in range(whole(count)):
        fault.free_slot(slot_of(entry) + at)


def _put(fault: LargeFault, value: Any, page: Any) -> None:
    f, first = number(value), first_of(fault, value).slot
    of, at = (f, 0) if page == 0 else parts(page)
    if of != f:
        raise Unmodelled("this needs a page of the folio")
    _free(fault, SwapEntry(first + at), fault.block.folios[f].nr_pages if page == 0 else 1)


def _matches(fault: LargeFault, value: Any, entry: Any) -> int:
    held = fault.block.folios[number(value)]
    return int(held.slot is not None and 0 <= slot_of(entry) - held.slot < held.nr_pages)


def _free_swap(fault: LargeFault, value: Any) -> int:
    f = number(value)
    return 0 if fault.swapped(f) else int(folio_free_swap(fault.page, f))


def _delete(fault: LargeFault, value: Any) -> None:
    f = number(value)
    if fault.block.folios[f].slot is None:
        raise Unmodelled("the folio is in no swap cache")
    if fault.block.folios[f].dirty and fault.swapped(f):
        raise Unmodelled("a folio leaves the swap cache that is dirty and still needed there")
    fault.block.cache(f, None)


def _fill(fault: LargeFault, value: Any) -> None:
    f = number(value)
    if f not in fault.entries:
        raise Unmodelled("nothing says which slot the folio is read from")
    _read(fault, f, fault.entries[f].slot)


def _read(fault: LargeFault, f: int, first: int) -> None:
    """swap_read_folio(), from the slots from `first` on."""
    held = fault.block.folios[f]
    for at, page in enumerate(held.pages):
        slot = fault.block.slots.get(first + at)
        if slot is None or slot.data is None or slot.page != page:
            raise Unmodelled(OUT_OF_ORDER)
    swap_read_folio(fault.page, first + fault.i - held.first, f)


def _read_ahead(fault: LargeFault, entry: Any) -> Pointer:
    page = fault.page
    page.lookup = "read"
    page.enter("swapin_readahead")
    known = fault.block.next_folio
    page.swapin_readahead(fault.p)
    f = read_swap_cache(page, slot_of(entry))
    if f >= known:
        fault.fresh.add(f)
    if page.facts.readahead and not page.facts.exclusive_alone:
        page.lru_add_drain()
    return _held(fault, f)


def _read_sync(fault: LargeFault, entry: Any, among: Any) -> Pointer:
    """In the largest of the sizes that none of it is cached of, and all or none are zeroes."""
    fault.page.enter("swapin_sync")
    cached = fault.page.cached_folio(slot_of(entry))
    if cached is not None:
        return _held(fault, cached)
    orders = whole(among)
    if orders <= 0:
        raise Unmodelled("no size is left to swap in")
    for order in reversed(range(orders.bit_length())):
        if orders >> order & 1:
            f = _into_cache(fault, slot_of(entry), 1 << order)
            if f is not None:
                return _held(fault, f)
            fault.page.count(Counter.MTHP_SWPIN_FALLBACK)
    raise Unmodelled("no size is left to swap in")


def _into_cache(fault: LargeFault, slot: int, nr_pages: int) -> int | None:
    """__swap_cache_alloc(), and the read into it."""
    page, block = fault.page, fault.block
    slots = range(slot - slot % nr_pages, slot - slot % nr_pages + nr_pages)
    if any(each not in block.slots for each in slots):
        raise Unmodelled(OUT_OF_ORDER)
    if nr_pages > 1 and not (all(map(fault.swap_count, slots)) and page.uniform(slots)):
        return None
    pages = block.aligned(fault.i, nr_pages)
    if not page.charge(fault.p, pages) and nr_pages > 1:
        return None
    f = block.add_folio(pages, ZERO)
    fault.fresh.add(f)
    block.cache(f, slots.start)
    page.lru_add(f)
    _read(fault, f, slots.start)
    return f


def _look_up(fault: LargeFault, entry: Any) -> Any:
    f = fault.page.cached_folio(slot_of(entry))
    return 0 if f is None else _held(fault, f)


def _hit(fault: LargeFault, value: Any) -> None:
    f = number(value)
    ahead = fault.block.folios[f].readahead
    fault.page.lookup = "readahead_hit" if ahead else "hit"
    fault.page.note_lookup(fault.p, f)
    if ahead:
        fault.page.count(Counter.SWAP_RA_HIT)
        fault.page.set_folio(f, readahead=False)


def _look_up_and_note(fault: LargeFault, entry: Any) -> Any:
    found = _look_up(fault, entry)
    if found:
        _hit(fault, found)
    return found


def _uncached(fault: LargeFault, entry: Any, count: Any) -> int:
    slots = range(slot_of(entry), slot_of(entry) + whole(count))
    found = [at for at, slot in enumerate(slots) if slot in fault.block.cached]
    return found[0] if found else whole(count)


def _zeromap(fault: LargeFault, entry: Any, count: Any) -> int:
    slots = range(slot_of(entry), slot_of(entry) + whole(count))
    held = fault.block.slots
    marks = [slot in held and held[slot].zeroes for slot in slots]
    return next((at for at, mark in enumerate(marks) if mark != marks[0]), len(marks))


def _moved(_fault: LargeFault, pte: Any, by: Any = 1) -> Any:
    slot, exclusive, soft_dirty, uffd_wp = swap(pte)
    return SwapPte(slot + fit(whole(by), LONG), exclusive, soft_dirty, uffd_wp)


LARGE_SWAPPING: Final[Table] = {
    "swp_offset": gives("v", _offset, "the slot", "include/linux/swapops.h"),
    "page_swap_entry": gives("v", _entry, "", "include/linux/swap.h"),
    "swap_free_nr": does("vv", _free, "drops references to slots", SWAPFILE),
    "swap_free": does("v", _free, "drops a reference to the slot", SWAPFILE),
    "folio_put_swap": does("vv", _put, "drops references to slots, or to that of a page", SWAPFILE),
    "folio_free_swap": does("v", _free_swap, "out of the cache if no PTE has a slot", SWAPFILE),
    "swap_cache_del_folio": does("v", _delete, "out of the cache", STATE),
    "folio_matches_swap_entry": gives("vv", _matches, "cached for that slot", "mm/swap.h"),
    "swap_read_folio": does("v_", _fill, "read from the slots from folio->swap on", "mm/page_io.c"),
    "swapin_readahead": does("v_M", _read_ahead, "read-ahead", STATE),
    "swapin_sync": does("v_vM__", _read_sync, "into the cache in one of these sizes", STATE),
    "swap_cache_get_folio": (
        *gives("v", _look_up, "the folio that is cached for a slot, with a reference", STATE),
        *does("vVA", _look_up_and_note, "the same; notes the hit of read-ahead, too", STATE),
    ),
    "swap_update_readahead": does("vVA", _hit, "notes the hit of read-ahead", STATE),
    "swap_zeromap_batch": gives("vv_", _zeromap, "alike in the zeromap", SWAPFILE),
    "non_swapcache_batch": gives("vv", _uncached, "in no swap cache", "mm/memory.c"),
    "pte_move_swp_offset": gives("vv", _moved, "", "mm/internal.h"),
    "pte_next_swp_offset": gives("v", _moved, "", "mm/internal.h"),
}
