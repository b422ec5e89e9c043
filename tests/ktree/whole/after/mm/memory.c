/* The fault path of Linux 7.3 in small, in C of this project. */
#include <linux/mm.h>

static inline bool should_try_to_free_swap(struct swap_info_struct *si, struct folio *folio,
					   struct vm_area_struct *vma, bool exclusive,
					   unsigned int fault_flags)
{
	if (!folio_test_swapcache(folio))
		return false;
	if ((si->flags & SWP_SYNCHRONOUS_IO) || mem_cgroup_swap_full(folio))
		return true;
	if ((vma->vm_flags & VM_LOCKED) || folio_test_mlocked(folio))
		return true;
	return exclusive && (fault_flags & FAULT_FLAG_WRITE);
}

static bool wp_can_reuse_anon_folio(struct folio *folio, struct vm_area_struct *vma)
{
	bool reuse;

	if (folio_test_large(folio) || folio_test_ksm(folio))
		return reuse_of_many_pages(folio, vma);
	if (!folio_test_lru(folio))
		lru_add_drain();
	if (folio_ref_count(folio) > 1 + folio_test_swapcache(folio) || !folio_trylock(folio))
		return false;
	folio_free_swap(folio);
	reuse = folio_ref_count(folio) == 1;
	if (reuse)
		folio_move_anon_rmap(folio, vma);
	folio_unlock(folio);
	return reuse;
}

static inline void wp_page_reuse(struct vm_fault *vmf)
{
	pte_t entry = pte_mkyoung(vmf->orig_pte);

	entry = maybe_mkwrite(pte_mkdirty(entry), vmf->vma);
	ptep_set_access_flags(vmf->vma, vmf->address, vmf->pte, entry, 1);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	count_vm_event(PGREUSE);
}

static vm_fault_t do_wp_page(struct vm_fault *vmf)
	__releases(vmf->ptl)
{
	struct vm_area_struct *vma = vmf->vma;
	struct folio *folio = NULL;

	if (userfaultfd_pte_wp(vma, ptep_get(vmf->pte))) {
		pte_unmap_unlock(vmf->pte, vmf->ptl);
		return handle_userfault(vmf, VM_UFFD_WP);
	}
	vmf->page = vm_normal_page(vma, vmf->address, vmf->orig_pte);
	if (!vmf->page)
		goto copy;
	folio = page_folio(vmf->page);
	if (PageAnonExclusive(vmf->page))
		goto reuse;
	if (!folio_test_anon(folio) || !wp_can_reuse_anon_folio(folio, vma))
		goto copy;
	SetPageAnonExclusive(vmf->page);
reuse:
	wp_page_reuse(vmf);
	return 0;
copy:
	if (folio)
		folio_get(folio);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	return wp_page_copy(vmf);
}

static vm_fault_t do_anonymous_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct folio *folio;
	pte_t entry;

	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (!(vmf->flags & FAULT_FLAG_WRITE)) {
		entry = pte_mkspecial(pfn_pte(my_zero_pfn(vmf->address), vma->vm_page_prot));
	} else {
		folio = alloc_anon_folio(vmf);
		if (!folio)
			return VM_FAULT_OOM;
		entry = mk_pte(&folio->page, vma->vm_page_prot);
		if (vma->vm_flags & VM_WRITE)
			entry = pte_mkwrite(pte_mkdirty(entry), vma);
		folio_add_new_anon_rmap(folio, vma, vmf->address, RMAP_EXCLUSIVE);
		folio_add_lru_vma(folio, vma);
	}
	set_ptes(vma->vm_mm, vmf->address, vmf->pte, entry, 1);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	return 0;
}

static vm_fault_t do_uffd_rwp(struct vm_fault *vmf)
{
	if (!pte_protnone(ptep_get(vmf->pte)))
		return 0;
	pte_unmap(vmf->pte);
	return handle_userfault(vmf, VM_UFFD_RWP);
}

vm_fault_t do_swap_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct swap_info_struct *si;
	struct folio *folio;
	rmap_t rmap_flags = RMAP_NONE;
	softleaf_t entry;
	vm_fault_t ret = 0;
	bool exclusive, trapped;
	pte_t pte;

	entry = softleaf_from_pte(vmf->orig_pte);
	si = get_swap_device(entry);
	folio = swap_cache_get_folio(entry);
	if (folio) {
		swap_update_readahead(folio, vma, vmf->address);
	} else {
		if (data_race(si->flags & SWP_SYNCHRONOUS_IO))
			folio = swapin_sync(entry, GFP_HIGHUSER_MOVABLE, BIT(0), vmf, NULL, 0);
		else
			folio = swapin_readahead(entry, GFP_HIGHUSER_MOVABLE, vmf);
		ret = VM_FAULT_MAJOR;
	}
	folio_throttle_swaprate(folio, GFP_KERNEL);
	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
	exclusive = pte_swp_exclusive(vmf->orig_pte);
	pte = mk_pte(&folio->page, vma->vm_page_prot);
	if (pte_swp_soft_dirty(vmf->orig_pte))
		pte = pte_mksoft_dirty(pte);
	if (pte_swp_uffd(vmf->orig_pte))
		pte = pte_mkuffd(pte);
	trapped = userfaultfd_rwp(vma) && pte_uffd(pte);
	if (trapped)
		pte = pte_modify(pte, PAGE_NONE);
	if (exclusive) {
		if (!trapped && (vma->vm_flags & VM_WRITE) && !userfaultfd_pte_wp(vma, pte) &&
		    !pte_needs_soft_dirty_wp(vma, pte)) {
			pte = pte_mkwrite(pte, vma);
			if (vmf->flags & FAULT_FLAG_WRITE)
				pte = pte_mkdirty(pte);
		}
		rmap_flags |= RMAP_EXCLUSIVE;
	}
	vmf->orig_pte = pte;
	if (!folio_test_anon(folio))
		folio_add_new_anon_rmap(folio, vma, vmf->address, rmap_flags);
	else
		folio_add_anon_rmap_ptes(folio, &folio->page, 1, vma, vmf->address, rmap_flags);
	folio_put_swap(folio, NULL);
	set_ptes(vma->vm_mm, vmf->address, vmf->pte, pte, 1);
	if (should_try_to_free_swap(si, folio, vma, exclusive, vmf->flags))
		folio_free_swap(folio);
	folio_unlock(folio);
	if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(pte) && !trapped) {
		ret |= do_wp_page(vmf);
		if (ret & VM_FAULT_ERROR)
			ret &= VM_FAULT_ERROR;
	}
	put_swap_device(si);
	return ret;
}
