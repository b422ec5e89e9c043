/* Writable and dirty, whatever the fault was. The words of the older kernels. */
if (exclusive || page_count(page) == 1) {
	if ((vma->vm_flags & VM_WRITE) != 0) {
		/* One argument, as pte_mkwrite() had before 6.7. */
		pte = pte_mkwrite(pte_mkdirty(pte));
		vmf->flags &= ~(FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE);
		ret |= VM_FAULT_WRITE;
	}
	rmap_flags = RMAP_EXCLUSIVE;
}

if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte)) {
	pte = pte_mkuffd_wp(pte);
	pte = pte_wrprotect(pte);
}
