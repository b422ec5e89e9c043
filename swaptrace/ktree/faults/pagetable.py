"""Primitives about page-table entries and VMAs: every line is one function of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from swaptrace.counters import Counter
from swaptrace.csource.kinds import vm_flags
from swaptrace.ktree.faults.constants import PAGE_NONE
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.primitive import PGTABLE, X86, Primitive, Table, always, does, gives
from swaptrace.ktree.faults.values import (
    PROTECTION,
    PTEP,
    NonePte,
    PageFrame,
    Pointer,
    SwapEntry,
)
from swaptrace.mm.column import ZERO_PAGE, Pte, SwapPte, Vma
from swaptrace.mm.policy import needs_soft_dirty_wp

UFFD: Final = "include/linux/userfaultfd_k.h"


def _vma(fault: Fault) -> Vma:
    return fault.page.vma(fault.p)


def present(value: Any) -> Pte:
    """A present PTE, or what is wrong."""
    if type(value) is Pte or isinstance(value, Pte):
        return value
    raise Unmodelled("this needs a present PTE")


def swap(value: Any) -> SwapPte:
    """A swap PTE, or what is wrong."""
    if type(value) is SwapPte:
        return value
    raise Unmodelled("this needs a swap PTE")


def _pte(method: Callable[[Pte], Any], meaning: str) -> tuple[Primitive, ...]:
    return gives("v", lambda _fault, pte: method(present(pte)), meaning, X86)


def _swap(field: Callable[[SwapPte], bool], meaning: str) -> tuple[Primitive, ...]:
    return gives("v", lambda _fault, pte: int(field(swap(pte))), meaning, X86)


def _mkwrite(fault: Fault, pte: Any) -> Pte:
    written = present(pte).mkwrite()
    return written._replace(dirty=True) if fault.page.facts.mkwrite_dirties else written


def _maybe_mkwrite(fault: Fault, pte: Any) -> Pte:
    return _mkwrite(fault, pte) if _vma(fault).writable else present(pte)


def _mk_pte(_fault: Fault, page: Any) -> Pte:
    if not isinstance(page, Pointer) or page.kind != "folio":
        raise Unmodelled("a PTE is made of something that is no folio")
    return Pte(page.number)


def _pfn_pte(_fault: Fault, frame: Any) -> Pte:
    if not isinstance(frame, PageFrame):
        raise Unmodelled("a PTE is made of an unknown page frame")
    return Pte(frame.folio)


def _pfn(_fault: Fault, pte: Any) -> PageFrame:
    return PageFrame(present(pte).folio)


def _is_zero(_fault: Fault, frame: Any) -> int:
    if not isinstance(frame, PageFrame):
        raise Unmodelled("this needs a page frame number")
    return int(frame.folio == ZERO_PAGE)


def _same(_fault: Fault, one: Any, other: Any) -> int:
    return int(one == other and type(one) is type(other))


def _entry(_fault: Fault, pte: Any) -> SwapEntry:
    return SwapEntry(swap(pte).slot)


def _uffd_wp(fault: Fault, pte: Any) -> int:
    return int(_vma(fault).uffd_wp and isinstance(pte, Pte) and pte.uffd_wp)


def _modify(fault: Fault, pte: Any, protection: Any) -> Pte:
    if protection == PAGE_NONE:
        return NonePte(*present(pte).wrprotect())
    if protection != PROTECTION:
        raise Unmodelled("this needs PAGE_NONE or vma->vm_page_prot")
    bare = Pte(*present(pte)) if isinstance(pte, NonePte) else present(pte)
    return bare._replace(write=_vma(fault).prot_writes)


def _vma_test(fault: Fault, flag: Any) -> int:
    if not isinstance(flag, int):
        raise Unmodelled("this needs a flag")
    return int(bool(vm_flags(_vma(fault)) & flag))


def _needs_wp(fault: Fault, pte: Any) -> int:
    return int(needs_soft_dirty_wp(_vma(fault), present(pte)))


def _publish(fault: Fault, pte: Any) -> None:
    if pte is not None and not isinstance(pte, Pte | SwapPte):
        raise Unmodelled("what is set is no PTE")
    if isinstance(pte, Pte) and pte.is_zero_page and fault.shown is None:
        fault.page.count(Counter.ZERO_PAGE)
    fault.set_pte(pte)


def _set_access(fault: Fault, pte: Any) -> int:
    changed = fault.shown != pte
    fault.set_pte(present(pte))
    return int(changed)


_MADE = gives("vp", _mk_pte, "read-only and clean, as in a private VMA", PGTABLE)
_WPED = _pte(Pte.mkuffd_wp, "sets the uffd-wp bit and write-protects")
_UNWPED = _pte(Pte.clear_uffd_wp, "")
_ENTRY = gives("v", _entry, "the slot of a swap PTE", "include/linux/swapops.h, leafops.h")
_SET = "what the page table holds from now on"

PTES: Final[Table] = {
    "mk_pte": _MADE,
    "folio_mk_pte": _MADE,
    "pfn_pte": gives("vp", _pfn_pte, "a PTE of the zero page", X86),
    "pte_pfn": gives("v", _pfn, "", X86),
    "my_zero_pfn": gives("A", lambda _f: PageFrame(ZERO_PAGE), "the zero page's", PGTABLE),
    "zero_pfn": gives("A", lambda _f: PageFrame(ZERO_PAGE), "the zero page's", PGTABLE),
    "is_zero_pfn": gives("v", _is_zero, "whether it is the zero page's", PGTABLE),
    "pte_mkwrite": gives("v|vV", _mkwrite, "writable; dirty, too, if mkwrite_dirties", X86),
    "pte_mkwrite_novma": gives("v", _mkwrite, "the same", X86),
    "maybe_mkwrite": gives("vV", _maybe_mkwrite, "the same if VM_WRITE", "include/linux/mm.h"),
    "pte_wrprotect": _pte(Pte.wrprotect, "read-only"),
    "pte_mkdirty": _pte(Pte.mkdirty, "dirty and soft-dirty"),
    "pte_mkclean": _pte(Pte.mkclean, "clean; soft-dirty stays"),
    "pte_mksoft_dirty": _pte(Pte.mksoft_dirty, ""),
    "pte_clear_soft_dirty": _pte(Pte.clear_soft_dirty, ""),
    "pte_mkuffd_wp": _WPED,
    "pte_mkuffd": _WPED,
    "pte_clear_uffd_wp": _UNWPED,
    "pte_clear_uffd": _UNWPED,
    "pte_mkyoung": _pte(lambda pte: pte, "the model has no accessed bit"),
    "pte_sw_mkyoung": _pte(lambda pte: pte, "the model has no accessed bit"),
    "pte_mkold": _pte(lambda pte: pte, "the model has no accessed bit"),
    "pte_mkspecial": _pte(lambda pte: pte, "the zero page is known by its frame"),
    "pte_advance_pfn": gives("v0", lambda _f, pte: present(pte), "folios have one page", X86),
    "pte_write": _pte(lambda pte: int(pte.write), ""),
    "pte_dirty": _pte(lambda pte: int(pte.dirty), ""),
    "pte_soft_dirty": _pte(lambda pte: int(pte.soft_dirty), ""),
    "pte_uffd_wp": _pte(lambda pte: int(pte.uffd_wp), ""),
    "pte_uffd": _pte(lambda pte: int(pte.uffd_wp), ""),
    "pte_present": gives("v", lambda _f, pte: int(isinstance(pte, Pte)), "", X86),
    "pte_none": gives("v", lambda _f, pte: int(pte is None), "", X86),
    "pte_same": gives("vv", _same, "the same entry, bit by bit", PGTABLE),
    "pte_protnone": _pte(lambda pte: int(isinstance(pte, NonePte)), "by RWP alone"),
    "pte_modify": gives("vv", _modify, "PAGE_NONE, or vma->vm_page_prot", X86),
    "pte_swp_exclusive": _swap(lambda pte: pte.exclusive, ""),
    "pte_swp_soft_dirty": _swap(lambda pte: pte.soft_dirty, ""),
    "pte_swp_uffd_wp": _swap(lambda pte: pte.uffd_wp, ""),
    "pte_swp_uffd": _swap(lambda pte: pte.uffd_wp, ""),
    "pte_to_swp_entry": _ENTRY,
    "softleaf_from_pte": _ENTRY,
    "softleaf_is_swap": always(1, "_", "no other entries", "include/linux/leafops.h"),
    "non_swap_entry": always(0, "_", "no other entries", "include/linux/swapops.h"),
    "pte_unmap_same": always(1, "_", "one thing happens at a time", "mm/memory.c"),
    "pte_range_none": always(1, "__", "folios have one page", "mm/memory.c"),
    "vmf_pte_changed": always(0, "_", "one thing happens at a time", "mm/memory.c"),
    "vmf_orig_pte_uffd_wp": always(0, "_", "no markers in anonymous memory", "mm/memory.c"),
    "pte_offset_map_lock": gives("mdA_", lambda _f: PTEP, "the PTE of the fault", PGTABLE),
    "ptep_get": gives("P", lambda fault: fault.shown, "what the page table holds", PGTABLE),
    "ptep_set_access_flags": does("VAPv1", _set_access, f"{_SET}; whether it changes", PGTABLE),
    "set_pte": does("Pv", _publish, _SET, PGTABLE),
    "set_pte_at": does("mAPv", _publish, _SET, PGTABLE),
    "set_ptes": does("mAPv1", _publish, _SET, PGTABLE),
}

VMAS: Final[Table] = {
    "userfaultfd_pte_wp": gives("Vv", _uffd_wp, "both the VMA and the PTE are protected", UFFD),
    "userfaultfd_wp": gives("V", lambda fault: int(_vma(fault).uffd_wp), "VM_UFFD_WP", UFFD),
    "userfaultfd_missing": always(0, "_", "no missing-page events", UFFD),
    "userfaultfd_rwp": gives("V", lambda fault: int(_vma(fault).uffd_rwp), "VM_UFFD_RWP", UFFD),
    "userfaultfd_rwp_async": always(0, "_", "no asynchronous mode", UFFD),
    "userfaultfd_wp_async": always(0, "_", "no asynchronous mode", UFFD),
    "vma_wants_manual_pte_write_upgrade": gives(
        "V", lambda fault: int(_vma(fault).writable), "VM_WRITE of a private VMA", "mm/vma.h"
    ),
    "vma_soft_dirty_enabled": gives(
        "V",
        lambda fault: int(_vma(fault).soft_dirty_enabled),
        "VM_SOFTDIRTY is clear",
        "mm/internal.h",
    ),
    "pte_needs_soft_dirty_wp": gives(
        "Vv", _needs_wp, "a write must be seen to set soft-dirty", "mm/internal.h"
    ),
    "mm_forbids_zeropage": always(0, "_", "s390 alone does", "include/linux/mm.h"),
    "check_stable_address_space": always(0, "_", "no OOM killer", "include/linux/oom.h"),
    "pte_alloc": always(0, "__", "no failing allocation", "include/linux/mm.h"),
    "pmd_trans_unstable": always(0, "_", "no huge pages", PGTABLE),
    "anon_vma_prepare": always(0, "_", "no failing allocation", "include/linux/rmap.h"),
    "vmf_anon_prepare": always(0, "_", "no failing allocation", "mm/internal.h"),
    "vma_test": gives("Vv", _vma_test, "one of vma->vm_flags", "include/linux/mm.h"),
    "mm_tlb_flush_pending": always(0, "_", "one thing happens at a time", "mm_types.h"),
    "is_fsdax_page": always(0, "_", "anonymous memory", "include/linux/dax.h"),
}

BEFORE_6_3: Final[Table] = {
    "pte_mkuffd_wp": _pte(
        lambda pte: pte._replace(uffd_wp=True),
        "sets the uffd-wp bit; it write-protects since f1eb1bacfba9",
    )
}
"""What those versions have otherwise."""

BEFORE_7_3: Final[Table] = {
    "pte_protnone": always(0, "_", "there is no NUMA balancing, and no RWP", X86)
}
"""The same of versions without read-write protection."""
