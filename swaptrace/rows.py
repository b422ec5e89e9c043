"""The rows of the values that the Python interface returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from swaptrace.counters import ALL_COUNTERS
from swaptrace.result.changes import Change, changes, counters_in, windows_of
from swaptrace.result.explanation import ExplainedStep, Transition
from swaptrace.result.result import ScenarioResult
from swaptrace.result.swept import DERIVED, Swept

Row: TypeAlias = dict[str, object]


def counted(scenario: ScenarioResult) -> Iterator[Row]:
    """Of each window and policy."""
    for window in windows_of(scenario.policies.values()):
        for name, policy in scenario.policies.items():
            counters = counters_in(policy, window)
            place = {"scenario": scenario.name, "window": window, "policy": name}
            yield {**place, **all_counters(counters)}


def beside(scenario: ScenarioResult) -> Iterator[Row]:
    """Of each window, counter and policy after the first."""
    base, *others = scenario.policies
    for name in others:
        for each in changes(scenario.policies[base], scenario.policies[name]):
            place = {"scenario": scenario.name, "base": base, "policy": name}
            yield {**place, **change(each)}


def change(one: Change) -> Row:
    """Of a counter in two results."""
    values = {"old": one.old, "new": one.new, "difference": one.difference}
    return {"window": one.window, "counter": one.counter, **values}


def transition(step: ExplainedStep, one: Transition) -> Row:
    """Of pages that went the same way."""
    return {
        "step": step.step,
        "process": step.process,
        "op": step.op,
        "region": one.region,
        "pages": one.pages,
        "event": one.event,
        "before": "; ".join(one.before),
        "after": "; ".join(one.after),
        "decided": " > ".join(one.path),
        **all_counters(one.counters),
    }


def all_counters(counters: Mapping[str, int]) -> Row:
    """Those that are zero too."""
    return {name: counters.get(name, 0) for name in ALL_COUNTERS}


def swept(grid: Swept) -> Iterator[Row]:
    """Of each window, machine and policy, sizes in bytes too; None stands for what is not known."""
    sized = [axis for axis in grid.axes if axis.is_size]
    for window in grid.windows:
        for cell in grid.cells:
            settings: Row = dict(zip((axis.key for axis in grid.axes), cell.values, strict=True))
            settings |= {f"{axis.key}_bytes": cell.number(axis.key) for axis in sized}
            names = (*ALL_COUNTERS, *DERIVED)
            values = {name: cell.value(name, window) for name in names}
            yield {**settings, "policy": cell.policy, "window": window, **values}
