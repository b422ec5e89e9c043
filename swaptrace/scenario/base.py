"""What the steps of a scenario have in common."""

from __future__ import annotations

from dataclasses import dataclass

from swaptrace.frozen import FrozenValue


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ByteRange(FrozenValue):
    """A range of bytes within a region; always within it, `length` at least 1.

    Not so where an errno is stated: then it may begin anywhere, be empty or of a negative length,
    or reach behind it.
    """

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BaseStep(FrozenValue):
    """What every step has: where it stands in the file (from 1), who executes it, and
    the errno that its system call is said to return (None: it succeeds)."""

    line: int
    column: int = 1
    process: str = "main"
    errno: str | None = None
