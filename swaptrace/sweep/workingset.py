"""The working set of a scenario: what shares of the memory are shares of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swaptrace import policies
from swaptrace.replay.engine import Replay
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.table import Table
from swaptrace.replay.world import World
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep.grid import unlimited

if TYPE_CHECKING:
    from swaptrace.mm.column import Column
    from swaptrace.replay.tally import Tally
    from swaptrace.scenario.schema import Step

POLICY = "prepatch"
"""Under which it is measured: one that every grid has in common."""


def working_set(scenario: Scenario) -> int:
    """How many bytes the scenario's pages take at most, in memory and in swap, without a limit.

    What is asked is the state after each step that is no `measure` or `repeat`. Raises what a
    replay raises.
    """
    most = 0
    free = unlimited(scenario)
    table = Table(policies.find(POLICY))

    def look(_path: str, _step: Step, _tally: Tally) -> None:
        nonlocal most
        most = max(most, pages_held(run.world))

    run = Replay(free, table, observe=look)
    run.steps(free.steps, "", None, run.record)
    return most * free.machine.page_size


def pages_held(world: World) -> int:
    """How many pages of data there are: folios, and slots of which no folio is cached."""
    columns = world.table.columns
    return sum(
        pages * held(columns[column])
        for shared in world.shared_regions()
        for column, pages in shared.region.histogram(Walk(0, shared.region.pages)).items()
    )


def held(column: Column) -> int:
    """The pages of data that one virtual page has, in all its processes."""
    cached = {folio.slot for folio in column.folios if folio.slot is not None}
    return len(column.folios) + len(column.slots) - len(cached)
