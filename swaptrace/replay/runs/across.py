"""Read-ahead in a VMA that has pages of several regions: a fault at a time (mm/swap_state.c)."""

from __future__ import annotations

from swaptrace.mm.event import Access, Event, Populate, SwapIn
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.visit import commit, with_facts
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World


def send_across(
    world: World,
    tally: Tally,
    shared: SharedRegion,
    walk: Walk,
    event: Access | Populate,
    bounds: tuple[int, int],
    readahead: ReadAhead,
) -> ReadAhead:
    """As `send_reading`, of a VMA whose bounds lie behind those of the region."""
    task = Pass(world, shared, event, bounds, readahead)
    process = world.processes[shared.members[event.process]]
    for page in walk.pages().tolist():
        now = with_facts(world, event)
        lookup = world.table.row(now, column_at(shared, page)).lookup
        window = range(*task.window(shared.base + page)) if lookup == "read" else range(0)
        if lookup == "read" and task.alone:
            now = now._replace(facts=now.facts._replace(readahead=False))
        elif lookup not in ("read", "none"):
            task.note_hit(shared.base + page, lookup == "readahead_hit")
        happen(world, tally, shared, page, now)
        for neighbour in window:
            if neighbour != page:
                read_ahead(world, tally, process, shared.base + neighbour)
    return task.readahead


def read_ahead(world: World, tally: Tally, process: Process, address: int) -> None:
    """The page at an address, of whatever region, is read into the swap cache."""
    shared = process.shared_at(address)
    reading = SwapIn(shared.member(process.name), world.facts, readahead=True)
    happen(world, tally, shared, address - shared.base, with_facts(world, reading))


def happen(world: World, tally: Tally, shared: SharedRegion, page: int, event: Event) -> None:
    """One event on one page, if it is one to it."""
    column = column_at(shared, page)
    row = world.table.row(event, column)
    if row.new != column or not isinstance(event, SwapIn):
        commit(world, tally, shared, Walk(page, 1), event, {column: (row, 1)})


def column_at(shared: SharedRegion, page: int) -> int:
    """The column of a page."""
    return shared.region.column_at(page)
