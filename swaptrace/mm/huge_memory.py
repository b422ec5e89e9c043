"""Splitting large folios, and the PMD entries that map them (mm/huge_memory.c, mm/migrate.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.block import PMD_ORDER, Pmd
from swaptrace.mm.blockpage import BlockPage, maps
from swaptrace.mm.column import ZERO, ZERO_PAGE, Pte
from swaptrace.mm.mmids import counted, remove_mappings


def split_folio(page: BlockPage, f: int) -> dict[int, int]:
    """split_folio(): a folio for each page, by page; those that nothing maps are let go.

    A page of zeroes is not kept: its PTEs map the shared zero page instead, unless one of them is
    in a locked VMA (b1f202060afe, 6.12). A dirty PTE makes the folio dirty, so all of its pages,
    and comes back clean (migration entries are taken to have no room for the bit, as where the CPU
    is affected by L1TF: migration_entry_supports_ad()).
    """
    block, old = page.block, page.block.folios[f]
    page.enter("split_folio")
    page.count(Counter.MTHP_SPLIT)
    huge = old.nr_pages == 1 << PMD_ORDER
    page.count(Counter.THP_SPLIT_PAGE, huge or not page.facts.counts_huge_splits)
    munlock_unmapped(page, f)
    for p in block.huge_mappers(f):  # into migration entries, which lose the dirty bit
        block.pmds[p] = Pmd.TABLE
    old.dirty = old.dirty or any(maps_dirty(page.at(i), f) for i in old.pages)
    new: dict[int, int] = {}
    slot = old.slot
    block.cache(f, None)
    for at, i in enumerate(old.pages):
        number = block.add_folio(range(i, i + 1), old.data[at], old.exclusive[at])
        tail = block.folios[number]
        tail.dirty, tail.lazyfree, tail.mlocked = old.dirty, old.lazyfree, old.mlocked
        tail.active, tail.marked = old.active, old.marked
        tail.mlock_count = 0 if at else old.mlock_count  # lru_add_split_folio()
        if slot is not None:
            block.cache(number, slot + at)
        remove_migration_ptes(page.at(i), f, number)
        new[i] = number
    return new


def munlock_unmapped(page: BlockPage, f: int) -> None:
    """folio_remove_rmap_pte() in try_to_migrate_one(), or of a huge entry: the folio is mlocked
    once less for each that a locked VMA has."""
    huge = page.block.huge_mappers(f)
    for i in page.block.folios[f].pages:
        for p, mapping in enumerate(page.block.maps[i]):
            if maps(mapping.pte, f) and (p not in huge or i == page.block.folios[f].first):
                page.munlock_vma_folio(f, p)


def maps_dirty(page: BlockPage, f: int) -> bool:
    """Whether a process maps this page of the folio by a dirty PTE."""
    ptes = (m.pte for m in page.maps)
    return any(isinstance(pte, Pte) and pte.folio == f and pte.dirty for pte in ptes)


def remove_migration_ptes(page: BlockPage, old: int, new: int) -> None:
    """remove_migration_pte(), of all processes; zeroes need no page of their own unless they are
    mlocked (try_to_map_unused_to_zeropage)."""
    for p, mapping in enumerate(page.maps):
        pte = mapping.pte
        if not isinstance(pte, Pte) or pte.folio != old:
            continue
        unused = page.facts.drops_zeroes and page.block.folios[new].data[0] == ZERO
        page.block.touch(page.i)
        if unused and not (page.mlocked(new) or page.vma(p).locked):
            entry = Pte(ZERO_PAGE, False, False, pte.soft_dirty, pte.uffd_wp)
        else:
            entry = pte._replace(folio=new, dirty=False)
            page.mlock_vma_folio(new, p)
            if page.vma(p).locked:
                page.mlock_drain()
        page.maps[p] = mapping._replace(pte=entry)
    if not page.block.mapcount(new):
        free_folio(page, new)


def free_folio(page: BlockPage, f: int) -> None:
    """free_folio_and_swap_cache(), of a page that nothing maps."""
    folio = page.block.folios[f]
    if folio.slot is not None and not page.block.folio_swapped(f):
        page.block.cache(f, None)


def split_huge_pmd(page: BlockPage, p: int) -> None:
    """__split_huge_pmd(): a page table in the place of a huge entry. pte_mkdirty() sets the
    soft-dirty bit as well on x86; that of the zero page is lost (__split_huge_zero_page_pmd())."""
    block = page.block
    page.enter("__split_huge_pmd")
    block.pmds[p] = Pmd.TABLE
    for i, mappings in enumerate(block.maps):
        pte = mappings[p].pte
        assert isinstance(pte, Pte)
        if pte.is_zero_page:
            split = Pte(ZERO_PAGE, uffd_wp=pte.uffd_wp)
        elif pte.dirty:
            page.set_folio(pte.folio, dirty=True)
            split = pte.mkdirty()
        else:
            continue
        block.touch(i)
        mappings[p] = mappings[p]._replace(pte=page.kept(split))
    mapped = block.maps[0][p].pte
    if isinstance(mapped, Pte) and not mapped.is_zero_page:
        note_split(page, p, mapped.folio)
        page.munlock_vma_folio(mapped.folio, p)  # folio_remove_rmap_pmd()


def note_split(page: BlockPage, p: int, f: int) -> None:
    """folio_add_anon_rmap_ptes(), and then folio_remove_rmap_pmd(): of a process that the folio did
    not know, and now has room for, that is one mapping too few."""
    ids, pages = page.block.folios[f].mm_ids, page.nr_pages(f)
    if ids is not None:
        counted(ids, p, pages)
        remove_mappings(page.block, f, p)


def split_huge_pmds(page: BlockPage, f: int) -> None:
    """TTU_SPLIT_HUGE_PMD: whoever maps the folio does so by PTEs."""
    for p in page.block.huge_mappers(f):
        split_huge_pmd(page, p)
