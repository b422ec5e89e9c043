/* The fault path of Linux 7.3 with large folios in small, in C of this project. */
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

/* Of a large folio: whether all that refers to it is this process. */
static bool reuse_of_many_pages(struct folio *folio)
{
	if (folio_large_mapcount(folio) < 2)
		return false;
	if (test_bit(FOLIO_MM_IDS_SHARED_BITNUM, &folio->_mm_ids))
		return false;
	folio_free_swap(folio);
	return folio_ref_count(folio) == folio_large_mapcount(folio);
}

static bool wp_can_reuse_anon_folio(struct folio *folio, struct vm_area_struct *vma)
{
	bool reuse;

	if (folio_test_large(folio))
		return reuse_of_many_pages(folio);
	if (folio_test_ksm(folio) || folio_ref_count(folio) > 2 + folio_test_swapcache(folio))
		return false;
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
	unsigned long addr = vmf->address;
	struct folio *folio;
	int nr = 1;
	pte_t entry;

	if (!(vmf->flags & FAULT_FLAG_WRITE)) {
		entry = pte_mkspecial(pfn_pte(my_zero_pfn(vmf->address), vma->vm_page_prot));
	} else {
		folio = alloc_anon_folio(vmf);
		if (!folio)
			return VM_FAULT_OOM;
		nr = folio_nr_pages(folio);
		addr = ALIGN_DOWN(addr, nr * PAGE_SIZE);
		entry = mk_pte(&folio->page, vma->vm_page_prot);
		if (vma->vm_flags & VM_WRITE)
			entry = pte_mkwrite(pte_mkdirty(entry), vma);
		folio_ref_add(folio, nr - 1);
		folio_add_new_anon_rmap(folio, vma, addr, RMAP_EXCLUSIVE);
		folio_add_lru_vma(folio, vma);
	}
	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, addr, &vmf->ptl);
	if (!pte_range_none(vmf->pte, nr))
		return VM_FAULT_SIGBUS;
	set_ptes(vma->vm_mm, addr, vmf->pte, entry, nr);
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

/* How many entries from the first on are in order and alike. */
static inline int swap_pte_batch(pte_t *first, int most, pte_t expected)
{
	pte_t *ptep = first;

	while (ptep < first + most) {
		if (!pte_same(ptep_get(ptep), expected))
			break;
		expected = pte_next_swp_offset(expected);
		ptep++;
	}
	return ptep - first;
}

static bool can_swapin_thp(struct vm_fault *vmf, pte_t *ptep, int nr)
{
	int idx = (vmf->address - ALIGN_DOWN(vmf->address, nr * PAGE_SIZE)) / PAGE_SIZE;

	return swap_pte_batch(ptep, nr, pte_move_swp_offset(vmf->orig_pte, -idx)) == nr;
}

static inline unsigned long thp_swap_suitable_orders(pgoff_t offset, unsigned long addr,
						     unsigned long orders)
{
	int order = highest_order(orders);

	while (orders) {
		int nr = 1 << order;

		if (offset % nr == (addr >> PAGE_SHIFT) % nr)
			break;
		order = next_order(&orders, order);
	}
	return orders;
}

static unsigned long thp_swapin_suitable_orders(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	softleaf_t entry = softleaf_from_pte(vmf->orig_pte);
	unsigned long orders, addr;
	pte_t *pte;
	int order;

	if (userfaultfd_armed(vma) || !zswap_never_enabled())
		return 0;
	orders = thp_vma_allowable_orders(vma, vma->vm_flags, 0, BIT(PMD_ORDER) - 1);
	orders = thp_vma_suitable_orders(vma, vmf->address, orders);
	orders = thp_swap_suitable_orders(swp_offset(entry), vmf->address, orders);
	pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address & PMD_MASK, &vmf->ptl);
	order = highest_order(orders);
	while (orders) {
		addr = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
		if (can_swapin_thp(vmf, pte + pte_index(addr), 1 << order))
			break;
		order = next_order(&orders, order);
	}
	pte_unmap_unlock(pte, vmf->ptl);
	return orders;
}

vm_fault_t do_swap_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct swap_info_struct *si;
	struct folio *folio;
	struct page *page;
	rmap_t rmap_flags = RMAP_NONE;
	unsigned long addr = vmf->address;
	softleaf_t entry;
	vm_fault_t ret = 0;
	bool exclusive, trapped;
	int nr = 1, idx = 0;
	pte_t pte;

	entry = softleaf_from_pte(vmf->orig_pte);
	si = get_swap_device(entry);
	folio = swap_cache_get_folio(entry);
	if (folio) {
		swap_update_readahead(folio, vma, vmf->address);
	} else {
		if (data_race(si->flags & SWP_SYNCHRONOUS_IO))
			folio = swapin_sync(entry, GFP_HIGHUSER_MOVABLE,
					    thp_swapin_suitable_orders(vmf) | BIT(0), vmf, NULL, 0);
		else
			folio = swapin_readahead(entry, GFP_HIGHUSER_MOVABLE, vmf);
		ret = VM_FAULT_MAJOR;
	}
	page = folio_file_page(folio, swp_offset(entry));
	if (!folio_matches_swap_entry(folio, entry))
		goto out_page;
	folio_throttle_swaprate(folio, GFP_KERNEL);
	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (folio_test_large(folio)) {
		int many = folio_nr_pages(folio);

		idx = folio_page_idx(folio, page);
		addr = vmf->address - idx * PAGE_SIZE;
		if (addr < vma->vm_start || addr + many * PAGE_SIZE > vma->vm_end ||
		    swap_pte_batch(vmf->pte - idx, many, pte_move_swp_offset(vmf->orig_pte, -idx)) != many) {
			addr = vmf->address;
			idx = 0;
		} else {
			nr = many;
			page = &folio->page;
		}
	}
	if (!folio_test_anon(folio) && folio_test_large(folio) && nr == 1) {
		swap_cache_del_folio(folio);
		goto out_page;
	}
	exclusive = pte_swp_exclusive(vmf->orig_pte);
	pte = mk_pte(page, vma->vm_page_prot);
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
	folio_ref_add(folio, nr - 1);
	vmf->orig_pte = pte_advance_pfn(pte, idx);
	if (!folio_test_anon(folio)) {
		folio_add_new_anon_rmap(folio, vma, addr, rmap_flags);
		folio_put_swap(folio, NULL);
	} else {
		folio_add_anon_rmap_ptes(folio, page, nr, vma, addr, rmap_flags);
		folio_put_swap(folio, nr == 1 ? page : NULL);
	}
	set_ptes(vma->vm_mm, addr, vmf->pte - idx, pte, nr);
	if (should_try_to_free_swap(si, folio, vma, exclusive, vmf->flags))
		folio_free_swap(folio);
	folio_unlock(folio);
	if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(pte) && !trapped) {
		ret |= do_wp_page(vmf);
		if (ret & VM_FAULT_ERROR)
			ret &= VM_FAULT_ERROR;
	}
	goto out;
out_page:
	folio_put(folio);
out:
	put_swap_device(si);
	return ret;
}
