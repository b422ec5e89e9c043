/* Writable on a read fault where no tracker needs the write. */
pte_t swapped = vmf->orig_pte;
bool write = vmf->flags & FAULT_FLAG_WRITE;

if (pte_swp_soft_dirty(swapped))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(swapped))
	pte = pte_mkuffd_wp(pte);

if (!(exclusive || folio_ref_count(folio) == 1))
	goto bits;

rmap_flags |= RMAP_EXCLUSIVE;
if (!(vma->vm_flags & VM_WRITE))
	goto bits;

if (write) {
	pte = pte_mkwrite(pte_mkdirty(pte), vma);
	vmf->flags &= ~FAULT_FLAG_WRITE;
} else if ((pte_soft_dirty(pte) || !vma_soft_dirty_enabled(vma)) &&
	   !userfaultfd_pte_wp(vma, pte)) {
	pte = pte_mkwrite(pte, vma);
}

bits:
	if (pte_swp_soft_dirty(swapped))
		pte = pte_mksoft_dirty(pte);
	if (pte_swp_uffd_wp(swapped))
		pte = pte_mkuffd_wp(pte);
