"""Folios of a block that are moved to other page frames (mm/migrate.c)."""

from __future__ import annotations

from itertools import takewhile

from swaptrace.mm.blockpage import BlockPage, folio_of, maps
from swaptrace.mm.blockwalk import split_in_order
from swaptrace.mm.migrate import put_back, remap, take_back


def migrate_range(page: BlockPage, p: int, pages: range) -> None:
    """migrate_pages_batch(): whole folios, also where only a part is asked for. One that is queued
    because a part of it was unmapped is split first (try_split_folio()). Of another one that PTEs
    map, a part is unmapped for a moment, and what takes its place is queued as it was
    (migrate_folio_move())."""
    found = (folio_of(page.block, p, i) for i in pages)
    queued = {each[0]: each[1] for each in found if each is not None}
    for f, folio in queued.items():
        here = page.at(folio.first)
        if here.maybe_mapped_shared(f):
            continue
        if here.pin_count(f):
            keep_folio(here, f)
            continue
        folios = split_in_order(here, f) if folio.partially_mapped else [f]
        if folio.nr_pages > 1 and not folio.partially_mapped:
            folio.mm_ids = None
            if folio.nr_pages > 2 and folio.slot is None and here.mapcount(f) > 1:
                folio.partially_mapped = page.facts.requeues_migrated and not here.is_huge(p)
        for each in folios:
            migrate_folio(page, each)


def migrate_folio(page: BlockPage, f: int) -> None:
    """try_to_migrate() and remove_migration_ptes(), by all that map a folio."""
    for i in page.block.folios[f].pages:
        here = page.at(i)
        for p, mapping in enumerate(here.maps):
            if maps(mapping.pte, f):
                remap(here, p)


def keep_folio(page: BlockPage, f: int) -> None:
    """try_split_folio() and __migrate_folio(), which fail for a folio that is pinned: all entries
    come back that went. It is queued to be split if a page of it was unmapped before another
    (__folio_remove_rmap())."""
    block, folio = page.block, page.block.folios[f]
    page.spare(f, "migrated")
    mapped = [
        (p, i)
        for p in sorted(block.mapped_by(f))
        for i in folio.pages
        if maps(block.maps[i][p].pte, f)
    ]
    gone = sum(1 for _ in takewhile(lambda each: take_back(page.at(each[1]), each[0]), mapped))
    put_back(page, f)
    if folio.nr_pages > 2 and folio.slot is None and not block.huge_mappers(f):
        last = {i: at for at, (_, i) in enumerate(mapped)}
        if min(last.values()) < min(gone, len(mapped) - 1):
            folio.partially_mapped = True
