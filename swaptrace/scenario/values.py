"""Readers: what a scalar's text means, one function per kind of value.

A reader takes the text and returns the value or raises `Invalid` with a message that says
what would be right. `read` applies one to a node and reports what it refuses.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar, get_args

from swaptrace.advice import NOT_MODELLED, PREFIX, TAKEN, Advice
from swaptrace.backends import KNOWN
from swaptrace.errors import LISTED, nearest, quote
from swaptrace.kernels import KERNELS, RANGES
from swaptrace.scenario import meant
from swaptrace.scenario.addresses import ADDRESS_LIMIT
from swaptrace.scenario.hardware import Backend, KiB, Reclaim
from swaptrace.scenario.nodes import Listing, Node, Scalar, a_kind
from swaptrace.scenario.pagescan import CATEGORIES, FLAGS
from swaptrace.scenario.remap import RemapFlag
from swaptrace.scenario.schema import MapFlag, Order, Pattern, PinMode, Prot
from swaptrace.scenario.source import Report
from swaptrace.scenario.thp import ThpEnabled, ThpInherited, ThpSize
from swaptrace.scenario.uffd import RegisterMode, UffdFeature, UffdMode

T = TypeVar("T")
U = TypeVar("U")
Reader: TypeAlias = Callable[[str], T]

MMAP_MIN_ADDR: Final = 64 * KiB
"""The lowest address that can be mapped (/proc/sys/vm/mmap_min_addr)."""

MAX_DIGITS: Final = 400
"""More digits are out of every range; int() itself refuses 4300, and slows down before."""

NO_HINTS: Final[Mapping[str, str]] = MappingProxyType({})
MAX_COUNT: Final = 10**18
MAX_SEED: Final = (1 << 32) - 1
"""Seeds have 32 bits, in the C of `emit-c` as well."""
MAX_PAGE_CLUSTER: Final = 31

UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
INTEGER: Final = re.compile(r"-?(0x[0-9a-fA-F]+|0o[0-7]+|0|[1-9][0-9]*)", re.ASCII)
SIZE: Final = re.compile(r"(-?[0-9]+)([KMGT])(iB)?", re.ASCII)
LOOSE_SIZE: Final = re.compile(r"(-?[0-9]+) *([KMGT])(i?B?)", re.ASCII | re.IGNORECASE)
LEADING_ZERO: Final = re.compile(r"-?0[0-9]+", re.ASCII)
REAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)

UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, or changes the direction of the text."""


class Invalid(Exception):
    """A text that does not say what it should; the message goes after the key's name."""


def read(report: Report, node: Node, label: str, reader: Reader[T], otherwise: U) -> T | U:
    """The node's value; `otherwise`, and a problem reported, if it has none."""
    try:
        if isinstance(node, Scalar):
            return reader(node.text)
        message = f"takes one value, not {a_kind(node)}"
    except Invalid as invalid:
        message = str(invalid)
    report.add(node.mark, f"{label}: {message}")
    return otherwise


def read_flags(report: Report, node: Node, label: str, reader: Reader[T]) -> tuple[T, ...]:
    """A list of names without order, each once; a single one need not be in a list."""
    nodes = node.items if isinstance(node, Listing) else (node,)
    found: list[T] = []
    for item in nodes:
        value = read(report, item, label, reader, None)
        if value is not None and value in found:
            report.add(item.mark, f"{label}: {quote(str(value))} is given twice")
        elif value is not None:
            found.append(value)
    return tuple(found)


def integer(low: int, high: int | None, shown: Callable[[int], str] = str) -> Reader[int]:
    """Integers from `low` to `high` (None: as large as it may be), decimal, 0x or 0o."""

    def reader(text: str) -> int:
        value = whole(text, "an integer; write it as 17 or 0x11")
        return limited(text, value, low, high, shown)

    return reader


def size(low: int, high: int) -> Reader[int]:
    """Bytes from `low` to `high`, as an integer or with a binary suffix."""

    def reader(text: str) -> int:
        number, unit = text, ""
        if match := SIZE.fullmatch(text):
            number, unit = match[1], match[2]
        elif loose := LOOSE_SIZE.fullmatch(text):
            meant = f"{loose[1]}{loose[2].upper()}{'iB' if loose[3] else ''}"
            raise Invalid(f"{quote(text)} is not a size; did you mean {quote(meant)}?")
        value = whole(number, "a size; write bytes as 4096, 0x1000 or 4KiB")
        return limited(text, value * UNITS[unit], low, high, human)

    return reader


def address(text: str) -> int:
    """A user address."""
    value = whole(text, "an address; write it as 0x7f0000000000")
    return limited(text, value, MMAP_MIN_ADDR, ADDRESS_LIMIT - 1, hex)


def whole(text: str, what: str) -> int:
    """The integer; one with far too many digits is as good as any beyond all limits."""
    if LEADING_ZERO.fullmatch(text):
        raise Invalid(f"{quote(text)} has a leading 0; leave it out, or write octal as 0o17")
    if not INTEGER.fullmatch(text):
        raise Invalid(f"{quote(text)} is not {what}")
    if len(text) > MAX_DIGITS:
        beyond: int = 10**MAX_DIGITS
        return -beyond if text[0] == "-" else beyond
    return int(text, 0)


def limited(text: str, value: int, low: int, high: int | None, shown: Callable[[int], str]) -> int:
    """The value, if it is within its limits."""
    if value < low:
        raise Invalid(f"{quote(text)} is too small; at least {shown(low)}")
    if high is None and value >= 10 ** (MAX_DIGITS - 1):
        raise Invalid(f"{quote(text)} is too large; at most {MAX_DIGITS - 1} digits")
    if high is not None and value > high:
        raise Invalid(f"{quote(text)} is too large; at most {shown(high)}")
    return value


def human(number: int) -> str:
    """A size as people write it."""
    unit = next(unit for unit in reversed(UNITS) if number % UNITS[unit] == 0)
    return f"{number // UNITS[unit]}{unit}iB" if number and unit else str(number)


def boolean(text: str) -> bool:
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    hint = meant.get(text.casefold())
    raise Invalid(
        f"{quote(text)} is not a boolean; "
        + (f"did you mean {quote(hint)}?" if hint else "valid: true, false")
    )


def true(text: str) -> bool:
    """The argument of an operation that needs none."""
    if not boolean(text):
        raise Invalid("can only be true; leave the step out if it is not to be")
    return True


def name(text: str) -> str:
    """The name of a region, a process or a window."""
    if not text:
        raise Invalid("the name is missing")
    if not NAME.fullmatch(text):
        raise Invalid(f"{quote(text)} is not a name; use letters, digits, '_', '.' and '-'")
    return text


def line_of_text(text: str) -> str:
    """Something to show on one line."""
    if not text.strip():
        raise Invalid("is empty; give it a text or leave the key out")
    if not text.isprintable():
        raise Invalid(f"{quote(text)} is not one line of plain text")
    return text


def plain_text(text: str) -> str:
    """Text without control characters, which YAML lets in through escapes."""
    if UNSAFE.search(text):
        raise Invalid("holds a control character; leave it out")
    return text


def choice(
    valid: Iterable[T],
    what: str,
    prefix: str = "",
    guess: bool = True,
    known: str = "",
    others: Collection[str] = (),
    hints: Mapping[str, str] = NO_HINTS,
) -> Reader[T]:
    """One of a few names, which messages may call by ranges (`known`). A common `prefix` may be
    left out, and makes no names alike; `guess` which one was meant, where `hints` do not say.
    `others` are such things as well, of which nothing is known."""
    values = {str(value): value for value in valid}
    known = known or ", ".join(values)

    def reader(text: str) -> T:
        value = values.get(text, values.get(prefix + text))
        if value is not None:
            return value
        if text in others or prefix + text in others:
            raise Invalid(f"{quote(text)} is not modelled; valid: {known}")
        hint = hints.get(text, hints.get(prefix + text))
        if hint is None:
            near = near_name(text, values, prefix) if guess else None
            rest = f" (valid: {known})" if len(values) <= LISTED else ""
            hint = f"did you mean {quote(near)}?{rest}" if near else f"valid: {known}"
        raise Invalid(f"{quote(text)} is not {what}; {hint}")

    return reader


def bits(
    names: Mapping[str, int],
    what: str,
    prefix: str,
    others: Collection[str] = (),
    least: int = 0,
) -> Reader[str]:
    """A flag by its name, or bits that have none as a number, which the kernel refuses: one of
    `least` or more."""
    of_name = choice(names, what, prefix, others=others)
    of_number = integer(least, (1 << 64) - 1)

    def reader(text: str) -> str:
        return hex(of_number(text)) if INTEGER.fullmatch(text) else of_name(text)

    return reader


def near_name(text: str, names: Iterable[str], prefix: str) -> str | None:
    """The name that was most likely meant, by what comes after their common prefix."""
    start = len(prefix) if text[: len(prefix)].casefold() == prefix.casefold() else 0
    near = nearest(text[start:], (name.removeprefix(prefix) for name in names))
    return None if near is None else prefix + near


def advice(text: str) -> Advice | int:
    """An advice by its name; or a number that no advice has, which the kernel refuses."""
    if not INTEGER.fullmatch(text):
        return OF_NAME(text)
    known = next((each for each in Advice if str(each.number) == text), None)
    if known is not None:
        raise Invalid(
            f"{quote(text)} is the number of an advice; did you mean {quote(str(known))}?"
        )
    return OF_NUMBER(text)


def errno_name(text: str) -> str:
    """An errno as <errno.h> names it."""
    names = errno.errorcode
    if text in names.values():
        return text
    if text.isdecimal() and text.isascii() and len(text) < 5 and int(text) in names:
        raise Invalid(f"{quote(text)} is a number; did you mean {quote(names[int(text)])}?")
    near = nearest(text, names.values())
    hint = f"did you mean {quote(near)}?" if near else "for example ENOMEM"
    raise Invalid(f"{quote(text)} is not an errno; {hint}")


def real(low: float, high: float) -> Reader[float]:
    """Decimal numbers from `low` to `high`."""

    def reader(text: str) -> float:
        if not REAL.fullmatch(text):
            raise Invalid(f"{quote(text)} is not a number; write it as 0.5 or 1")
        value = float(text)
        if not low <= value <= high:
            raise Invalid(f"{quote(text)} is not between {low:g} and {high:g}")
        return value

    return reader


def path(text: str) -> str:
    """The name of a file."""
    if not text.strip() or "\0" in text or not text.isprintable():
        raise Invalid(f"{quote(text)} is not a file's name")
    return text


def period(text: str) -> int:
    """After so many accesses; 0 for never."""
    return 0 if text == "never" else integer(1, MAX_COUNT)(text)


def page_size(text: str) -> int:
    """A power of two, as Linux has them."""
    value = size(4 * KiB, 64 * KiB)(text)
    if value & (value - 1):
        raise Invalid(
            f"{quote(text)} is not a power of two; valid: 4KiB, 8KiB, 16KiB, 32KiB, 64KiB"
        )
    return value


BACKEND: Final[Reader[Backend]] = choice(tuple(KNOWN), "a swap backend")
KERNEL: Final[Reader[str]] = choice(KERNELS, "a kernel that is modelled", guess=False, known=RANGES)
RECLAIM: Final[Reader[Reclaim]] = choice(get_args(Reclaim), "a way to reclaim")
THP_SIZE: Final[Reader[ThpSize]] = choice(get_args(ThpSize), "a size of large folios", guess=False)
THP_ENABLED: Final[Reader[ThpEnabled]] = choice(get_args(ThpEnabled), "where large folios are used")
THP_INHERITED: Final[Reader[ThpInherited]] = choice(
    get_args(ThpInherited), "where large folios are used"
)
PROT: Final[Reader[Prot]] = choice(get_args(Prot), "a protection", hints=meant.PROTECTIONS)
PIN_MODE: Final[Reader[PinMode]] = choice(get_args(PinMode), "a way to pin", hints=meant.PINS)

UFFD_MODE: Final[Reader[UffdMode]] = choice(get_args(UffdMode), "a mode of userfaultfd")
PATTERN: Final[Reader[Pattern]] = choice(get_args(Pattern), "a pattern")
ORDER: Final[Reader[Order]] = choice(get_args(Order), "an order")
OF_NAME: Final[Reader[Advice]] = choice(
    Advice, "an advice", PREFIX, others=NOT_MODELLED, hints=meant.ADVICE
)
OF_NUMBER: Final = integer(max(TAKEN) + 1, (1 << 31) - 1)
MAP_FLAG: Final[Reader[MapFlag]] = choice(
    get_args(MapFlag), "a flag of mmap() here", "MAP_", hints=meant.MAP_FLAGS
)
REMAP_FLAG: Final[Reader[RemapFlag]] = choice(get_args(RemapFlag), "a flag of mremap()", "MREMAP_")
LOCK_FLAG: Final[Reader[str]] = bits({"MLOCK_ONFAULT": 1}, "a flag of mlock2()", "MLOCK_", least=2)
LOCK_ALL_FLAG: Final[Reader[str]] = bits(
    {"MCL_CURRENT": 1, "MCL_FUTURE": 2, "MCL_ONFAULT": 4},
    "a flag of mlockall()",
    "MCL_",
    least=8,
)
REGISTER_MODE: Final[Reader[RegisterMode]] = choice(
    get_args(RegisterMode), "a mode of UFFDIO_REGISTER", others=("rwp", "minor")
)
UFFD_FEATURE: Final[Reader[UffdFeature]] = choice(
    get_args(UffdFeature),
    "a feature of userfaultfd",
    "UFFD_FEATURE_",
    others=tuple(
        f"UFFD_FEATURE_{name}"
        for name in (
            *("PAGEFAULT_FLAG_WP", "EVENT_REMAP", "EVENT_REMOVE", "EVENT_UNMAP", "SIGBUS"),
            *("THREAD_ID", "MISSING_HUGETLBFS", "MISSING_SHMEM", "MINOR_HUGETLBFS", "MINOR_SHMEM"),
            *("EXACT_ADDRESS", "POISON", "MOVE"),
        )
    ),
)
CATEGORY: Final[Reader[str]] = bits(
    CATEGORIES, "a category of pages", "PAGE_IS_", others=("PAGE_IS_GUARD", "PAGE_IS_ACCESSED")
)
SCAN_FLAG: Final[Reader[str]] = bits(FLAGS, "a flag of PAGEMAP_SCAN", "PM_SCAN_")
CLEAR_REFS: Final[Reader[str]] = choice(["soft_dirty"], "what it can clear")

HUGE_PAGES: Final = integer(0, 1 << 16)
WORD: Final = integer(0, (1 << 64) - 1)
LENGTH: Final = size(1, ADDRESS_LIMIT)
LENGTH_OR_NONE: Final = size(0, ADDRESS_LIMIT)
ANY_LENGTH: Final = size(-(1 << 30), ADDRESS_LIMIT)
OFFSET: Final = size(0, ADDRESS_LIMIT - 1)
BYTE: Final = integer(0, 255)
SHARE: Final = real(0, 1)
EXPONENT: Final = real(0, 10)
COUNT: Final = integer(1, MAX_COUNT)
SEED: Final = integer(0, MAX_SEED)
