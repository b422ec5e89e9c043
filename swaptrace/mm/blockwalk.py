"""Advice on a range of a block: large folios are taken whole, or split (mm/madvise.c, mm/vmscan.c).

The order matters where a swap device fills, and for which slots lie side by side.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from swaptrace.counters import Counter
from swaptrace.mm.block import Pmd
from swaptrace.mm.blockpage import BlockPage, folio_of
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.event import Mprotect, Writeprotect
from swaptrace.mm.huge_memory import maps_dirty, split_folio, split_huge_pmds
from swaptrace.mm.madvise import madvise_free
from swaptrace.mm.page import drop_data
from swaptrace.mm.swap import folio_free_swap, swap_writepage
from swaptrace.mm.vmscan import activate

NO_FURTHER: Final = -1
"""Instead of how many PTEs to go on by: the walk of this page table ends."""


def folio_pte_batch(page: BlockPage, p: int, end: int) -> int:
    """madvise_folio_pte_batch(): how many PTEs from this one on, before page `end`, map a folio's
    pages in order; dirty, soft-dirty and write bits may differ."""
    first = page.maps[p].pte
    assert isinstance(first, Pte)
    alike = (first.folio, first.uffd_wp)
    stop = min(page.block.folios[first.folio].pages.stop, end)
    for i in range(page.i, stop):
        pte = page.block.maps[i][p].pte
        if not isinstance(pte, Pte) or (pte.folio, pte.uffd_wp) != alike:
            return i - page.i
    return stop - page.i


def split_or_stop(page: BlockPage, p: int, least: int = 1) -> int:
    """What a walk does up to 6.9 where it comes to a large folio: 0 if it has split it, so that its
    first page is next; NO_FURTHER where the first page of the folio is mapped fewer than `least`
    times, or by several processes, or a page is pinned."""
    pte = page.maps[p].pte
    assert isinstance(pte, Pte)
    if not least <= page.estimated_sharers(pte.folio) <= 1 or not page.can_split_folio(pte.folio):
        return NO_FURTHER
    split_folio(page, pte.folio)
    return 0


def whole_or_split(page: BlockPage, p: int, end: int) -> int | None:
    """How many PTEs to go on by where a walk comes to a large folio that it cannot take whole: 0
    if it has been split, so that its first page is next, and all that there are if it cannot be;
    None if it can."""
    pte = page.maps[p].pte
    assert isinstance(pte, Pte)
    batch = folio_pte_batch(page, p, end)
    if batch == page.nr_pages(pte.folio):
        return None
    if page.maybe_mapped_shared(pte.folio) or not page.can_split_folio(pte.folio):
        return batch
    split_folio(page, pte.folio)
    return 0


def isolate(page: BlockPage, p: int, pages: range) -> deque[int]:
    """madvise_cold_or_pageout_pte_range(): the folios in a range that the process alone maps;
    those in it in part are split."""
    page.enter("madvise_cold_or_pageout_pte_range")
    isolated: deque[int] = deque()
    if page.block.pmds[p] is Pmd.HUGE:
        f = split_unless_whole(page, p, pages)
        if f is not None:
            isolated += [] if page.mlocked(f) else [f]
        if page.block.pmds[p] is Pmd.HUGE:
            return isolated
    i = pages.start
    while i < pages.stop:
        here, step = page.at(i), 1
        found = folio_of(page.block, p, i)
        if found is not None:
            f, folio = found
            left = advise_large(here, p, pages.stop) if folio.nr_pages > 1 else None
            if left == NO_FURTHER:
                page.stops = True
                break
            step = folio.nr_pages if left is None else left
            alone = page.mapcount(f) == folio.nr_pages
            if left is None and alone and not here.mlocked(f):
                isolated.append(f)
        i += step
    return isolated


def advise_large(page: BlockPage, p: int, end: int) -> int | None:
    """How MADV_PAGEOUT and MADV_COLD go on where they come to a large folio."""
    if page.facts.advice_takes_whole:
        return whole_or_split(page, p, end)
    return split_or_stop(page, p, least=0 if page.facts.splits_unmapped_first else 1)


def splits_first(page: BlockPage, f: int) -> bool:
    """Whether reclaim splits a folio before it looks for slots: one that is mapped in part; up to
    6.9, each that no PMD entry maps."""
    folio = page.block.folios[f]
    if folio.slot is not None or folio.nr_pages == 1:
        return False
    if page.facts.swaps_out_whole:
        return folio.partially_mapped
    return not page.block.huge_mappers(f)


def split_unless_whole(page: BlockPage, p: int, pages: range) -> int | None:
    """The folio that a huge PMD entry maps, where a walk takes it whole. If it comes to a part, the
    folio is split. One that is shared is left alone, and so is the zero page."""
    found = folio_of(page.block, p, page.i)
    if found is None or page.maybe_mapped_shared(found[0]):
        return None
    if len(pages) == found[1].nr_pages:
        return found[0]
    if page.can_split_folio(found[0]):
        split_folio(page, found[0])
    return None


def shrink_folio_list(page: BlockPage, folios: deque[int], held: bool = False) -> list[int]:
    """reclaim_pages(), shrink_folio_list(): what was looked at, in order. Where a folio is split,
    its first page goes on in its place, and then come the others. `held` as in `Reclaim`, of single
    pages."""
    looked_at: list[int] = []
    while folios:
        f = folios.popleft()
        looked_at.append(f)
        here = page.at(page.block.folios[f].first)
        folio = page.block.folios[f]
        if folio.lazyfree:
            shrink_lazyfree(here, f, held)
        elif stays_pinned(here, f):
            continue
        elif splits_first(here, f):
            folios.extendleft(reversed(split_in_order(here, f)))
        elif folio.slot is not None or add_to_swap(here, f):
            write_out(here, f, held)
        elif folio.nr_pages > 1:
            here.count(Counter.MTHP_SWPOUT_FALLBACK)
            first, *rest = split_in_order(here, f)
            looked_at.append(first)
            if add_to_swap(here, first):
                write_out(here, first)
            folios.extendleft(reversed(rest))
    return looked_at


def stays_pinned(page: BlockPage, f: int) -> bool:
    """Whether reclaim finds no slots for a folio because of a pin: one for long, or any of a large
    folio, which could then not be split."""
    if page.block.folios[f].slot is not None or not page.pin_count(f):
        return False
    kept = page.maybe_dma_pinned(f) or page.nr_pages(f) > 1
    if kept:
        page.spare(f, "written")
    return kept


def putback(page: BlockPage, shrunk: list[int]) -> None:
    """folio_putback_lru(), of what was not freed. It was made inactive first, and what is found to
    be in use, or finds no slot, becomes active; what is pinned for long does so only where it is
    mapped in spite of a slot."""
    for f in shrunk:
        if f in page.block.folios:
            folio = page.block.folios[f]
            here = page.at(folio.first)
            here.lru_add(f)
            here.set_active(f, (folio.slot is None) is not here.maybe_dma_pinned(f))


def split_in_order(page: BlockPage, f: int) -> list[int]:
    """split_folio_to_list(): the folios of single pages, as lru_to_folio() takes them."""
    first, *rest = split_folio(page, f).values()
    return [first, *(reversed(rest) if page.facts.splits_backward else rest)]


def add_to_swap(page: BlockPage, f: int) -> bool:
    """folio_alloc_swap(): slots in a row, and a place in the swap cache; fails where none are."""
    page.enter("add_to_swap")
    slot = page.around.allocate(page.nr_pages(f).bit_length() - 1)
    if slot is None:
        return False
    page.block.cache(f, slot)
    page.block.folios[f].dirty = True
    return True


def write_out(page: BlockPage, f: int, held: bool = False) -> None:
    """try_to_unmap() and pageout(), of a folio that is in the swap cache. One that nothing maps
    needs no slot (swap_writeout()); one that is `held` stays (is_page_cache_freeable()), and one
    that is pinned for long is activated."""
    folio = page.block.folios[f]
    split_huge_pmds(page, f)
    try_to_unmap(page, f)
    if page.maybe_dma_pinned(f):
        page.spare(f, "written")
        activate(page, f)
        return
    if held or page.pin_count(f):
        return
    if folio.dirty:
        if folio_free_swap(page, f):
            page.block.settle(page.around)
            return
        if not swap_writepage(page, f):
            return  # writeback is over later, and the folio stays in the swap cache
    page.block.cache(f, None)


def try_to_unmap(page: BlockPage, f: int) -> None:
    """try_to_unmap(), of a folio that is in the swap cache: process by process, up to an exclusive
    page where the folio is pinned for long (folio_try_share_anon_rmap_pte())."""
    pinned, folio = page.maybe_dma_pinned(f), page.block.folios[f]
    pages, exclusive = folio.pages, [*folio.exclusive]
    assert folio.slot is not None
    for p in sorted(page.block.mapped_by(f)):
        for slot, (i, alone) in enumerate(zip(pages, exclusive, strict=True), folio.slot):
            pte = page.block.maps[i][p].pte
            if not isinstance(pte, Pte) or pte.folio != f:
                continue
            here = page.at(i)
            here.set_folio(f, dirty=folio.dirty or pte.dirty)
            if pinned and alone:
                return
            here.set_pte(p, SwapPte(slot, alone, pte.soft_dirty, pte.uffd_wp))
            here.set_folio(f, anon_exclusive=False)


def shrink_lazyfree(page: BlockPage, f: int, held: bool = False) -> None:
    """After MADV_FREE: discard the folio, or keep it if it was written since. Its PTEs go run by
    run (folio_unmap_pte_batch(), since 6.15), until one is found to be dirty."""
    page.enter("try_to_unmap_one")
    folio = page.block.folios[f]
    if page.facts.discards_pmd and page.block.huge_mappers(f) and unmap_huge_pmd(page, f):
        return
    split_huge_pmds(page, f)
    for p in sorted(page.block.mapped_by(f)):
        for run in lazyfree_runs(page, p, f):
            if folio.dirty or any(maps_dirty(page.at(i), f) for i in run):
                page.set_folio(f, dirty=True, lazyfree=False)
                return
            if page.pin_count(f):
                page.set_folio(f, lazyfree=page.facts.lazyfree_stays)
                page.spare(f, "freed")
                return
            if held:
                return
            for i in run:
                discard(page.at(i), p)


def unmap_huge_pmd(page: BlockPage, f: int) -> bool:
    """unmap_huge_pmd_locked(): the folio goes with its only mapping, a PMD entry, and leaves no
    page table. If it was written since, it stays as it is, an ordinary one, and if it is pinned a
    lazyfree one; before keeps_written_pmd the entry is to be split then (False)."""
    (p,) = page.block.huge_mappers(f)
    dirty = page.block.folios[f].dirty or maps_dirty(page, f)
    if not dirty and not page.pin_count(f):
        page.block.pmds[p] = Pmd.NONE
        for i in page.block.folios[f].pages:
            discard(page.at(i), p)
        return True
    if dirty and page.facts.keeps_written_pmd:
        page.set_folio(f, dirty=True, lazyfree=False)
    elif page.facts.keeps_written_pmd:
        page.spare(f, "freed")
    return page.facts.keeps_written_pmd


def discard(page: BlockPage, p: int) -> None:
    """The PTE goes, and with it the data if the process gave them up."""
    page.set_pte(p, None)
    if page.maps[p].freed:
        drop_data(page, p)


def lazyfree_runs(page: BlockPage, p: int, f: int) -> list[list[int]]:
    """folio_unmap_pte_batch(): the PTEs of a process that map the folio, those alike in a row
    together."""
    batches, runs = page.facts.batches_lazyfree, list[list[int]]()
    singly = page.facts.unmaps_wp_singly and not page.facts.unmaps_wp_together
    alike: tuple[object, ...] = ()
    for i in page.block.folios[f].pages:
        pte, vma = page.block.maps[i][p].pte, page.block.maps[i][p].vma
        if not isinstance(pte, Pte) or pte.folio != f:
            alike = ()
            continue
        bits = (pte.write, pte.soft_dirty, pte.uffd_wp, vma)
        if bits != alike or not batches or (singly and vma is not None and vma.uffd_wp):
            runs.append([])
        runs[-1].append(i)
        alike = bits
    return runs


def level_batches(page: BlockPage, event: Mprotect | Writeprotect, pages: range) -> None:
    """modify_prot_start_ptes(): PTEs in a row that map a large folio, alike but for dirty and young
    bits, are dirty if one is; if one behind the first is, all are soft-dirty, too (pte_mkdirty()).
    What is read-write protected as it is to be is passed over, and PAGEMAP_SCAN does so one by one.
    """
    p = event.process
    if isinstance(event, Writeprotect) and event.scans:
        return
    rwp = isinstance(event, Writeprotect) and event.wp and event.rwp
    batches: list[list[tuple[int, Pte]]] = []
    alike: tuple[object, ...] = ()
    for i in pages if page.block.pmds[p] is not Pmd.HUGE else ():
        pte = page.block.maps[i][p].pte
        if not isinstance(pte, Pte) or pte.is_zero_page or page.nr_pages(pte.folio) == 1:
            alike = ()
            continue
        if rwp and pte.uffd_wp:
            alike = ()
            continue
        bits = (pte.folio, pte.write, pte.soft_dirty, pte.uffd_wp)
        if bits != alike:
            batches.append([])
        batches[-1].append((i, pte))
        alike = bits
    for batch in batches:
        behind = any(pte.dirty for _, pte in batch[1:])
        for i, pte in batch if behind or batch[0][1].dirty else ():
            soft_dirty = pte.soft_dirty or behind
            page.at(i).set_map(p, pte=pte._replace(dirty=True, soft_dirty=soft_dirty))


def madvise_free_range(page: BlockPage, p: int, pages: range) -> None:
    """madvise_free_pte_range(): a large folio is marked whole, or split."""
    if page.block.pmds[p] is Pmd.HUGE:
        f = split_unless_whole(page, p, pages)
        if f is not None:
            mark_lazyfree(page, p, f)
        if page.block.pmds[p] is Pmd.HUGE:
            return
    i = pages.start
    while i < pages.stop:
        here, step = page.at(i), 1
        found = folio_of(page.block, p, i)
        if found is None or found[1].nr_pages == 1:
            madvise_free(here, p)
        else:
            whole = page.facts.frees_whole
            left = whole_or_split(here, p, pages.stop) if whole else split_or_stop(here, p)
            if left == NO_FURTHER:
                page.stops = True
                return
            step = found[1].nr_pages if left is None else left
            if left is None:
                free_whole(here, p, found[0])
        i += step


def free_whole(page: BlockPage, p: int, f: int) -> None:
    """The same for a large folio, all of whose PTEs are in the range."""
    folio = page.block.folios[f]
    if folio.slot is not None or folio.dirty:
        if page.mapcount(f) != folio.nr_pages:
            return
        if folio.slot is not None and not folio_free_swap(page, f):
            return
    mark_lazyfree(page, p, f)


def mark_lazyfree(page: BlockPage, p: int, f: int) -> None:
    """folio_mark_lazyfree(), and clean PTEs."""
    folio = page.block.folios[f]
    if not folio.lazyfree and not page.mlocked(f):
        page.queue_inactive(f)
    page.set_folio(f, dirty=False, lazyfree=folio.lazyfree or not page.mlocked(f))
    for i in folio.pages:
        here = page.at(i)
        mapping = here.maps[p]
        assert isinstance(mapping.pte, Pte)
        here.set_map(p, pte=mapping.pte.mkclean(), freed=mapping.freed or folio.lazyfree)
