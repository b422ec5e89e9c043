"""What is known of arguments, flags and types where C is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import eq
from typing import Any, Final

from swaptrace.csource.arithmetic import IntegerType
from swaptrace.csource.kinds import vm_flags
from swaptrace.ktree.faults.values import (
    ADDRESS,
    MM,
    PMD,
    PROTECTION,
    PTEP,
    VMA,
    VMF,
    Address,
    Pointer,
)
from swaptrace.mm.column import Vma

POSSIBLE: Final = vm_flags(Vma(True, True, True, True, True))
"""The flags that the VMA of a private anonymous mapping can have."""

AGAINST_RACES: Final = frozenset({"pte_same", "folio_matches_swap_entry", "page_swap_entry"})
"""What a kernel asks since something else may have happened: here one thing happens at a time."""

NEVER: Final = frozenset({"FAULT_FLAG_VMA_LOCK"})
"""Flags that no fault of the model has."""

FIELD_TYPES: Final[Mapping[str, IntegerType]] = {"vm_flags": (64, False), "flags": (0, False)}

CONSTANT_TYPES: Final[Mapping[str, IntegerType]] = {"PAGE_SIZE": (64, False)}
"""Of those that are not an int."""

ACCEPTED: Final[Mapping[str, Callable[[Any], bool]]] = {
    "V": partial(eq, VMA),
    "M": partial(eq, VMF),
    "P": partial(eq, PTEP),
    "f": lambda value: isinstance(value, Pointer) and value.kind == "folio",
    "A": lambda value: value == ADDRESS or isinstance(value, Address),
    "m": partial(eq, MM),
    "d": partial(eq, PMD),
    "p": partial(eq, PROTECTION),
    "0": lambda value: type(value) is int and value == 0,
    "1": lambda value: type(value) is int and value == 1,
}
"""What an argument must be, by the letter of `Primitive.params`."""
