"""The error family: what a user sees when an input is wrong.

Every error that the command line catches is a `SwaptraceError`; its text is the
whole message, ready to print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class SwaptraceError(Exception):
    """An input that cannot be used. The text says where, what is wrong and what would be right."""


class PolicyError(SwaptraceError):
    """A policy that is not there, cannot be loaded, raised, or answered nonsense."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an input file.

    `line` and `column` count from 1; `text` is the source line that the caret points
    into (empty where there is none, as for a file that is not text at all).
    """

    file: str
    line: int
    column: int
    message: str
    text: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: {self.message}"
        if not self.text:
            return where
        return f"{where}\n    {self.text}\n    {' ' * (self.column - 1)}^"


class ScenarioError(SwaptraceError):
    """Everything that is wrong in a scenario file, in the order of the file.

    `problems` is never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A suggestion to append to a message: the nearest valid name, or the list of all."""
    names = sorted(valid)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"valid: {', '.join(names)}" if names else ""
