"""The tables of `diff`, which `run --baseline` shows as well, and its JSON `swaptrace.diff/1`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.compare import new_cells
from swaptrace.report.layout import Cell, FirstFit, TextTable, spaced, words
from swaptrace.result.differences import Diff, DifferenceRow, MissingPart, Promise

SCHEMA = "swaptrace.diff/1"


def diff_report(diff: Diff, everything: bool = False) -> RenderableType:
    """What differs: the values in a table, then what is new or gone; `everything` shows equal
    values as well."""
    rows = diff.rows if everything else diff.changed
    title = words("")
    title.append_text(words(f"{diff.old.source} -> {diff.new.source}", "bold"))
    parts: list[RenderableType] = [title]
    if rows:
        parts += ["", _table(rows)]
    said = list(_said(diff))
    if said:
        parts += ["", *said]
    return Group(*parts, "", summary(diff))


def _table(rows: Sequence[DifferenceRow]) -> FirstFit:
    return FirstFit(lambda: [_whole(rows)], lambda: _by_policy(rows))


def _whole(rows: Iterable[DifferenceRow]) -> TextTable:
    header = ["scenario", "policy", "window", "counter", "old", "new", "diff", "%"]
    return TextTable(header, 4, ([row.scenario, row.policy, *_cells(row)] for row in rows))


def _by_policy(rows: Iterable[DifferenceRow]) -> Iterator[RenderableType]:
    header = ["window", "counter", "old", "new", "diff", "%"]
    groups = groupby(rows, lambda row: (row.scenario, row.policy))
    return spaced(
        [words(", ".join(place), "bold"), _one_policy(header, list(group))]
        for place, group in groups
    )


def _one_policy(header: Sequence[str], rows: Sequence[DifferenceRow]) -> FirstFit:
    return FirstFit(lambda: [TextTable(header, 2, map(_cells, rows))], lambda: _by_counter(rows))


def _cells(row: DifferenceRow) -> list[str | Cell]:
    change = row.change
    return [change.window, change.counter, str(change.old), *new_cells(change)]


def _by_counter(rows: Iterable[DifferenceRow]) -> Iterator[RenderableType]:
    for row in rows:
        change = row.change
        yield words(f"{change.window}, {change.counter}")
        yield TextTable((), 0, [[str(change.old), *new_cells(change)]], indent=2)


def _said(diff: Diff) -> Iterator[Text]:
    for setting in diff.settings:
        old, new = json.dumps(setting.old), json.dumps(setting.new)
        text = f"{setting.scenario}: machine.{setting.key} was {old}, is {new}"
        yield words(text, "yellow")
    yield from (words(f"new: {part_name(part)}", "yellow") for part in diff.added)
    yield from (words(f"gone: {part_name(part)}", "yellow") for part in diff.gone)
    for promise in diff.broken:
        kind, style = ("warning", "yellow") if promise.is_warning else ("violation", "red")
        yield words(f"new {kind}: {_promise(promise)}", style)
    for promise in diff.mended:
        kind = "warning" if promise.is_warning else "violation"
        yield words(f"no longer a {kind}: {_promise(promise)}", "green")


def part_name(part: MissingPart) -> str:
    """What one of the two lacks, in a line."""
    if part.window:
        return f"{part.scenario}: {part.policy}: window {part.window}"
    return f"{part.scenario}: policy {part.policy}" if part.policy else f"scenario {part.scenario}"


def _promise(promise: Promise) -> str:
    return f"{promise.scenario}: {promise.policy}: {promise.what}"


def summary(diff: Diff) -> Text:
    """How many values differ and are equal, in a line."""
    total = len(diff.rows)
    if diff.empty:
        return words(f"no difference: {total} values are equal", "green")
    counts = [f"{len(diff.changed)} of {total} values differ"]
    counts += [f"{word}: {len(parts)}" for word, parts in _counted(diff) if parts]
    return words(", ".join(counts), "yellow")


def _counted(diff: Diff) -> Iterator[tuple[str, Sequence[object]]]:
    yield "new", diff.added
    yield "gone", diff.gone
    yield "new violations", diff.broken
    yield "violations gone", diff.mended


def diff_json(diff: Diff, everything: bool = False) -> str:
    """The same as `swaptrace.diff/1`: keys sorted, plain ASCII, a newline at the end."""
    document = {
        "schema": SCHEMA,
        "old": diff.old.source,
        "new": diff.new.source,
        "changes": [_row_json(row) for row in (diff.rows if everything else diff.changed)],
        "equal": len(diff.rows) - len(diff.changed),
        "added": [_part_json(part) for part in diff.added],
        "gone": [_part_json(part) for part in diff.gone],
        "broken": [_promise_json(promise) for promise in diff.broken],
        "mended": [_promise_json(promise) for promise in diff.mended],
        "machine": [setting._asdict() for setting in diff.settings],
    }
    return json.dumps(document, sort_keys=True, indent=2) + "\n"


def _row_json(row: DifferenceRow) -> dict[str, object]:
    """`percent` is null where the old value is 0."""
    change = row.change
    return {
        "scenario": row.scenario,
        "policy": row.policy,
        **change._asdict(),
        "difference": change.difference,
        "percent": 100 * change.difference / change.old if change.old else None,
    }


def _part_json(part: MissingPart) -> dict[str, str]:
    return {name: value for name, value in part._asdict().items() if value}


def _promise_json(promise: Promise) -> dict[str, object]:
    where = {"scenario": promise.scenario, "policy": promise.policy}
    return {**where, **promise.broken._asdict()}
