// SPDX-License-Identifier: MIT
/*
 * Only a write fault makes the PTE writable.
 *
 * All three decisions, with the types and names that kernels from 6.7 on have.
 */
const bool ours = exclusive || folio_ref_count(folio) == 1;

if (likely(ours)) {
	if (vmf->flags & FAULT_FLAG_WRITE) {
		vmf->flags &= ~FAULT_FLAG_WRITE;
		pte = pte_mkdirty(pte);
		pte = maybe_mkwrite(pte, vma);
	}
	rmap_flags |= RMAP_EXCLUSIVE;
}

pte = pte_swp_soft_dirty(vmf->orig_pte) ? pte_mksoft_dirty(pte) : pte;
pte = pte_swp_uffd_wp(vmf->orig_pte) ? pte_mkuffd_wp(pte) : pte;
flush_icache_pages(vma, page, nr_pages);

static __always_inline bool should_try_to_free_swap(struct folio *f, struct vm_area_struct *area,
						     unsigned int flags)
{
	bool likely_ours;

	if (!folio_test_swapcache(f))
		return false;

	/* Nothing but the cache and this fault. */
	likely_ours = folio_ref_count(f) - folio_nr_pages(f) == 1;
	if (flags & FAULT_FLAG_WRITE && likely_ours)
		return true;

	return mem_cgroup_swap_full(f) || folio_test_mlocked(f) || !!(area->vm_flags & VM_LOCKED);
}

bool wp_can_reuse_anon_folio(struct folio *f, struct vm_area_struct *area)
{
	bool reuse = false;

	if (folio_ref_count(f) > 1 + folio_test_swapcache(f) || !folio_trylock(f))
		return reuse;
	folio_free_swap(f);
	if (folio_ref_count(f) != 1)
		goto unlock;
	folio_move_anon_rmap(f, area);
	reuse = true;
unlock:
	folio_unlock(f);
	return reuse;
}
