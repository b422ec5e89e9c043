"""The machines of a grid: every combination of the axes' values, each as a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Final, NamedTuple

from swaptrace.errors import Problem, ScenarioError
from swaptrace.scenario.hardware import LIMITED, Machine
from swaptrace.scenario.machine import overridden
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.source import Report
from swaptrace.scenario.values import human
from swaptrace.sweep.axes import Axis, Share, Value

Load = Callable[[Mapping[str, str]], Scenario]
"""Reads the scenario with overrides of its machine, those of `--set` among them."""

Measure = Callable[[Scenario], int]
"""Gives the working set of a scenario, in bytes."""

ANY_SIZE: Final = "1GiB"
"""What stands for a share as long as the working set is not known."""


ENOUGH: Final = 20
"""After so many machines that cannot be nobody looks for more."""


class Point(NamedTuple):
    """One machine of the grid: the value of each axis as it was given, and the scenario on it.

    `working_set` is what its shares are shares of, in bytes; None where there are none.
    """

    values: tuple[str, ...]
    scenario: Scenario
    working_set: int | None = None


def points(axes: Sequence[Axis], load: Load, measure: Measure) -> list[Point]:
    """Every machine, the last axis fastest.

    Raises what `load` and `measure` raise, and a `ScenarioError` with all combinations that make no
    machine.
    """
    errors: list[ScenarioError] = []
    made: list[Point] = []
    bases = _Bases(axes, load)
    for values in product(*(axis.values for axis in axes)):
        try:
            made.append(_point(axes, values, bases, measure))
        except ScenarioError as error:
            errors.append(error)
            if not bases.read or len(errors) == ENOUGH:
                break  # the file itself is wrong, or nobody reads on
    if errors:
        problems = [each for error in errors for each in error.problems]
        raise ScenarioError(dict.fromkeys(_as_given(problem) for problem in problems))
    return made


class _Bases:
    """The scenario with each of the page sizes, which its steps depend on, read once."""

    def __init__(self, axes: Sequence[Axis], load: Load) -> None:
        self.axes, self.load = axes, load
        self.read: dict[str, Scenario] = {}

    def on(self, overrides: Mapping[str, str]) -> Scenario:
        """The scenario on a machine with these settings."""
        keys = [axis.key for axis in self.axes if axis.path == "page_size"]
        size = "".join(overrides[key] for key in keys)
        if size not in self.read:
            self.read[size] = self.load(overrides)
            return _as_swept(self.read[size], overrides)
        report = Report()
        machine, said = overridden(self.read[size], overrides, report)
        report.check()
        return _as_swept(replace(self.read[size], machine=machine, said=said), overrides)


def _point(
    axes: Sequence[Axis], values: tuple[Value, ...], bases: _Bases, measure: Measure
) -> Point:
    shown = tuple(str(value) for value in values)
    settings = {axis.key: value for axis, value in zip(axes, values, strict=True)}
    whole = {key: value for key, value in settings.items() if not isinstance(value, Share)}
    if len(whole) == len(settings):
        return Point(shown, bases.on(whole))
    provisional = {key: whole.get(key, ANY_SIZE) for key in settings}
    scenario = bases.on(provisional)
    working_set = measure(scenario)
    size = scenario.machine.page_size
    sizes = {
        key: human(value.of(working_set, size)) if isinstance(value, Share) else value
        for key, value in settings.items()
    }
    return Point(shown, bases.on(sizes), working_set)


def _as_given(problem: Problem) -> Problem:
    """What is wrong with a setting of an axis is wrong with what `--over` said."""
    file = problem.file.removeprefix("--set ")
    return problem if file == problem.file else replace(problem, file=f"--over {file}")


def _as_swept(scenario: Scenario, settings: Mapping[str, str]) -> Scenario:
    """The scenario, of whose machine `--over` says these settings."""
    given = {f"--set {key}={value}": f"--over {key}={value}" for key, value in settings.items()}
    said = {
        path: mark._replace(source=replace(mark.source, file=given[mark.source.file]))
        if mark.source.file in given
        else mark
        for path, mark in scenario.said.items()
    }
    return replace(scenario, said=said)


def unlimited(scenario: Scenario) -> Scenario:
    """The scenario on a machine without a memory limit, and nothing that is said of one."""
    default = Machine()
    free = {key: getattr(default, key) for key in LIMITED}
    return replace(
        scenario,
        machine=replace(scenario.machine, **free),
        said={path: mark for path, mark in scenario.said.items() if path not in LIMITED},
    )


def cells(points: Sequence[Point], policies: int) -> Iterator[tuple[int, int]]:
    """The numbers of the machine and of the policy of each cell, in order."""
    return product(range(len(points)), range(policies))
