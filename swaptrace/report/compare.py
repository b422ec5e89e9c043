"""The tables of `compare`: policies beside the first of them, with the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.layout import Cell, FirstFit, TextTable, spaced, words
from swaptrace.report.run import each_scenario
from swaptrace.result.changes import FAULTS, TOTAL, Change, counters_in, used, windows_of
from swaptrace.result.result import Result, ScenarioResult


def compare_report(result: Result) -> RenderableType:
    """A row per window and counter, each policy beside the first."""
    return comparison(result, _counters)


def comparison(
    result: Result, counters: Callable[[ScenarioResult], RenderableType]
) -> RenderableType:
    """How many scenarios differ, those that do with their counters, and the others in one line.

    An equal scenario is shown as well where it is the only one, where it has something to say
    besides its counters, and where more than counters was asked for.
    """
    if len(result.scenarios) == 1:
        (only,) = result.scenarios
        shown = each_scenario(result, counters)
        return Group(shown, "", _no_difference()) if all_equal(only) else shown
    equal = [scenario for scenario in result.scenarios if all_equal(scenario)]
    quiet = [scenario for scenario in equal if _is_quiet(scenario)]
    loud = tuple(scenario for scenario in result.scenarios if scenario not in quiet)
    parts: list[RenderableType] = [_summary(len(result.scenarios), len(equal))]
    if loud:
        parts += ["", each_scenario(replace(result, scenarios=loud), counters)]
    if quiet:
        names = ", ".join(scenario.name for scenario in quiet)
        parts += ["", words(f"equal in every counter and violation: {names}")]
    if len(equal) == len(result.scenarios):
        parts += ["", _no_difference()]
    return Group(*parts)


def all_equal(scenario: ScenarioResult) -> bool:
    """Whether every policy gave what the first did: counters, violations, and what else was asked
    for; histories are only drawn."""
    first, *others = (replace(policy, history=None) for policy in scenario.policies.values())
    return all(policy == first for policy in others)


def _is_quiet(scenario: ScenarioResult) -> bool:
    """Whether nothing is to be said of it but its counters."""
    return all(expectation.ok for expectation in scenario.expectations) and not any(
        policy.violations or policy.steps or policy.pages or policy.checkpoints
        for policy in scenario.policies.values()
    )


def _summary(scenarios: int, equal: int) -> Text:
    differ = scenarios - equal
    differing = "1 differs" if differ == 1 else f"{differ} differ"
    alike = "1 is equal" if equal == 1 else f"{equal} are equal"
    return words(f"{scenarios} scenarios: {differing}, {alike}")


def _no_difference() -> Text:
    return words("no difference", "green")


def _counters(scenario: ScenarioResult) -> FirstFit:
    base, *others = scenario.policies
    compared = _Compared(base, tuple(others), tuple(worth_showing(scenario)))
    return FirstFit(lambda: [compared.beside()], compared.pairs, compared.beneath)


def worth_showing(scenario: ScenarioResult) -> Iterator[tuple[Change, ...]]:
    """For each counter that is shown, its change from the first policy to each other."""
    for label in windows_of(scenario.policies.values()):
        yield from _changes(scenario, label)


def _changes(scenario: ScenarioResult, window: str) -> Iterator[tuple[Change, ...]]:
    first, *others = (counters_in(policy, window) for policy in scenario.policies.values())
    for counter in used([first, *others]):
        old = first.get(counter, 0)
        changes = tuple(Change(window, counter, old, other.get(counter, 0)) for other in others)
        if any(worth_a_row(change) for change in changes):
            yield changes


def worth_a_row(change: Change) -> bool:
    """Whether it is shown: a fault counter, or anything that has changed."""
    return change.counter in FAULTS or change.difference != 0


class _Compared(NamedTuple):
    """What is compared; each of `rows` has one change for each of the others."""

    base: str
    others: tuple[str, ...]
    rows: tuple[tuple[Change, ...], ...]

    @property
    def windowed(self) -> bool:
        return any(changes[0].window != TOTAL for changes in self.rows)

    def beside(self) -> TextTable:
        """All in one table."""
        names = ["window", "counter"] if self.windowed else ["counter"]
        header = [*names, self.base]
        for other in self.others:
            header += [other, "diff", "%"]
        return TextTable(header, len(names), (self.row(changes) for changes in self.rows))

    def row(self, changes: Sequence[Change]) -> list[str | Cell]:
        first = changes[0]
        cells: list[str | Cell] = [first.window] if self.windowed else []
        cells += [first.counter, str(first.old)]
        for change in changes:
            cells += new_cells(change)
        return cells

    def pairs(self) -> Iterator[RenderableType]:
        """A table for each of the others."""
        return spaced(
            [words(f"{self.base} and {other}", "bold"), self.only(index).beside()]
            for index, other in enumerate(self.others)
        )

    def only(self, index: int) -> _Compared:
        rows = tuple((changes[index],) for changes in self.rows if worth_a_row(changes[index]))
        return _Compared(self.base, (self.others[index],), rows)

    def beneath(self) -> Iterator[RenderableType]:
        """A little table for each window and counter, with a policy a row."""
        return spaced(
            [
                words(f"{changes[0].window}, {changes[0].counter}", "bold"),
                TextTable((), 1, self.policies(changes), indent=2),
            ]
            for changes in self.rows
        )

    def policies(self, changes: Sequence[Change]) -> Iterator[list[str | Cell]]:
        yield [self.base, str(changes[0].old), "", ""]
        for name, change in zip(self.others, changes, strict=True):
            yield [name, *new_cells(change)]


def new_cells(change: Change) -> tuple[str, Cell, Cell]:
    """The new value, the difference, and the same in per cent."""
    style = "bold" if change.difference else ""
    if change.counter in FAULTS and change.difference:
        style = "red" if change.difference > 0 else "green"
    signed = f"{change.difference:+d}" if change.difference else "0"
    return str(change.new), Cell(signed, style), Cell(change.percent, style)
