"""PG_mlocked and the batch of mlock (mm/mlock.c)."""

from __future__ import annotations

from swaptrace.mm.column import Pte, Vma
from swaptrace.mm.gup import folio_mark_accessed
from swaptrace.mm.page import Page


def set_vma(page: Page, p: int, vma: Vma) -> None:
    """The VMA becomes another one; what it maps is mlocked with it, or once less."""
    was, pte = page.maps[p].vma, page.maps[p].pte
    page.set_map(p, vma=vma)
    if was is None or was.locked == vma.locked or not isinstance(pte, Pte) or pte.is_zero_page:
        return
    folio_mark_accessed(page, p)
    page.enter("mlock_pte_range")
    page.walk_mlocks(pte.folio, "lock" if vma.locked else "unlock")
