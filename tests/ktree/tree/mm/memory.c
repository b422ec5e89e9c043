/* A tree in small: the shape of the fault path, in C of this project. */
#include <linux/mm.h>

#define TWICE(x) \
	((x) + (x))

#ifdef CONFIG_KSM
static inline bool should_try_to_free_swap(struct folio *folio, int flags)
{
	return false;	/* "{" */
}
#else
static inline bool
should_try_to_free_swap(struct folio *folio, struct vm_area_struct *vma,
			unsigned int fault_flags)
{
	if (!folio_test_swapcache(folio))
		return false;
	if (mem_cgroup_swap_full(folio) || folio_test_mlocked(folio))
		return true;
	if (vma->vm_flags & VM_LOCKED)
		return true;
	return folio_ref_count(folio) == 2 && (fault_flags & FAULT_FLAG_WRITE);
}
#endif

static bool wp_can_reuse_anon_folio(struct folio *folio,
				    struct vm_area_struct *vma)
{
	if (folio_ref_count(folio) > 1 + folio_test_swapcache(folio))
		return false;
	if (folio_test_swapcache(folio))
		folio_free_swap(folio);
	return folio_ref_count(folio) == 1;
}

static const char *name = "do_swap_page() {";

static vm_fault_t do_wp_page(struct vm_fault *vmf)
	__releases(vmf->ptl)
{
	return wp_can_reuse_anon_folio(page_folio(vmf->page), vmf->vma) ? 0 : 1;
}

vm_fault_t do_swap_page(struct vm_fault *vmf);

vm_fault_t do_swap_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	bool exclusive;
	pte_t pte;

	exclusive = pte_swp_exclusive(vmf->orig_pte);
	if (should_try_to_free_swap(folio, vma, vmf->flags))
		folio_free_swap(folio);
	pte = mk_pte(page, vma->vm_page_prot);
	if (exclusive || folio_ref_count(folio) == 1) {
		if (vmf->flags & FAULT_FLAG_WRITE) {
			pte = pte_mkdirty(pte);
			pte = maybe_mkwrite(pte, vma);
			vmf->flags &= ~FAULT_FLAG_WRITE;
		}
		rmap_flags |= RMAP_EXCLUSIVE;
	}
#if TWICE_MAPPED || \
    defined(CONFIG_KSM)
	pte = pte_wrprotect(pte);
#endif
	if (pte_swp_soft_dirty(vmf->orig_pte))
		pte = pte_mksoft_dirty(pte);
	if (pte_swp_uffd_wp(vmf->orig_pte))
		pte = pte_mkuffd_wp(pte);
	page_add_anon_rmap(page, vma, vmf->address, rmap_flags);
	set_pte_at(vma->vm_mm, vmf->address, vmf->pte, pte);
	return 0;
}
