"""MADV_COLLAPSE: small pages become one folio of 2 MiB (mm/khugepaged.c)."""

from __future__ import annotations

from enum import Enum

from swaptrace.mm.block import Pmd
from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.column import GUARD, ZERO, Pte, SwapPte
from swaptrace.mm.memory import do_swap_page
from swaptrace.mm.pmd import map_huge
from swaptrace.mm.swap import free_swap_cache


class KhugepagedScan(Enum):
    """enum scan_result, with what madvise_collapse_errno() makes of it."""

    SUCCEED = "succeed", ""
    PMD_MAPPED = "pmd_mapped", ""
    NO_PTE_TABLE = "no_pte_table", "EINVAL"
    PTE_UFFD_WP = "pte_uffd_wp", "EINVAL"
    PAGE_RO = "page_ro", "EINVAL"
    EXCEED_NONE_PTE = "exceed_none_pte", "EBUSY"
    FAIL = "failed", "EINVAL"
    PAGE_COUNT = "page_count", "EAGAIN"

    @property
    def errno(self) -> str:
        """Empty where it is none."""
        return self.value[1]

    @property
    def ends(self) -> bool:
        """Whether madvise_collapse() does not go on to the next 2 MiB."""
        return self in (KhugepagedScan.EXCEED_NONE_PTE, KhugepagedScan.FAIL)


def collapse_scan_pmd(page: BlockPage, p: int) -> KhugepagedScan:
    """collapse_scan_pmd(): whether the pages can be collapsed. Any number may be missing, swapped
    out or shared, but for missing ones in a VMA that is registered with a userfaultfd; none may be
    of a folio that is pinned."""
    pmd = page.block.pmds[p]
    if pmd is not Pmd.TABLE:
        return KhugepagedScan.PMD_MAPPED if pmd is Pmd.HUGE else KhugepagedScan.NO_PTE_TABLE
    for maps in page.block.maps:
        pte = maps[p].pte
        if pte is None or (isinstance(pte, Pte) and pte.is_zero_page):
            if page.vma(p).uffd_armed:
                return KhugepagedScan.EXCEED_NONE_PTE
        elif pte.uffd_wp:
            return KhugepagedScan.PTE_UFFD_WP
        elif isinstance(pte, Pte) and page.pin_count(pte.folio):
            return pinned(page, pte.folio)
    ptes = (maps[p].pte for maps in page.block.maps)
    if any(isinstance(pte, Pte) and pte.write for pte in ptes) or page.facts.collapses_read_only:
        return KhugepagedScan.SUCCEED
    return KhugepagedScan.PAGE_RO


def pinned(page: BlockPage, f: int) -> KhugepagedScan:
    """There are references to a folio besides those of page tables and the swap cache."""
    page.spare(f, "collapsed")
    return KhugepagedScan.PAGE_COUNT


def collapse_huge_page(page: BlockPage, p: int) -> KhugepagedScan:
    """What is in swap comes back as by read faults that nobody counts, up to a guard, which
    ends it; then a new folio takes the place of all pages, unless one that came back is pinned."""
    page.enter("collapse_huge_page")
    maps = page.block.maps
    for i in range(len(maps)):
        pte = maps[i][p].pte
        if pte == GUARD:
            return KhugepagedScan.FAIL
        if isinstance(pte, SwapPte):
            do_swap_page(page.at(i), p, pte, write=False)
    for mappings in maps:
        pte = mappings[p].pte
        if isinstance(pte, Pte) and not pte.is_zero_page and page.pin_count(pte.folio):
            return pinned(page, pte.folio)
    f = page.block.add_folio(range(len(maps)), ZERO, exclusive=True)
    for i in range(len(maps)):
        here = page.at(i)
        copy_page(here, p, f)
    map_huge(page, p, f)
    return KhugepagedScan.SUCCEED


def copy_page(page: BlockPage, p: int, f: int) -> None:
    """__collapse_huge_page_copy(): one page, whose PTE is cleared."""
    pte = page.maps[p].pte
    if pte is None:
        return
    page.block.folios[f].data[page.i] = page.content(p)
    page.set_pte(p, None)
    if isinstance(pte, Pte) and not pte.is_zero_page:
        page.munlock_vma_folio(pte.folio, p)  # folio_remove_rmap_pte()
        free_swap_cache(page, pte.folio)
