"""What an expression of C is made into, and the local variables that it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from swaptrace.ktree.faults.fault import Fault

Env = dict[str, Any]

Run = Callable[[Fault, Env], Any]


class Computation(NamedTuple):
    """What computes an expression. `constant` is its value where that never changes, `possible` the
    bits that it can have where not all can be; `holds` is that it is 0 or 1."""

    run: Run
    constant: int | None = None
    possible: int | None = None
    holds: bool = False


class LocalVariable(NamedTuple):
    """`key` is its place among the local variables, `width` that of an integer."""

    key: str
    width: tuple[int, bool] | None


def constant(number: int) -> Computation:
    """A value that never changes."""
    return Computation(lambda _fault, _env: number, number)
