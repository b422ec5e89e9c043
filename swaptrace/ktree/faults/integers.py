"""What the operators of C make of two values, of which one need be no number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swaptrace.csource.arithmetic import Fail, IntegerType, of_types
from swaptrace.ktree.faults.values import (
    Address,
    Flags,
    NeedsNumber,
    Pointer,
    PtePointer,
    Symbolic,
    are_equal,
    named,
)


def operation(
    op: str, one: IntegerType, other: IntegerType, fail: Fail
) -> Callable[[Any, Any], Any]:
    """What an operator makes of values of two types."""
    of_integers = of_types(op, one, other, fail)
    places = () if op == "!=" else (Address, PtePointer)

    def run(left: Any, right: Any) -> Any:
        if type(left) in places:  # most of what the text of an expression does not compute itself
            return left.computed(op, right, True)
        if type(left) is int and type(right) is int:
            return of_integers(left, right)
        if type(left) is Pointer and type(right) is Pointer and op in ("==", "!="):
            return int((left == right) == (op == "=="))
        if isinstance(left, Symbolic):
            return _of_symbol(op, left, right, fail, is_left=True)
        if isinstance(right, Symbolic):
            return _of_symbol(op, right, left, fail, is_left=False)
        if op in ("==", "!="):
            return int(are_equal(left, right, fail) == (op == "=="))
        return of_integers(whole(left, fail), whole(right, fail))

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
