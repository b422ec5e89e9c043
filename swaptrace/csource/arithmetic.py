"""Integers: 64 bits with sign, whatever their type, until a variable of fewer bits takes them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from swaptrace.csource.scope import fit

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
