"""Calls that C may make and that decide nothing: known by name, never executed.

What they do does not concern the state of the page, or the model does it by itself. Their
arguments are not looked at, except that they must not change anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from swaptrace.csource.words import words

IGNORED: Final[Mapping[str, frozenset[str]]] = {
    "cache and TLB maintenance": words(
        """
        flush_icache_page flush_icache_pages flush_cache_page flush_dcache_page
        flush_dcache_folio flush_tlb_page update_mmu_cache update_mmu_cache_range update_mmu_tlb
        update_mmu_tlb_range
        """
    ),
    "hooks of the architecture": words(
        """
        arch_do_swap_page arch_do_swap_page_nr arch_swap_restore
        """
    ),
    "statistics": words(
        """
        add_mm_counter inc_mm_counter dec_mm_counter inc_mm_counter_fast dec_mm_counter_fast
        count_vm_event count_vm_events count_memcg_event_mm count_memcg_events
        count_memcg_folio_events count_mthp_stat mod_mthp_stat
        """
    ),
    "locks": words(
        """
        folio_lock folio_unlock lock_page unlock_page pte_unmap pte_unmap_unlock spin_lock
        spin_unlock
        """
    ),
    "LRU lists, and references of the swap cache": words(
        """
        folio_add_lru folio_add_lru_vma lru_cache_add lru_cache_add_inactive_or_unevictable
        folio_mark_accessed mark_page_accessed workingset_refault folio_throttle_swaprate
        cgroup_throttle_swaprate folio_put_swap
        """
    ),
    "what the model does by itself": words(
        """
        folio_move_anon_rmap page_move_anon_rmap swap_free swap_free_nr
        """
    ),
    "checks that stop a kernel that is wrong": words("BUG_ON WARN_ON WARN_ON_ONCE WARN_ONCE"),
    "assertions and traces": words(
        """
        VM_BUG_ON VM_BUG_ON_PAGE VM_BUG_ON_FOLIO VM_BUG_ON_VMA VM_WARN_ON VM_WARN_ON_ONCE
        VM_WARN_ON_FOLIO VM_WARN_ON_ONCE_FOLIO
        VM_WARN_ON_ONCE_PAGE VM_WARN_ON_VMG VM_WARN_ONCE BUILD_BUG_ON might_sleep
        lockdep_assert_held assert_spin_locked barrier pr_debug pr_warn_once
        """
    ),
}
"""By what they are for."""

ALL_IGNORED: Final = frozenset().union(*IGNORED.values())

HARMLESS: Final = IGNORED["assertions and traces"]
"""Those with which the kernel does the same as without."""

FORGOTTEN: Final = words(
    """
    folio_get get_page folio_ref_add page_ref_add folio_put put_page pte_mkyoung pte_mkold
    """
)
"""Calls that decide what follows them at most: the model does not keep the references that are
taken and dropped there, nor an accessed bit."""

TRACEPOINT: Final = "trace_"
"""Every function whose name begins so is ignored, too."""

WARNINGS: Final = frozenset({"WARN_ON", "WARN_ON_ONCE", "VM_WARN_ON", "VM_WARN_ON_ONCE"})
"""These have a value, that of their condition."""


HOOK: Final = "trace_android_"
"""Hooks for vendors, which are no tracepoints: what is behind them is in no tree, and can do
anything."""


def is_ignored(name: str) -> bool:
    """Whether a call of the function decides nothing."""
    return name in ALL_IGNORED or name.startswith(TRACEPOINT)


def leaves_no_trace(name: str) -> bool:
    """Whether a call of the function does something of which the model knows nothing afterwards."""
    return name in FORGOTTEN or (name in ALL_IGNORED and name not in HARMLESS)
