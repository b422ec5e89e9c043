"""A scenario as YAML that loads as the same scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal

from swaptrace.scenario.claims import Claims
from swaptrace.scenario.hardware import LIMITED
from swaptrace.scenario.machine import PERIODS
from swaptrace.scenario.pagescan import CATEGORIES, FLAGS, MincoreStep, PagemapScanStep, ScanClaim
from swaptrace.scenario.remap import MremapStep
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
    MmapStep,
    MprotectStep,
    MunlockallStep,
    MunlockStep,
    MunmapStep,
    OnLocks,
    OnRange,
    PinStep,
    RepeatStep,
    Scenario,
    Step,
    TraceStep,
    UnpinStep,
)
from swaptrace.scenario.thp import OF_LARGE_FOLIOS
from swaptrace.scenario.uffd import (
    OnUffd,
    UffdCopyStep,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)


def to_yaml(scenario: Scenario) -> str:
    """The document, with every key of the machine; what is expected is left out."""
    machine = {key: value for key, value in asdict(scenario.machine).items() if said(key, scenario)}
    swap = {key: value for key, value in machine.pop("swap").items() if value or key != "size"}
    if "thp" in machine:
        sizes = (f"{each.size}: {each.enabled}" for each in scenario.machine.thp)
        machine["thp"] = f"{{{', '.join(sizes)}}}"
    lines = [
        f"name: {json.dumps(scenario.name)}",
        *([f"description: {json.dumps(scenario.description)}"] if scenario.description else []),
        "machine:",
        *(f"  {key}: {scalar(value)}" for key, value in machine.items()),
        f"  swap: {{{', '.join(f'{key}: {scalar(value)}' for key, value in swap.items())}}}",
        "steps:",
        *steps_of(scenario.steps, "main", 1),
    ]
    return "\n".join(lines) + "\n"


def said(key: str, scenario: Scenario) -> bool:
    """Whether a key of the machine can stand in the document: what has no effect may not."""
    machine = scenario.machine
    if key in (*PERIODS, "thp", "hugepages") and not getattr(machine, key):
        return False
    if key in ("memlock", "swap_max") and getattr(machine, key) is None:
        return False
    if key in OF_LARGE_FOLIOS:
        return bool(machine.thp)
    return key not in LIMITED or machine.memory is not None


def scalar(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def steps_of(steps: tuple[Step, ...], around: str, depth: int) -> Iterator[str]:
    """The lines of a list of steps; `around` is who executes a step that does not say."""
    indent = "  " * depth
    for step in steps:
        keys = dict(keys_of(step))
        if step.process != around and not isinstance(step, ExitStep):
            keys["process"] = step.process
        if step.errno is not None:
            keys["errno"] = step.errno
        if isinstance(step, (MeasureStep, RepeatStep)):
            (op, argument), *rest = keys.items()
            yield f"{indent}- {op}: {scalar(argument)}"
            yield from (f"{indent}  {key}: {scalar(value)}" for key, value in rest)
            yield f"{indent}  steps:"
            yield from steps_of(step.steps, step.process, depth + 2)
        else:
            pairs = ", ".join(f"{key}: {scalar(value)}" for key, value in keys.items())
            yield f"{indent}- {{{pairs}}}"


def keys_of(step: Step) -> Iterator[tuple[str, object]]:
    """The operation, then its other keys where they are not the default."""
    if isinstance(step, OnLocks):
        yield from lock_keys(step)
        return
    if isinstance(step, OnUffd):
        yield from uffd_keys(step)
        return
    match step:
        case MeasureStep():
            yield "measure", step.label
        case RepeatStep():
            yield "repeat", step.count
        case ForkStep():
            yield "fork", step.child
        case ExitStep():
            yield "exit", step.process
        case ClearRefsStep():
            yield "clear_refs", "soft_dirty"
        case KsmScanStep():
            yield "ksm_scan", "true"
            yield from (("zero_pages", True) for _ in range(step.zero_pages))
        case MemoryMergeStep():
            yield "memory_merge", step.on
        case CheckStep():
            yield "check", claims_text(step.claims)
        case MprotectStep():
            yield from range_keys(step, prot=step.prot)
        case MemsetStep() | PokeStep():
            yield from range_keys(step, value=step.value)
        case MadviseStep():
            yield from range_keys(step, advice=step.given)
            if step.target is not None:
                yield "target", step.target
        case PinStep():
            yield from range_keys(step, mode=step.mode)
        case UnpinStep():
            yield "unpin", step.region
        case MunmapStep() | MigrateStep():
            yield from range_keys(step)
        case AccessStep() | AccessPatternStep() | TraceStep():
            yield from access_keys(step)
        case MmapStep():
            yield from mmap_keys(step)
        case MremapStep():
            yield from mremap_keys(step)
        case PagemapScanStep():
            yield from scan_keys(step)
        case MincoreStep():
            yield from range_keys(step, **({} if step.vec else {"vec": False}))


def access_keys(
    step: AccessStep | AccessPatternStep | TraceStep,
) -> Iterator[tuple[str, object]]:
    """Accesses: to each page, of a pattern, or of a trace."""
    match step:
        case AccessStep():
            yield from range_keys(step, stride=step.stride)
            yield "order", step.order
            if step.order == "random":
                yield "seed", step.seed
            if step.value is not None:
                yield "value", step.value
        case AccessPatternStep():
            yield from range_keys(step)
            yield from pattern_keys(step)
        case TraceStep():
            yield "trace", json.dumps(step.path)
            if step.region is not None:
                yield "region", step.region


def mmap_keys(step: MmapStep) -> Iterator[tuple[str, object]]:
    """The new mapping."""
    yield "mmap", step.region
    yield "size", step.size
    yield "prot", step.prot
    if step.at is not None:
        yield "at", step.at
    if step.offset:
        yield "offset", step.offset
    yield from flags_key(step.flags)
    if step.shared:
        yield "shared", step.shared
    if step.file is not None:
        size = [] if step.file_size is None else [f"size: {step.file_size}"]
        parts = [*size, *([f"offset: {step.file_offset}"] if step.file_offset else [])]
        name = f"name: {step.file}"
        yield "file", f"{{{', '.join([name, *parts])}}}" if parts else step.file


def mremap_keys(step: MremapStep) -> Iterator[tuple[str, object]]:
    """Where a mapping goes."""
    yield "mremap", step.region
    yield "size", step.size
    if step.to is not None:
        yield "to", step.to
    if step.name is not None:
        yield "as", step.name
    yield from flags_key(step.flags)


def lock_keys(step: OnLocks) -> Iterator[tuple[str, object]]:
    """What is locked or unlocked."""
    match step:
        case MunlockStep():
            yield from range_keys(step)
        case MlockStep():
            yield from range_keys(step)
            yield from flags_key(step.flags)
        case MlockallStep():
            yield "mlockall", listing(step.flags)
        case MunlockallStep():
            yield "munlockall", "true"


def uffd_keys(step: OnUffd) -> Iterator[tuple[str, object]]:
    """What a userfaultfd is asked to do."""
    match step:
        case UffdWriteprotectStep():
            mode = {} if step.mode == "wp" else {"mode": step.mode}
            yield from range_keys(step, wp=step.wp, **mode)
        case UffdRegisterStep():
            yield from range_keys(step)
            yield "mode", listing(step.mode)
            if step.features:
                yield "features", listing(step.features)
            if step.fill:
                yield "fill", step.fill
        case UffdCopyStep():
            yield from range_keys(step, value=step.value, wp=step.wp)
        case UffdUnregisterStep() | UffdZeropageStep():
            yield from range_keys(step)


def scan_keys(step: PagemapScanStep) -> Iterator[tuple[str, object]]:
    """The range, masks, flags and limits of a scan."""
    yield from range_keys(step)
    masks = (("category", step.category), ("anyof", step.anyof), ("inverted", step.inverted))
    for key, mask in (*masks, ("return", step.returned)):
        if mask or key == "return":
            yield key, bit_list(mask, CATEGORIES)
    if step.flags:
        yield "flags", bit_list(step.flags, FLAGS)
    if step.max_pages:
        yield "max_pages", step.max_pages
    if not step.vec:
        yield "vec", False
    if step.vec_len is not None:
        yield "vec_len", step.vec_len


def bit_list(mask: int, names: Mapping[str, int]) -> str:
    """Flags by their names, and as a number what has none."""
    known = [name for name, bit in names.items() if mask & bit]
    rest = mask & ~sum(names.values())
    return listing((*known, *([f"{rest:#x}"] if rest else [])))


def claims_text(claims: Claims) -> str:
    """The argument of a `check`, on one line."""
    pages = ", ".join(f'{region}: "{said}"' for region, said in claims.pages)
    data = ", ".join(f'{region}: "{said}"' for region, said in claims.data)
    vmas = ", ".join(f'{region}: "{said}"' for region, said in claims.vmas)
    kinds = claims.violations
    parts = [
        *([f"pages: {{{pages}}}"] if pages else []),
        *([f"data: {{{data}}}"] if data else []),
        *([f"vmas: {{{vmas}}}"] if vmas else []),
        *([f"violations: [{', '.join(kinds)}]"] if kinds is not None else []),
        *([f"scan: {{{scan_text(claims.scan)}}}"] if claims.scan is not None else []),
        *([f"policies: [{', '.join(claims.policies)}]"] if claims.policies else []),
    ]
    return f"{{{', '.join(parts)}}}"


def scan_text(claim: ScanClaim) -> str:
    """What is claimed of a scan."""
    said = claim._asdict().items()
    return ", ".join(f"{key}: {json.dumps(value)}" for key, value in said if value is not None)


def range_keys(step: OnRange, **more: object) -> Iterator[tuple[str, object]]:
    """The operation and the range, then what else there is."""
    yield step.op, step.region
    yield "offset", step.span.offset
    yield "length", step.span.length
    yield from more.items()


def flags_key(flags: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """The flags of a system call, where it has any."""
    if flags:
        yield "flags", listing(flags)


def listing(flags: tuple[str, ...]) -> str:
    """Flags as YAML writes a list."""
    return f"[{', '.join(flags)}]"


def pattern_keys(step: AccessPatternStep) -> Iterator[tuple[str, object]]:
    """The keys of a pattern, with those that only it has."""
    yield "count", step.count
    yield "pattern", step.pattern
    if step.pattern == "zipf":
        yield "exponent", decimal(step.exponent)
    if step.pattern == "hot":
        yield "hot_pages", step.hot_pages
        yield "hot_share", decimal(step.hot_share)
    yield "write_share", decimal(step.write_share)
    yield "seed", step.seed


def decimal(value: float) -> str:
    """A number without an exponent, that reads as the same."""
    return format(Decimal(repr(value)), "f")
