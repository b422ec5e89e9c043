/* Only should_try_to_free_swap() is told how full the swap is. */
if (mem_cgroup_swap_full(folio))
	pte = pte_wrprotect(pte);
