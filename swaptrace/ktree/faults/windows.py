"""swap_vma_ra_win() of a tree: the dialect of its C, and its answers as windows of the model.

It knows no page: only addresses, and what vma->swap_readahead_info says. Addresses begin far below
the page table that the fault is in, and the bounds of the VMA may only cut the window: so what
comes out depends on nothing but what is near, and one page table is like another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple, TypeAlias

from swaptrace.csource.parse import name_of_type
from swaptrace.csource.scope import WIDTHS, fit
from swaptrace.kernels import Version
from swaptrace.ktree.faults.dialect import Dialect
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.primitive import Table, does, gives
from swaptrace.ktree.faults.values import NeedsNumber, Pointer, Symbolic
from swaptrace.mm.readahead import ORDER_CEILING, ROOT, ReadFault, Window

BELOW: Final = 1 << 32
"""How many pages lie below the page table of the fault."""

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

    value: int


class LastFault(Symbolic):
    """The address of the last fault, and `more` bytes: C that only asks whether that is another
    address comes to the same wherever else it was. In pages it is a page frame number."""

    def __init__(self, fault: ReadaheadFault, more: int = 0, in_pages: bool = False) -> None:
        self.fault, self.more, self.in_pages = fault, more, in_pages

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        if type(other) is int and (op == "+" or (op == "-" and is_left)):
            more = self.more + other if op == "+" else self.more - other
            return LastFault(self.fault, more, self.in_pages)
        if type(other) is int and op == "==":
            unit = 1 if self.in_pages else self.fault.around.page_size
            page, rest = divmod(other - self.more, unit)
            return self.fault.was_at(page) if rest == 0 else 0
        raise NeedsNumber

    def pages(self) -> LastFault:
        """PFN_DOWN()"""
        more, rest = divmod(self.more, self.fault.around.page_size)
        if rest or self.in_pages:
            raise NeedsNumber
        return LastFault(self.fault, more, in_pages=True)


class Ptes(Symbolic):
    """The page-table entries around the fault, which are for others to look at."""

    def computed(self, op: str, other: Any, is_left: bool) -> Any:
        if op in "+-" and is_left and type(other) is int:
            return self
        raise NeedsNumber


class Info(Symbolic):
    """vma->swap_readahead_info as it was when the fault began."""


def _nowhere(_name: str) -> None:
    """No page notes which functions are entered."""


class ReadaheadFault(Fault):
    """A fault that asks how far it reads ahead, while the C of that runs. `info` is
    vma->swap_readahead_info, `out` what the two pointers have been given, `filled` the fields of
    struct vma_swap_readahead, `asked_pages` of which
    pages it was asked whether the last fault was there."""

    __slots__ = ("around", "asked_pages", "exact", "filled", "info", "out")

    def __init__(self, around: ReadFault, exact: bool) -> None:
        self.around, self.exact = around, exact
        self.trace = None
        self.work = 0
        self.enter = _nowhere
        self.out: dict[Pointer, int] = {}
        self.filled: dict[str, Any] = {}
        self.asked_pages: dict[int, bool] = {}
        last = self.bytes(around.last)
        self.info: Any = self.packed(last, around.window, around.hits) if exact else Info()

    def write_protected(self) -> None:
        """No page notes it."""

    def was_at(self, page: int) -> int:
        """Whether the last fault was at a page, which is noted."""
        self.asked_pages[page] = self.around.last == page
        return int(self.asked_pages[page])

    def bytes(self, pages: int) -> int:
        return pages * self.around.page_size

    @property
    def page_shift(self) -> int:
        return self.around.page_size.bit_length() - 1

    @property
    def half(self) -> int:
        """SWAP_RA_WIN_SHIFT"""
        return self.page_shift // 2

    def packed(self, address: int, window: int, hits: int) -> int:
        """SWAP_RA_VAL()"""
        mask, low = self.around.page_size - 1, (1 << self.half) - 1
        return (address & ~mask) | (window << self.half & mask & ~low) | (hits & low)

    def address_of(self, info: Any) -> Any:
        """SWAP_RA_ADDR()"""
        if isinstance(info, Info):
            return LastFault(self)
        return _number(info) & -self.around.page_size

    def window_of(self, info: Any) -> int:
        """SWAP_RA_WIN()"""
        if isinstance(info, Info):
            return self.around.window
        mask, low = self.around.page_size - 1, (1 << self.half) - 1
        return (_number(info) & mask & ~low) >> self.half

    def hits_of(self, info: Any) -> int:
        """SWAP_RA_HITS()"""
        if isinstance(info, Info):
            return self.around.hits
        return _number(info) & ((1 << self.half) - 1)

    def store_at(self, pointer: Any, value: Any) -> bool:
        """`*start = …`; False if it is another pointer, or no address is stored."""
        if pointer not in (START, END) or not isinstance(value, int):
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
            start = self.around.address - _number(self.filled["offset"])
            end = start + _number(self.filled["nr_pte"])
            self.out = {START: self.bytes(start), END: self.bytes(end)}
        return size

    def result(self, size: Any) -> Window:
        """The window, if it returned `size`. Raises `Unmodelled` for one that no kernel reads."""
        around = self.around
        if not isinstance(size, int) or size < 1:
            raise Unmodelled("it returns no size of a window")
        if isinstance(self.info, Info):
            if size == 1 and around.max_window == 1:
                return Window(1, 0, 0, around.address, 1, 0)  # of no account: it never changes
            raise NeedsNumber
        last = self.info >> self.page_shift
        state = last, self.window_of(self.info), self.hits_of(self.info)
        if size == 1:
            return Window(1, 0, 0, *state)
        if self.out.keys() != {START, END}:
            raise Unmodelled("it does not say where the window begins and ends")
        start, end = (self.out[each] / around.page_size for each in (START, END))
        low, high = max(around.low, around.table.start), min(around.high, around.table.stop)
        if not low <= start <= end <= high or start % 1 or end % 1:
            raise Unmodelled("its window leaves the VMA, or what one page table covers")
        return Window(size, int(start), int(end), *state)


Asked: TypeAlias = tuple[tuple[int, bool], ...]
"""Whether the last fault was at these pages."""


class Windows:
    """swap_vma_ra_win() of a tree as a function of the model. What it came to is remembered, with
    what it asked about the last fault to get there; both as seen from the fault's page table."""

    def __init__(self, run: Callable[[ReadaheadFault], Window]) -> None:
        self.run = run
        self.known: dict[Hashable, list[tuple[Asked, Window]]] = {}

    def __call__(
        self,
        at: int,
        last: int,
        window: int,
        hits: int,
        low: int,
        high: int,
        machine: tuple[int, int, int],
    ) -> Window:
        """The window of a fault `at` a page of its page table; the arguments are those of
        `ReadFault`, but addresses begin with that page table, as those of the result do."""
        pages = machine[1]
        # What is farther away than a page table makes a window that no kernel reads.
        low = low if low > -pages else -pages  # faster than max()
        high = high if high < 2 * pages else 2 * pages
        key = at, window, hits, low, high, machine
        for asked, found in self.known.get(key, ()):
            for page, yes in asked:
                if (last == page) is not yes:
                    break
            else:
                return found
        before = max(0, last + BELOW), window, hits
        bounds = BELOW + low, BELOW + high
        near = ReadFault(BELOW + at, *before, *bounds, *machine)
        asked, found = self.computed(near)
        self.known.setdefault(key, []).append((asked, found))
        return found

    def computed(self, near: ReadFault) -> tuple[Asked, Window]:
        """The answer of C, and for which last faults it is the same."""
        reading = ReadaheadFault(near, exact=False)
        try:
            found, asked = self.run(reading), reading.asked_pages
        except NeedsNumber:
            found, asked = self.run(ReadaheadFault(near, exact=True)), {near.last: True}
        return tuple((page - BELOW, yes) for page, yes in asked.items()), moved(found, -BELOW)


def moved(found: Window, by: int) -> Window:
    """The window so many pages farther up."""
    size, start, end, last, window, hits = found
    return Window(size, start + by, end + by, last + by, window, hits)


def _number(value: Any) -> int:
    if isinstance(value, Symbolic):
        raise NeedsNumber
    if not isinstance(value, int):
        raise Unmodelled("this needs an integer")
    return value


def _extreme(choose: Callable[..., int]) -> Callable[..., int]:
    """min() or max() of addresses, of which one may be a bound of the VMA."""

    def run(_fault: ReadaheadFault, *values: Any) -> int:
        numbers = [each.value if isinstance(each, Bound) else _number(each) for each in values]
        if all(isinstance(each, Bound) for each in values):
            raise Unmodelled("the bounds of the VMA can only cut a window")
        return choose(numbers)

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


def _clamp(fault: ReadaheadFault, value: Any, low: Any, high: Any) -> int:
    return _extreme(min)(fault, _extreme(max)(fault, value, low), high)


def _set_info(fault: ReadaheadFault, vma: Any, value: Any) -> None:
    if vma != VMA:
        raise Unmodelled("only vma->swap_readahead_info can be set")
    fault.info = _number(value)


def _info(fault: ReadaheadFault, vma: Any) -> Any:
    if vma != VMA:
        raise Unmodelled("this needs the VMA of the fault")
    return fault.info


def _packed(fault: ReadaheadFault, address: Any, window: Any, hits: Any) -> int:
    return fault.packed(_number(address), _number(window), _number(hits))


def _part(read: Callable[[ReadaheadFault, int], int]) -> Callable[..., int]:
    return lambda fault, value: read(fault, _number(value))


def _down(fault: ReadaheadFault, value: Any) -> Any:
    if isinstance(value, Bound):
        return Bound(value.value >> fault.page_shift)
    return value.pages() if isinstance(value, LastFault) else _number(value) >> fault.page_shift


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
    "PFN_PHYS": gives("v", _part(lambda f, v: v << f.page_shift), "", "include/linux/pfn.h"),
    "min": gives("vv", _extreme(min), "", MINMAX),
    "min3": gives("vvv", _extreme(min), "", MINMAX),
    "max": gives("vv", _extreme(max), "", MINMAX),
    "max3": gives("vvv", _extreme(max), "", MINMAX),
    "clamp": gives("vvv", _clamp, "", MINMAX),
    "min_t": gives("vvv", _extreme_of_type(min), "as numbers of the type", MINMAX),
    "max_t": gives("vvv", _extreme_of_type(max), "as numbers of the type", MINMAX),
    "roundup_pow_of_two": gives("v", _power, "", "include/linux/log2.h"),
}


def _table(fault: ReadaheadFault) -> int:
    return fault.bytes(fault.around.table_pages)


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
    (VMF.kind, "address"): lambda fault, _vmf: fault.bytes(fault.around.address),
    (VMF.kind, "vma"): lambda _fault, _vmf: VMA,
    **{(RA_INFO.kind, name): _filled(name) for name in ("win", "offset", "nr_pte")},
    (VMA.kind, "vm_start"): lambda fault, _vma: Bound(fault.bytes(fault.around.low)),
    (VMA.kind, "vm_end"): lambda fault, _vma: Bound(fault.bytes(fault.around.high)),
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
