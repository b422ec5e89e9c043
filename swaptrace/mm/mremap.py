"""mremap() of one page (mm/mremap.c)."""

from __future__ import annotations

from swaptrace.mm.column import Marker
from swaptrace.mm.event import Move
from swaptrace.mm.page import Page


def move_pte(page: Page, p: int, event: Move) -> None:
    """move_ptes(): the entry of another address, present or not. That it reads as soft-dirty then
    is what user space is told of a move."""
    pte, vma, marks = page.maps[p].pte, page.vma(p), event.marks
    if page.is_huge(p) and not event.upper:
        page.enter("move_huge_pmd")
        marks = True
    else:
        page.enter("move_ptes" if marks else "move_normal_pmd")
    if event.clears and isinstance(pte, Marker) and not pte.guard:
        pte = None
    elif pte is not None and not isinstance(pte, Marker):
        pte = pte._replace(
            soft_dirty=pte.soft_dirty or marks, uffd_wp=pte.uffd_wp and not event.clears
        )
        page.set_map(p, written=page.maps[p].written or marks)
    page.set_map(p, pte=pte)
    if event.unregisters:
        page.set_map(p, vma=vma.unregistered(), armed=False)
