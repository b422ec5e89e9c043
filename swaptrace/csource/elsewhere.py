"""Functions of the fault path that the model has, but not where a decision stands by itself.

Of a whole tree they are run, or passed over, wherever they are called (`ktree.faults`); where three
decisions are cut out they are no part of any. To name another function that sounds like one would
only mislead.
"""

from __future__ import annotations

from typing import Final

from swaptrace.csource.block import Point
from swaptrace.csource.words import words

ELSEWHERE: Final = words(
    """
    do_swap_page do_wp_page do_anonymous_page can_change_pte_writable should_try_to_free_swap
    wp_can_reuse_anon_folio wp_page_reuse wp_page_copy swap_vma_ra_win swap_ra_info do_uffd_rwp
    ALIGN_DOWN BIT DECLARE_WAITQUEUE ERR_PTR IS_ERR IS_ERR_OR_NULL PageHWPoison __SetPageUptodate
    __folio_mark_uptodate __folio_set_locked __folio_set_swapbacked __swap_count add_wait_queue
    alloc_anon_folio alloc_swap_folio alloc_zeroed_user_highpage_movable anon_vma_prepare
    check_stable_address_space check_swap_exclusive folio_file_page folio_lock_or_retry
    folio_entire_mapcount folio_large_mapcount folio_lock_large_mapcount
    folio_matches_swap_entry folio_mm_id folio_order folio_set_swap_entry folio_swap
    folio_test_dirty folio_test_mappedtodisk folio_unlock_large_mapcount folio_xchg_last_cpupid
    get_shadow_from_swap_cache get_swap_device
    handle_userfault is_fsdax_page is_swap_pte is_zero_pfn ksm_might_need_to_copy max
    mem_cgroup_charge
    mem_cgroup_swapin_charge_folio mem_cgroup_swapin_uncharge_swap min mm_forbids_zeropage
    mm_tlb_flush_pending my_zero_pfn non_swap_entry page_cpupid_xchg_last page_private
    page_swap_entry pfn_pte pmd_trans_unstable pte_alloc pte_clear_uffd pte_mkspecial pte_mkuffd
    pte_modify pte_none pte_offset_map_lock pte_pfn pte_protnone pte_range_none pte_same
    pte_sw_mkyoung pte_swp_uffd pte_to_swp_entry pte_uffd pte_unmap_same ptep_get
    ptep_set_access_flags
    put_swap_device remove_wait_queue schedule_timeout_uninterruptible softleaf_from_pte
    softleaf_is_swap swap_cache_get_folio swap_read_folio swap_readpage swap_update_readahead
    swapcache_clear swapcache_prepare swapin_readahead swapin_sync swp_offset
    thp_swapin_suitable_orders userfaultfd_missing userfaultfd_rwp userfaultfd_rwp_async
    userfaultfd_wp_async vm_normal_page vma_alloc_folio vma_test
    vma_wants_manual_pte_write_upgrade vmf_anon_prepare vmf_orig_pte_uffd_wp vmf_pte_changed
    waitqueue_active wake_up zero_pfn
    """
)

WHOLE: Final = "the model has it in a whole tree alone (kernel:TREE)"


def misplaced(name: str, point: Point) -> str | None:
    """What is wrong with a call of such a function; None of any other one."""
    if name not in ELSEWHERE:
        return None
    if point == "swapin_pte":
        return f"the call of {name}() stands between mk_pte() and set_ptes(); {WHOLE}"
    return f"{name}() is no part of this decision; {WHOLE}"
