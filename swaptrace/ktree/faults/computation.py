"""What an expression of C is made into, and the local variables that it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from swaptrace.csource.arithmetic import INT, UNKNOWN, IntegerType
from swaptrace.ktree.faults.fault import Fault

Env = dict[str, Any]

Run = Callable[[Fault, Env], Any]


class Computation(NamedTuple):
    """What computes an expression. `constant` is its value where that never changes, `possible` the
    bits that it can have where not all can be; `is_vm_flags` is that it is vma->vm_flags, which has
    more than the model, `holds` that it is 0 or 1. `kind` is its type, if it is an integer."""

    run: Run
    constant: int | None = None
    possible: int | None = None
    is_vm_flags: bool = False
    holds: bool = False
    kind: IntegerType = UNKNOWN


class LocalVariable(NamedTuple):
    """`key` is its place among the local variables, `width` that of an integer, `constant` its
    value if it is declared as one that never changes."""

    key: str
    width: tuple[int, bool] | None
    constant: int | None = None


def constant(number: int, kind: IntegerType = INT) -> Computation:
    """A value that never changes."""
    return Computation(lambda _fault, _env: number, number, kind=kind)


def truth(run: Run) -> Computation:
    """What is 0 or 1."""
    return Computation(run, holds=True, kind=INT)
