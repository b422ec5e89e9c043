"""Sending one event to many pages.

Where pages do not depend on one another, each distinct column is looked up once and the
counts come from a histogram. Where a swap device crosses a threshold on the way, the walk is
cut there.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TypeAlias

from swaptrace.counters import POSITION, Counter
from swaptrace.mm.event import Event, Pageout
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World

Met: TypeAlias = dict[int, tuple[TransitionRow, int]]
"""Column to its transition and the number of pages that take it."""

NEW_ANON = itemgetter(
    POSITION[Counter.ZERO_FILL],
    POSITION[Counter.WP_COPY],
    POSITION[Counter.COW_FAULT],
    POSITION[Counter.UFFD_MISSING],
)
"""Of counts those of what gives a process a page of its own, by a fault or its handler."""


def send(
    world: World,
    tally: Tally,
    shared: SharedRegion,
    walk: Walk,
    event: Event,
    met: Met | None = None,
) -> None:
    """Let `event` happen to each page of the walk, in its order; `met` is its survey, if known."""
    if world.arena is not None:
        world.arena.send(tally, shared, walk, event)
        return
    if world.batched is not None:
        world.batched.send(tally, shared, walk, event)
        return
    if met is None:
        met = survey(world, shared, walk, event)
    if facts_hold(world, met):
        commit(world, tally, shared, walk, with_facts(world, event), met)
    else:
        send_in_order(world, tally, shared, walk.ordered(), event)


def with_facts(world: World, event: Event) -> Event:
    """The event with the facts as they are for the next page."""
    facts = world.facts_now(isinstance(event, Pageout))
    return event if facts is event.facts else event._replace(facts=facts)


def survey(world: World, shared: SharedRegion, walk: Walk, event: Event) -> Met:
    """The transition of each column that the walk meets, and how many of its pages take it."""
    event, row = with_facts(world, event), world.table.row
    return {c: (row(event, c), pages) for c, pages in shared.region.histogram(walk).items()}


def facts_hold(world: World, met: Met) -> bool:
    """Whether no threshold of the swap device can be crossed within the walk."""
    taken = freed = 0
    for row, pages in met.values():
        if row.slots > 0:
            taken += row.slots * pages
        else:
            freed -= row.slots * pages
    for sign, slots in ((1, taken), (-1, freed)):
        alike = world.device.pages_alike(sign) if slots else None
        if alike is not None and slots > alike:
            return False
    return True


def send_in_order(
    world: World, tally: Tally, shared: SharedRegion, walk: Walk, event: Event
) -> None:
    """Stretch by stretch, cut where the facts change."""
    for start, count, column in list(shared.region.segments(walk)):
        done = 0
        while done < count:
            now = with_facts(world, event)
            row = world.table.row(now, column)
            alike = world.device.pages_alike(row.slots)
            pages = count - done if alike is None else min(alike, count - done)
            part = walk.part(start + done, pages)
            commit(world, tally, shared, part, now, {column: (row, pages)})
            done += pages


def commit(
    world: World, tally: Tally, shared: SharedRegion, walk: Walk, event: Event, met: Met
) -> None:
    """Count the transitions of a walk and change its pages."""
    changes = False
    for column, (row, pages) in sorted(met.items(), key=lambda each: -each[1][1]):
        changes = changes or row.new != column
        tally.take(shared, event, column, row, pages)
        world.device.used += row.slots * pages
        if row.violations:
            note_violations(tally, shared, walk, column, row, pages)
    if changes:
        shared.region.replace(walk, {column: row.new for column, (row, _) in met.items()})


def note_violations(
    tally: Tally, shared: SharedRegion, walk: Walk, column: int, row: TransitionRow, pages: int
) -> None:
    """What a transition broke, and the first page that shows it."""
    page = shared.region.first_page(walk, column)
    for kind, process in row.violations:
        tally.see(kind, *shared.seen_at(process, page), pages)
