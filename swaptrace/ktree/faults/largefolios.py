"""Functions of the kernel as they are where memory comes in large folios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from swaptrace.counters import Counter
from swaptrace.csource.kinds import EXCLUSIVE
from swaptrace.kernels import Version
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.fault import Unmodelled, folio
from swaptrace.ktree.faults.fields import FIELDS, FieldOfFault
from swaptrace.ktree.faults.largefault import OTHER, LargeFault
from swaptrace.ktree.faults.largeswapping import LARGE_SWAPPING, PAGES, first_of, page_of, parts
from swaptrace.ktree.faults.primitive import PGTABLE, X86, Table, always, does, gives
from swaptrace.ktree.faults.swapping import (
    BUILT_IN,
    FLAGS,
    RMAP,
    copying,
    exclusive,
    number,
    whole,
)
from swaptrace.ktree.faults.tables import primitives
from swaptrace.ktree.faults.values import (
    OPAQUE,
    PAGE_SHIFT,
    Address,
    OtherPte,
    Pointer,
    PtePointer,
    Reference,
    further,
)
from swaptrace.mm.block import PMD_ORDER
from swaptrace.mm.column import ZERO, Pte, SwapPte
from swaptrace.mm.mmids import has_shared_bit

MM: Final = "include/linux/mm.h"
HUGE: Final = "include/linux/huge_mm.h"
MEMORY: Final = "mm/memory.c"


def _size(fault: LargeFault, value: Any) -> int:
    return fault.block.folios[number(value)].nr_pages


def _file_page(fault: LargeFault, value: Any, offset: Any) -> Pointer:
    return page_of(number(value), whole(offset) % _size(fault, value))


def _folio_page(_fault: LargeFault, value: Any, at: Any) -> Pointer:
    return page_of(number(value), whole(at))


def _index(_fault: LargeFault, value: Any, page: Any) -> int:
    f, at = parts(page)
    if f != number(value):
        raise Unmodelled("this needs a page of the folio")
    return at


def _make(fault: LargeFault, page: Any) -> Pte:
    f, at = parts(page)
    if fault.made.setdefault(f, at) != at:
        raise Unmodelled("two PTEs are made of one folio")
    return Pte(f) if fault.block.folios[f].first + at == fault.i else OtherPte(f)


def _advance(fault: LargeFault, pte: Any, by: Any) -> Any:
    if isinstance(pte, Pte) and not pte.is_zero_page:
        first = fault.block.folios[pte.folio].first
        if first + fault.made.get(pte.folio, 0) + whole(by) != fault.i:
            raise Unmodelled("the PTE of the fault is made of another page than is there")
    return Pte(*pte) if type(pte) is OtherPte else pte


def _exclusive(fault: LargeFault, page: Any) -> int:
    f, at = parts(page)
    return int(fault.block.folios[f].exclusive[at])


def _set_exclusive(fault: LargeFault, page: Any) -> None:
    f, at = parts(page)
    fault.block.folios[f].exclusive[at] = True


def _rmap(fault: LargeFault, value: Any, page: Any, count: Any, flags: Any) -> None:
    _mapping(fault, value, page, count, flags)
    fault.page.mlock_vma_folio(number(value), fault.p)


def _mapping(fault: LargeFault, value: Any, page: Any, count: Any, flags: Any) -> None:
    f, at = parts(page)
    if f != number(value):
        raise Unmodelled("this needs a page of the folio")
    fault.mapping[f] += whole(count)
    fault.page.set_fresh(f, False)
    if exclusive(flags):
        for each in range(at, at + whole(count)):
            fault.block.folios[f].exclusive[each] = True


def _new_rmap(fault: LargeFault, value: Any, address: Any, flags: Any = EXCLUSIVE) -> None:
    held = fault.block.folios[number(value)]
    if fault.at(address) != held.first:
        raise Unmodelled("a new folio is put at an address that it was not made for")
    _mapping(fault, value, value, held.nr_pages, flags)


def _allocate(fault: LargeFault, order: Any, address: Any) -> Pointer:
    pages = range(fault.at(address), fault.at(address) + (1 << whole(order)))
    f = fault.block.add_folio(pages, ZERO)
    fault.uncharged.add(f)
    return _held(fault, f)


def _charge(fault: LargeFault, value: Any) -> int:
    f = number(value)
    if f not in fault.uncharged:
        raise Unmodelled("a folio is charged twice")
    charged = fault.page.charge(fault.p, fault.block.folios[f].pages)
    fault.uncharged -= {f} if charged else set()
    return int(not charged)


def _normal_page(fault: LargeFault, pte: Any) -> Any:
    if not isinstance(pte, Pte):
        raise Unmodelled("this needs a present PTE")
    if type(pte) is OtherPte:
        raise Unmodelled(OTHER)
    if pte.is_zero_page:
        return 0
    return page_of(pte.folio, fault.i - fault.block.folios[pte.folio].first)


def _held(fault: LargeFault, f: int) -> Pointer:
    fault.fresh.add(f)
    fault.held[f] += 1
    return folio(f)


def _anonymous(fault: LargeFault) -> Pointer:
    fault.page.count(Counter.ZERO_FILL)
    f = fault.page.alloc_anon_folio(fault.p)
    fault.block.folios[f].exclusive = [False] * fault.block.folios[f].nr_pages
    return _held(fault, f)


def _orders(fault: LargeFault, among: Any) -> int:
    bits = sum(1 << order for order in fault.page.around.orders(fault.p, fault.i))
    return bits & whole(among)


def _suitable(fault: LargeFault, address: Any, among: Any) -> int:
    low, high = fault.page.around.bounds(fault.p, fault.i)
    found, wanted = 0, whole(among)
    wanted &= (2 << PMD_ORDER) - 1
    while wanted:
        order = wanted.bit_length() - 1
        wanted ^= 1 << order
        pages = fault.block.aligned(fault.at(address), 1 << order)
        found |= (low <= pages.start and pages.stop <= high) << order
    return found


def _next_order(_fault: LargeFault, orders: Any, order: Any) -> int:
    if not isinstance(orders, Reference):
        raise Unmodelled("this needs the address of a variable")
    left = whole(orders.read()) & ~(1 << whole(order))
    orders.keep(left)
    return max(left.bit_length() - 1, 0)


def _get(fault: LargeFault, pointer: Any) -> Any:
    return fault.entry(fault.page_of(pointer))


def _set(fault: LargeFault, pointer: Any, pte: Any, count: Any) -> None:
    zero = isinstance(pte, Pte) and pte.is_zero_page
    fault.page.count(Counter.ZERO_PAGE, zero and fault.shown is None)
    fault.set_ptes(pointer, pte, whole(count))


def _shared(fault: LargeFault, value: Any) -> int:
    f = number(value)
    return int(has_shared_bit(fault.block, f, fault.p, fault.mapping[f]))


def _none(fault: LargeFault, pointer: Any, count: Any) -> int:
    first = fault.page_of(pointer, whole(count))
    return int(all(fault.entry(i) is None for i in range(first, first + whole(count))))


def _map_lock(fault: LargeFault, address: Any) -> PtePointer:
    return further(fault.at(address) - fault.i)


def _align(_fault: LargeFault, value: Any, to: Any) -> Any:
    if isinstance(value, Address):
        return Address(value.value - value.value % whole(to))
    return whole(value) - whole(value) % whole(to)


def _largest(_fault: LargeFault, one: Any, other: Any) -> Any:
    return max(one, other, key=lambda each: each.value if isinstance(each, Address) else each)


def _end(_fault: LargeFault, address: Any, end: Any) -> Any:
    size = 1 << PMD_ORDER + PAGE_SHIFT
    if not isinstance(address, Address) or not isinstance(end, Address):
        raise Unmodelled("this needs addresses")
    return Address(min(address.value - address.value % size + size, end.value))


def _no_zswap(fault: LargeFault) -> int:
    return int(fault.page.facts.zswap_never_enabled)


_MADE = gives("vp", _make, "read-only and clean", PGTABLE)

LARGE: Final[Table] = {
    "folio_nr_pages": gives("v", _size, "", MM),
    "folio_order": gives("v", lambda f, v: _size(f, v).bit_length() - 1, "", MM),
    "folio_test_large": gives("v", lambda f, v: int(_size(f, v) > 1), "", FLAGS),
    "folio_page": gives("vv", _folio_page, "", FLAGS),
    "page_folio": gives("v", lambda _f, page: folio(parts(page)[0]), "", FLAGS),
    "folio_file_page": gives("vv", _file_page, "", "include/linux/pagemap.h"),
    "folio_page_idx": gives("vv", _index, "", MM),
    "ALIGN_DOWN": gives("vv", _align, "", "linux/align.h"),
    "max": gives("vv", _largest, "", "linux/minmax.h"),
    "pmd_addr_end": gives("vv", _end, "", PGTABLE),
    "mk_pte": _MADE,
    "folio_mk_pte": _MADE,
    "pte_advance_pfn": gives("vv", _advance, "", X86),
    "PageAnonExclusive": gives("v", _exclusive, "", FLAGS),
    "SetPageAnonExclusive": does("v", _set_exclusive, "", FLAGS),
    "folio_add_anon_rmap_ptes": does("vvvV_v", _rmap, "mappings more", RMAP),
    "folio_add_new_anon_rmap": (
        *does("vVvv", _new_rmap, "the first mapping", RMAP),
        *does("vVv", _new_rmap, "the first mapping, exclusive", RMAP),
    ),
    "vma_alloc_folio": does("_vVv_", _allocate, "a new folio, with a reference", MEMORY),
    "alloc_anon_folio": does("M", _anonymous, "a new folio of zeroes", MEMORY),
    "mem_cgroup_swapin_charge_folio": does("v___", _charge, "the memory limit", "memcontrol.h"),
    "vm_normal_page": gives("VAv", _normal_page, "none for the zero page", MEMORY),
    "wp_page_copy": does("M", copying(_normal_page), BUILT_IN, MEMORY),
    "thp_vma_allowable_orders": gives("V__v", _orders, "machine.thp and advice", HUGE),
    "thp_vma_suitable_orders": gives("Vvv", _suitable, "those that lie in the VMA", HUGE),
    "highest_order": gives("v", lambda _f, bits: max(whole(bits).bit_length() - 1, 0), "", HUGE),
    "next_order": does("vv", _next_order, "", HUGE),
    "BIT": gives("v", lambda _f, at: 1 << whole(at), "", "linux/bits.h"),
    "vma_thp_gfp_mask": gives("V", lambda _f: OPAQUE, "", HUGE),
    "userfaultfd_armed": gives("V", lambda f: int(f.page.vma(f.p).uffd_armed), "", MM),
    "zswap_never_enabled": gives(
        "", lambda f: int(f.page.facts.zswap_never_enabled), "", "zswap.c"
    ),
    "lookup_swap_cgroup_id": always(0, "_", "one cgroup", "mm/swap_cgroup.c"),
    "is_swap_pte": gives("v", lambda _f, pte: int(isinstance(pte, SwapPte)), "", MM),
    "pte_index": gives("v", lambda _f, a: (a.value >> PAGE_SHIFT) % PAGES, "", PGTABLE),
    "ptep_get": gives("v", _get, "what the page table holds", PGTABLE),
    "pte_offset_map_lock": gives("mdv_", _map_lock, "the PTE of an address", PGTABLE),
    "pte_range_none": gives("vv", _none, "", MEMORY),
    "set_ptes": does("m_vvv", _set, "", PGTABLE),
    "folio_large_mapcount": gives("v", lambda f, v: f.mapcount(number(v)), "", MM),
    "test_bit": gives("0v", _shared, "FOLIO_MM_IDS_SHARED_BITNUM: others may map it", MM),
    "PageAnon": gives("v", lambda f, page: int(f.is_anonymous(parts(page)[0])), "", FLAGS),
}


def _start(bound: int) -> Callable[[Any, Any], Address]:
    def read(fault: LargeFault, _vma: Any) -> Address:
        page = fault.block.base + fault.page.around.bounds(fault.p, fault.i)[bound]
        return Address(page << PAGE_SHIFT)

    return read


def _large(version: Version | None) -> Table:
    table = {**primitives(version), **LARGE, **LARGE_SWAPPING}
    del table["alloc_swap_folio"]
    return table


LARGE_FAULTS: Final = FAULTS._replace(
    primitives=_large,
    constants={
        **FAULTS.constants,
        "PAGE_SHIFT": PAGE_SHIFT,
        "PMD_ORDER": PMD_ORDER,
        "FOLIO_MM_IDS_SHARED_BITNUM": 0,
        "PMD_MASK": -(1 << PMD_ORDER + PAGE_SHIFT),
    },
    fields={
        **FIELDS,
        ("vmf", "address"): FieldOfFault("address"),
        ("vma", "vm_start"): _start(0),
        ("vma", "vm_end"): _start(1),
        ("folio", "swap"): first_of,
        ("SwapEntry", "val"): lambda _fault, entry: entry.slot,
    },
    addresses=FAULTS.addresses | {"_mm_ids"},
    followed=frozenset({"thp_swapin_suitable_orders"}),
)
"""What a fault does to a page of a block."""
