/* As final, and on to set_ptes(), behind which nothing decides. */
pte = mk_pte(page, vma->vm_page_prot);
add_mm_counter(vma->vm_mm, MM_ANONPAGES, nr_pages);
if (pte_swp_soft_dirty(vmf->orig_pte))
	pte = pte_mksoft_dirty(pte);
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);

if (!folio_test_ksm(folio) && (exclusive || folio_ref_count(folio) == 1)) {
	rmap_flags |= RMAP_EXCLUSIVE;
	if (!(vma->vm_flags & VM_WRITE) || userfaultfd_pte_wp(vma, pte) ||
	    pte_needs_soft_dirty_wp(vma, pte))
		goto map;
	pte = pte_mkwrite(pte, vma);
	if (!(vmf->flags & FAULT_FLAG_WRITE))
		goto map;
	pte = pte_mkdirty(pte);
	vmf->flags &= ~FAULT_FLAG_WRITE;
}

map:
vmf->orig_pte = pte_advance_pfn(pte, page_idx);
if (unlikely(folio != swapcache && swapcache))
	folio_add_new_anon_rmap(folio, vma, address, RMAP_EXCLUSIVE);
else
	folio_add_anon_rmap_ptes(folio, page, nr_pages, vma, address, rmap_flags);
VM_BUG_ON(pte_write(pte) && !PageAnonExclusive(page));
set_ptes(vma->vm_mm, address, ptep, pte, nr_pages);
if (vmf->flags & FAULT_FLAG_WRITE)
	ret |= do_wp_page(vmf);
