"""What a value of C can be while a fault is interpreted.

An integer is an int, NULL is 0. A `pte_t` is a `Pte`, a `SwapPte` or None (pte_none). A page and
the folio that it is in are the same `Pointer`: the model has folios of one page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from swaptrace.csource.arithmetic import OPERATORS
from swaptrace.errors import PolicyError
from swaptrace.mm.column import Pte, SwapPte

Fail = Callable[[str], PolicyError]
"""Makes the error of a place in the C."""


class Pointer(NamedTuple):
    """Points to something of the model: a `folio`, the `vma`, the `vmf`, the page-table entry of
    the fault (`ptep`), the swap device (`si`), or to nothing that the model has (`ERR_PTR`). The
    number of a swap slot (`slot`) is one as well: of two nothing can be asked but whether they are
    the same."""

    kind: str
    number: int = 0


class NonePte(Pte):
    """A present PTE with the protection PAGE_NONE (pte_protnone())."""

    __slots__ = ()


class OtherPte(Pte):
    """A present PTE as mk_pte() makes it of a page of a large folio that is not the one at the
    address of the fault (pte_advance_pfn())."""

    __slots__ = ()


class SwapEntry(NamedTuple):
    """A swap entry (swp_entry_t, softleaf_t): the slot that it names."""

    slot: int


class PageFrame(NamedTuple):
    """A page frame number: that of a folio, or of the zero page."""

    folio: int


class Opaque(NamedTuple):
    """A value that the model does not have: fit to be passed on, no more. `field` is the one that
    it was read from."""

    field: str = ""


OPAQUE: Final = Opaque()
ADDRESS: Final = Opaque("address")
MM: Final = Opaque("vm_mm")
PMD: Final = Opaque("pmd")
PROTECTION: Final = Opaque("vm_page_prot")
PASSED_ON: Final = (ADDRESS, MM, PMD, PROTECTION)
"""Those that functions of the model are called with."""


class NeedsNumber(Exception):
    """C asks more of a number than can be told of it while nobody says what it is."""


class Symbolic:
    """A number of which C may ask a little while nobody says what it is."""

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        """What an operator makes of it and another value. Raises `NeedsNumber`."""
        raise NeedsNumber(op, other, is_left)


class Flags(Symbolic):
    """Flags of a field of `bits` bits, of which the model has the `known`: of others, which a
    kernel may have set as well, nothing can be asked."""

    def __init__(self, value: int, known: int, bits: int = 64) -> None:
        self.value, self.known, self.bits = value, known, bits

    def computed(self, op: str, other: Any, is_left: bool) -> Any:  # noqa: ARG002
        """Known flags can be looked at, cleared and set."""
        mask = (1 << self.bits) - 1
        if type(other) is int and op in ("&", "|"):
            unknown = other & mask & ~self.known
            if op == "|" and not unknown:
                return Flags(self.value | other, self.known, self.bits)
            if op == "&" and not unknown:
                return self.value & other
            if op == "&" and unknown == mask & ~self.known:
                return Flags(self.value & other, self.known, self.bits)
        raise NeedsNumber


class Reference(NamedTuple):
    """The address of a local variable, handed to a function that sets it."""

    read: Callable[[], Any]
    keep: Callable[[Any], None]


PAGE_SHIFT: Final = 12

COMPARISONS: Final = ("<", "<=", ">", ">=", "==")


class Address(Symbolic):
    """An address in the block, in bytes: what C makes of it is one again, or a number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        """Differences, remainders, page numbers and comparisons are numbers."""
        if isinstance(other, Address):
            number, both = other.value, True
        elif type(other) is int:
            number, both = other, False
        else:
            raise NeedsNumber
        one, two = (self.value, number) if is_left else (number, self.value)
        if op in COMPARISONS:
            return int(one == two) if op == "==" else int(OPERATORS[op](one, two))
        found = OPERATORS[op](one, two)
        return found if (both and op == "-") or op in (">>", "%", "/") else Address(found)


class PtePointer(Pointer, Symbolic):
    """A pointer to a page-table entry: that of the fault, or `number` entries further on."""

    __slots__ = ()

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        """Pointer arithmetic."""
        if type(other) is int:
            if op == "==":
                return 0  # NULL
            if is_left and op in ("+", "-"):
                return further(self.number + other if op == "+" else self.number - other)
        if isinstance(other, PtePointer):
            if op == "==":
                return int(self.number == other.number)
            if op == "-" or op in COMPARISONS:
                one, two = (self.number, other.number)[:: 1 if is_left else -1]
                return OPERATORS[op](one, two)
        raise NeedsNumber


@lru_cache(maxsize=1024)
def further(number: int) -> PtePointer:
    """The entry so many further on than that of the fault."""
    return PtePointer("ptep", number)


VMA: Final = Pointer("vma")
VMF: Final = Pointer("vmf")
PTEP: Final = Pointer("ptep")
DEVICE: Final = Pointer("si")
ERROR: Final = Pointer("ERR_PTR")


def named(value: Any) -> str:
    """What a value is, for a message."""
    match value:
        case int():
            return "an integer"
        case Pointer(kind="folio"):
            return "a folio"
        case Pointer():
            return f"a pointer ({value.kind})"
        case SwapEntry():
            return "a swap entry"
        case PageFrame():
            return "a page frame number"
        case Pte() | SwapPte() | None:
            return "a PTE"
        case Flags():
            return "flags of which the model has but a few"
        case _:
            return "a value that the model does not have"


def is_true(value: Any, fail: Fail) -> bool:
    """Whether a condition holds: a pointer does, unless it is NULL."""
    if isinstance(value, int):
        return value != 0
    if isinstance(value, Pointer):
        return True
    raise fail(f"{named(value)} decides here")


def are_equal(one: Any, other: Any, fail: Fail) -> bool:
    """`==` of integers or of pointers."""
    for value in (one, other):
        if not isinstance(value, int | Pointer):
            raise fail(f"{named(value)} is compared here")
    return bool(one == other) and isinstance(one, int) == isinstance(other, int)
