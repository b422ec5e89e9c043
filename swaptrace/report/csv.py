"""CSV: reports of `run`, `compare` and `diff` as bare values, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Final

from swaptrace.errors import printable
from swaptrace.report.reports import CompareReport, DiffReport, Report, RunReport
from swaptrace.result.changes import (
    TOTAL,
    Change,
    all_in,
    used,
    windows_of,
)
from swaptrace.result.differences import Diff, MissingPart, Promise
from swaptrace.result.result import Result, ScenarioResult
from swaptrace.result.snapshot import Snapshot

FORMULA: Final = ("=", "+", "-", "@")
"""How a cell begins that a spreadsheet computes."""

NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)

Line = Sequence[str | int]

_NUMBERS: Final = ("base_value", "value", "difference", "percent")


def comma_separated(report: Report) -> str:
    """One value a line under a header.

    A violation is a row as well: its kind in the place of the counter, under `total`, and how
    many pages.
    """
    return written(_lines(report))


def written(lines: Iterable[Line]) -> str:
    """Lines of cells as CSV."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for line in lines:
        writer.writerow([_cell(cell) for cell in line])
    return text.getvalue()


def _cell(value: str | int) -> str:
    """A cell that no spreadsheet takes for a formula: one has an apostrophe before it then."""
    text = printable(str(value))
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _lines(report: Report) -> Iterator[Line]:
    match report:
        case RunReport(result):
            yield "scenario", "policy", "window", "counter", "value"
            yield from _of_run(result)
        case CompareReport(result):
            yield "scenario", "window", "counter", "base", "policy", *_NUMBERS
            yield from _of_comparison(result)
        case DiffReport(diff):
            columns = ("scenario", "policy", "window", "counter", "old", "new")
            yield *columns, "difference", "percent", "status"
            yield from _of_diff(diff, report.everything)


def _of_run(result: Result) -> Iterator[Line]:
    for scenario in result.scenarios:
        for window in windows_of(scenario.policies.values()):
            found = {name: all_in(each, window) for name, each in scenario.policies.items()}
            for counter in used(found.values()):
                for policy, counters in found.items():
                    yield scenario.name, policy, window, counter, counters.get(counter, 0)


def _of_comparison(result: Result) -> Iterator[Line]:
    for scenario in result.scenarios:
        base, *others = scenario.policies
        for window in windows_of(scenario.policies.values()):
            for change, policy in _pairs(scenario, window, base, others):
                values = (change.old, change.new, *_difference(change))
                yield scenario.name, window, change.counter, base, policy, *values


def _pairs(
    scenario: ScenarioResult, window: str, base: str, others: Sequence[str]
) -> Iterator[tuple[Change, str]]:
    found = {name: all_in(each, window) for name, each in scenario.policies.items()}
    for counter in used(found.values()):
        for name in others:
            old, new = found[base].get(counter, 0), found[name].get(counter, 0)
            yield Change(window, counter, old, new), name


def _difference(change: Change) -> tuple[int, str]:
    """Absolute and in per cent; that is empty where the old value is 0."""
    percent = f"{100 * change.difference / change.old:.1f}" if change.old else ""
    return change.difference, percent


def _of_diff(diff: Diff, everything: bool) -> Iterator[Line]:
    for row in diff.rows if everything else diff.changed:
        change = row.change
        status = "changed" if change.difference else "equal"
        values = (change.old, change.new, *_difference(change))
        yield row.scenario, row.policy, change.window, change.counter, *values, status
    for part in diff.added:
        for *place, count in _within(part, diff.new):
            yield *place, "", count, "", "", "new"
    for part in diff.gone:
        for *place, count in _within(part, diff.old):
            yield *place, count, "", "", "", "gone"
    yield from (_promise(promise, 0, promise.broken.pages) for promise in diff.broken)
    yield from (_promise(promise, promise.broken.pages, 0) for promise in diff.mended)


def _within(part: MissingPart, snapshot: Snapshot) -> Iterator[tuple[str, str, str, str, int]]:
    """Every value of what only one of two snapshots has."""
    policies = snapshot.scenarios[part.scenario]
    for policy in [part.policy] if part.policy else policies:
        windows = policies[policy].windows
        for window in [part.window] if part.window else windows:
            for counter in used([windows[window]]):
                count = windows[window].get(counter, 0)
                yield part.scenario, policy, window, counter, count


def _promise(promise: Promise, old: int, new: int) -> Line:
    change = Change(TOTAL, promise.broken.kind, old, new)
    status = "new" if new else "gone"
    place = (promise.scenario, promise.policy, TOTAL, change.counter)
    return *place, old, new, *_difference(change), status
