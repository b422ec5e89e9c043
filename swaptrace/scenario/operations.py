"""What each operation of a step takes: one function per operation, and their table.

A function reads its keys from a `Fields` and makes the step. Whether the region or the
process exists there is for `names` to say; so a step whose `length` is left out has a
`Span` of length `TO_END` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from swaptrace.advice import Advice
from swaptrace.errors import quote
from swaptrace.scenario import values
from swaptrace.scenario.fields import Fields
from swaptrace.scenario.mapped import mmap, mremap
from swaptrace.scenario.pagescan import CATEGORIES, FLAGS, PagemapScan
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
from swaptrace.scenario.uffd import (
    UffdCopy,
    UffdMode,
    UffdRegister,
    UffdUnregister,
    UffdWriteprotect,
    UffdZeropage,
)

TOTAL: Final = "total"
"""The window that is the whole run."""


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


def pagemap_scan(f: Fields) -> PagemapScan:
    category, anyof = (f.bits(key, values.CATEGORY, CATEGORIES) for key in ("category", "anyof"))
    protects = sum(FLAGS.values()) if f.get("wp", values.boolean, False) else 0
    return PagemapScan(
        **f.base(),
        region=f.name(),
        span=f.span(values.LENGTH_OR_NONE),
        category=category,
        anyof=anyof,
        inverted=f.bits("inverted", values.CATEGORY, CATEGORIES),
        returned=f.bits("return", values.CATEGORY, CATEGORIES, category | anyof),
        flags=f.bits("flags", values.SCAN_FLAG, FLAGS) | protects,
        max_pages=f.get("max_pages", values.WORD, 0),
        vec=f.get("vec", values.boolean, True),
        vec_len=f.get("vec_len", values.WORD, None),
    )


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

MMAP: Final = ("size", "prot", "at", "offset", "flags", "shared", "file", "process", "errno")

OPERATIONS: Final[dict[str, Operation]] = {
    "mmap": Operation(mmap, MMAP),
    "mremap": Operation(mremap, ("size", "to", "as", "flags", "process", "errno")),
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
    "pagemap_scan": Operation(
        pagemap_scan,
        (
            *("category", "anyof", "inverted", "return"),
            *("wp", "flags", "max_pages", "vec", "vec_len", *SYSCALL),
        ),
    ),
    "check": Operation(check, ("process",)),
    "measure": Operation(measure, ("steps", "process")),
    "repeat": Operation(repeat, ("steps", "process")),
}
