"""What C is made into: text of Python over a fault `F`, of which the reader knows a little.

No word of C gets into it: variables are numbered, and whatever else there is has a name that the
program gives it (`Reading.bind`).
"""

from __future__ import annotations

from typing import NamedTuple

from swaptrace.csource.arithmetic import INT, UNKNOWN, IntegerType


class Computation(NamedTuple):
    """An expression. `text` computes its value.

    `constant` is the value where that never changes, `possible` the bits that it can have where not
    all can be; `is_vm_flags` is that it is vma->vm_flags, which has more than the model. `kind` is
    its type, if it is an integer, and `in_range` that it then is one of that type. `test` is the
    same as a condition of Python, where it is 0 or 1; `whole` that it is an integer, whatever
    happens. `bits` is the text in two parts: what gives an integer, and, behind an `else`, the
    rest.
    """

    text: str
    constant: int | None = None
    possible: int | None = None
    is_vm_flags: bool = False
    kind: IntegerType = UNKNOWN
    in_range: bool = False
    test: str | None = None
    whole: bool = False
    bits: tuple[str, str] | None = None


class LocalVariable(NamedTuple):
    """`name` is what Python calls it, `width` that of an integer; `is_set` says that it has a value
    wherever it can be named, `whole` that this is an integer. `constant` is its value if it is
    declared as one that never changes."""

    name: str
    width: tuple[int, bool] | None
    is_set: bool = False
    whole: bool = False
    constant: int | None = None


class Unset:
    """What a local variable is before it has a value."""


UNSET = Unset()


def constant(number: int, kind: IntegerType = INT) -> Computation:
    """A value that never changes."""
    return Computation(f"({number})", number, kind=kind, in_range=True, whole=True)


def decided(test: str) -> Computation:
    """0 or 1, by a condition of Python."""
    return Computation(f"(1 if {test} else 0)", kind=INT, test=test, whole=True)
