"""Sending one event to many pages.

Where pages do not depend on one another, each distinct column is looked up once and the
counts come from a histogram. Where a swap device crosses a threshold on the way, the walk is
cut there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from swaptrace.counters import COUNTERS
from swaptrace.mm.event import Event, Pageout
from swaptrace.replay.region import Pages, Walk
from swaptrace.replay.table import Row
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import Family, World

SIGSEGV = COUNTERS.index("sigsegv")
NEW_ANON = (COUNTERS.index("zero_fill"), COUNTERS.index("wp_copy"))


def send(world: World, tally: Tally, family: Family, walk: Walk, event: Event) -> None:
    """Let `event` happen to each page of the walk, in its order."""
    rows = look_up(world, family, walk, event)
    if facts_hold(world, family, walk, rows):
        commit(world, tally, family, walk, rows)
    else:
        send_in_order(world, tally, family, walk.ordered(), event)


def with_facts(world: World, event: Event) -> Event:
    """The event with the facts as they are for the next page."""
    return replace(event, facts=world.facts_now(isinstance(event, Pageout)))


def look_up(world: World, family: Family, walk: Walk, event: Event) -> dict[int, Row]:
    """The transition of each column that the walk meets."""
    event = with_facts(world, event)
    return {c: world.table.row(event, c) for c in family.region.histogram(walk)}


def facts_hold(world: World, family: Family, walk: Walk, rows: dict[int, Row]) -> bool:
    """Whether no threshold of the swap device can be crossed within the walk."""
    if not any(row.slots for row in rows.values()):
        return True
    pages = family.region.histogram(walk)
    deltas = [(rows[column].slots, count) for column, count in pages.items()]
    for sign in (1, -1):
        change = sum(delta * count for delta, count in deltas if delta * sign > 0)
        alike = world.device.pages_alike(sign)
        if alike is not None and abs(change) > alike:
            return False
    return True


def send_in_order(world: World, tally: Tally, family: Family, walk: Walk, event: Event) -> None:
    """Stretch by stretch, cut where the facts change."""
    for start, count, column in list(family.region.segments(walk)):
        done = 0
        while done < count:
            row = world.table.row(with_facts(world, event), column)
            alike = world.device.pages_alike(row.slots)
            pages = count - done if alike is None else min(alike, count - done)
            commit(world, tally, family, walk.part(start + done, pages), {column: row})
            done += pages


def commit(world: World, tally: Tally, family: Family, walk: Walk, rows: dict[int, Row]) -> None:
    """Count the transitions of a walk and change its pages."""
    for column, pages in family.region.histogram(walk).items():
        row = rows[column]
        tally.add(row.counts, pages)
        world.device.used += row.slots * pages
        if row.violations:
            note_violations(tally, family, walk, column, row, pages)
    old = np.array(sorted(rows), dtype=np.int64)
    new = np.array([rows[column].new for column in old.tolist()], dtype=np.int64)
    if not np.array_equal(old, new):
        family.region.replace(walk, lambda ids: translate(ids, old, new))


def translate(ids: Pages, old: Pages, new: Pages) -> Pages:
    """Each id of `old` (ascending) becomes the one at the same place in `new`."""
    return new[np.searchsorted(old, ids)]


def note_violations(
    tally: Tally, family: Family, walk: Walk, column: int, row: Row, pages: int
) -> None:
    """What a transition broke, and the first page that shows it."""
    page = family.region.first_page(replace(walk, seed=None), column)
    for kind, process in row.violations:
        tally.see(kind, family.members[process], family.name, page, pages)
