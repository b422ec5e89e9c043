"""Primitives about folios, the swap cache and the device: every line is one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from swaptrace.counters import Counter
from swaptrace.csource.kinds import EXCLUSIVE, UNSHARE
from swaptrace.ktree.faults.fault import Fault, Unmodelled, folio
from swaptrace.ktree.faults.primitive import Primitive, Table, always, does, gives
from swaptrace.ktree.faults.values import DEVICE, ERROR, Pointer, SwapEntry
from swaptrace.mm.column import ZERO, Pte
from swaptrace.mm.memory import wp_page_copy
from swaptrace.mm.swap import folio_free_swap, read_swap_cache, swap_read_folio
from swaptrace.mm.userfault import handle_userfault

FLAGS: Final = "include/linux/page-flags.h"
SWAPFILE: Final = "mm/swapfile.c"
STATE: Final = "mm/swap_state.c"
RMAP: Final = "mm/rmap.c"

BUILT_IN: Final = "left to the built-in one"

SIGBUS: Final = 0x2
RETRY: Final = 0x400


def number(value: Any) -> int:
    """That of a folio, or what is wrong."""
    if type(value) is Pointer and value.kind == "folio":
        return value.number
    raise Unmodelled("this needs a folio")


def whole(value: Any) -> int:
    """An integer, or what is wrong."""
    if type(value) is int or isinstance(value, int):
        return value
    raise Unmodelled("this needs an integer")


def slot_of(value: Any) -> int:
    """That of a swap entry, or what is wrong."""
    if type(value) is SwapEntry:
        return value.slot
    raise Unmodelled("this needs a swap entry")


def _about(run: Callable[[Fault, int], int], meaning: str, source: str) -> tuple[Primitive, ...]:
    return gives("v", lambda fault, page: run(fault, number(page)), meaning, source)


def _cached(fault: Fault, f: int) -> int:
    return int(fault.page.folios[f].slot is not None)


def _references(fault: Fault, f: int) -> int:
    return fault.ref_count(f)


def _mlocked(fault: Fault, f: int) -> int:
    page = fault.page
    added = not page.keeps_mlocked(f) and bool(fault.mapping[f]) and page.vma(fault.p).locked
    return int(added or page.mlocked(f))


def _take(fault: Fault, f: int) -> Pointer:
    """The reference that a look-up gives."""
    fault.held[f] += 1
    return folio(f)


def _look_up(fault: Fault, entry: Any) -> Any:
    found = fault.page.swap_cache_get_folio(slot_of(entry))
    return 0 if found is None else _take(fault, found)


def _hit(fault: Fault, page: Any) -> None:
    f = number(page)
    ahead = fault.page.folios[f].readahead
    fault.page.lookup = "readahead_hit" if ahead else "hit"
    if ahead:
        fault.page.count(Counter.SWAP_RA_HIT)
        fault.page.set_folio(f, readahead=False)


def _look_up_and_note(fault: Fault, entry: Any) -> Any:
    found = _look_up(fault, entry)
    if found:
        _hit(fault, found)
    return found


def _read(fault: Fault, entry: Any) -> int:
    """A folio in the swap cache, new unless it was there."""
    known = len(fault.page.folios)
    f = read_swap_cache(fault.page, slot_of(entry))
    if f >= known:
        fault.fresh.add(f)
    return f


def _read_ahead(fault: Fault, entry: Any) -> Pointer:
    page = fault.page
    page.lookup = "read"
    page.enter("swapin_readahead")
    f = _read(fault, entry)
    if page.facts.readahead and not page.facts.exclusive_alone:
        page.lru_add_drain()
    return _take(fault, f)


def _read_sync(fault: Fault, entry: Any) -> Pointer:
    fault.page.enter("swapin_sync")
    return _take(fault, _read(fault, entry))


def _allocate(fault: Fault) -> Pointer:
    f = fault.page.new_folio(ZERO)
    fault.fresh.add(f)
    return _take(fault, f)


def _allocate_zeroed(fault: Fault) -> Pointer:
    fault.page.count(Counter.ZERO_FILL)
    return _allocate(fault)


def _set_entry(fault: Fault, page: Any, entry: Any) -> None:
    fault.entries[number(page)] = SwapEntry(slot_of(entry))


def _fill(fault: Fault, page: Any) -> None:
    f = number(page)
    if f not in fault.entries:
        raise Unmodelled("nothing says which slot the folio is read from")
    slot = fault.entries[f].slot
    if fault.page.slots[slot].data is None:
        raise Unmodelled("a slot is read whose only copy is in the swap cache")
    swap_read_folio(fault.page, slot, f)


def entry_of(fault: Fault, page: Any) -> SwapEntry:
    """folio->swap."""
    f = number(page)
    slot = fault.page.folios[f].slot
    if f in fault.entries:
        return fault.entries[f]
    if slot is None:
        raise Unmodelled("the folio is in no swap cache")
    return SwapEntry(slot)


def _matches(fault: Fault, page: Any, entry: Any) -> int:
    return int(fault.page.folios[number(page)].slot == slot_of(entry))


def _private(fault: Fault, page: Any) -> Pointer:
    return Pointer("slot", entry_of(fault, page).slot)


def _free(fault: Fault, entry: Any) -> None:
    fault.free_slot(slot_of(entry))


def _put_swap(fault: Fault, page: Any) -> None:
    fault.free_slot(entry_of(fault, page).slot)


def _free_swap(fault: Fault, page: Any) -> int:
    f = number(page)
    slot = fault.page.folios[f].slot
    if slot is None or fault.swap_count(slot):
        return 0
    return int(folio_free_swap(fault.page, f))


def _drain(fault: Fault) -> None:
    fault.page.lru_add_drain()


def _batch(fault: Fault, page: Any) -> None:
    fault.page.lru_add(number(page))


def _batch_vma(fault: Fault, page: Any) -> None:
    fault.page.lru_add_vma(number(page), fault.p)


def _get(fault: Fault, page: Any, count: Any = 1) -> None:
    fault.held[number(page)] += whole(count)


def _put(fault: Fault, page: Any) -> None:
    f = number(page)
    fault.held[f] -= 1
    if fault.ref_count(f) == 0 and f in fault.fresh:
        fault.fresh.discard(f)


def _rmap(fault: Fault, page: Any, flags: Any) -> None:
    _mapping(fault, page, flags)
    fault.page.mlock_vma_folio(number(page), fault.p)


def exclusive(flags: Any) -> bool:
    """Whether rmap is told that a page is exclusive, or what is wrong."""
    if whole(flags) & ~EXCLUSIVE:
        raise Unmodelled("of the flags for rmap only RMAP_EXCLUSIVE is known")
    return bool(flags)


def _mapping(fault: Fault, page: Any, flags: Any) -> None:
    f = number(page)
    fault.mapping[f] += 1
    fault.page.set_fresh(f, False)
    if exclusive(flags):
        fault.page.set_folio(f, anon_exclusive=True)


def _new_rmap(fault: Fault, page: Any, flags: Any = EXCLUSIVE) -> None:
    _mapping(fault, page, flags)


def _exclusive(fault: Fault, page: Any) -> None:
    fault.page.set_folio(number(page), anon_exclusive=True)


def _normal_page(_fault: Fault, pte: Any) -> Any:
    if not isinstance(pte, Pte):
        raise Unmodelled("this needs a present PTE")
    return 0 if pte.is_zero_page else folio(pte.folio)


def _userfault(fault: Fault) -> int:
    if not fault.page.may_retry:
        return SIGBUS
    handle_userfault(fault.page, fault.p)
    fault.shown = fault.page.maps[fault.p].pte
    return RETRY


def copying(normal_page: Callable[[Any, Any], Any]) -> Callable[[Any], int]:
    """wp_page_copy(), with the reference of the caller to the old folio, which it drops."""

    def copy(fault: Fault) -> int:
        old = fault.fields["orig_pte"]
        if not isinstance(old, Pte) or old != fault.shown:
            raise Unmodelled("wp_page_copy() is called for a PTE that is not the present one")
        if fault.fields["page"] != normal_page(fault, old):
            raise Unmodelled("wp_page_copy() is called with another page than the PTE maps")
        if not old.is_zero_page:
            fault.held[old.folio] -= 1
        fault.page.count(Counter.WP_COPY)
        wp_page_copy(fault.page, fault.p, old, bool(fault.fields["flags"] & UNSHARE))
        fault.shown = fault.page.maps[fault.p].pte
        return 0

    return copy


_SAME = gives("v|v0", lambda _fault, page: folio(number(page)), "folios have one page", "mm.h")
_FOUND = (
    *gives("v", _look_up, "the folio that is cached for a slot, with a reference", STATE),
    *does("vVA", _look_up_and_note, "the same; notes the hit of read-ahead, too", STATE),
)
_DRAWN = does("M|_0VA_", _allocate, "a new folio, with a reference", "mm/memory.c")
_ZEROED = does("M|VA", _allocate_zeroed, "a new folio of zeroes, with a reference", "mm/memory.c")
_FILLED = does("v_|v__", _fill, "read from the slot of folio->swap", "mm/page_io.c")
_SLOT = "drops a reference to the slot"
_BATCHED = does(
    "v|vV", _batch, "into the per-CPU batch of the LRU, which holds a reference", "mm/swap.c"
)

_BATCHED_VMA = does("v|vV", _batch_vma, "the same, or that of mlock", "mm/swap.c")

FOLIOS: Final[Table] = {
    **dict.fromkeys(("page_folio", "folio_page"), _SAME),
    "folio_file_page": gives("v_", lambda _f, page: folio(number(page)), "the same", "pagemap.h"),
    "folio_nr_pages": always(1, "_", "folios have one page", "include/linux/mm.h"),
    "folio_order": always(0, "_", "folios have one page", "include/linux/mm.h"),
    "folio_test_large": always(0, "_", "folios have one page", FLAGS),
    "folio_test_ksm": always(0, "_", "no KSM", FLAGS),
    "PageKsm": always(0, "_", "no KSM", FLAGS),
    "ksm_might_need_to_copy": gives("vVA", lambda _f, page: page, "no KSM", "mm/ksm.c"),
    "folio_test_writeback": always(0, "_", "writeback is over by the next event", FLAGS),
    "folio_test_uptodate": always(1, "_", "a read is over when it returns", FLAGS),
    "folio_test_mappedtodisk": always(0, "_", "anonymous memory", FLAGS),
    "folio_test_dirty": _about(lambda fault, f: int(fault.page.folios[f].dirty), "", FLAGS),
    "folio_mapped": _about(lambda fault, f: int(fault.mapcount(f) > 0), "", "include/linux/mm.h"),
    "ALIGN_DOWN": gives("v_", lambda _f, address: address, "folios have one page", "align.h"),
    "waitqueue_active": always(0, "_", "nobody waits", "include/linux/wait.h"),
    "folio_test_locked": always(1, "_", "one thing happens at a time", FLAGS),
    "folio_trylock": always(1, "_", "one thing happens at a time", "include/linux/pagemap.h"),
    "folio_lock_or_retry": (
        *always(0, "__", "one thing happens at a time: VM_FAULT_RETRY is never asked for", "mm"),
        *always(1, "___", "one thing happens at a time: it is locked", "include/linux/pagemap.h"),
    ),
    "PageHWPoison": always(0, "_", "no broken memory", FLAGS),
    "folio_maybe_dma_pinned": _about(
        lambda fault, f: int(fault.page.maybe_dma_pinned(f)), "pinned for long", "linux/mm.h"
    ),
    "folio_test_anon": _about(
        lambda fault, f: int(fault.is_anonymous(f)), "mapped now; else both are tried", FLAGS
    ),
    "PageAnon": _about(lambda fault, f: int(fault.is_anonymous(f)), "the same", FLAGS),
    "folio_test_swapcache": _about(_cached, "", FLAGS),
    "PageSwapCache": _about(_cached, "", FLAGS),
    "folio_test_mlocked": _about(_mlocked, "PG_mlocked", FLAGS),
    "folio_test_lru": _about(lambda fault, f: int(not fault.page.off_lru(f)), "in no batch", FLAGS),
    "PageAnonExclusive": _about(
        lambda fault, f: int(fault.page.folios[f].anon_exclusive), "", FLAGS
    ),
    "SetPageAnonExclusive": does("v", _exclusive, "", FLAGS),
    "folio_ref_count": _about(_references, "mappings, swap cache, fault, batch", "page_ref.h"),
    "page_count": _about(_references, "the same", "include/linux/page_ref.h"),
    "folio_mapcount": _about(Fault.mapcount, "", "include/linux/mm.h"),
    "page_mapcount": _about(Fault.mapcount, "", "include/linux/mm.h"),
    "vm_normal_page": gives("VAv", _normal_page, "none for the zero page", "mm/memory.c"),
    "mem_cgroup_swap_full": gives(
        "_",
        lambda fault: int(fault.page.facts.swap_full),
        "swap is more than half full",
        "memcontrol.c",
    ),
    "vm_swap_full": gives(
        "", lambda fault: int(fault.page.facts.swap_full), "the same", "include/linux/swap.h"
    ),
    "IS_ERR": gives("v", lambda _f, page: int(page == ERROR), "", "include/linux/err.h"),
    "IS_ERR_OR_NULL": gives("v", lambda _f, page: int(page in (0, ERROR)), "", "linux/err.h"),
    "ERR_PTR": gives("_", lambda _f: ERROR, "no function of the model gives one", "linux/err.h"),
}

SWAPPING: Final[Table] = {
    "get_swap_device": gives("_", lambda _f: DEVICE, "nobody calls swapoff", SWAPFILE),
    "swap_cache_get_folio": _FOUND,
    "swap_update_readahead": does("vVA", _hit, "notes the hit of read-ahead", STATE),
    "swapin_readahead": does("v_M", _read_ahead, "read-ahead; the folio with a reference", STATE),
    "swapin_sync": does("v__M__", _read_sync, "into the cache without read-ahead", STATE),
    "__swap_count": gives(
        "v",
        lambda fault, entry: fault.swap_count(slot_of(entry)),
        "PTEs that have the slot",
        SWAPFILE,
    ),
    "alloc_swap_folio": _DRAWN,
    "vma_alloc_folio": _DRAWN,
    "alloc_anon_folio": _ZEROED,
    "alloc_zeroed_user_highpage_movable": _ZEROED,
    "swapcache_prepare": always(0, "_|__", "one thing happens at a time", SWAPFILE),
    "mem_cgroup_swapin_charge_folio": always(0, "____", "no limit is met here", "memcontrol.c"),
    "mem_cgroup_charge": always(0, "___", "no limit is met here", "include/linux/memcontrol.h"),
    "get_shadow_from_swap_cache": always(0, "_", "shadows are the replay's", STATE),
    "folio_set_swap_entry": does("vv", _set_entry, "folio->swap", "include/linux/swap.h"),
    "swap_read_folio": _FILLED,
    "swap_readpage": _FILLED,
    "folio_matches_swap_entry": gives("vv", _matches, "cached for that slot", "mm/swap.h"),
    "page_private": gives("v", _private, "the slot that it is cached for", "mm_types.h"),
    "page_swap_entry": gives("v", entry_of, "folio->swap", "include/linux/swap.h"),
    "swap_free": does("v", _free, _SLOT, SWAPFILE),
    "swap_free_nr": does("v1", _free, _SLOT, SWAPFILE),
    "folio_put_swap": does("v_", _put_swap, _SLOT, SWAPFILE),
    "folio_free_swap": does("v", _free_swap, "out of the cache if no PTE has the slot", SWAPFILE),
    "lru_add_drain": does("", _drain, "the batches let go of their folios", "mm/swap.c"),
    "folio_add_lru": _BATCHED,
    "folio_add_lru_vma": _BATCHED_VMA,
    "lru_cache_add_inactive_or_unevictable": _BATCHED_VMA,
    "folio_get": does("v", _get, "", "include/linux/mm.h"),
    "get_page": does("v", _get, "", "include/linux/mm.h"),
    "folio_ref_add": does("vv", _get, "", "include/linux/page_ref.h"),
    "folio_put": does("v", _put, "", "include/linux/mm.h"),
    "put_page": does("v", _put, "", "include/linux/mm.h"),
    "folio_add_anon_rmap_pte": does("vfVAv", _rmap, "a mapping more", RMAP),
    "folio_add_anon_rmap_ptes": does("vf1VAv", _rmap, "a mapping more", RMAP),
    "page_add_anon_rmap": does("vVAv", _rmap, "a mapping more", RMAP),
    "folio_add_new_anon_rmap": (
        *does("vVAv", _new_rmap, "the first mapping", RMAP),
        *does("vVA", _new_rmap, "the first mapping, exclusive", RMAP),
    ),
    "page_add_new_anon_rmap": does("vVA", _new_rmap, "the first mapping, exclusive", RMAP),
    "page_move_anon_rmap": does("vV", _exclusive, "marks the page exclusive", RMAP),
    "handle_userfault": does("M_", _userfault, "one event, answered at once", "fs/userfaultfd.c"),
    "wp_page_copy": does("M", copying(_normal_page), BUILT_IN, "mm/memory.c"),
}
