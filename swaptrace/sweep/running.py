"""Computing the cells of a grid that are not kept yet, and keeping them as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.result.jsonfile import Node
from swaptrace.result.swept import Outcome, outcome_json, read_outcome
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep import identity
from swaptrace.sweep.store import Store
from swaptrace.terminal.workers import Submit, killed, workers

if TYPE_CHECKING:
    from swaptrace.replay.table import Table


class GridCell(NamedTuple):
    """A scenario on one machine under one policy, and the digest of all that it depends on.

    `number` is that of the policy.
    """

    scenario: Scenario
    policy: Policy
    number: int
    digest: str


Computed = Iterator[tuple[int, str]]
"""Numbers of cells, in whatever order they are done, and their outcomes as JSON."""


class Engine(NamedTuple):
    """What measures working sets and computes cells. However it ends, nothing of it goes on."""

    working_set: Callable[[Scenario], int]
    computed: Callable[[Sequence[GridCell]], AbstractContextManager[Computed]]


class Done(NamedTuple):
    """The outcome of every cell, in order, and how many of them were computed now."""

    outcomes: tuple[Outcome, ...]
    computed: int


def cells_of(scenarios: Sequence[Scenario], policies: Sequence[Policy]) -> list[GridCell]:
    """Each scenario under each policy; the scenarios are one, on several machines."""
    sources = [identity.of_policy(policy) for policy in policies]
    traces = identity.of_traces(scenarios[0]) if scenarios else {}
    return [
        GridCell(scenario, policy, number, identity.of_cell(scenario, traces, policy, source))
        for scenario in scenarios
        for number, (policy, source) in enumerate(zip(policies, sources, strict=True))
    ]


def completed(
    cells: Sequence[GridCell],
    store: Store,
    engine: Engine,
    *,
    done: Callable[[int, int], None],
    spoilt: Callable[[SwaptraceError], None],
) -> Done:
    """All cells, those that are kept from the store.

    `done` is told how many of how many that are to be computed are, `spoilt` what is wrong with a
    file of the store. Raises what replays raise; what was computed before is kept.
    """
    found: dict[str, Outcome] = {}
    for cell in cells:
        kept = None if cell.digest in found else _kept(store, cell.digest, spoilt)
        if kept is not None:
            found[cell.digest] = kept
    missing = list({cell.digest: cell for cell in cells if cell.digest not in found}.values())
    if missing:
        done(0, len(missing))
        with engine.computed(missing) as results:
            for count, (number, text) in enumerate(results, start=1):
                digest, content = missing[number].digest, json.loads(text)
                store.put(digest, content)
                found[digest] = read_outcome(Node(content, digest))
                done(count, len(missing))
    return Done(tuple(found[cell.digest] for cell in cells), len(missing))


def _kept(store: Store, digest: str, spoilt: Callable[[SwaptraceError], None]) -> Outcome | None:
    try:
        content = store.get(digest)
        return None if content is None else read_outcome(content)
    except SwaptraceError as error:
        spoilt(error)
        return None


def as_text(outcome: Outcome) -> str:
    """The outcome as engines hand it over."""
    return json.dumps(outcome_json(outcome), sort_keys=True)


@contextmanager
def here(policies: Sequence[Policy], jobs: int, meanwhile: Callable[[], None]) -> Iterator[Engine]:
    """The engine that computes on this machine, in so many processes at a time.

    What a replay needs is imported in each of them. `meanwhile` is what this one does while they
    have begun, once or more.
    """
    if jobs == 1:
        yield alone(policies)
        return
    with workers(jobs, lambda: tables_of(policies)) as submit, killed():
        yield _in_processes(submit, meanwhile)


def alone(policies: Sequence[Policy]) -> Engine:
    """The engine that computes in this process."""

    @contextmanager
    def computed(cells: Sequence[GridCell]) -> Iterator[Computed]:
        tables = tables_of(policies)
        yield ((n, _cell(tables, cell.scenario, cell.number)) for n, cell in enumerate(cells))

    return Engine(partial(measured, ()), computed)


def _in_processes(submit: Submit, meanwhile: Callable[[], None]) -> Engine:
    def working_set(scenario: Scenario) -> int:
        future: Future[int] = submit(measured, scenario)
        meanwhile()
        return future.result()

    @contextmanager
    def computed(cells: Sequence[GridCell]) -> Iterator[Computed]:
        futures = [submit(_cell, cell.scenario, cell.number) for cell in cells]
        meanwhile()
        numbers: Mapping[object, int] = {future: n for n, future in enumerate(futures)}
        yield ((numbers[future], future.result()) for future in as_completed(futures))

    return Engine(working_set, computed)


def tables_of(policies: Sequence[Policy]) -> list[Table]:
    """The transitions of each policy, and all that a replay needs imported."""
    from swaptrace.replay.table import Table
    from swaptrace.sweep import outcome, workingset  # noqa: F401

    return [Table(policy) for policy in policies]


def measured(_tables: Sequence[Table], scenario: Scenario) -> int:
    """The working set, in bytes; its policy is another. Raises what a replay raises."""
    from swaptrace.sweep.workingset import working_set

    return working_set(scenario)


def _cell(tables: Sequence[Table], scenario: Scenario, number: int) -> str:
    """The outcome of a cell under the policy of that number."""
    from swaptrace.sweep.outcome import outcome_of

    return as_text(outcome_of(scenario, tables[number]))
