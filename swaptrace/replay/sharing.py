"""KSM folios, which pages of several columns map.

One is found by its data: each column, and each page of a block, has its own, which says whether
pages elsewhere map it, too. That is brought up to date after each step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import Column, filled_with
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.pagemap import column_counts
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.world import World

Contents: TypeAlias = Counter[int | None]
"""How many PTEs map the KSM folio of a byte."""


def all_columns(world: World) -> Iterator[tuple[int, Column]]:
    """Each column that pages have, and how many."""
    for shared in world.shared_regions():
        yield from column_counts(world, shared)


def recount(world: World) -> None:
    """Which KSM folios are mapped elsewhere, after a step."""
    total: Contents = Counter()
    for pages, column in all_columns(world):
        for number, folio in enumerate(column.folios):
            if folio.ksm:
                total[filled_with(folio.data)] += pages * mapped_here(column, number)
    for shared in world.shared_regions():
        if isinstance(world.arena, Folios):
            world.arena.recount(shared, total)
        else:
            recount_region(world, shared, total)


def recount_region(world: World, shared: SharedRegion, total: Contents) -> None:
    """The same of one region of small pages."""
    numbers = shared.region.numbers()
    new = {each: counted(world, world.table.columns[each], total) for each in numbers}
    if any(to != number for number, to in new.items()):
        shared.region.replace(Walk(0, shared.region.pages), new)


def mapped_here(column: Column, folio: int) -> int:
    """How many PTEs of the column map the folio."""
    return column.mapcount(folio) - column.folios[folio].elsewhere


def counted(world: World, column: Column, total: Contents) -> int:
    """The column with what is known of its KSM folios."""
    folios = [
        folio._replace(
            elsewhere=total[filled_with(folio.data)] > mapped_here(column, number)
            and folio.slot is None
        )
        if folio.ksm
        else folio
        for number, folio in enumerate(column.folios)
    ]
    return world.table.intern(canonical(column.maps, folios, *column[2:]))
