"""What each operation of a step takes: one function per operation, and their table.

A function reads its keys from a `Fields` and makes the step. Whether the region or the
process exists there is for `names` to say; so a step whose `length` is left out has a
`Span` of length `TO_END` here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypedDict, TypeVar

from swaptrace.advice import Advice
from swaptrace.errors import quote
from swaptrace.scenario import values
from swaptrace.scenario.base import Span
from swaptrace.scenario.claims import Claims
from swaptrace.scenario.nodes import Entry, Node
from swaptrace.scenario.schema import (
    Access,
    AccessPattern,
    Check,
    ClearRefs,
    Exit,
    Fork,
    KsmScan,
    Madvise,
    Measure,
    Memset,
    Mlock,
    Mlockall,
    Mmap,
    Mprotect,
    Munlock,
    Munlockall,
    Munmap,
    Order,
    Pattern,
    Pin,
    PinMode,
    Prot,
    Repeat,
    Step,
    Trace,
    Unpin,
)
from swaptrace.scenario.source import Mark, Report
from swaptrace.scenario.uffd import (
    UffdCopy,
    UffdMode,
    UffdRegister,
    UffdUnregister,
    UffdWriteprotect,
    UffdZeropage,
)
from swaptrace.scenario.values import Reader, read, read_flags

T = TypeVar("T")
U = TypeVar("U")

TO_END: Final = -1
"""The length of a range whose length is left out: to the end of its region."""

TOTAL: Final = "total"
"""The window that is the whole run."""

UFFD: Final = (
    *("uffd_register", "uffd_unregister", "uffd_writeprotect"),
    *("uffd_copy", "uffd_zeropage"),
)
ALIGNED: Final = {"offset": ("mmap", "munmap", "mprotect", "madvise", *UFFD), "length": UFFD}
"""Where the kernel gives EINVAL unless this key is a multiple of the page size. The other
system calls, and these for their length, round to whole pages."""


class Base(TypedDict):
    line: int
    column: int
    process: str
    errno: str | None


@dataclass(slots=True)
class Fields:
    """A step as it is read: its operation, that one's position and argument, its other keys.

    `executor` is the process that executes it if it does not say. `marks` are positions within the
    argument, as `checks.read_claims` calls them.
    """

    op: str
    mark: Mark
    argument: Node
    entries: dict[str, Entry]
    executor: str
    report: Report
    page_size: int
    marks: dict[str, Mark] = field(default_factory=dict)

    def base(self) -> Base:
        """What every step has."""
        return {
            "line": self.mark.line,
            "column": self.mark.column,
            "process": self.get("process", values.name, self.executor),
            "errno": self.get("errno", values.errno_name, None),
        }

    def main(self, reader: Reader[T], otherwise: T) -> T:
        """The operation's argument."""
        return read(self.report, self.argument, self.op, reader, otherwise)

    def name(self) -> str:
        """The argument, where it is a name; empty if it is none."""
        return self.main(values.name, "")

    def main_flags(self, reader: Reader[T]) -> tuple[T, ...]:
        """The argument, where it is a list of flags."""
        return read_flags(self.report, self.argument, self.op, reader)

    def flags(self, key: str, reader: Reader[T]) -> tuple[T, ...]:
        """A list of flags, empty where the key is left out."""
        entry = self.entries.get(key)
        return () if entry is None else read_flags(self.report, entry.node, key, reader)

    def get(self, key: str, reader: Reader[T], default: U) -> T | U:
        """The value of a key that may be left out."""
        entry = self.entries.get(key)
        return default if entry is None else read(self.report, entry.node, key, reader, default)

    def require(self, key: str, reader: Reader[T], otherwise: T) -> T:
        """The value of a key that may not."""
        if key not in self.entries:
            self.report.add(self.mark, f"{self.op} needs {quote(key)}")
        return self.get(key, reader, otherwise)

    def claims(self) -> Claims:
        """The argument of a `check`."""
        from swaptrace.scenario.checks import read_claims  # few scenarios have one

        return read_claims(self.argument, self.report, self.marks)

    def span(self) -> Span:
        """The range, of length `TO_END` where that is left out."""
        return Span(self.part("offset", values.OFFSET, 0), self.part("length", self.sizes, TO_END))

    @property
    def sizes(self) -> Reader[int]:
        """What the length of a range, or of a region, may be: 0 if the system call is to fail."""
        return values.LENGTH_OR_NONE if "errno" in self.entries else values.LENGTH

    def part(self, key: str, reader: Reader[int], default: int) -> int:
        """An offset or a length; if the system call is to fail, any."""
        value = self.get(key, reader, default)
        if "errno" in self.entries or key not in self.entries:
            return value
        if value % self.page_size and self.op in ALIGNED.get(key, ()):
            multiple = f"a multiple of the page size, {values.human(self.page_size)}"
            meant = "if that is meant, say `errno: EINVAL`"
            self.wrong(key, f"{self.op} fails with EINVAL unless this is {multiple}; {meant}")
        return value

    def wrong(self, key: str, message: str) -> None:
        """Report what is wrong with the value of a key."""
        self.report.add(self.entries[key].node.mark, f"{key}: {message}")


def mmap(f: Fields) -> Mmap:
    at = f.get("at", values.address, None)
    if at is not None and at % f.page_size and "errno" not in f.entries:
        f.wrong("at", f"{at:#x} is not a multiple of the page size, {values.human(f.page_size)}")
        at = None
    size = f.require("size", f.sizes, 0)
    return Mmap(
        **f.base(),
        region=f.name(),
        size=-(-size // f.page_size) * f.page_size,
        prot=f.get("prot", values.PROT, "rw"),
        at=at,
        offset=f.part("offset", values.OFFSET, 0),
        flags=f.flags("flags", values.MAP_FLAG),
    )


def munmap(f: Fields) -> Munmap:
    return Munmap(**f.base(), region=f.name(), span=f.span())


def mprotect(f: Fields) -> Mprotect:
    prot: Prot = f.require("prot", values.PROT, "rw")
    return Mprotect(**f.base(), region=f.name(), prot=prot, span=f.span())


def memset(f: Fields) -> Memset:
    value = f.require("value", values.BYTE, 0)
    return Memset(**f.base(), region=f.name(), value=value, span=f.span())


def access(f: Fields) -> Access:
    order: Order = f.get("order", values.ORDER, "forward")
    if "seed" in f.entries and order != "random":
        f.wrong("seed", "only `order: random` has one")
    return Access(
        **f.base(),
        op="read" if f.op == "read" else "write" if f.op == "write" else "read_write",
        region=f.name(),
        span=f.span(),
        stride=f.get("stride", values.LENGTH, f.page_size),
        order=order,
        seed=f.get("seed", values.SEED, 0),
        value=f.get("value", values.BYTE, None),
    )


def access_pattern(f: Fields) -> AccessPattern:
    pattern: Pattern = f.get("pattern", values.PATTERN, "uniform")
    for key, of in PARAMETERS.items():
        if key in f.entries and pattern != of:
            f.wrong(key, f"only `pattern: {of}` has one")
    hot_pages = f.get("hot_pages", values.COUNT, 0)
    if pattern == "hot" and "hot_pages" not in f.entries:
        f.report.add(f.mark, "access needs 'hot_pages' where the pattern is hot")
    return AccessPattern(
        **f.base(),
        region=f.name(),
        span=f.span(),
        count=f.require("count", values.COUNT, 1),
        pattern=pattern,
        exponent=f.get("exponent", values.EXPONENT, 1.0),
        hot_pages=hot_pages,
        hot_share=f.get("hot_share", values.SHARE, 0.9),
        write_share=f.get("write_share", values.SHARE, 0.0),
        seed=f.get("seed", values.SEED, 0),
    )


def trace(f: Fields) -> Trace:
    return Trace(
        **f.base(), path=f.main(values.path, ""), region=f.get("region", values.name, None)
    )


def madvise(f: Fields) -> Madvise:
    advice: Advice = f.require("advice", values.ADVICE, Advice.COLD)
    target = f.get("target", values.name, None)
    return Madvise(**f.base(), region=f.name(), advice=advice, span=f.span(), target=target)


def mlock(f: Fields) -> Mlock:
    flags = f.flags("flags", values.LOCK_FLAG)
    return Mlock(**f.base(), region=f.name(), span=f.span(), flags=flags)


def munlock(f: Fields) -> Munlock:
    return Munlock(**f.base(), region=f.name(), span=f.span())


def mlockall(f: Fields) -> Mlockall:
    return Mlockall(**f.base(), flags=f.main_flags(values.LOCK_ALL_FLAG))


def munlockall(f: Fields) -> Munlockall:
    f.main(values.true, True)
    return Munlockall(**f.base())


def pin(f: Fields) -> Pin:
    mode: PinMode = f.get("mode", values.PIN_MODE, "longterm")
    return Pin(**f.base(), region=f.name(), span=f.span(), mode=mode)


def unpin(f: Fields) -> Unpin:
    return Unpin(**f.base(), region=f.name())


def fork(f: Fields) -> Fork:
    return Fork(**f.base(), child=f.name())


def exit_(f: Fields) -> Exit:
    """The process that exits executes the step itself; `process` may only say the same."""
    f.executor = process = f.name()
    step = Exit(**f.base())
    if process and step.process != process:
        f.wrong("process", f"{quote(process)} executes its own exit; leave this out")
    return step


def clear_refs(f: Fields) -> ClearRefs:
    f.main(values.CLEAR_REFS, "soft_dirty")
    return ClearRefs(**f.base())


def ksm_scan(f: Fields) -> KsmScan:
    f.main(values.true, True)
    return KsmScan(**f.base())


def uffd_writeprotect(f: Fields) -> UffdWriteprotect:
    wp = f.get("wp", values.boolean, True)
    mode: UffdMode = f.get("mode", values.UFFD_MODE, "wp")
    return UffdWriteprotect(**f.base(), region=f.name(), span=f.span(), wp=wp, mode=mode)


def uffd_register(f: Fields) -> UffdRegister:
    mode = f.flags("mode", values.REGISTER_MODE)
    if "mode" not in f.entries:
        f.report.add(f.mark, "uffd_register needs 'mode'")
    if "fill" in f.entries and "missing" not in mode:
        f.wrong("fill", "only `mode: missing` has one")
    return UffdRegister(
        **f.base(),
        region=f.name(),
        span=f.span(),
        mode=mode,
        features=f.flags("features", values.UFFD_FEATURE),
        fill=f.get("fill", values.BYTE, 0),
    )


def uffd_unregister(f: Fields) -> UffdUnregister:
    return UffdUnregister(**f.base(), region=f.name(), span=f.span())


def uffd_copy(f: Fields) -> UffdCopy:
    value, wp = f.get("value", values.BYTE, 0), f.get("wp", values.boolean, False)
    return UffdCopy(**f.base(), region=f.name(), span=f.span(), value=value, wp=wp)


def uffd_zeropage(f: Fields) -> UffdZeropage:
    return UffdZeropage(**f.base(), region=f.name(), span=f.span())


def check(f: Fields) -> Check:
    return Check(**f.base(), claims=f.claims())


def measure(f: Fields) -> Measure:
    label = f.name()
    if label == TOTAL:
        f.report.add(f.argument.mark, "measure: 'total' is the whole run; choose another label")
    return Measure(**f.base(), label=label, steps=())


def repeat(f: Fields) -> Repeat:
    return Repeat(**f.base(), count=f.main(values.COUNT, 1), steps=())


class Operation(NamedTuple):
    """How an operation's step is made, and the keys that it takes besides its own."""

    build: Callable[[Fields], Step]
    keys: tuple[str, ...]


RANGE: Final = ("offset", "length")
ACCESS: Final = (*RANGE, "stride", "order", "seed", "process")
PARAMETERS: Final[dict[str, Pattern]] = {
    "exponent": "zipf",
    "hot_pages": "hot",
    "hot_share": "hot",
}
"""The keys of `access` that only one pattern has."""
PATTERN: Final = ("count", "pattern", *PARAMETERS, "write_share", "seed", *RANGE, "process")
SYSCALL: Final = (*RANGE, "process", "errno")

OPERATIONS: Final[dict[str, Operation]] = {
    "mmap": Operation(mmap, ("size", "prot", "at", "offset", "flags", "process", "errno")),
    "munmap": Operation(munmap, SYSCALL),
    "mprotect": Operation(mprotect, ("prot", *SYSCALL)),
    "memset": Operation(memset, ("value", *RANGE, "process")),
    "read": Operation(access, ACCESS),
    "write": Operation(access, ("value", *ACCESS)),
    "read_write": Operation(access, ACCESS),
    "access": Operation(access_pattern, PATTERN),
    "trace": Operation(trace, ("region", "process")),
    "madvise": Operation(madvise, ("advice", "target", *SYSCALL)),
    "mlock": Operation(mlock, ("flags", *SYSCALL)),
    "munlock": Operation(munlock, SYSCALL),
    "mlockall": Operation(mlockall, ("process", "errno")),
    "munlockall": Operation(munlockall, ("process",)),
    "pin": Operation(pin, ("mode", *SYSCALL)),
    "unpin": Operation(unpin, ("process",)),
    "fork": Operation(fork, ("process",)),
    "exit": Operation(exit_, ("process",)),
    "clear_refs": Operation(clear_refs, ("process",)),
    "ksm_scan": Operation(ksm_scan, ("process",)),
    "uffd_writeprotect": Operation(uffd_writeprotect, ("wp", "mode", *SYSCALL)),
    "uffd_register": Operation(uffd_register, ("mode", "features", "fill", *SYSCALL)),
    "uffd_unregister": Operation(uffd_unregister, SYSCALL),
    "uffd_copy": Operation(uffd_copy, ("value", "wp", *SYSCALL)),
    "uffd_zeropage": Operation(uffd_zeropage, SYSCALL),
    "check": Operation(check, ("process",)),
    "measure": Operation(measure, ("steps", "process")),
    "repeat": Operation(repeat, ("steps", "process")),
}
