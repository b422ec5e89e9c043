"""Reports as plain ASCII of at most 72 columns, for a commit message or a mail.

`compare` follows the layout of the kernel test robot's reports: value, %change, value, metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from io import StringIO
from typing import Any, Final, NamedTuple, TypeVar

from rich.console import Console, RenderableType

from swaptrace.report.compare import comparison, worth_a_row, worth_showing
from swaptrace.report.layout import Lines, spaced
from swaptrace.report.reports import CompareReport, Report, explained, tables
from swaptrace.result.changes import Change
from swaptrace.result.result import Result, ScenarioResult

WIDTH: Final = 72
"""What a mail and a commit message may have, so that it can still be quoted."""

PERCENT: Final = 9
"""The width of the %change column, as in the robot's reports."""

Value = TypeVar("Value")


def plain(report: Report) -> str:
    """The whole report as text."""
    report = _ascii(report)
    if isinstance(report, CompareReport):
        shown = explained(report, robot(report.result))
    else:
        shown = tables(report)
    text = StringIO()
    console = Console(
        file=text,
        width=WIDTH,
        height=25,
        force_terminal=False,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(shown)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _ascii(value: Value) -> Value:
    """The value with every string in it as ASCII, other characters as escapes."""
    changed: Any = value
    if isinstance(value, str):
        changed = value.encode("ascii", "backslashreplace").decode("ascii")
    elif isinstance(value, Mapping):
        changed = {_ascii(key): _ascii(each) for key, each in value.items()}
    elif isinstance(value, tuple):
        parts = map(_ascii, value)
        changed = value._make(parts) if hasattr(value, "_make") else tuple(parts)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = type(value)(**{f.name: _ascii(getattr(value, f.name)) for f in fields(value)})
    result: Value = changed
    return result


def robot(result: Result) -> RenderableType:
    """Policies beside the first, as the kernel test robot lays out commits."""
    return comparison(result, _counters)


def _counters(scenario: ScenarioResult) -> Lines:
    base, *others = scenario.policies
    rows = tuple(worth_showing(scenario))
    together = _Columns(base, tuple(others), rows)
    if together.width() <= WIDTH:
        return Lines(tuple(together.lines()))
    pairs = (together.only(index).lines() for index in range(len(others)))
    return Lines(tuple(str(line) for line in spaced(pairs)))


class _Columns(NamedTuple):
    """The value under the first policy, then for each other %change and value, then the metric."""

    base: str
    others: tuple[str, ...]
    rows: tuple[tuple[Change, ...], ...]

    def only(self, index: int) -> _Columns:
        rows = tuple((each[index],) for each in self.rows if worth_a_row(each[index]))
        return _Columns(self.base, (self.others[index],), rows)

    def widths(self) -> list[int]:
        """Of the values, each at least as wide as `value`."""
        values = [[row[0].old for row in self.rows]]
        values += [[row[at].new for row in self.rows] for at in range(len(self.others))]
        names = [self.base, *self.others]
        pairs = zip(names, values, strict=True)
        return [max(len(name), *(len(str(v)) for v in column), 8) for name, column in pairs]

    def width(self) -> int:
        return max(map(len, self.lines()))

    def lines(self) -> Iterator[str]:
        first, *rest = self.widths()
        names = zip(self.others, rest, strict=True)
        yield "  ".join(
            [self.base.rjust(first), *(name.rjust(PERCENT + 2 + width) for name, width in names)]
        )
        yield "  ".join(["-" * first, *("-" * (PERCENT + 2 + width) for width in rest)])
        heads = ["%change".rjust(PERCENT) + "  " + "value".rjust(width) for width in rest]
        yield "  ".join(["value".rjust(first), *heads, "metric"])
        for changes in self.rows:
            yield from self.row(changes, first, rest)

    def row(self, changes: Sequence[Change], first: int, rest: Sequence[int]) -> Iterator[str]:
        """A metric that does not fit the line has one of its own."""
        cells = [str(changes[0].old).rjust(first)]
        for change, width in zip(changes, rest, strict=True):
            cells.append(robot_percent(change).rjust(PERCENT) + "  " + str(change.new).rjust(width))
        metric = f"{changes[0].window}.{changes[0].counter}"
        line = "  ".join([*cells, metric])
        if len(line) <= WIDTH or len(self.others) > 1:
            yield line
        else:
            yield f"{metric}:"
            yield "  ".join(cells)


def robot_percent(change: Change) -> str:
    """The change in per cent with its sign, also where there is none, as the robot writes it."""
    if not change.difference:
        return "+0.0%"
    return change.percent
