"""What each operation of a step takes: one function per operation, and their table.

A function reads its keys from a `StepFields` and makes the step. Whether the region or the
process exists there is for `names` to say; so a step whose `length` is left out has a
`Span` of length `TO_END` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from swaptrace.advice import Advice
from swaptrace.errors import quote
from swaptrace.scenario import values
from swaptrace.scenario.fields import StepFields
from swaptrace.scenario.mapped import mmap, mremap
from swaptrace.scenario.pagescan import CATEGORIES, FLAGS, MincoreStep, PagemapScanStep
from swaptrace.scenario.remote import MigrateStep, PokeStep
from swaptrace.scenario.schema import (
    AccessPatternStep,
    AccessStep,
    CheckStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    KsmScanStep,
    MadviseStep,
    MeasureStep,
    MemoryMergeStep,
    MemsetStep,
    MlockallStep,
    MlockStep,
    MprotectStep,
    MunlockallStep,
    MunlockStep,
    MunmapStep,
    Order,
    Pattern,
    PinMode,
    PinStep,
    Prot,
    RepeatStep,
    Step,
    TraceStep,
    UnpinStep,
)
from swaptrace.scenario.uffd import (
    UffdCopyStep,
    UffdMode,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)

TOTAL: Final = "total"
"""The window that is the whole run."""


def munmap(f: StepFields) -> MunmapStep:
    return MunmapStep(**f.base(), region=f.name(), span=f.span())


def mprotect(f: StepFields) -> MprotectStep:
    prot: Prot = f.require("prot", values.PROT, "rw")
    return MprotectStep(**f.base(), region=f.name(), prot=prot, span=f.span())


def memset(f: StepFields) -> MemsetStep:
    value = f.require("value", values.BYTE, 0)
    return MemsetStep(**f.base(), region=f.name(), value=value, span=f.span())


def access(f: StepFields) -> AccessStep:
    order: Order = f.get("order", values.ORDER, "forward")
    if "seed" in f.entries and order != "random":
        f.wrong("seed", "only `order: random` has one")
    return AccessStep(
        **f.base(),
        op="read" if f.op == "read" else "write" if f.op == "write" else "read_write",
        region=f.name(),
        span=f.span(),
        stride=f.get("stride", values.LENGTH, f.page_size),
        order=order,
        seed=f.get("seed", values.SEED, 0),
        value=f.get("value", values.BYTE, None),
    )


def access_pattern(f: StepFields) -> AccessPatternStep:
    pattern: Pattern = f.get("pattern", values.PATTERN, "uniform")
    for key, of in PARAMETERS.items():
        if key in f.entries and pattern != of:
            f.wrong(key, f"only `pattern: {of}` has one")
    hot_pages = f.get("hot_pages", values.COUNT, 0)
    if pattern == "hot" and "hot_pages" not in f.entries:
        f.report.add(f.mark, "access needs 'hot_pages' where the pattern is hot")
    return AccessPatternStep(
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


def trace(f: StepFields) -> TraceStep:
    return TraceStep(
        **f.base(), path=f.main(values.path, ""), region=f.get("region", values.name, None)
    )


def madvise(f: StepFields) -> MadviseStep:
    default: Advice | int = Advice.COLD
    given = f.require("advice", values.advice, default)
    advice, number = (given, None) if isinstance(given, Advice) else (Advice.NORMAL, given)
    target = f.get("target", values.name, None)
    return MadviseStep(
        **f.base(), region=f.name(), advice=advice, span=f.span(), target=target, number=number
    )


def mlock(f: StepFields) -> MlockStep:
    flags = f.flags("flags", values.LOCK_FLAG)
    return MlockStep(**f.base(), region=f.name(), span=f.span(), flags=flags)


def munlock(f: StepFields) -> MunlockStep:
    return MunlockStep(**f.base(), region=f.name(), span=f.span())


def mlockall(f: StepFields) -> MlockallStep:
    return MlockallStep(**f.base(), flags=f.main_flags(values.LOCK_ALL_FLAG))


def munlockall(f: StepFields) -> MunlockallStep:
    f.main(values.true, True)
    return MunlockallStep(**f.base())


def pin(f: StepFields) -> PinStep:
    mode: PinMode = f.get("mode", values.PIN_MODE, "longterm")
    return PinStep(**f.base(), region=f.name(), span=f.span(), mode=mode)


def unpin(f: StepFields) -> UnpinStep:
    return UnpinStep(**f.base(), region=f.name())


def fork(f: StepFields) -> ForkStep:
    return ForkStep(**f.base(), child=f.name())


def exit_(f: StepFields) -> ExitStep:
    """The process that exits executes the step itself; `process` may only say the same."""
    f.executor = process = f.name()
    step = ExitStep(**f.base())
    if process and step.process != process:
        f.wrong("process", f"{quote(process)} executes its own exit; leave this out")
    return step


def clear_refs(f: StepFields) -> ClearRefsStep:
    f.main(values.CLEAR_REFS, "soft_dirty")
    return ClearRefsStep(**f.base())


def ksm_scan(f: StepFields) -> KsmScanStep:
    f.main(values.true, True)
    return KsmScanStep(**f.base(), zero_pages=f.get("zero_pages", values.boolean, False))


def memory_merge(f: StepFields) -> MemoryMergeStep:
    return MemoryMergeStep(**f.base(), on=f.main(values.boolean, True))


def uffd_writeprotect(f: StepFields) -> UffdWriteprotectStep:
    wp = f.get("wp", values.boolean, True)
    mode: UffdMode = f.get("mode", values.UFFD_MODE, "wp")
    return UffdWriteprotectStep(**f.base(), region=f.name(), span=f.span(), wp=wp, mode=mode)


def uffd_register(f: StepFields) -> UffdRegisterStep:
    mode = f.flags("mode", values.REGISTER_MODE)
    if "mode" not in f.entries:
        f.report.add(f.mark, "uffd_register needs 'mode'")
    if "fill" in f.entries and "missing" not in mode:
        f.wrong("fill", "only `mode: missing` has one")
    return UffdRegisterStep(
        **f.base(),
        region=f.name(),
        span=f.span(),
        mode=mode,
        features=f.flags("features", values.UFFD_FEATURE),
        fill=f.get("fill", values.BYTE, 0),
    )


def uffd_unregister(f: StepFields) -> UffdUnregisterStep:
    return UffdUnregisterStep(**f.base(), region=f.name(), span=f.span())


def uffd_copy(f: StepFields) -> UffdCopyStep:
    value, wp = f.get("value", values.BYTE, 0), f.get("wp", values.boolean, False)
    return UffdCopyStep(**f.base(), region=f.name(), span=f.span(), value=value, wp=wp)


def uffd_zeropage(f: StepFields) -> UffdZeropageStep:
    return UffdZeropageStep(**f.base(), region=f.name(), span=f.span())


def pagemap_scan(f: StepFields) -> PagemapScanStep:
    category, anyof = (f.bits(key, values.CATEGORY, CATEGORIES) for key in ("category", "anyof"))
    protects = sum(FLAGS.values()) if f.get("wp", values.boolean, False) else 0
    return PagemapScanStep(
        **f.base(),
        region=f.name(),
        span=f.span(),
        category=category,
        anyof=anyof,
        inverted=f.bits("inverted", values.CATEGORY, CATEGORIES),
        returned=f.bits("return", values.CATEGORY, CATEGORIES, category | anyof),
        flags=f.bits("flags", values.SCAN_FLAG, FLAGS) | protects,
        max_pages=f.get("max_pages", values.WORD, 0),
        vec=f.get("vec", values.boolean, True),
        vec_len=f.get("vec_len", values.WORD, None),
    )


def mincore(f: StepFields) -> MincoreStep:
    span, vec = f.span(), f.get("vec", values.boolean, True)
    return MincoreStep(**f.base(), region=f.name(), span=span, vec=vec)


def poke(f: StepFields) -> PokeStep:
    value = f.require("value", values.BYTE, 0)
    return PokeStep(**f.base(), region=f.name(), value=value, span=f.span())


def migrate(f: StepFields) -> MigrateStep:
    return MigrateStep(**f.base(), region=f.name(), span=f.span())


def check(f: StepFields) -> CheckStep:
    return CheckStep(**f.base(), claims=f.claims())


def measure(f: StepFields) -> MeasureStep:
    label = f.name()
    if label == TOTAL:
        f.report.add(f.argument.mark, "measure: 'total' is the whole run; choose another label")
    return MeasureStep(**f.base(), label=label, steps=())


def repeat(f: StepFields) -> RepeatStep:
    return RepeatStep(**f.base(), count=f.main(values.COUNT, 1), steps=())


class OperationSpec(NamedTuple):
    """How an operation's step is made, and the keys that it takes besides its own."""

    build: Callable[[StepFields], Step]
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

OPERATIONS: Final[dict[str, OperationSpec]] = {
    "mmap": OperationSpec(mmap, MMAP),
    "mremap": OperationSpec(mremap, ("size", "to", "as", "flags", "process", "errno")),
    "munmap": OperationSpec(munmap, SYSCALL),
    "mprotect": OperationSpec(mprotect, ("prot", *SYSCALL)),
    "memset": OperationSpec(memset, ("value", *RANGE, "process")),
    "poke": OperationSpec(poke, ("value", *SYSCALL)),
    "read": OperationSpec(access, ACCESS),
    "write": OperationSpec(access, ("value", *ACCESS)),
    "read_write": OperationSpec(access, ACCESS),
    "access": OperationSpec(access_pattern, PATTERN),
    "trace": OperationSpec(trace, ("region", "process")),
    "madvise": OperationSpec(madvise, ("advice", "target", *SYSCALL)),
    "mlock": OperationSpec(mlock, ("flags", *SYSCALL)),
    "munlock": OperationSpec(munlock, SYSCALL),
    "mlockall": OperationSpec(mlockall, ("process", "errno")),
    "munlockall": OperationSpec(munlockall, ("process",)),
    "pin": OperationSpec(pin, ("mode", *SYSCALL)),
    "unpin": OperationSpec(unpin, ("process",)),
    "fork": OperationSpec(fork, ("process",)),
    "exit": OperationSpec(exit_, ("process",)),
    "clear_refs": OperationSpec(clear_refs, ("process",)),
    "ksm_scan": OperationSpec(ksm_scan, ("zero_pages", "process")),
    "memory_merge": OperationSpec(memory_merge, ("process",)),
    "uffd_writeprotect": OperationSpec(uffd_writeprotect, ("wp", "mode", *SYSCALL)),
    "uffd_register": OperationSpec(uffd_register, ("mode", "features", "fill", *SYSCALL)),
    "uffd_unregister": OperationSpec(uffd_unregister, SYSCALL),
    "uffd_copy": OperationSpec(uffd_copy, ("value", "wp", *SYSCALL)),
    "uffd_zeropage": OperationSpec(uffd_zeropage, SYSCALL),
    "pagemap_scan": OperationSpec(
        pagemap_scan,
        (
            *("category", "anyof", "inverted", "return"),
            *("wp", "flags", "max_pages", "vec", "vec_len", *SYSCALL),
        ),
    ),
    "mincore": OperationSpec(mincore, ("vec", *SYSCALL)),
    "migrate": OperationSpec(migrate, SYSCALL),
    "check": OperationSpec(check, ("process",)),
    "measure": OperationSpec(measure, ("steps", "process")),
    "repeat": OperationSpec(repeat, ("steps", "process")),
}
