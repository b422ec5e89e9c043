"""What C does with values that are no integers, or with integers that need care: the functions
that the text of an expression calls where the short way is not enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from swaptrace.csource.arithmetic import IntegerType, converted
from swaptrace.csource.scope import fit
from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults.checked import ACCEPTED
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.fields import store
from swaptrace.ktree.faults.integers import whole
from swaptrace.ktree.faults.values import (
    ADDRESS,
    MM,
    PMD,
    PROTECTION,
    PTEP,
    VMA,
    VMF,
    Fail,
    Flags,
    Opaque,
    Pointer,
    Reference,
    SwapEntry,
    Symbolic,
    is_true,
    named,
)

ONLY: Final[Mapping[str, Any]] = {
    "V": VMA,
    "M": VMF,
    "P": PTEP,
    "A": ADDRESS,
    "m": MM,
    "d": PMD,
    "p": PROTECTION,
}
"""The one value that is nearly always meant by a letter of `Primitive.params`."""


def checking(letter: str, fail: Fail) -> Callable[[Any], bool]:
    """Of an argument of which the model knows one value only: any other is an error."""
    accepts = ACCEPTED[letter]

    def check(value: Any) -> bool:
        if not accepts(value):
            raise fail(f"the model does not know this call with {named(value)} here")
        return True

    return check


def deciding(fail: Fail) -> Callable[[Any], int]:
    """Of a condition."""
    return lambda value: int(is_true(value, fail))


def unset(name: str, fail: Fail) -> Callable[[], NoReturn]:
    """Of a variable without a value."""

    def raises() -> NoReturn:
        raise fail(f"{quote(name)} has no value here")

    return raises


def endless(message: str, fail: Fail) -> Callable[[], PolicyError]:
    """The error of what does not end."""
    return lambda: fail(message)


def negated(minus: bool, kind: IntegerType, fail: Fail) -> Callable[[Any], int]:
    """`-` and `~`."""

    def run(value: Any) -> int:
        number = whole(value, fail)
        return int(converted(-number if minus else ~number, kind, fail))

    return run


def converting(kind: IntegerType, fail: Fail) -> Callable[[Any], Any]:
    """Of a value to a type."""
    return lambda value: converted(value, kind, fail)


def casting(width: tuple[int, bool], fail: Fail) -> Callable[[Any], Any]:
    """`(type)value`."""

    def cast(value: Any) -> Any:
        if width[0] == 64 and isinstance(value, Symbolic) and not isinstance(value, Flags):
            return value  # an address
        return fit(whole(value, fail), width)

    return cast


def fitting(width: tuple[int, bool], fail: Fail) -> Callable[[Any], Any]:
    """What a variable of that width makes of a value."""
    bits = width[0]

    def fits(value: Any) -> Any:
        if type(value) is int:
            return fit(value, width)
        if bits == 64 and isinstance(value, Opaque | Symbolic):  # an address
            return value
        if isinstance(value, Flags) and bits >= value.bits:
            return value
        if not isinstance(value, int):
            if bits != 1 or not hasattr(value, "kind"):
                raise fail(f"{named(value)} where an integer is kept")
            value = 1  # a pointer as a bool
        return fit(value, width)

    return fits


def looking(fail: Fail) -> Callable[[Fault, Any], Any]:
    """`*pointer`."""

    def read(fault: Fault, pointer: Any) -> Any:
        if isinstance(pointer, Reference):
            return pointer.read()
        if pointer != PTEP:
            raise fail("only the PTE of the fault can be looked at")
        return fault.shown

    return read


def reading(
    name: str, readers: Mapping[str, Callable[[Any, Any], Any]], fail: Fail, of_field: Fail
) -> Callable[[Fault, Any], Any]:
    """`struct->name`, by what kind of struct that is."""

    def run(fault: Fault, of: Any) -> Any:
        kind = of.kind if isinstance(of, Pointer) else type(of).__name__
        read = readers.get(kind)
        if read is None:
            raise of_field(f"{named(of)} has no field {quote(name)}")
        try:
            return read(fault, of)
        except Unmodelled as wrong:
            raise fail(str(wrong)) from None

    return run


def storing_field(field: str, fail: Fail) -> Callable[[Fault, Any, Any], None]:
    """`struct->field = value`."""

    def keep(fault: Fault, struct: Any, value: Any) -> None:
        if not store(fault, struct, field, value):
            raise fail(f"the field {quote(field)} cannot be set")

    return keep


def storing_entry(field: str, fail: Fail) -> Callable[[Fault, Any], SwapEntry]:
    """`entry.field = value`: a swap entry whose slot is set."""

    def made(fault: Fault, value: Any) -> SwapEntry:
        if field != "val" or not fault.numbers_slots or not isinstance(value, int):
            raise fail(f"the field {quote(field)} cannot be set")
        return SwapEntry(value)

    return made


def storing_at(fail: Fail) -> Callable[[Fault, Any, Any], None]:
    """`*pointer = value`."""

    def keep(fault: Fault, where: Any, value: Any) -> None:
        if isinstance(where, Reference):
            where.keep(value)
        elif not fault.store_at(where, value):
            raise fail("nothing can be set through this pointer")

    return keep
