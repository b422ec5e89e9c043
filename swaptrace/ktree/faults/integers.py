"""What the operators of C make of two values, by the types of integers.

An integer that a function of the model gives has a sign, and no known width: where that matters,
beside an unsigned one, it is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from swaptrace.csource.arithmetic import OPERATORS
from swaptrace.csource.scope import fit
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.values import Flags, NeedsNumber, Symbolic, are_equal, named

IntegerType: TypeAlias = tuple[int, bool]
"""Bits, 0 for an unknown number of them, and whether it has a sign."""

INT: Final = (32, True)

UNKNOWN: Final = (0, True)

SHIFTS: Final = ("<<", ">>")

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

Fail = Callable[[str], PolicyError]


def promoted(kind: IntegerType | None) -> IntegerType:
    """The type of a variable where it is computed with; of None, which is no integer, unknown."""
    if kind is None:
        return UNKNOWN
    return INT if 0 < kind[0] < INT[0] else kind


def common(one: IntegerType, other: IntegerType) -> IntegerType:
    """The type that both sides are converted to (6.3.1.8 of C11)."""
    if 0 in (one[0], other[0]):
        return 0, one[1] and other[1]
    if one[0] == other[0]:
        return one[0], one[1] and other[1]
    return max(one, other)


def of_constant(text: str, value: int) -> IntegerType:
    """The type of an integer constant, by its suffix or else the first that it fits."""
    suffix = text.lower()[len(text.lower().rstrip("ul")) :]
    signs = (False,) if "u" in suffix else (True,) if text[:1] != "0" else (True, False)
    for bits in (64,) if "l" in suffix else (32, 64):
        for signed in signs:
            if value < 1 << (bits - signed):
                return bits, signed
    return 64, False


def converted(value: Any, kind: IntegerType, fail: Fail) -> Any:
    """A value as one of a type."""
    if kind[1] or type(value) is not int:
        return value
    if kind[0]:
        return fit(value, kind)
    if value < 0:
        raise fail("a number below zero, beside one without sign and of another width")
    return value


def result_of(op: str, one: IntegerType, other: IntegerType) -> IntegerType:
    """The type of what an operator gives."""
    if op in COMPARISONS:
        return INT
    return one if op in SHIFTS else common(one, other)


def operation(
    op: str, one: IntegerType, other: IntegerType, fail: Fail
) -> Callable[[Any, Any], Any]:
    """What an operator makes of values of two types."""
    kind = one if op in SHIFTS else common(one, other)
    shows = op in COMPARISONS

    def run(left: Any, right: Any) -> Any:
        if type(left) is int and type(right) is int:
            return of_integers(left, right)
        if isinstance(left, Symbolic):
            return _of_symbol(op, left, right, fail, is_left=True)
        if isinstance(right, Symbolic):
            return _of_symbol(op, right, left, fail, is_left=False)
        if op in ("==", "!="):
            return int(are_equal(left, right, fail) == (op == "=="))
        return of_integers(whole(left, fail), whole(right, fail))

    masks = op == "&" and not kind[0]  # a mask below zero is the same in any width

    def of_integers(left: int, right: int) -> int:
        left = left if masks else converted(left, kind, fail)
        right = right if masks or op in SHIFTS else converted(right, kind, fail)
        try:
            found = OPERATORS[op](left, right)
        except (ArithmeticError, ValueError) as wrong:
            raise fail(str(wrong)) from None
        return found if shows else converted(found, kind, fail)

    return run


def _of_symbol(op: str, one: Symbolic, other: Any, fail: Fail, is_left: bool) -> Any:
    try:
        if op == "!=":
            return int(not one.computed("==", other, is_left))
        return one.computed(op, other, is_left)
    except NeedsNumber:
        if isinstance(one, Flags):
            raise fail("the model has but a few of these flags") from None
        raise


def whole(value: Any, fail: Fail) -> int:
    """An integer, or what is wrong."""
    if not isinstance(value, int):
        raise fail(f"{named(value)} where an integer is needed")
    return value
