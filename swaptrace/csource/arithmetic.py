"""Integers, which operators convert by their types (6.3.1 of C11).

One that the model gives has a sign, and no known width: where that matters, beside one without
sign, it is an error. What has a sign has 64 bits until a variable of fewer takes it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from swaptrace.csource.scope import fit
from swaptrace.errors import PolicyError

LONG: Final = (64, True)


def integer(text: str) -> int | None:
    """The value of an integer constant; None if it is none of 64 bits."""
    digits = text.lower().rstrip("ul").replace("'", "")
    if len(digits) > 66:
        return None
    base = 10
    if digits.startswith("0x"):
        base = 16
    elif digits.startswith("0b"):
        base = 2
    elif digits.startswith("0"):
        base = 8
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return value if value < 2**64 else None


def _divide(one: int, other: int) -> int:
    """Towards zero, as C does."""
    if other == 0:
        raise ZeroDivisionError("division by zero")
    quotient = abs(one) // abs(other)
    return quotient if (one < 0) == (other < 0) else -quotient


def _shift_by(count: int) -> int:
    if not 0 <= count < 64:
        raise ValueError(f"a shift by {count}")
    return count


OPERATORS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "+": lambda one, other: fit(one + other, LONG),
    "-": lambda one, other: fit(one - other, LONG),
    "*": lambda one, other: fit(one * other, LONG),
    "/": _divide,
    "%": lambda one, other: one - other * _divide(one, other),
    "<<": lambda one, other: fit(one << _shift_by(other), LONG),
    ">>": lambda one, other: one >> _shift_by(other),
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": lambda one, other: int(one == other),
    "!=": lambda one, other: int(one != other),
    "<": lambda one, other: int(one < other),
    "<=": lambda one, other: int(one <= other),
    ">": lambda one, other: int(one > other),
    ">=": lambda one, other: int(one >= other),
}
"""What the operators of two integers do; `ArithmeticError` and `ValueError` say what went wrong."""

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})

IntegerType: TypeAlias = tuple[int, bool]
"""Bits, 0 for an unknown number of them, and whether it has a sign."""

INT: Final = (32, True)

UNKNOWN: Final = (0, True)

SHIFTS: Final = ("<<", ">>")

CAN_FAIL: Final = (*SHIFTS, "/", "%")

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


def of_types(
    op: str, one: IntegerType, other: IntegerType, fail: Fail
) -> Callable[[int, int], int]:
    """What an operator makes of integers of two types."""
    kind = one if op in SHIFTS else common(one, other)
    masks = op == "&" and not kind[0]  # a mask below zero is the same in any width
    shows, apply = op in COMPARISONS, OPERATORS[op]
    if kind[1] and op not in CAN_FAIL:
        return apply

    def run(left: int, right: int) -> int:
        left = left if masks else converted(left, kind, fail)
        right = right if masks or op in SHIFTS else converted(right, kind, fail)
        try:
            found = apply(left, right)
        except (ArithmeticError, ValueError) as wrong:
            raise fail(str(wrong)) from None
        return found if shows else int(converted(found, kind, fail))

    return run
