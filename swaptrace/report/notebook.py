"""A report as HTML for a notebook: the table of a terminal, in the colours of the page."""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import Final

from rich.console import Console, RenderableType

WIDTH: Final = 160
"""Characters, about as many as a notebook shows without wrapping."""


def html(report: RenderableType) -> str:
    """The report in a `<pre>`, every character of it escaped."""
    text = StringIO()
    console = Console(
        file=text, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False
    )
    console.print(report)
    return f'<pre style="white-space: pre; overflow-x: auto">{escape(text.getvalue())}</pre>'
