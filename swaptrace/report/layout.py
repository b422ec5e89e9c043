"""How reports are laid out: tables of ASCII, and a choice of them by the width of the terminal.

Nothing is ever cut. A report offers its tables in several layouts, from the widest to one
counter a row; the first that fits is taken, and what not even the last can fit is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from swaptrace.errors import printable

GAP = 2
"""Blanks between two columns."""


def words(text: str, style: str = "") -> Text:
    """Text that is shown as it is: no markup, wrapped between words, folded where there is none."""
    return Text(printable(text), style=style, overflow="fold")


class Cell(NamedTuple):
    """A cell of a table, with a rich style."""

    text: str
    style: str = ""


class TableRow(NamedTuple):
    """What a table's lines are made of: cells, and the style of the whole line."""

    cells: tuple[Cell, ...]
    style: str = ""


class TextTable:
    """A table whose first `names` columns are names and whose others are right-aligned numbers.

    rich.table lays out cells of any kind and takes a millisecond for each row; these are short
    strings, and a replay may have many thousands of steps. rich is asked only where the
    table must be folded.
    """

    def __init__(
        self,
        header: Sequence[str],
        names: int,
        rows: Iterable[Sequence[str | Cell]],
        indent: int = 0,
    ) -> None:
        self.rows = [_row(cells) for cells in rows]
        self.header = _row(header, "bold") if header else None
        self.names = names
        self.indent = indent

    @property
    def lines(self) -> list[TableRow]:
        return [self.header, *self.rows] if self.header else self.rows

    def widths(self) -> list[int]:
        """Of each column, in terminal cells."""
        columns = zip(*(row.cells for row in self.lines), strict=True)
        return [max(cell_len(cell.text) for cell in column) for column in columns]

    def width(self) -> int:
        """Of the whole table when nothing is folded."""
        widths = self.widths()
        return self.indent + sum(widths) + GAP * (len(widths) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.width() > options.max_width:
            yield self.folded()
            return
        widths = self.widths()
        for row in self.lines:
            line_style = console.get_style(row.style) if row.style else None
            yield Segment(" " * self.indent)
            for cell, text in zip(row.cells, self.aligned(row, widths), strict=True):
                yield Segment(text, console.get_style(cell.style) if cell.style else line_style)
            yield Segment.line()
            if row is self.header:
                yield Segment(" " * self.indent + "-" * (self.width() - self.indent))
                yield Segment.line()

    def aligned(self, row: TableRow, widths: Sequence[int]) -> Iterator[str]:
        """The texts of a row's cells, filled up to the width of their columns."""
        last = len(widths) - 1
        for index, (cell, width) in enumerate(zip(row.cells, widths, strict=True)):
            fill = " " * (width - cell_len(cell.text))
            gap = " " * GAP if index else ""
            if index >= self.names:
                yield gap + fill + cell.text
            else:
                yield gap + cell.text + ("" if index == last else fill)

    def folded(self) -> RenderableType:
        """The table in whatever width there is."""
        from rich.padding import Padding
        from rich.table import Table as RichTable

        made = RichTable(box=None, pad_edge=False, show_header=bool(self.header), padding=(0, 1))
        titles = self.header.cells if self.header else [Cell("")] * len(self.widths())
        for index, title in enumerate(titles):
            justify: JustifyMethod = "left" if index < self.names else "right"
            made.add_column(words(title.text), justify=justify, overflow="fold")
        for row in self.rows:
            made.add_row(*(words(cell.text, cell.style) for cell in row.cells))
        return Padding(made, (0, 0, 0, self.indent))


def _row(cells: Sequence[str | Cell], style: str = "") -> TableRow:
    styled = (Cell(cell) if isinstance(cell, str) else cell for cell in cells)
    return TableRow(tuple(cell._replace(text=printable(cell.text)) for cell in styled), style)


Layout = Callable[[], Iterable[RenderableType]]
"""Makes what is shown, from top to bottom. Text in it may wrap and always fits."""


def spaced(groups: Iterable[Iterable[RenderableType]]) -> Iterator[RenderableType]:
    """The parts of all groups, a blank line between two groups."""
    for index, group in enumerate(groups):
        if index:
            yield ""
        yield from group


class Indented(NamedTuple):
    """Text of several lines, a little to the right."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, options.max_width - GAP)
        for line in self.text.wrap(console, width, overflow="fold"):
            line.rstrip()
            yield Text(" " * GAP).append_text(line)


class Lines(NamedTuple):
    """Lines that are laid out already; `language` is what Markdown calls them."""

    lines: tuple[str, ...]
    language: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            yield words(line)


class FirstFit:
    """The first of several layouts whose tables fit the width; the last where none does."""

    def __init__(self, *layouts: Layout) -> None:
        self.layouts = layouts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        *wider, narrowest = self.layouts
        for layout in wider:
            parts = list(layout())
            tables = (part for part in parts if isinstance(part, TextTable))
            if all(table.width() <= options.max_width for table in tables):
                yield from parts
                return
        yield from narrowest()


def listing(header: Sequence[str], rows: Sequence[Sequence[str]]) -> FirstFit:
    """A table of names; or each row's first in bold, with what is known of it below."""
    return FirstFit(
        lambda: [TextTable(header, len(header), rows)],
        lambda: spaced(
            [words(name, "bold"), *(Indented(words(text)) for text in about if text)]
            for name, *about in rows
        ),
    )
