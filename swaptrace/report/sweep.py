"""`sweep` as a table and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType

from swaptrace.report.csv import written
from swaptrace.report.layout import FirstFit, TextTable, spaced, words
from swaptrace.result.changes import TOTAL, counters_in, used
from swaptrace.result.swept import (
    ACCESSES,
    DERIVED,
    MISS_RATIO,
    CellCounts,
    Killed,
    Swept,
    SweptCell,
)


def chosen(swept: Swept, counters: Sequence[str], window: str) -> list[str]:
    """The counters that are shown: those asked for, or all that count something, and the ratio of
    misses where there are accesses."""
    if counters:
        return list(counters)
    counted = [cell.outcome.result for cell in swept.cells if isinstance(cell.outcome, CellCounts)]
    found = used(counters_in(each, window) for each in counted)
    return [*([MISS_RATIO] if swept.known(ACCESSES, window) else []), *found]


def text_of(value: int | float | None) -> str:
    """A value in a table."""
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def sweep_report(swept: Swept, counters: Sequence[str], window: str) -> RenderableType:
    """A row for each machine and policy."""
    shown = chosen(swept, counters, window)
    title = words(f"{swept.name}  ({swept.file})", "bold")
    parts: list[RenderableType] = [title, ""]
    if window != TOTAL:
        parts[1:1] = [words(f"window {window}")]
    sets = sorted({each.working_set for each in swept.cells if each.working_set is not None})
    if sets:
        sizes = " and ".join(f"{size:,} bytes" for size in sets)
        parts[1:1] = [words(f"working set: {sizes}")]
    names = [axis.name for axis in swept.axes]
    header = [*names, "policy"]
    rows = [
        [*cell.values, cell.policy, *(text_of(cell.value(each, window)) for each in shown)]
        for cell in swept.cells
    ]
    table = FirstFit(
        lambda: [TextTable([*header, *shown], len(header), rows)],
        lambda: spaced(
            [
                words(", ".join(row[: len(header)]), "bold"),
                TextTable((), 1, zip(shown, row[len(header) :], strict=True), indent=2),
            ]
            for row in rows
        ),
    )
    notes = list(_notes(swept))
    return Group(*parts, table, *(["", *notes] if notes else []))


def _notes(swept: Swept) -> Iterator[RenderableType]:
    """What is to be said of single cells."""
    broken: dict[tuple[str, str], list[SweptCell]] = {}
    for cell in swept.cells:
        match cell.outcome:
            case Killed(line, message):
                yield words(f"{_place(swept, cell)}: line {line}: {message}", "red")
            case CellCounts(result):
                for kind in dict.fromkeys(each.kind for each in result.violations):
                    broken.setdefault((kind, cell.policy), []).append(cell)
    for (kind, policy), cells in broken.items():
        machines = len(swept.cells) // len(swept.policies)
        where = f"on {len(cells)} of {machines} machines, first {_place(swept, cells[0])}"
        yield words(f"{kind} under {policy}: {where}", "red")


def _place(swept: Swept, cell: SweptCell) -> str:
    settings = (f"{a.name}={text}" for a, text in zip(swept.axes, cell.values, strict=True))
    return ", ".join([*settings, cell.policy])


def sweep_csv(swept: Swept, counters: Sequence[str], window: str) -> str:
    """A value a line: the values of the axes as they were given, of a size in bytes as well."""
    sized = [axis for axis in swept.axes if axis.is_size]
    names = [*(axis.key for axis in swept.axes), *(f"{axis.key}_bytes" for axis in sized)]
    lines: list[Sequence[str | int]] = [(*names, "policy", "window", "counter", "value")]
    shown = chosen(swept, counters, window)
    if not counters and MISS_RATIO in shown:
        shown = [*DERIVED, *shown[1:]]
    for cell in swept.cells:
        place: list[str | int] = [
            *cell.values,
            *(cell.number(axis.key) for axis in sized),
            cell.policy,
            window,
        ]
        if isinstance(cell.outcome, Killed):
            lines.append((*place, "out_of_memory", 1))
            continue
        values = ((counter, cell.value(counter, window)) for counter in shown)
        lines += [(*place, name, _field(value)) for name, value in values if value is not None]
    return written(lines)


def _field(value: int | float) -> int | str:
    return repr(value) if isinstance(value, float) else value
