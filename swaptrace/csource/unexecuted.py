"""Which statements of the C of a decision no question executes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from mmap import mmap

from swaptrace.csource.frame import Cited
from swaptrace.errors import shorten


class Executed:
    """Notes which of all lines are executed, also in processes that are forked meanwhile."""

    def __init__(self, lines: Sequence[Cited]) -> None:
        self.numbers = {line: number for number, line in enumerate(dict.fromkeys(lines))}
        self.seen = mmap(-1, len(self.numbers) or 1)

    def append(self, line: Cited) -> None:
        """A line is executed."""
        self.seen[self.numbers[line]] = 1

    def others(self) -> list[Cited]:
        """Those that are not."""
        return [line for line, number in self.numbers.items() if not self.seen[number]]


def differing(one: Sequence[Cited], other: Sequence[Cited]) -> list[str]:
    """What only one of two has of statements that nobody executes, and where."""
    before, after = ([(line.text, line.taken) for line in lines] for lines in (one, other))
    found: list[Cited] = []
    compared = SequenceMatcher(None, before, after, autojunk=False)
    for tag, first, last, start, end in compared.get_opcodes():
        if tag != "equal":
            found += (*one[first:last], *other[start:end])
    return [f"{line.file}:{line.line}: {shorten(line.text)}: {_said(line)}" for line in found]


def _said(line: Cited) -> str:
    if line.taken is None:
        return "not executed"
    return f"never {'true' if line.taken else 'false'}"
