/* No tracker is looked at. */
bool reusable = !folio_test_ksm(folio) && (exclusive || folio_ref_count(folio) == 1);

if (reusable && (vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE) {
	if (vmf->flags & FAULT_FLAG_WRITE) {
		pte = pte_mkdirty(pte);
		vmf->flags &= ~FAULT_FLAG_WRITE;
	}
	pte = pte_mkwrite_novma(pte);
}

rmap_flags |= reusable ? RMAP_EXCLUSIVE : RMAP_NONE;

if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);
