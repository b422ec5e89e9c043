"""Pages that are moved to other page frames (mm/migrate.c, mm/mempolicy.c)."""

from __future__ import annotations

from swaptrace.mm.column import Pte
from swaptrace.mm.page import Page


def migrate(page: Page, p: int) -> None:
    """queue_folios_pte_range() and migrate_pages() of a page: MPOL_MF_MOVE passes over what
    several processes map, and over the zero page."""
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or pte.is_zero_page:
        return
    if not page.maybe_mapped_shared(pte.folio) and not page.folios[pte.folio].elsewhere:
        remap(page, p)


def remap(page: Page, p: int) -> None:
    """try_to_migrate_one() and remove_migration_pte().

    The PTE is afterwards what it was, write-protected or not, soft-dirty or not; its dirty bit has
    been noted in the folio. A huge one that is dirty becomes soft-dirty.
    """
    pte = page.maps[p].pte
    assert isinstance(pte, Pte)
    page.enter("try_to_migrate_one")
    if pte.dirty:
        page.set_folio(pte.folio, dirty=True)
    page.enter("remove_migration_pte")
    if page.keeps_mlocked(pte.folio):
        # The new one is on its list before it is mapped only if the old one was mlocked. Rmap
        # leaves a large one unmarked.
        small, was = page.nr_pages(pte.folio) == 1, page.folios[pte.folio].mlocked
        locked = page.vma(p).locked and small
        page.set_folio(pte.folio, mlocked=locked, mlock_count=int(locked and was))
    if pte.dirty and page.is_huge(p):
        page.set_pte(p, pte.mkdirty())
