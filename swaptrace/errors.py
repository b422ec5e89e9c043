"""The errors: what a user sees when an input is wrong.

Every error that the command line catches is a `SwaptraceError`; its text is the
whole message, ready to print. Inputs are not trusted: what is quoted from one is
escaped (`printable`), so that it cannot send control sequences to a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from unicodedata import combining, east_asian_width

from swaptrace.frozen import FrozenValue

TEXT_WIDTH = 96
"""How much of a source line is shown; of a longer one, the part around the caret."""

QUOTE_WIDTH = 40
"""How much of a wrong value is repeated in a message."""

LISTED = 20
"""How many valid names a message lists at most."""


class SwaptraceError(Exception):
    """An input that cannot be used. The text says where, what is wrong and what would be right."""


class TooManyPages(SwaptraceError):
    """Pages that can only be replayed one by one, and are too many for that."""


class NotModelled(SwaptraceError):
    """What a kernel does, and the model does not."""


class OutOfMemory(SwaptraceError):
    """The kernel would kill a process: its memory is full, and none of it can be reclaimed."""


class PolicyError(SwaptraceError):
    """A policy that is not there, cannot be loaded, raised, or answered nonsense."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Problem(FrozenValue):
    """One thing that is wrong in an input file.

    `line` and `column` count from 1, in characters; `text` is the source line as it is,
    that the caret points into (empty where there is none, as for a file that cannot be
    read). Print a problem with `str` or from `excerpt`, which escape what they quote.
    """

    file: str
    line: int
    column: int
    message: str
    text: str = ""

    def __str__(self) -> str:
        where = f"{printable(self.file)}:{self.line}:{self.column}: {printable(self.message)}"
        text, caret = self.excerpt()
        return f"{where}\n    {text}\n    {' ' * caret}^" if text else where

    def excerpt(self) -> tuple[str, int]:
        """The source line, fit for one line of a terminal, and how far right the caret stands."""
        line = self.text.replace("\t", " ")
        at = min(self.column - 1, len(line))
        start = 0 if len(line) <= TEXT_WIDTH else max(0, at - TEXT_WIDTH // 2)
        before, after = line[start:at], line[at : start + TEXT_WIDTH]
        if start:
            before = "…" + before[1:]
        if start + TEXT_WIDTH < len(line):
            after = after[:-1] + "…"
        before = printable(before)
        return (before + printable(after)).rstrip(), sum(map(_cells, before))


class ScenarioError(SwaptraceError):
    """Everything that is wrong in a scenario file, in the order of the file.

    `problems` is never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ScenarioError], tuple[tuple[Problem, ...]]]:
        """Made again from its problems where another process raised it."""
        return type(self), (self.problems,)


def printable(text: str) -> str:
    """The text with everything that a terminal would not show as a character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """As Python writes it; of a byte that is no UTF-8 (surrogateescape), the byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]


def quote(text: str) -> str:
    """A value from an input, for a message: escaped, and cut where it is long."""
    return f"'{shorten(text)}'"


def shorten(text: str) -> str:
    """The same without the quotes."""
    return printable(text if len(text) <= QUOTE_WIDTH else text[: QUOTE_WIDTH - 1] + "…")


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that was most likely meant, however it is capitalised; None if none is near.

    Names far too long to be one, and all but the first thousand valid ones, are not looked
    at, so that an input full of mistakes is refused as fast as any.
    """
    from difflib import get_close_matches  # only a message in the making needs it

    if len(name) > 64:
        return None
    folded = {candidate.casefold(): candidate for candidate in islice(valid, 1000)}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A suggestion to append to a message: the nearest valid name, or the list of all."""
    names = list(valid)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {quote(near)}?"
    if not names:
        return ""
    return f"valid: {listed([shorten(name) for name in sorted(names)])}"


def listed(names: Sequence[str]) -> str:
    """Names with commas between, `LISTED` at most, and how many more there are."""
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest


def _cells(character: str) -> int:
    """How many columns of a terminal the character takes."""
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


class InputErrors(SwaptraceError):
    """Several inputs that cannot be used, in the order of the command line.

    A problem that all files share, as that of an override, is kept once.
    """

    def __init__(self, errors: Iterable[SwaptraceError]) -> None:
        self.errors = tuple(_without_repetition(errors))
        super().__init__("\n".join(str(error) for error in self.errors))


def _without_repetition(errors: Iterable[SwaptraceError]) -> Iterator[SwaptraceError]:
    seen: set[Problem] = set()
    for error in errors:
        if isinstance(error, ScenarioError):
            problems = [problem for problem in error.problems if problem not in seen]
            seen.update(problems)
            if problems:
                yield ScenarioError(problems)
        else:
            yield error
