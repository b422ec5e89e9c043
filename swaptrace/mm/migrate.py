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
    f = pte.folio
    if page.maybe_mapped_shared(f) or page.folios[f].elsewhere:
        return
    if not page.pin_count(f):
        remap(page, p)
        return
    take_back(page, p)
    put_back(page, f)


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


def take_back(page: Page, p: int) -> bool:
    """try_to_migrate_one() and remove_migration_pte(), of a folio that a pin keeps where it is
    (migrate_folio_undo_src()); False where the entry stays there at once, as the page is exclusive
    and pinned for long (folio_try_share_anon_rmap_pte(), of a huge one set_pmd_migration_entry()).
    """
    pte, huge = page.maps[p].pte, page.is_huge(p)
    assert isinstance(pte, Pte)
    f = pte.folio
    page.enter("try_to_migrate_one")
    stays = page.maybe_dma_pinned(f) and page.folios[f].anon_exclusive
    if pte.dirty and not (stays and huge):
        page.set_folio(f, dirty=True)
    if stays:
        return False
    page.enter("remove_migration_pte")
    if page.vma(p).locked and page.keeps_mlocked(f):
        page.set_folio(f, mlocked=huge or page.nr_pages(f) == 1)
    if pte.dirty and huge:
        page.set_pte(p, pte.mkdirty())
    return True


def put_back(page: Page, f: int) -> None:
    """putback_movable_pages(): lru_add() counts anew how often a folio is mlocked."""
    if page.keeps_mlocked(f):
        page.set_folio(f, mlock_count=0)
