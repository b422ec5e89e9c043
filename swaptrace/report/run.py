"""The tables of `run`, and what `run` and `compare` both show below their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.checkpoints import checkpoint_report
from swaptrace.report.layout import FirstFit, Indented, TextTable, spaced, words
from swaptrace.result.changes import TOTAL, counters_in, used, violation_text, windows_of
from swaptrace.result.judge import failed_check, failure
from swaptrace.result.result import (
    Counters,
    Note,
    PolicyResult,
    Result,
    ScenarioResult,
    StepResult,
    Violation,
)


def run_report(result: Result) -> RenderableType:
    """A table per scenario: a row per window and policy."""
    return each_scenario(result, _counters)


def each_scenario(
    result: Result, counters: Callable[[ScenarioResult], RenderableType]
) -> RenderableType:
    """Each scenario's counters, below them what is to be said of them, a blank line between."""
    return Group(*spaced(_scenario(scenario, counters) for scenario in result.scenarios))


def _scenario(
    scenario: ScenarioResult, counters: Callable[[ScenarioResult], RenderableType]
) -> list[RenderableType]:
    title = words("")
    title.append_text(words(scenario.name, "bold")).append_text(
        words(f"  ({scenario.file})", "dim")
    )
    parts: list[RenderableType] = [title, "", counters(scenario)]
    findings = list(_findings(scenario))
    if findings:
        parts += ["", *findings]
    return [*parts, *_steps(scenario), *_pages(scenario), *checkpoint_report(scenario)]


# The counters.


def _counters(scenario: ScenarioResult) -> FirstFit:
    policies = scenario.policies
    labels = windows_of(policies.values())
    rows = tuple(
        _Row(label, name, counters_in(policy, label))
        for label in labels
        for name, policy in policies.items()
    )
    counted = _CountedRun(rows, tuple(labels), tuple(used(row.found for row in rows)))
    return FirstFit(lambda: [counted.row_each()], counted.column_each, counted.table_each)


class _Row(NamedTuple):
    """What was counted in one window under one policy."""

    window: str
    policy: str
    found: Counters

    def counts(self, counters: Sequence[str]) -> list[str]:
        return [str(self.found.get(counter, 0)) for counter in counters]


class _CountedRun(NamedTuple):
    rows: tuple[_Row, ...]
    windows: tuple[str, ...]
    counters: tuple[str, ...]

    @property
    def windowed(self) -> bool:
        return self.windows != (TOTAL,)

    def row_each(self) -> TextTable:
        """All in one table, a counter a column."""
        names = ["window", "policy"] if self.windowed else ["policy"]
        rows = (
            [*([row.window] if self.windowed else []), row.policy, *row.counts(self.counters)]
            for row in self.rows
        )
        return TextTable([*names, *self.counters], len(names), rows)

    def column_each(self) -> Iterator[RenderableType]:
        """A table for each window, a policy a column, a counter a row."""
        return spaced(self.window(label) for label in self.windows)

    def window(self, label: str) -> list[RenderableType]:
        rows = [row for row in self.rows if row.window == label]
        columns = [row.counts(self.counters) for row in rows]
        lines = zip(self.counters, *columns, strict=True)
        table = TextTable(["counter", *(row.policy for row in rows)], 1, lines)
        return [words(label, "bold"), table] if self.windowed else [table]

    def table_each(self) -> Iterator[RenderableType]:
        """A little table for each window and policy, a counter a row."""
        return spaced(
            [
                words(f"{row.window}, {row.policy}", "bold"),
                TextTable(
                    (), 1, zip(self.counters, row.counts(self.counters), strict=True), indent=2
                ),
            ]
            for row in self.rows
        )


# What is said of them.


def _findings(scenario: ScenarioResult) -> Iterator[Text]:
    for name, policy in scenario.policies.items():
        for violation in policy.violations:
            yield _violation(name, violation)
    yield from _notes(scenario)
    checked = scenario.expectations
    failed = [expectation for expectation in checked if not expectation.ok]
    for expectation in failed:
        yield words(f"expect: {failure(expectation)}", "red")
    if checked:
        verdict = f"expect: {len(checked) - len(failed)} of {len(checked)} hold"
        yield words(verdict, "bold red" if failed else "green")
    yield from _checks(scenario)


def _checks(scenario: ScenarioResult) -> Iterator[Text]:
    """The claims of `check` steps that do not hold, and how many do."""
    made = [(name, each) for name, policy in scenario.policies.items() for each in policy.checks]
    failed = [(name, each) for name, each in made if not each.ok]
    for name, each in failed:
        yield words(f"check: {failed_check(name, each)}", "red")
    if made:
        verdict = f"check: {len(made) - len(failed)} of {len(made)} hold"
        yield words(verdict, "bold red" if failed else "green")


def _notes(scenario: ScenarioResult) -> Iterator[Text]:
    """Each once, and under which policies, unless it is all of them."""
    said: dict[Note, list[str]] = {}
    for name, policy in scenario.policies.items():
        for note in policy.notes:
            said.setdefault(note, []).append(name)
    for note, names in said.items():
        under = "" if len(names) == len(scenario.policies) else f" under {', '.join(names)}"
        yield words(f"note: line {note.line}: {note.text}{under}", "dim")


def _violation(policy: str, violation: Violation) -> Text:
    style = "yellow" if violation.is_warning else "red"
    return words(violation_text(violation, f" under {policy}"), style)


# `--steps` and `--pages`.


def _steps(scenario: ScenarioResult) -> Iterator[RenderableType]:
    for name, policy in scenario.policies.items():
        if policy.steps is not None:
            yield ""
            yield words(f"steps under {name}", "bold")
            yield _step_table(policy.steps)


def _step_table(steps: Sequence[StepResult]) -> FirstFit:
    counters = used(step.counters for step in steps)
    repeated = any(step.times > 1 for step in steps)
    header = ["step", "process", "op", "line", *(["times"] if repeated else []), *counters]
    rows = [
        [
            *(step.step, step.process, step.op, str(step.line)),
            *([str(step.times)] if repeated else []),
            *(str(step.counters.get(counter, 0)) for counter in counters),
        ]
        for step in steps
    ]
    return FirstFit(
        lambda: [TextTable(header, 3, rows)],
        lambda: (part for step in steps for part in _one_step(step)),
    )


def _one_step(step: StepResult) -> Iterator[RenderableType]:
    times = f", {step.times} times" if step.times > 1 else ""
    yield words(f"{step.step}: {step.op} by {step.process}, line {step.line}{times}")
    counted = [name for name in used([step.counters]) if name in step.counters]
    if counted:
        yield TextTable((), 1, ([name, str(step.counters[name])] for name in counted), indent=2)


def _pages(scenario: ScenarioResult) -> Iterator[RenderableType]:
    shown = [name for name, policy in scenario.policies.items() if policy.pages is not None]
    maps = [row for name in shown for row in _maps(name, scenario.policies[name])]
    if shown:
        yield ""
        yield words("pages at the end", "bold")
        yield FirstFit(
            lambda: [TextTable(["policy", "process", "region", "pages"], 4, maps)],
            lambda: (part for row in maps for part in _one_map(*row)),
        )


def _maps(name: str, policy: PolicyResult) -> Iterator[tuple[str, str, str, str]]:
    for process, regions in (policy.pages or {}).items():
        for region, code in regions.items():
            yield name, process, region, code


def _one_map(policy: str, process: str, region: str, code: str) -> Iterator[RenderableType]:
    """A page map, which may be as long as the region, wrapped after its commas."""
    yield words(f"{policy}, {process}, {region}")
    yield Indented(words(code.replace(",", ", ")))
