"""Functions that change nothing about the page, by name; they are not called.

Their arguments are not looked at, except that nothing in them may change anything. A lock never
waits in the model, where one thing happens at a time, and what is counted here the model does not
count, or counts by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from swaptrace.counters import Counter
from swaptrace.csource.ignored import HOOK, TRACEPOINT
from swaptrace.csource.preprocess import ENABLED
from swaptrace.csource.words import words

CHECKS: Final = "checks that stop a kernel that is wrong (include/linux/bug.h)"

DEBUGGING: Final = "checks that only a kernel for debugging has (include/linux/mmdebug.h)"

VMSTAT: Final = "/proc/vmstat"

STATISTICS: Final = "statistics (include/linux/mm.h, vmstat.h, memcontrol.h)"

INERT: Final[Mapping[str, frozenset[str]]] = {
    "caches and TLB (arch/)": words(
        """
        flush_icache_page flush_icache_pages flush_cache_page flush_tlb_page update_mmu_cache
        update_mmu_cache_range update_mmu_tlb update_mmu_tlb_range
        """
    ),
    "hooks of the architecture (include/linux/pgtable.h)": words(
        """
        arch_do_swap_page arch_do_swap_page_nr arch_swap_restore
        """
    ),
    STATISTICS: words(
        """
        add_mm_counter inc_mm_counter dec_mm_counter inc_mm_counter_fast dec_mm_counter_fast
        count_memcg_event_mm count_memcg_events count_memcg_folio_events count_mthp_stat
        mod_mthp_stat folio_xchg_last_cpupid page_cpupid_xchg_last
        """
    ),
    "locks and waiting (mm/filemap.c, kernel/sched)": words(
        """
        folio_unlock unlock_page pte_unmap pte_unmap_unlock spin_lock spin_unlock put_swap_device
        swapcache_clear wake_up add_wait_queue remove_wait_queue
        schedule_timeout_uninterruptible DECLARE_WAITQUEUE __folio_set_locked
        folio_lock_large_mapcount folio_unlock_large_mapcount
        """
    ),
    "which pages are active (mm/workingset.c, mm/swap.c)": words(
        """
        workingset_refault folio_mark_accessed mark_page_accessed
        """
    ),
    "throttling and charges (mm/swapfile.c, mm/memcontrol.c)": words(
        """
        folio_throttle_swaprate cgroup_throttle_swaprate mem_cgroup_swapin_uncharge_swap
        """
    ),
    "flags of a new folio that the model takes for granted (include/linux/page-flags.h)": words(
        """
        __folio_set_swapbacked __folio_mark_uptodate __SetPageUptodate
        """
    ),
    "the anonymous VMA of a folio (mm/rmap.c)": words("folio_move_anon_rmap"),
    CHECKS: words(
        """
        BUG_ON WARN_ON WARN_ON_ONCE
        """
    ),
    DEBUGGING: words(
        """
        VM_BUG_ON VM_BUG_ON_PAGE VM_BUG_ON_FOLIO VM_BUG_ON_VMA
        VM_WARN_ON VM_WARN_ON_ONCE VM_WARN_ON_FOLIO VM_WARN_ON_ONCE_FOLIO VM_WARN_ON_ONCE_PAGE
        BUILD_BUG_ON lockdep_assert_held might_sleep check_swap_exclusive
        """
    ),
    "values that only functions of this list and parameters that are not looked at take": words(
        """
        swp_offset folio_swap thp_swapin_suitable_orders BIT max min is_swap_pte
        folio_large_mapcount folio_entire_mapcount folio_mm_id
        """
    ),
}
"""By what they are for, and where the kernel has them."""

ALL_INERT: Final = frozenset().union(*INERT.values())

EVENTS: Final = frozenset({"count_vm_event", "count_vm_events"})
"""PGREUSE is counted where the tree counts it. What else the model counts, it counts by itself."""

SHOWN: Final = frozenset(each.value.upper() for each in Counter if each.shown.startswith(VMSTAT))
"""The events that are counters of the model, which a kernel that counts them otherwise shows."""


FORGOTTEN: Final = words(
    """
    folio_add_lru folio_add_lru_vma lru_cache_add lru_cache_add_inactive_or_unevictable
    pte_mkyoung pte_sw_mkyoung pte_mkold pte_mkspecial
    """
)
"""The model has no accessed bit, knows the zero page without its mark, and takes for granted that a
folio is put on an LRU list."""

BLURRED: Final = words(
    """
    alloc_zeroed_user_highpage_movable page_move_anon_rmap pte_mkwrite_novma
    ptep_set_access_flags set_pte vm_swap_full
    """
)
"""The model takes these for another function, of which they have more or less."""

BEGINNINGS: Final = words("get_swap_device pte_offset_map_lock")
"""What is locked from there on: nobody waits in the model, wherever it stands."""

AHEAD: Final = words("swap_update_readahead swapin_readahead")
"""These decide as well how far is read ahead, of which one page shows nothing."""

UNSEEN: Final = FORGOTTEN | BLURRED | BEGINNINGS | AHEAD | ENABLED
"""Calls that are executed, and of which the model keeps less than all."""


COUNTS_SHOWN: Final = words("count_mthp_stat mod_mthp_stat")
"""Statistics that the model shows, too."""

UNCOUNTED: Final = INERT[DEBUGGING] | INERT[STATISTICS] - COUNTS_SHOWN
"""Calls of which it does not matter how often they are made: they change no page."""

OF_PAGES: Final[Mapping[str, str]] = {
    "unlock_page": "folio_unlock",
    "mark_page_accessed": "folio_mark_accessed",
    "__SetPageUptodate": "__folio_mark_uptodate",
    "page_move_anon_rmap": "folio_move_anon_rmap",
    "lru_cache_add": "folio_add_lru",
}
"""Functions of a page, and those of its folio that they call (mm/folio-compat.c, page-flags.h)."""


def leaves_no_trace(name: str) -> bool:
    """Whether a kernel without the call, or with one more, could do something else although the
    model does the same."""
    return name in ALL_INERT - UNCOUNTED or name in UNSEEN


_CALLS: Final = re.compile(r"\b\w+(?=\s*\()|\)(?=\s*\()")
_GIVES: Final = re.compile(r"(?<![=!<>])=(?!=)|<<=|>>=|\+\+|--|#")
"""What gives something a value; and directives."""


def only_counts(name: str, old: str, new: str) -> bool:
    """Whether a function is of statistics, and its other definition calls nothing, and has no
    statement that gives something a value, that the old one has not: nothing about a page is
    changed."""
    if name not in INERT[STATISTICS] or not old:
        return False
    calls = {*_CALLS.findall(new)} <= {*_CALLS.findall(old)}
    return calls and _giving(new) <= _giving(old)


def _giving(text: str) -> set[str]:
    """The statements of a function that give something a value."""
    return {each.strip() for each in re.split("[;{}]", text) if _GIVES.search(each)}


def is_inert(name: str) -> bool:
    """Whether a call of the function changes nothing about the page."""
    return name in ALL_INERT or (name.startswith(TRACEPOINT) and not name.startswith(HOOK))


def event_of(call: Any) -> str:
    """The event that a call of `EVENTS` counts, where it is named."""
    arguments = call.args.exprs if call.args else ()
    return str(getattr(arguments[0], "name", "")) if arguments else ""
