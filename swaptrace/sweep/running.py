"""Computing the cells of a grid that are not kept yet, and keeping them as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.replay.parallel import forked, killed
from swaptrace.replay.table import Table
from swaptrace.result.jsonfile import Node
from swaptrace.result.swept import Outcome, outcome_json, read_outcome
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep import identity
from swaptrace.sweep.outcome import outcome_of
from swaptrace.sweep.store import Store


class GridCell(NamedTuple):
    """A scenario on one machine under one policy, and the digest of all that it depends on."""

    scenario: Scenario
    policy: Policy
    digest: str


Computed = Iterator[tuple[int, str]]
"""Numbers of cells, in whatever order they are done, and their outcomes as JSON."""

Engine = Callable[[Sequence[GridCell]], AbstractContextManager[Computed]]
"""What computes cells. However it ends, nothing of it goes on."""


class Done(NamedTuple):
    """The outcome of every cell, in order, and how many of them were computed now."""

    outcomes: tuple[Outcome, ...]
    computed: int


def cells_of(scenarios: Sequence[Scenario], policies: Sequence[Policy]) -> list[GridCell]:
    """Each scenario under each policy; the scenarios are one, on several machines."""
    sources = [identity.of_policy(policy) for policy in policies]
    traces = identity.of_traces(scenarios[0]) if scenarios else {}
    return [
        GridCell(scenario, policy, identity.of_cell(scenario, traces, policy, source))
        for scenario in scenarios
        for policy, source in zip(policies, sources, strict=True)
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
        with engine(missing) as results:
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


def here(cells: Sequence[GridCell], jobs: int) -> AbstractContextManager[Computed]:
    """The engine that computes on this machine, in so many processes at a time."""
    tables = {id(cell.policy): Table(cell.policy) for cell in cells}

    def one(number: int) -> str:
        cell = cells[number]
        return as_text(outcome_of(cell.scenario, tables[id(cell.policy)]))

    return _alone(cells, one) if jobs == 1 else _in_processes(cells, one, jobs)


@contextmanager
def _alone(cells: Sequence[GridCell], one: Callable[[int], str]) -> Iterator[Computed]:
    yield ((number, one(number)) for number in range(len(cells)))


@contextmanager
def _in_processes(
    cells: Sequence[GridCell], one: Callable[[int], str], jobs: int
) -> Iterator[Computed]:
    with forked(one, range(len(cells)), jobs) as futures, killed():
        numbers: Mapping[object, int] = {future: n for n, future in enumerate(futures)}
        yield ((numbers[future], future.result()) for future in as_completed(futures))
