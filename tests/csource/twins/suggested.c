/* Both trackers are respected, whatever the fault. */
if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);

if (exclusive || folio_ref_count(folio) == 1) {
	bool tracked = vma_soft_dirty_enabled(vma) || userfaultfd_pte_wp(vma, pte);

	rmap_flags |= RMAP_EXCLUSIVE;
	if (vma->vm_flags & VM_WRITE && !tracked) {
		pte_t writable = pte_mkwrite(pte, vma);

		if (vmf->flags & FAULT_FLAG_WRITE) {
			writable = pte_mkdirty(writable);
			vmf->flags &= ~FAULT_FLAG_WRITE;
		}
		pte = writable;
	}
}
