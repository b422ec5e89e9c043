"""Reports as Markdown, in the dialect of GitHub: the widest tables, and marks for the colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.layout import Cell, FirstFit, Indented, Lines, TableRow, TextTable, words
from swaptrace.report.reports import SHOWN, Report, tables

MARKS: Final = {
    "red": "\N{CROSS MARK} ",
    "bold red": "\N{CROSS MARK} ",
    "yellow": "\N{WARNING SIGN} ",
    "green": "\N{WHITE HEAVY CHECK MARK} ",
}
"""What stands before a line that is coloured on a terminal."""

SPECIAL = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown would take for markup. An underscore within a word is none."""

START = re.compile(r"^(\d*)((?<!\d)[#+=-]|[.)]$)")
"""A first word that would make the text a heading or a list."""


def markdown(report: Report) -> str:
    """The whole report and, where it does not show that itself, why it is a failure."""
    failures = [words(str(f), "red") for f in report.findings if f.kind not in SHOWN]
    return of_renderable(Group(tables(report), "", *failures))


def of_renderable(part: RenderableType) -> str:
    """What would be printed on a terminal, as Markdown."""
    return "\n\n".join(_blocks(part)) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, within a line."""
    return SPECIAL.sub(r"\\\g<0>", text)


def _quoted(match: re.Match[str]) -> str:
    """A backslash before the sign; before the dot of `1.`, since digits cannot have one."""
    return f"{match[1]}\\{match[2]}"


def _begin(text: str) -> str:
    """Text that Markdown shows as it is, at the start of a block."""
    first, *rest = escape(text).split(" ", 1)
    first = START.sub(_quoted, first)
    return " ".join([first, *rest])


def _blocks(part: RenderableType) -> Iterator[str]:
    """The blocks from top to bottom; texts that follow each other are one list."""
    items: list[str] = []
    for leaf in _leaves(part):
        if isinstance(leaf, Text) and not _heading(leaf):
            items.append(_item(leaf))
            continue
        if items:
            yield "\n".join(items)
            items = []
        if leaf != "":
            yield _block(leaf)
    if items:
        yield "\n".join(items)


def _leaves(part: RenderableType) -> Iterator[RenderableType]:
    """What a report consists of, in the widest layout."""
    if isinstance(part, Group):
        for each in part.renderables:
            yield from _leaves(each)
    elif isinstance(part, FirstFit):
        for each in part.layouts[0]():
            yield from _leaves(each)
    else:
        yield part


def _heading(text: Text) -> int:
    """The level of a heading: a title begins with something bold, a subtitle is bold as a whole."""
    if text.style == "bold":
        return 4
    return 3 if text.spans and text.spans[0].style == "bold" else 0


def _item(text: Text) -> str:
    mark = MARKS.get(str(text.style))
    return f"- {mark}{escape(text.plain)}" if mark else f"- {_begin(text.plain)}"


def _block(leaf: RenderableType) -> str:
    match leaf:
        case Text():
            return f"{'#' * _heading(leaf)} {escape(leaf.plain)}"
        case TextTable():
            return "\n".join(_table(leaf))
        case Indented(text):
            return _begin(text.plain)
        case Lines(lines, language):
            return "\n".join([f"```{language}", *lines, "```"])
        case _:
            raise TypeError(type(leaf))


def _table(table: TextTable) -> Iterator[str]:
    header, *rows = table.lines
    yield _line(header)
    columns = range(len(header.cells))
    yield "|" + "|".join(":---" if at < table.names else "---:" for at in columns) + "|"
    yield from map(_line, rows)


def _line(row: TableRow) -> str:
    return "| " + " | ".join(map(_cell, row.cells)) + " |"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"**{text}**" if cell.style and text else text
