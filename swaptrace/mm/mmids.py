"""Which processes a large folio knows to map it (include/linux/rmap.h, since 6.15).

A folio has room for two, each with how often it maps the folio. A third one is known only by the
number of all mappings, even once there is room; what it maps from then on counts.

FOLIO_MM_IDS_SHARED_BITNUM follows from these numbers: it is set when a process gets a place beside
other mappings and cleared by the first unmapping after which one of the two has all of them, and
nothing but these makes a count equal to the sum, or no longer so. The two places are alike.
"""

from __future__ import annotations

from typing import Final

from swaptrace.mm.block import Block

PLACES: Final = 2
"""How many processes a folio knows."""


def add_mappings(block: Block, f: int, p: int, count: int = 1) -> None:
    """folio_add_return_large_mapcount(), before the page table of process `p` shows it."""
    folio = block.folios[f]
    if folio.mm_ids is None:
        if block.is_mapped_by(f, p):
            return
        known = block.mapcounts(f)
        if len(known) < PLACES:
            return
        folio.mm_ids = known
    counted(folio.mm_ids, p, count)


def counted(ids: dict[int, int], p: int, count: int) -> None:
    """The same to those that a folio knows."""
    if p in ids or len(ids) < PLACES:
        ids[p] = ids.get(p, 0) + count


def remove_mappings(block: Block, f: int, p: int, count: int = 1) -> None:
    """folio_sub_return_large_mapcount(): a place is free once all that were counted are gone."""
    ids = block.folios[f].mm_ids
    if ids is None or p not in ids:
        return
    ids[p] -= count
    if ids[p] <= 0:
        del ids[p]


def forget_process(block: Block, gone: int) -> None:
    """A process that maps nothing has gone; those after it move up."""
    for folio in block.folios.values():
        if folio.mm_ids is not None:
            folio.mm_ids = {p - (p > gone): count for p, count in folio.mm_ids.items()}


def known_to_map(block: Block, f: int) -> tuple[tuple[int, int], ...] | None:
    """The processes that a folio knows and how often each maps it; None where those are all."""
    ids = block.folios[f].mm_ids
    if ids is None or ids == block.mapcounts(f):
        return None
    return tuple(sorted(ids.items()))


def has_shared_bit(block: Block, f: int, p: int = 0, more: int = 0) -> bool:
    """FOLIO_MM_IDS_SHARED_BITNUM, once process `p` has so many mappings `more`."""
    counts = block.mapcounts(f)
    ids = block.folios[f].mm_ids
    total = sum(counts.values()) + more
    if ids is None:
        return len(counts) + (more > 0 and p not in counts) > 1
    ids = {**ids}
    if more:
        counted(ids, p, more)
    return total > 0 and total not in ids.values()
