"""swap_vma_ra_win() of a tree: the dialect of its C, and its answers as windows of the model.

It knows no page: only addresses, and what vma->swap_readahead_info says. Addresses begin far below
the page table that the fault is in, and the bounds of the VMA may only cut the window: so what
comes out depends on nothing but what is near, and one page table is like another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from swaptrace.csource.parse import name_of_type
from swaptrace.csource.scope import WIDTHS, fit
from swaptrace.kernels import Version
from swaptrace.ktree.faults.dialect import Dialect
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.linear import Knowledge, Linear, less
from swaptrace.ktree.faults.primitive import Table, does, gives
from swaptrace.ktree.faults.values import NeedsNumber, Pointer, Symbolic
from swaptrace.mm.readahead import ORDER_CEILING, ROOT, ReadFault, Window

BELOW: Final = 1 << 32
"""How many pages lie below the page table of the fault."""

LEAVES: Final = "its window leaves the VMA, or what one page table covers"

STATE: Final = "mm/swap_state.c"
VMF: Final = Pointer("vmf that reads")
VMA: Final = Pointer("vma that reads")
START: Final = Pointer("start")
END: Final = Pointer("end")
RA_INFO: Final = Pointer("ra_info")

BEFORE_6_9: Final = "swap_ra_info"
"""What the function was called before 4f8fcf4ced0b (6.9): it filled a struct vma_swap_readahead."""

ARGUMENTS: Final = {ROOT: (VMF, START, END), BEFORE_6_9: (VMF, RA_INFO)}
"""What the functions are called with that may be a tree's own."""


class Bound(NamedTuple):
    """vma->vm_start or vma->vm_end: fit to cut a window, no more."""

    value: Any


class Ptes(Symbolic):
    """The page-table entries around the fault, which are for others to look at."""

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        if op in "+-" and is_left and (type(other) is int or isinstance(other, Linear)):
            return self
        raise NeedsNumber


class Info(Symbolic):
    """vma->swap_readahead_info: an address, the size of a window and hits, in one number that
    nobody asks for."""

    def __init__(self, address: Any, window: int, hits: int) -> None:
        self.address, self.window, self.hits = address, window, hits


def _nowhere(_name: str) -> None:
    """No page notes which functions are entered."""


class ReadaheadFault(Fault):
    """A fault that asks how far it reads ahead, while the C of that runs. `info` is
    vma->swap_readahead_info, `out` what the two pointers have been given, `filled` the fields of
    struct vma_swap_readahead, `known` what C has found out about addresses unless those are `exact`
    numbers; `address`, `low` and `high` are those of `around`, in bytes, `started` is the first
    `info`."""

    __slots__ = (
        "address",
        "around",
        "exact",
        "filled",
        "high",
        "info",
        "known",
        "low",
        "out",
        "started",
    )

    def __init__(self, around: ReadFault, exact: bool) -> None:
        self.around, self.exact = around, exact
        self.trace = None
        self.work = 0
        self.enter = _nowhere
        self.out: dict[Pointer, Any] = {}
        self.filled: dict[str, Any] = {}
        self.known = Knowledge((around.address, around.last, around.low, around.high))
        addresses = [self._address(at) for at in range(4)]
        self.address, last, self.low, self.high = addresses
        self.info: Any = self.packed(last, around.window, around.hits)
        self.started: Any = self.info

    def write_protected(self) -> None:
        """No page notes it."""

    def _address(self, at: int) -> Any:
        """One of the four that something can be known of."""
        size = self.around.page_size
        if self.exact:
            return self.known.values[at] * size
        return Linear(self.known, (*[0] * at, size, *[0] * (3 - at)), 0)  # type: ignore[arg-type]

    def bytes(self, pages: Any) -> Any:
        return pages << self.page_shift

    def pages(self, address: Any) -> Any:
        """The page that begins at an address."""
        if isinstance(address, Linear):
            return address.divided(self.around.page_size)
        page, rest = divmod(address, self.around.page_size)
        if rest:
            raise Unmodelled(LEAVES)
        return page

    @property
    def page_shift(self) -> int:
        return self.around.page_size.bit_length() - 1

    @property
    def half(self) -> int:
        """SWAP_RA_WIN_SHIFT"""
        return self.page_shift // 2

    def packed(self, address: Any, window: int, hits: int) -> Any:
        """SWAP_RA_VAL()"""
        if isinstance(address, Linear):
            if not (0 <= window < 1 << self.half and 0 <= hits < 1 << self.half):
                raise NeedsNumber
            return Info(address, window, hits)
        mask, low = self.around.page_size - 1, (1 << self.half) - 1
        return (address & ~mask) | (window << self.half & mask & ~low) | (hits & low)

    def address_of(self, info: Any) -> Any:
        """SWAP_RA_ADDR()"""
        if isinstance(info, Info):
            return info.address
        return _number(info) & -self.around.page_size

    def window_of(self, info: Any) -> int:
        """SWAP_RA_WIN()"""
        if isinstance(info, Info):
            return info.window
        mask, low = self.around.page_size - 1, (1 << self.half) - 1
        return (_number(info) & mask & ~low) >> self.half

    def hits_of(self, info: Any) -> int:
        """SWAP_RA_HITS()"""
        if isinstance(info, Info):
            return info.hits
        return _number(info) & ((1 << self.half) - 1)

    def store_at(self, pointer: Any, value: Any) -> bool:
        """`*start = …`; False if it is another pointer, or no address is stored."""
        if pointer not in (START, END) or not isinstance(value, int | Linear):
            return False
        self.out[pointer] = value
        return True

    def store_field(self, struct: Any, name: str, value: Any) -> bool:
        """Only struct vma_swap_readahead has fields that can be set."""
        if struct != RA_INFO or name not in ("win", "nr_pte", "offset", "ptes"):
            return False
        self.filled[name] = value
        return True

    def field(self, name: str) -> Any:
        """One of struct vma_swap_readahead."""
        if name not in self.filled:
            raise Unmodelled("this field has no value here")
        return self.filled[name]

    def told(self) -> Any:
        """The size that swap_ra_info() has put down; where the window is becomes that of the
        pointers."""
        size = self.filled.get("win")
        if size != 1 and {"offset", "nr_pte"} <= self.filled.keys():
            start = self.pages(self.address) - _sum(self.filled["offset"])
            end = start + _sum(self.filled["nr_pte"])
            self.out = {START: self.bytes(start), END: self.bytes(end)}
        return size

    def result(self, size: Any) -> Window:
        """The window, if it returned `size`. Raises `Unmodelled` for one that no kernel reads."""
        if not isinstance(size, int) or size < 1:
            raise Unmodelled("it returns no size of a window")
        last, *state = self._state(size)
        if size == 1:
            return Window(1, 0, 0, last, *state)
        if self.out.keys() != {START, END}:
            raise Unmodelled("it does not say where the window begins and ends")
        start, end = (self.pages(self.out[each]) for each in (START, END))
        table = self.around.table
        lows, highs = (self.pages(self.low), table.start), (self.pages(self.high), table.stop)
        wrong = less(end, start) or any(less(start, each) for each in lows)
        if wrong or any(less(each, end) for each in highs):
            raise Unmodelled(LEAVES)
        return Window(size, start, end, last, *state)

    def _state(self, size: int) -> tuple[Any, int, int]:
        """What vma->swap_readahead_info has become."""
        info = self.info
        if not isinstance(info, Info):
            return info >> self.page_shift, self.window_of(info), self.hits_of(info)
        if info is not self.started:
            return self.pages(info.address), info.window, info.hits
        if size == 1 and self.around.max_window == 1:
            return self.pages(self.address), 1, 0  # of no account: it never changes
        raise NeedsNumber


def _number(value: Any) -> int:
    if isinstance(value, Symbolic):
        raise NeedsNumber
    if not isinstance(value, int):
        raise Unmodelled("this needs an integer")
    return value


def _extreme(is_largest: bool) -> Callable[..., Any]:
    """min() or max() of addresses, of which one may be a bound of the VMA."""

    def run(_fault: ReadaheadFault, *values: Any) -> Any:
        found, *others = [each.value if isinstance(each, Bound) else _sum(each) for each in values]
        if all(isinstance(each, Bound) for each in values):
            raise Unmodelled("the bounds of the VMA can only cut a window")
        for each in others:
            if less(found, each) is is_largest:
                found = each
        return found

    return run


def _extreme_of_type(choose: Callable[..., int]) -> Callable[..., int]:
    """min_t() or max_t(); types are numbers (TYPES)."""

    def run(_fault: ReadaheadFault, kind: Any, *values: Any) -> int:
        width = next((each for each in WIDTHS.values() if _type_number(each) == kind), None)
        if width is None:
            raise Unmodelled("this needs a type")
        return choose(fit(_number(each), width) for each in values)

    return run


def _type_number(width: tuple[int, bool]) -> int:
    bits, signed = width
    return -bits if signed else bits


TYPES: Final = {name_of_type(name): _type_number(width) for name, width in WIDTHS.items()}
"""The names that stand for types as arguments."""


def _clamp(fault: ReadaheadFault, value: Any, low: Any, high: Any) -> Any:
    return _extreme(False)(fault, _extreme(True)(fault, value, low), high)


def _sum(value: Any) -> Any:
    """An address, or a number of them."""
    return value if isinstance(value, Linear) else _number(value)


def _set_info(fault: ReadaheadFault, vma: Any, value: Any) -> None:
    if vma != VMA:
        raise Unmodelled("only vma->swap_readahead_info can be set")
    fault.info = value if isinstance(value, Info) else _number(value)


def _info(fault: ReadaheadFault, vma: Any) -> Any:
    if vma != VMA:
        raise Unmodelled("this needs the VMA of the fault")
    return fault.info


def _packed(fault: ReadaheadFault, address: Any, window: Any, hits: Any) -> Any:
    return fault.packed(_sum(address), _number(window), _number(hits))


def _part(read: Callable[[ReadaheadFault, int], int]) -> Callable[..., int]:
    return lambda fault, value: read(fault, _number(value))


def _down(fault: ReadaheadFault, value: Any) -> Any:
    number = value.value if isinstance(value, Bound) else _sum(value)
    page = fault.pages(number) if isinstance(number, Linear) else number >> fault.page_shift
    return Bound(page) if isinstance(value, Bound) else page


def _power(_fault: ReadaheadFault, value: Any) -> int:
    return 1 << max(0, _number(value) - 1).bit_length()


MINMAX: Final = "include/linux/minmax.h"

PRIMITIVES: Final[Table] = {
    "GET_SWAP_RA_VAL": gives("v", _info, "vma->swap_readahead_info", STATE),
    "atomic_long_read": gives("v", _info, "the same", STATE),
    "atomic_long_set": does("vv", _set_info, "the same", STATE),
    "SWAP_RA_VAL": gives("vvv", _packed, "address, window and hits in one", STATE),
    "SWAP_RA_ADDR": gives("v", ReadaheadFault.address_of, "the address of the last fault", STATE),
    "SWAP_RA_WIN": gives("v", ReadaheadFault.window_of, "the last window", STATE),
    "SWAP_RA_HITS": gives("v", ReadaheadFault.hits_of, "hits since", STATE),
    "pte_offset_map": gives("__", lambda _f: Ptes(), "the page table of the fault", "pgtable.h"),
    "PFN_DOWN": gives("v", _down, "", "include/linux/pfn.h"),
    "PFN_PHYS": gives("v", lambda f, v: f.bytes(_sum(v)), "", "include/linux/pfn.h"),
    "min": gives("vv", _extreme(False), "", MINMAX),
    "min3": gives("vvv", _extreme(False), "", MINMAX),
    "max": gives("vv", _extreme(True), "", MINMAX),
    "max3": gives("vvv", _extreme(True), "", MINMAX),
    "clamp": gives("vvv", _clamp, "", MINMAX),
    "min_t": gives("vvv", _extreme_of_type(min), "as numbers of the type", MINMAX),
    "max_t": gives("vvv", _extreme_of_type(max), "as numbers of the type", MINMAX),
    "roundup_pow_of_two": gives("v", _power, "", "include/linux/log2.h"),
}


def _table(fault: ReadaheadFault) -> int:
    return int(fault.bytes(fault.around.table_pages))


def _filled(name: str) -> Callable[[Any, Any], Any]:
    return lambda fault, _info: fault.field(name)


NAMES: Final[dict[str, Callable[[Any], int]]] = {
    "page_cluster": lambda fault: int(fault.around.page_cluster),
    "PAGE_SIZE": lambda fault: int(fault.around.page_size),
    "PAGE_SHIFT": lambda fault: int(fault.page_shift),
    "PAGE_MASK": lambda fault: -int(fault.around.page_size),
    "PMD_SIZE": _table,
    "PMD_SHIFT": lambda fault: _table(fault).bit_length() - 1,
    "PMD_MASK": lambda fault: -_table(fault),
    "SWAP_RA_HITS_MAX": lambda fault: (1 << fault.half) - 1,
}

FIELDS: Final[dict[tuple[str, str], Callable[[Any, Any], Any]]] = {
    (VMF.kind, "address"): lambda fault, _vmf: fault.address,
    (VMF.kind, "vma"): lambda _fault, _vmf: VMA,
    **{(RA_INFO.kind, name): _filled(name) for name in ("win", "offset", "nr_pte")},
    (VMA.kind, "vm_start"): lambda fault, _vma: Bound(fault.low),
    (VMA.kind, "vm_end"): lambda fault, _vma: Bound(fault.high),
}


def _known(_version: Version | None) -> Table:
    return PRIMITIVES


WINDOWS: Final = Dialect(
    roots=(ROOT, BEFORE_6_9),
    needed=frozenset(),
    primitives=_known,
    constants={"SWAP_RA_ORDER_CEILING": ORDER_CEILING, **TYPES},
    names=NAMES,
    fields=FIELDS,
    addresses=frozenset({"swap_readahead_info"}),
)
"""What the window of a fault is computed of."""
