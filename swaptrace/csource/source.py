"""The text of a block, and errors that point into it."""

from __future__ import annotations

from typing import NamedTuple

from swaptrace.csource.block import CBlock
from swaptrace.errors import PolicyError, Problem

MAX_BYTES = 256 * 1024
"""More C than any decision needs: `do_swap_page()` as a whole has 15 KiB."""


class CPlace(NamedTuple):
    """A line of the file and a column in it, both from 1."""

    line: int
    column: int


class CSource(NamedTuple):
    """The lines of a block as the user wrote them."""

    file: str
    first: int
    lines: tuple[str, ...]

    @property
    def start(self) -> CPlace:
        """The first line that is not blank."""
        filled = (number for number, line in enumerate(self.lines) if line.strip())
        return CPlace(self.first + next(filled, 0), 1)

    def error(self, place: CPlace, message: str) -> PolicyError:
        """What is wrong there, with the line and a caret."""
        number = place.line - self.first
        text = self.lines[number] if 0 <= number < len(self.lines) else ""
        problem = Problem(self.file, place.line, max(1, place.column), message, text)
        return PolicyError(str(problem))

    def place(self, text: str, at: int) -> CPlace:
        """Where the character `at` of the block's text stands."""
        return CPlace(self.first + text.count("\n", 0, at), at - text.rfind("\n", 0, at))


def source_of(block: CBlock) -> CSource:
    """The source of a block. Raises `PolicyError` if it is too large."""
    source = CSource(block.file, block.line, tuple(block.text.split("\n")))
    if len(block.text) > MAX_BYTES:
        size = f"{MAX_BYTES // 1024} KiB"
        raise source.error(
            CPlace(block.line, 1), f"more than {size} of C: a decision takes a few lines"
        )
    return source
