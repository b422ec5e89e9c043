"""What would be printed on a terminal, as blocks that a template shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.layout import FirstFit, Indented, Lines, TextTable


class HtmlBlock(NamedTuple):
    """A block: a `heading`, `line`, `indented`, `table` or `lines`.

    `style` is what its text looks like on a terminal; `cells` are the rows of a table, the first
    its header unless it has `headless` rows, and `names` says how many columns are names.
    """

    kind: str
    text: str = ""
    style: str = ""
    rows: tuple[tuple[tuple[str, str], ...], ...] = ()
    names: int = 0
    headless: bool = False


TONES = {"red": "bad", "bold red": "bad", "yellow": "warn", "green": "good", "bold": "changed"}
"""Classes of what is coloured on a terminal."""


def blocks(part: RenderableType, titled: bool = True) -> tuple[HtmlBlock, ...]:
    """The blocks from top to bottom, in the widest layout; not `titled`: without its first."""
    found = list(_blocks(part))
    return tuple(found if titled else found[1:])


def _blocks(part: RenderableType) -> Iterator[HtmlBlock]:
    match part:
        case Group():
            for each in part.renderables:
                yield from _blocks(each)
        case FirstFit():
            for each in part.layouts[0]():
                yield from _blocks(each)
        case Text():
            yield _text(part)
        case Indented(text):
            yield HtmlBlock("indented", text.plain, _tone(text))
        case Lines(lines):
            yield HtmlBlock("lines", "\n".join(lines))
        case TextTable():
            yield _table(part)
        case "":
            return
        case _:
            raise TypeError(type(part))


def _text(text: Text) -> HtmlBlock:
    """A title begins with something bold, a subtitle is bold as a whole."""
    if text.style == "bold" or (text.spans and text.spans[0].style == "bold"):
        return HtmlBlock("heading", text.plain)
    return HtmlBlock("line", text.plain, _tone(text))


def _tone(text: Text) -> str:
    return TONES.get(str(text.style), "")


def _table(table: TextTable) -> HtmlBlock:
    rows = tuple(
        tuple((cell.text, TONES.get(cell.style, "")) for cell in row.cells) for row in table.lines
    )
    return HtmlBlock("table", rows=rows, names=table.names, headless=table.header is None)
