/* The fault path of Linux 6.12 with large folios in small, in C of this project. */
#include <linux/mm.h>

static inline bool should_try_to_free_swap(struct folio *folio, struct vm_area_struct *vma,
					   unsigned int fault_flags)
{
	bool scarce = mem_cgroup_swap_full(folio) || folio_test_mlocked(folio);

	if (!folio_test_swapcache(folio))
		return false;
	if (scarce || (vma->vm_flags & VM_LOCKED))
		return true;
	return folio_ref_count(folio) == 1 + folio_nr_pages(folio) && (fault_flags & FAULT_FLAG_WRITE);
}

static bool wp_can_reuse_anon_folio(struct folio *folio, struct vm_area_struct *vma)
{
	bool reuse;

	if (folio_test_large(folio) || folio_test_ksm(folio) || folio_ref_count(folio) > 3)
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

static bool can_swapin_thp(struct vm_fault *vmf, pte_t *ptep, int nr, int idx)
{
	pte_t first = pte_move_swp_offset(vmf->orig_pte, -idx);
	swp_entry_t entry = pte_to_swp_entry(first);

	if (swap_pte_batch(ptep, nr, first) != nr)
		return false;
	return swap_zeromap_batch(entry, nr, NULL) == nr && non_swapcache_batch(entry, nr) == nr;
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

static struct folio *alloc_swap_folio(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long orders = 0, addr = vmf->address;
	swp_entry_t entry = pte_to_swp_entry(vmf->orig_pte);
	gfp_t gfp = vma_thp_gfp_mask(vma);
	struct folio *folio;
	int order, idx, nr;

	if (!userfaultfd_armed(vma) && zswap_never_enabled()) {
		orders = thp_vma_allowable_orders(vma, vma->vm_flags, 0, BIT(PMD_ORDER) - 1);
		orders = thp_vma_suitable_orders(vma, addr, orders);
		orders = thp_swap_suitable_orders(swp_offset(entry), addr, orders);
	}
	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, addr, &vmf->ptl);
	order = highest_order(orders);
	while (orders) {
		nr = 1 << order;
		addr = ALIGN_DOWN(vmf->address, nr * PAGE_SIZE);
		idx = (vmf->address - addr) / PAGE_SIZE;
		if (can_swapin_thp(vmf, vmf->pte - idx, nr, idx))
			break;
		order = next_order(&orders, order);
	}
	while (orders) {
		addr = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
		folio = vma_alloc_folio(gfp, order, vma, addr, true);
		if (!mem_cgroup_swapin_charge_folio(folio, vma->vm_mm, gfp, entry))
			return folio;
		folio_put(folio);
		order = next_order(&orders, order);
	}
	folio = vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0, vma, vmf->address, false);
	if (!mem_cgroup_swapin_charge_folio(folio, vma->vm_mm, GFP_KERNEL, entry))
		return folio;
	folio_put(folio);
	return NULL;
}

vm_fault_t do_swap_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct swap_info_struct *si = NULL;
	struct folio *folio, *swapcache;
	rmap_t rmap_flags = RMAP_NONE;
	swp_entry_t entry;
	vm_fault_t ret = 0;
	unsigned long addr = vmf->address;
	struct page *page;
	bool exclusive;
	int nr = 1;
	unsigned long idx = 0;
	pte_t pte;

	entry = pte_to_swp_entry(vmf->orig_pte);
	if (non_swap_entry(entry))
		return wait_for_something_else(entry);
	si = get_swap_device(entry);
	folio = swap_cache_get_folio(entry, vma, vmf->address);
	swapcache = folio;
	if (!folio) {
		if ((si->flags & SWP_SYNCHRONOUS_IO) && __swap_count(entry) == 1) {
			folio = alloc_swap_folio(vmf);
			nr = folio_nr_pages(folio);
			entry.val = ALIGN_DOWN(entry.val, nr);
			folio_add_lru(folio);
			folio->swap = entry;
			swap_read_folio(folio, NULL);
		} else {
			folio = swapin_readahead(entry, GFP_HIGHUSER_MOVABLE, vmf);
			swapcache = folio;
		}
		if (!folio) {
			ret = VM_FAULT_OOM;
			goto out;
		}
		ret = VM_FAULT_MAJOR;
	}
	page = folio_file_page(folio, swp_offset(entry));
	if (swapcache && page_swap_entry(page).val != entry.val)
		goto out_page;
	if (swapcache && (vmf->flags & FAULT_FLAG_WRITE) && !folio_test_lru(folio))
		lru_add_drain();
	folio_throttle_swaprate(folio, GFP_KERNEL);
	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (unlikely(!pte_same(ptep_get(vmf->pte), vmf->orig_pte)))
		goto out_page;
	if (folio_test_large(folio)) {
		int many = folio_nr_pages(folio);

		idx = swapcache ? folio_page_idx(folio, page) : (addr / PAGE_SIZE) % many;
		addr = vmf->address - idx * PAGE_SIZE;
		if (addr < vma->vm_start || addr + many * PAGE_SIZE > vma->vm_end ||
		    swap_pte_batch(vmf->pte - idx, many, pte_move_swp_offset(vmf->orig_pte, -idx)) != many) {
			addr = vmf->address;
			idx = 0;
			nr = 1;
		} else if (swapcache) {
			nr = many;
			entry = folio->swap;
			page = &folio->page;
		}
	}
	exclusive = pte_swp_exclusive(vmf->orig_pte) || folio != swapcache;
	swap_free_nr(entry, nr);
	if (should_try_to_free_swap(folio, vma, vmf->flags))
		folio_free_swap(folio);
	pte = mk_pte(page, vma->vm_page_prot);
	if (pte_swp_soft_dirty(vmf->orig_pte))
		pte = pte_mksoft_dirty(pte);
	if (pte_swp_uffd_wp(vmf->orig_pte))
		pte = pte_mkuffd_wp(pte);
	if (exclusive || folio_ref_count(folio) == 1) {
		if ((vma->vm_flags & VM_WRITE) && !userfaultfd_pte_wp(vma, pte) &&
		    !pte_needs_soft_dirty_wp(vma, pte)) {
			pte = pte_mkwrite(pte, vma);
			if (vmf->flags & FAULT_FLAG_WRITE) {
				pte = pte_mkdirty(pte);
				vmf->flags &= ~FAULT_FLAG_WRITE;
			}
		}
		rmap_flags |= RMAP_EXCLUSIVE;
	}
	folio_ref_add(folio, nr - 1);
	vmf->orig_pte = pte_advance_pfn(pte, idx);
	folio_add_anon_rmap_ptes(folio, page, nr, vma, addr, rmap_flags);
	set_ptes(vma->vm_mm, addr, vmf->pte - idx, pte, nr);
	folio_unlock(folio);
	if (vmf->flags & FAULT_FLAG_WRITE)
		ret |= do_wp_page(vmf);
	goto out;
out_page:
	folio_put(folio);
out:
	put_swap_device(si);
	return ret & VM_FAULT_ERROR ? ret & VM_FAULT_ERROR : ret;
}
