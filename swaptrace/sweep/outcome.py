"""Computing one cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from swaptrace.counters import Counter
from swaptrace.errors import OutOfMemory, ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.replay.pages.sequence import length, trace_of
from swaptrace.replay.table import Table
from swaptrace.result.result import StepResult
from swaptrace.result.swept import CellCounts, Killed, Outcome
from swaptrace.scenario.operations import TOTAL
from swaptrace.scenario.schema import (
    AccessPatternStep,
    MeasureStep,
    RepeatStep,
    Scenario,
    Step,
    TraceStep,
)

MISSES: Final = (Counter.MAJFLT, Counter.ZERO_FILL, Counter.ZERO_PAGE)
"""The faults of accesses that found no page: it was in swap, or had never been touched."""

ITERATION: Final = re.compile(r"\[[^]]*\]")


def outcome_of(scenario: Scenario, table: Table) -> Outcome:
    """Replay the scenario. Raises what a replay raises, but for `OutOfMemory`."""
    try:
        result = replay(scenario, table, steps=True)
    except ScenarioError as error:
        if isinstance(error.__cause__, OutOfMemory):
            (problem,) = error.problems
            return Killed(problem.line, problem.message)
        raise
    accesses, misses = sequences(scenario, result.steps or ())
    return CellCounts(replace(result, steps=None), accesses, misses)


def sequences(
    scenario: Scenario, steps: tuple[StepResult, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    """By window, the accesses of sequences that were executed, and their misses."""
    lengths = dict(_leaves(scenario.steps, "", TOTAL))
    counts: dict[str, int] = {}
    accesses: dict[str, int] = {}
    misses: dict[str, int] = {}
    cut: set[str] = set()
    for executed in steps:
        path = ITERATION.sub("", executed.step)
        step, window = lengths[path]
        if not isinstance(step, AccessPatternStep | TraceStep):
            continue
        if path not in counts:
            counts[path] = (
                length(trace_of(step, scenario)) if isinstance(step, TraceStep) else step.count
            )
        missed = sum(executed.counters.get(counter, 0) for counter in MISSES)
        for place in dict.fromkeys((window, TOTAL)):
            accesses[place] = accesses.get(place, 0) + counts[path] * executed.times
            misses[place] = misses.get(place, 0) + missed * executed.times
            if executed.counters.get(Counter.SIGSEGV):
                cut.add(place)
    known = [window for window in accesses if window not in cut]
    return {each: accesses[each] for each in known}, {each: misses[each] for each in known}


def _leaves(
    steps: tuple[Step, ...], prefix: str, window: str
) -> Iterator[tuple[str, tuple[Step, str]]]:
    """Every step that is none around others, by its path without iterations, and its window."""
    for index, step in enumerate(steps):
        path = f"{prefix}{index}"
        if isinstance(step, MeasureStep | RepeatStep):
            inner = step.label if isinstance(step, MeasureStep) else window
            yield from _leaves(step.steps, f"{path}.", inner)
        else:
            yield path, (step, window)
