/*
 * The part of the kernel that a policy in C talks to, as small as can be, for a C compiler.
 *
 * The constants, and macros for the calls that are ignored, come from the tables of swaptrace.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define likely(x) (x)
#define unlikely(x) (x)
#define __always_inline inline

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned int rmap_t;
typedef unsigned int vm_fault_t;

/* A present PTE and a swap PTE in one. */
typedef struct {
	bool write, dirty, soft_dirty, uffd_wp, exclusive;
} pte_t;

struct page {
	int unused;
};

struct folio {
	struct page page;
};

struct vm_area_struct {
	unsigned long vm_flags;
	int vm_mm, vm_page_prot;
};

struct vm_fault {
	struct vm_area_struct *vma;
	struct page *page;
	unsigned int flags;
	pte_t orig_pte, *pte;
	unsigned long address;
};

/* What the question says of the folio, and what the C has done. */
static struct {
	int mapcount, ref_count, swap_count, batched;
	bool swapcache, mlocked, swap_full;
	int ksm;
} facts;
static struct folio the_folio;
static pte_t made, published;
static bool is_published;
static int mapped;

#define mk_pte(page, prot) made

static inline pte_t pte_wrprotect(pte_t pte) { pte.write = false; return pte; }
static inline pte_t pte_mkwrite_novma(pte_t pte) { pte.write = true; return pte; }
#define pte_mkwrite(pte, ...) pte_mkwrite_novma(pte)
static inline pte_t pte_mkdirty(pte_t pte) { pte.dirty = pte.soft_dirty = true; return pte; }
static inline pte_t pte_mkclean(pte_t pte) { pte.dirty = false; return pte; }
static inline pte_t pte_mksoft_dirty(pte_t pte) { pte.soft_dirty = true; return pte; }
static inline pte_t pte_clear_soft_dirty(pte_t pte) { pte.soft_dirty = false; return pte; }
static inline pte_t pte_mkuffd_wp(pte_t pte) { pte.uffd_wp = true; return pte_wrprotect(pte); }
static inline pte_t pte_clear_uffd_wp(pte_t pte) { pte.uffd_wp = false; return pte; }
#define pte_advance_pfn(pte, pages) (pte)
#define pte_write(pte) ((pte).write)
#define pte_dirty(pte) ((pte).dirty)
#define pte_soft_dirty(pte) ((pte).soft_dirty)
#define pte_uffd_wp(pte) ((pte).uffd_wp)
#define pte_swp_soft_dirty(pte) ((pte).soft_dirty)
#define pte_swp_uffd_wp(pte) ((pte).uffd_wp)
#define pte_swp_exclusive(pte) ((pte).exclusive)

static inline pte_t maybe_mkwrite(pte_t pte, struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE ? pte_mkwrite_novma(pte) : pte;
}

#define userfaultfd_wp(vma) (((vma)->vm_flags & VM_UFFD_WP) != 0)
#define userfaultfd_pte_wp(vma, pte) (userfaultfd_wp(vma) && (pte).uffd_wp)
#define vma_soft_dirty_enabled(vma) (!((vma)->vm_flags & VM_SOFTDIRTY))
#define pte_needs_soft_dirty_wp(vma, pte) (vma_soft_dirty_enabled(vma) && !(pte).soft_dirty)

#define folio_ref_count(folio) (facts.ref_count)
#define page_count(page) (facts.ref_count)
#define folio_mapcount(folio) (facts.mapcount)
#define folio_test_swapcache(folio) (facts.swapcache)
#define folio_test_mlocked(folio) (facts.mlocked)
#define folio_test_lru(folio) (facts.batched == 0)
#define folio_test_ksm(folio) (facts.ksm)
#define folio_test_large(folio) false
#define folio_nr_pages(folio) 1
#define folio_trylock(folio) true
#define mem_cgroup_swap_full(folio) (facts.swap_full)
#define folio_get(folio) (facts.ref_count++)
#define folio_put(folio) (facts.ref_count--)

static inline void lru_add_drain(void)
{
	facts.ref_count -= facts.batched;
	facts.batched = 0;
}

static inline bool folio_free_swap(struct folio *folio)
{
	if (!facts.swapcache || facts.swap_count)
		return false;
	facts.swapcache = false;
	facts.ref_count--;
	return true;
}

#define folio_add_new_anon_rmap(folio, vma, address, flags) (mapped = (flags) & RMAP_EXCLUSIVE)
#define folio_add_anon_rmap_ptes(folio, page, nr, vma, address, flags) \
	(mapped = (flags) & RMAP_EXCLUSIVE)
#define set_ptes(mm, address, ptep, pte, nr) (published = (pte), is_published = true)
#define do_wp_page(vmf) 0
