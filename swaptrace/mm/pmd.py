"""Faults where a PMD entry maps 2 MiB, and walks that come to one (mm/memory.c, mm/huge_memory.c).

In a block the PTEs of a huge entry are there as if it had been split; what concerns all of them
does so page by page, as with a page table. What concerns a part splits the entry first.
"""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.block import PMD_ORDER, Pmd
from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.column import ZERO, ZERO_PAGE, Pte, Vma
from swaptrace.mm.event import (
    Dontneed,
    Event,
    Fork,
    Guard,
    Move,
    Mprotect,
    UffdCopy,
    UffdZeropage,
    Unmap,
    Writeprotect,
)
from swaptrace.mm.fork import needs_cow_for_dma
from swaptrace.mm.huge_memory import split_folio, split_huge_pmd
from swaptrace.mm.memory import mk_pte
from swaptrace.mm.mmids import forget_process
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import renumber
from swaptrace.mm.userfault import handle_missing, handle_userfault


class PmdPage(BlockPage):
    """Page `i` of a block in which PMD entries may be huge."""

    __slots__ = ()

    def handle_pmd_fault(self, p: int, write: bool, unshare: bool = False) -> FaultResult | None:
        """create_huge_pmd(), wp_huge_pmd(), huge_pmd_set_accessed()."""
        pmds = self.block.pmds
        if pmds[p] is Pmd.NONE and self.allows_huge(p):
            return do_huge_pmd_anonymous_page(self, p, write)
        if pmds[p] is not Pmd.HUGE:
            pmds[p] = Pmd.TABLE
            return None
        pte = self.maps[p].pte
        assert isinstance(pte, Pte)
        if self.traps(p):
            return do_huge_pmd_uffd_rwp(self, p)
        if unshare:
            return do_huge_pmd_wp_page(self, p, pte, unshare)
        if write and not pte.write:
            return wp_huge_pmd(self, p, pte)
        if write:
            set_pmd(self, p, pte.mkdirty())
        return FaultResult()

    def folios_here(self) -> list[int]:
        return [f for f, folio in self.block.folios.items() if self.i in folio.pages]

    def split_huge_page(self, p: int) -> bool:
        """A page of zeroes may be mapped no more."""
        pte = self.maps[p].pte
        assert isinstance(pte, Pte)
        if self.nr_pages(pte.folio) > 1:
            split_folio(self, pte.folio)
        now = self.maps[p].pte
        return isinstance(now, Pte) and not now.is_zero_page

    def is_huge(self, p: int) -> bool:
        return self.block.pmds[p] is Pmd.HUGE

    def allows_huge(self, p: int) -> bool:
        """thp_vma_suitable_order() of PMD_ORDER, where that is allowed."""
        pages = len(self.block.maps)
        whole = self.around.bounds(p, self.i) == (0, pages)
        return PMD_ORDER in self.around.orders(p, self.i) and whole and pages == 1 << PMD_ORDER

    def mmu_dirties(self, p: int) -> None:
        pte = self.maps[p].pte
        if self.block.pmds[p] is Pmd.HUGE and isinstance(pte, Pte):
            set_pmd(self, p, pte)


def set_pmd(page: BlockPage, p: int, pte: Pte) -> None:
    """set_pmd_at(), of a huge entry."""
    page.block.pmds[p] = Pmd.HUGE
    for i in range(len(page.block.maps)):
        (page if i == page.i else page.at(i)).set_pte(p, pte)


def do_huge_pmd_anonymous_page(page: BlockPage, p: int, write: bool) -> FaultResult:
    """First touch of 2 MiB: an event where the VMA is registered for missing pages, whose handler
    gives one page, else the huge zero page for a read, a folio for a write."""
    page.enter("do_huge_pmd_anonymous_page")
    page.around.anon_vma_prepare(p, page.i)
    if page.vma(p).uffd.missing:
        if not page.may_retry:
            return FaultResult(error=True)
        page.block.pmds[p] = Pmd.TABLE
        handle_missing(page, p)
        return FaultResult(retry=True)
    if write:
        page.count(Counter.ZERO_FILL)
        map_anon_folio_pmd(page, p)
    else:
        page.count(Counter.ZERO_PAGE)
        set_pmd(page, p, Pte(ZERO_PAGE))
    return FaultResult()


def map_anon_folio_pmd(page: BlockPage, p: int) -> None:
    """vma_alloc_anon_folio_pmd(), and a dirty entry for it."""
    page.count(Counter.MTHP_FAULT_ALLOC)
    page.count(Counter.THP_FAULT_ALLOC)
    map_huge(page, p, page.block.add_folio(range(len(page.block.maps)), ZERO, exclusive=True))


def map_huge(page: BlockPage, p: int, f: int) -> None:
    """map_anon_folio_pmd_nopf(): a dirty entry, writable if the VMA allows."""
    page.lru_add_vma(f, p)
    pte = mk_pte(page.facts, f).mkdirty()
    set_pmd(page, p, Pte(*(pte.mkwrite() if page.vma(p).writable else pte)))


def do_huge_pmd_uffd_rwp(page: BlockPage, p: int) -> FaultResult:
    """Any access to 2 MiB that are read-write protected (7.3)."""
    page.enter("do_huge_pmd_uffd_rwp")
    return unprotect_part(page, p)


def unprotect_part(page: BlockPage, p: int) -> FaultResult:
    """An event, whose handler un-protects one page."""
    if not page.may_retry:
        return FaultResult(error=True)
    split_huge_pmd(page, p)
    handle_userfault(page, p)
    return FaultResult(retry=True)


def wp_huge_pmd(page: BlockPage, p: int, pte: Pte) -> FaultResult | None:
    """wp_huge_pmd(): an event, or do_huge_pmd_wp_page()."""
    if page.vma(p).uffd_wp and pte.uffd_wp:
        if page.vma(p).wp_async:
            split_huge_pmd(page, p)
            return None
        return unprotect_part(page, p)
    return do_huge_pmd_wp_page(page, p, pte)


def do_huge_pmd_wp_page(
    page: BlockPage, p: int, pte: Pte, unshare: bool = False
) -> FaultResult | None:
    """The zero page is replaced, what is the process's own is reused; None where the entry is split
    and it is then up to the PTE. To `unshare`, no write is to be made possible."""
    page.enter("do_huge_pmd_wp_page")
    page.wp_fault = True
    if pte.is_zero_page and not page.facts.replaces_huge_zero:
        split_huge_pmd(page, p)
        return None
    if pte.is_zero_page:
        page.count(Counter.WP_COPY)
        map_anon_folio_pmd(page, p)
        return FaultResult()
    if not page.folios[pte.folio].anon_exclusive and not reuses_huge(page, pte.folio):
        split_huge_pmd(page, p)
        return None
    page.set_exclusive(pte.folio, True)
    if unshare:
        return FaultResult()
    page.count(Counter.WP_REUSE)
    pte = pte.mkdirty()
    set_pmd(page, p, pte.mkwrite() if page.vma(p).writable else pte)
    return FaultResult()


def reuses_huge(page: BlockPage, f: int) -> bool:
    """Whether nothing but this entry refers to a folio, once it has left the swap cache."""
    if page.mapcount(f) > 1 or page.pin_count(f):
        return False
    if page.folios[f].slot is not None and not page.folio_swapped(f):
        page.block.cache(f, None)
        page.block.folios[f].dirty = True
    return page.folios[f].slot is None


def before_walk(page: BlockPage, event: Event, pages: range) -> None:
    """What becomes of the PMD entry before an event happens to the pages of a walk."""
    block, p = page.block, event.process
    if isinstance(event, Fork):
        child = len(page.maps)
        if child == len(block.pmds):
            block.pmds.append(Pmd.NONE)
        if event.copy and event.child == "same" and block.pmds[p] is not Pmd.NONE:
            pte = page.maps[p].pte
            if page.is_huge(p) and isinstance(pte, Pte) and needs_cow_for_dma(page, p, pte):
                split_huge_pmd(page, p)  # copy_huge_pmd(): -EAGAIN
            block.pmds[child] = block.pmds[p]  # copy_huge_pmd(), copy_pte_range()
    vma = block.maps[pages.start][p].vma
    if block.pmds[p] is Pmd.NONE and vma is not None and fills(event, vma):
        block.pmds[p] = Pmd.TABLE
    if block.pmds[p] is not Pmd.HUGE:
        return
    in_part = len(pages) < len(block.maps)
    if isinstance(event, Move) and (in_part or event.splits):
        split_huge_pmd(page, p)  # move_page_tables()
    guards = isinstance(event, Guard) and event.install
    if in_part and (guards or isinstance(event, Dontneed | Unmap | Mprotect | Writeprotect)):
        split_huge_pmd(page, p)
    elif guards:
        block.pmds[p] = Pmd.TABLE  # zap_huge_pmd(), and then guard_install_set_pte()
    elif isinstance(event, Dontneed | Unmap):
        block.pmds[p] = Pmd.NONE  # zap_huge_pmd()


def fills(event: Event, vma: Vma) -> bool:
    """Whether an event puts something into a page table, which there must be then."""
    match event:
        case Writeprotect():
            return event.wp and vma.uffd.unpopulated  # change_pmd_prepare()
        case Guard():
            return event.install
        case _:
            return isinstance(event, UffdCopy | UffdZeropage)


def after_walk(page: BlockPage, event: Event, pages: range) -> None:
    """And after it: page tables that are empty go."""
    block, p = page.block, event.process
    if isinstance(event, Unmap) and event.gone:
        for i in pages:
            del block.maps[i][p]
        del block.pmds[p]
        forget_process(block, p)
        for pins in block.pins.values():
            renumber(pins, p)
    elif isinstance(event, Unmap):
        if all(maps[p].vma is None for maps in block.maps):
            block.pmds[p] = Pmd.NONE  # free_pgtables()
    elif (
        isinstance(event, Dontneed)
        and len(pages) == 1 << PMD_ORDER
        and page.facts.frees_page_tables
        and all(maps[p].pte is None for maps in block.maps)
    ):
        block.pmds[p] = Pmd.NONE  # zap_empty_pte_table()
