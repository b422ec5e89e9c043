"""Addresses of which C finds out a little: what it comes to holds for all others that say the same.

An address is a sum: the fault's page, that of the fault before, and the bounds of the VMA, each so
many times, and a number. Whatever C asks of it is answered, and taken down as what those four have
to be for the same answer.
"""

from __future__ import annotations

from math import gcd
from typing import Any, Final, NamedTuple

from swaptrace.ktree.faults.values import COMPARISONS, NeedsNumber, Symbolic

Factors = tuple[int, int, int, int]
"""How often a sum has each of: the fault's page, the last fault's, the bounds of the VMA."""

NONE: Final[Factors] = (0, 0, 0, 0)

FAR: Final = 1 << 62
"""No address is as large as this, so that sums of a few never need more than 64 bits."""


class Interval(NamedTuple):
    """That so many times `at`, `low` and `high` are together from `least` to `most`."""

    at: int
    low: int
    high: int
    least: int
    most: int


class Knowledge:
    """What C has found out. `values` are the four, `sums` from what to what it knows some sums of
    them to be, `asked` whether the last fault was so many pages behind the fault (True), or behind
    page 0."""

    def __init__(self, values: Factors) -> None:
        self.values = values
        self.sums: dict[Factors, tuple[int, int]] = {}
        self.asked: dict[tuple[bool, int], bool] = {}

    def is_least(self, factors: Factors, number: int) -> bool:
        """Whether a sum is at least 0."""
        size = gcd(*factors)
        factors, number = _divided(factors, size), number // size
        if factors[1]:
            raise NeedsNumber
        if next(filter(None, factors)) < 0:  # the other way round
            return not self.is_least(_times(factors, -1), -number - 1)
        least, most = self.sums.get(factors, (-FAR, FAR))
        holds = total(factors, number, self.values) >= 0
        if holds:
            least = max(least, -number)
        else:
            most = min(most, -number - 1)
        self.sums[factors] = least, most
        return holds

    def is_nought(self, factors: Factors, number: int) -> bool:
        """Whether a sum is 0."""
        size = gcd(*factors)
        if number % size:
            return False
        factors, number = _divided(factors, size), number // size
        if not factors[1]:
            return self.is_least(factors, number) and not self.is_least(factors, number - 1)
        at, last, *bounds = factors
        if any(bounds) or at not in (0, -last) or abs(last) != 1:
            raise NeedsNumber
        holds = total(factors, number, self.values) == 0
        self.asked[at != 0, -number * last] = holds
        return holds

    def intervals(self) -> tuple[Interval, ...]:
        """What it knows but for the last fault."""
        return tuple(
            Interval(at, low, high, *known) for (at, _, low, high), known in self.sums.items()
        )


class Linear(Symbolic):
    """A sum of the four and a number; `value` is what it is this time."""

    def __init__(self, known: Knowledge, factors: Factors, number: int) -> None:
        self.known, self.factors, self.number = known, factors, number
        self.value = total(factors, number, known.values)
        if not 0 <= self.value < FAR:
            raise NeedsNumber

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        """Sums and differences are such again, comparisons are numbers, and so is the beginning of
        an aligned range."""
        if not isinstance(other, Linear) and type(other) is not int:
            raise NeedsNumber
        if op == "+":
            return self._with(other, 1, 1)
        if op == "-":
            return self._with(other, 1, -1) if is_left else self._with(other, -1, 1)
        if op in COMPARISONS:
            return self._compared(op, other, is_left)
        if not is_left or type(other) is not int:
            raise NeedsNumber
        if op == "&":
            return self._aligned(-other)
        if op == ">>" and 0 <= other < 64:
            return self.divided(1 << other)
        if op == "<<" and 0 <= other < 32:
            return Linear(self.known, _times(self.factors, 1 << other), self.number << other)
        raise NeedsNumber

    def __add__(self, other: Any) -> Any:
        return self.computed("+", other, is_left=True)

    def __sub__(self, other: Any) -> Any:
        return self.computed("-", other, is_left=True)

    def __rsub__(self, other: Any) -> Any:
        return self.computed("-", other, is_left=False)

    def __radd__(self, other: Any) -> Any:
        return self.computed("+", other, is_left=False)

    def __lshift__(self, by: int) -> Any:
        return self.computed("<<", by, is_left=True)

    def divided(self, size: int) -> Linear:
        """So many parts of it."""
        if any(each % size for each in (*self.factors, self.number)):
            raise NeedsNumber
        return Linear(self.known, _divided(self.factors, size), self.number // size)

    def _with(self, other: Any, mine: int, its: int) -> Any:
        factors, number = parts_of(other)
        factors = _added(_times(self.factors, mine), _times(factors, its))
        number = self.number * mine + number * its
        return number if factors == NONE else Linear(self.known, factors, number)

    def _compared(self, op: str, other: Any, is_left: bool) -> int:
        factors, number = parts_of(other)
        from_mine = op == "==" or (op in ("<", ">=")) == is_left
        sign = 1 if from_mine else -1
        factors = _added(_times(self.factors, sign), _times(factors, -sign))
        number = (self.number - number) * sign
        if op == "==":
            return int(_is_nought(self.known, factors, number))
        return int(_is_least(self.known, factors, number) == (op in (">=", "<=")))

    def _aligned(self, size: int) -> Any:
        """`& ~(size - 1)`"""
        if size <= 0 or size & (size - 1):
            raise NeedsNumber
        if not any(each % size for each in (*self.factors, self.number)):
            return self
        start = self.value - self.value % size
        _is_least(self.known, self.factors, self.number - start)
        _is_least(self.known, self.factors, self.number - start - size)
        return start


def _is_least(known: Knowledge, factors: Factors, number: int) -> bool:
    return number >= 0 if factors == NONE else known.is_least(factors, number)


def _is_nought(known: Knowledge, factors: Factors, number: int) -> bool:
    return number == 0 if factors == NONE else known.is_nought(factors, number)


def parts_of(value: Any) -> tuple[Factors, int]:
    """The factors and the number of a sum; an integer has no factors."""
    return (value.factors, value.number) if isinstance(value, Linear) else (NONE, value)


def less(one: Any, other: Any) -> bool:
    """Whether an address is below another."""
    if isinstance(one, Linear):
        return bool(one.computed("<", other, is_left=True))
    if isinstance(other, Linear):
        return bool(other.computed("<", one, is_left=False))
    return bool(one < other)


def total(factors: Factors, number: int, values: Factors) -> int:
    """What a sum is."""
    a, b, c, d = factors
    e, f, g, h = values
    return a * e + b * f + c * g + d * h + number


def _times(factors: Factors, count: int) -> Factors:
    a, b, c, d = factors
    return a * count, b * count, c * count, d * count


def _divided(factors: Factors, size: int) -> Factors:
    a, b, c, d = factors
    return a // size, b // size, c // size, d // size


def _added(one: Factors, other: Factors) -> Factors:
    a, b, c, d = one
    e, f, g, h = other
    return a + e, b + f, c + g, d + h
