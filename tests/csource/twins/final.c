/* Writable unless a tracker still needs the write, dirty if there is one. */
struct vm_area_struct *area = vmf->vma;

#ifndef CONFIG_MEM_SOFT_DIRTY
#error is for kernels that track no writes
#elif defined(CONFIG_USERFAULTFD) && !defined(CONFIG_KSM)
if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);
#endif

if (exclusive || folio_ref_count(folio) == 1) {
	if ((area->vm_flags & VM_WRITE) && !userfaultfd_pte_wp(area, pte)
	    && (!vma_soft_dirty_enabled(area) || pte_soft_dirty(pte))) {
		if (vmf->flags & FAULT_FLAG_WRITE) {
			pte = pte_mkwrite(pte_mkdirty(pte), area);
			vmf->flags &= ~FAULT_FLAG_WRITE;
		} else {
			pte = pte_mkwrite(pte, area);
		}
	}
	rmap_flags |= RMAP_EXCLUSIVE;
}
