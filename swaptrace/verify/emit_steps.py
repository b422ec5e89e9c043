"""Each step of a scenario as a statement of C."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from swaptrace.advice import Effect
from swaptrace.mm.policy import ALIASES
from swaptrace.mm.uffd import Uffd
from swaptrace.replay.userfaults import wanted_of
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.claims import UNCHANGED, Claims, page_code
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
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
    PinStep,
    Prot,
    RepeatStep,
    Step,
    TraceStep,
    UnpinStep,
)
from swaptrace.scenario.uffd import (
    OnUffd,
    UffdCopyStep,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)
from swaptrace.traces.generator import threshold

UNITS: Final = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
PROT: Final = {"r": "PROT_READ", "w": "PROT_WRITE", "x": "PROT_EXEC"}


def byte_or_name(value: int | str | None) -> str:
    """Data as C has them."""
    if isinstance(value, int):
        return f"{value:#x}"
    return "UNCHANGED" if value == UNCHANGED else "UNMAPPED"


def given_up(effect: Effect) -> str | None:
    """What notes that the range's data are now zero, or may become it."""
    match effect:
        case Effect.ZAP | Effect.GUARD_INSTALL:
            return "now_zero"
        case Effect.FREE:
            return "maybe_zero"
        case Effect.REMOVE:
            return "removed"
        case Effect.PAGEOUT | Effect.COLD | Effect.SWAP_IN:
            return None
        case Effect.POPULATE_READ | Effect.POPULATE_WRITE | Effect.COLLAPSE:
            return None
        case Effect.FLAGS | Effect.UNMERGE | Effect.GUARD_REMOVE:
            return None


class CNames:
    """C identifiers for the names of a scenario: `buf` becomes `R_buf`."""

    def __init__(self, prefix: str, names: tuple[str, ...]) -> None:
        self.of: dict[str, str] = {}
        for name in names:
            wanted = prefix + re.sub(r"\W", "_", name, flags=re.ASCII)
            while wanted in self.of.values():
                wanted += "_"
            self.of[name] = wanted

    def __getitem__(self, name: str) -> str:
        return self.of[name]


def size(number: int) -> str:
    """Bytes, in the largest unit that they are a multiple of."""
    for name, unit in UNITS:
        if number and number % unit == 0:
            return f"{number // unit} * {name}"
    return str(number)


def prot_of(prot: Prot) -> str:
    """A protection as C has it."""
    return "PROT_NONE" if prot == "none" else ored(tuple(PROT[letter] for letter in prot))


def ored(flags: tuple[str, ...]) -> str:
    """Flags as C has them."""
    return " | ".join(flags) or "0"


class Writer:
    """Writes the steps of one scenario; `traces` are the calls that replay its traces, `contexts`
    its userfaultfds, `notes_data` is that a check asks what the data are."""

    def __init__(
        self,
        processes: CNames,
        regions: CNames,
        files: CNames,
        traces: Mapping[tuple[str, str | None, str], str],
        page_size: int,
        contexts: tuple[Uffd, ...],
        notes_data: bool,
    ) -> None:
        self.processes = processes
        self.regions = regions
        self.files = files
        self.traces = traces
        self.page_size = page_size
        self.contexts = contexts
        self.notes_data = notes_data

    def steps(self, steps: tuple[Step, ...], path: str = "", depth: int = 1) -> Iterator[str]:
        """The lines of a list of steps. `path` is the format of what the steps are within."""
        for index, step in enumerate(steps):
            yield from self.step(step, f"{path}{index}", depth)

    def step(self, step: Step, path: str, depth: int) -> Iterator[str]:
        indent = "\t" * depth
        if isinstance(step, MeasureStep):
            yield f"{indent}{{\t/* measure: {step.label} */"
            yield from self.steps(step.steps, f"{path}.", depth + 1)
            yield f"{indent}}}"
        elif isinstance(step, RepeatStep):
            i = f"i{depth}"
            yield f"{indent}for (long {i} = 0; {i} < {step.count}; {i}++) {{"
            yield from self.steps(step.steps, f"{path}[%ld].", depth + 1)
            yield f"{indent}}}"
        elif isinstance(step, CheckStep):
            process = self.processes[step.process]
            yield f"{indent}CHECK({process}, {step.line}, {self.path(path, depth)}) {{"
            yield from (f"{indent}\t{claim};" for claim in self.claims(step.claims))
            yield f"{indent}}}"
        else:
            yield f"{indent}{self.head(step, path, depth)}\n{indent}\t{self.statement(step)};"

    def head(self, step: Step, path: str, depth: int) -> str:
        """Who executes the step, and its path."""
        return f"STEP({self.processes[step.process]}, {self.path(path, depth)})"

    def path(self, path: str, depth: int) -> str:
        """The path of a step; the loops around it are named after their depth."""
        loops = re.findall(r"%ld", path)
        variables = self.loops(path, depth) if loops else []
        arguments = "".join(f", {variable}" for variable in variables)
        return f'"{path}"{arguments}'

    @staticmethod
    def loops(path: str, depth: int) -> list[str]:
        """The variables of the loops that a path goes through, outermost first.

        Each `.` of a path goes one level deeper, and a `%ld` stands before that of a loop.
        """
        levels = path.split(".")[: depth - 1]
        return [f"i{level}" for level, part in enumerate(levels, start=1) if "%ld" in part]

    def statement(self, step: Step) -> str:
        """What the process does."""
        if isinstance(step, OnLocks):
            return self.lock(step)
        if isinstance(step, OnUffd):
            return self.uffd(step)
        match step:
            case MmapStep():
                return self.map(step)
            case MemsetStep(region=region):
                return f"fill({self.range(region, step.span)}, {step.value:#x})"
            case AccessStep():
                return self.access(step)
            case AccessPatternStep():
                return self.pattern(step)
            case TraceStep():
                return self.traces[step.path, step.region, step.process]
            case MremapStep():
                return self.remap(step)
            case MunmapStep(region=region):
                return f"call(munmap({self.memory(region, step.span)}))"
            case MprotectStep(region=region):
                return f"call(mprotect({self.memory(region, step.span)}, {prot_of(step.prot)}))"
            case MadviseStep(region=region):
                return self.advise(step)
            case PagemapScanStep():
                return self.scan(step)
            case PokeStep(region=region):
                return f"call(poke({self.range(region, step.span)}, {step.value:#x}))"
            case MigrateStep(region=region):
                return f"call(migrate({self.memory(region, step.span)}))"
            case MincoreStep(region=region, vec=vec):
                return f"call(in_memory({self.range(region, step.span)}, {str(vec).lower()}))"
            case PinStep(region=region):
                return f"call(pin_{step.mode}({self.range(region, step.span)}))"
            case UnpinStep(region=region):
                return f"unpin({self.regions[region]})"
            case ForkStep():
                return f"fork_process({self.processes[step.child]})"
            case ExitStep():
                return "exit_process()"
            case ClearRefsStep():
                return "clear_soft_dirty()"
            case KsmScanStep():
                return f"ksm_scan({int(step.zero_pages)})"
            case MemoryMergeStep():
                return f"memory_merge({int(step.on)})"
            case CheckStep() | MeasureStep() | RepeatStep():
                raise AssertionError("no step of its own")

    def map(self, step: MmapStep) -> str:
        where = "ANYWHERE" if step.at is None else f"{step.at:#x}UL"
        if "MAP_FIXED" in step.flags and step.at is None:
            where = f"OVER + {size(step.offset)}"
        flags = ored((*step.flags, *(["MAP_SHARED"] if step.shared else [])))
        given = f"{size(step.size)}, {prot_of(step.prot)}, {flags}, {where}"
        if step.file is not None:
            offset = step.file_offset
            length = size(step.file_size or offset + step.size)
            file = f"{self.files[step.file]}, {size(offset)}, {length}"
            return f"map_file({self.regions[step.region]}, {given}, {file})"
        return f"map({self.regions[step.region]}, {given})"

    def lock(self, step: OnLocks) -> str:
        """What locks and unlocks."""
        match step:
            case MlockStep(region=region, flags=()):
                return f"call(mlock({self.memory(region, step.span)}))"
            case MlockStep(region=region, flags=flags):
                return f"call(mlock2({self.memory(region, step.span)}, {ored(flags)}))"
            case MunlockStep(region=region):
                return f"call(munlock({self.memory(region, step.span)}))"
            case MlockallStep(flags=flags):
                return f"call(lock_all({ored(flags)}))"
            case MunlockallStep():
                return "call(unlock_all())"

    def uffd(self, step: OnUffd) -> str:
        """The ioctls of a userfaultfd."""
        match step:
            case UffdWriteprotectStep(region=region):
                protect = "true" if step.wp else "false"
                call = "uffd_writeprotect" if step.mode == "wp" else "uffd_rwprotect"
                return f"call({call}({self.range(region, step.span)}, {protect}))"
            case UffdRegisterStep(region=region):
                modes = ored(tuple(f"UFFDIO_REGISTER_MODE_{mode.upper()}" for mode in step.mode))
                number = self.contexts.index(wanted_of(step).context)
                return f"call(uffd_register({self.range(region, step.span)}, {number}, {modes}))"
            case UffdUnregisterStep(region=region):
                return f"call(uffd_unregister({self.range(region, step.span)}))"
            case UffdCopyStep(region=region):
                mode = "UFFDIO_COPY_MODE_WP" if step.wp else "0"
                what = f"{self.range(region, step.span)}, {step.value:#x}, {mode}"
                return f"call(uffd_copy({what}))"
            case UffdZeropageStep(region=region):
                return f"call(uffd_zeropage({self.range(region, step.span)}))"

    def remap(self, step: MremapStep) -> str:
        where = "ANYWHERE" if step.to is None else f"{step.to:#x}UL"
        to = self.regions[step.name or step.region]
        given = f"{size(step.size)}, {ored(step.flags)}, {where}, {to}"
        return f"call(remap({self.regions[step.region]}, {given}))"

    def claims(self, claims: Claims) -> Iterator[str]:
        """What is compared with the kernel. Of broken promises one shows nothing."""
        if claims.policies:
            named = {ALIASES.get(name, name) for name in claims.policies}
            of_kernels = (str(policy in named).lower() for policy in ("prepatch", "merged"))
            yield f"only_of({', '.join(of_kernels)})"
        for region, pages in claims.pages:
            aware = str(pages.soft_dirty).lower()
            yield f'expect_pages({self.regions[region]}, "{page_code(pages.runs)}", {aware})'
        for region, bounds in claims.vmas:
            yield f'expect_vmas({self.regions[region]}, "{bounds}")'
        for region, data in claims.data:
            runs = data.runs or [("ALL_PAGES", data.everywhere)]
            listed = "".join(f", RUN({pages}, {byte_or_name(value)})" for pages, value in runs)
            yield f'expect_data({self.regions[region]}, "{data}"{listed})'
        if claims.scan is not None:
            scan = claims.scan
            code = "NULL" if scan.pages is None else f'"{scan.pages}"'
            ends = (-1 if number is None else number for number in (scan.regions, scan.walk_end))
            yield f'expect_scan("{scan}", {", ".join(map(str, ends))}, {code})'

    def scan(self, step: PagemapScanStep) -> str:
        """The range, and the fields of the call's argument."""
        pages = -(-step.span.length // self.page_size)
        room = pages if step.vec_len is None and step.vec else step.vec_len or 0
        fields = {
            "flags": step.flags,
            "category_mask": step.category,
            "category_anyof_mask": step.anyof,
            "category_inverted": step.inverted,
            "return_mask": step.returned,
            "max_pages": step.max_pages,
            "vec_len": room,
        }
        said = [f".{name} = {value:#x}" for name, value in fields.items() if value]
        argument = f"(struct scan_arg){{{', '.join([*said, f'.vec = {int(step.vec)}'])}}}"
        return f"call(pagemap_scan({self.range(step.region, step.span)},\n\t\t\t     {argument}))"

    def advise(self, step: MadviseStep) -> str:
        """Advice, and what it means for the data."""
        region = step.region
        if step.target is not None:
            given = f"{self.processes[step.target]}, {self.range(region, step.span)}, {step.given}"
            return f"call(madvise_process({given}))"
        called = f"call(madvise({self.memory(step.region, step.span)}, {step.given}))"
        means = given_up(step.advice.effect) if self.notes_data and step.span.length > 0 else None
        return called if means is None else f"{called}, {means}({self.range(region, step.span)})"

    def access(self, step: AccessStep) -> str:
        order = f"RANDOM({step.seed})" if step.order == "random" else step.order.upper()
        arguments = f"{self.range(step.region, step.span)}, {size(step.stride)}, {order}"
        if step.op == "write":
            arguments += ", FRESH" if step.value is None else f", {step.value:#x}"
        return f"{step.op}_each({arguments})"

    def pattern(self, step: AccessPatternStep) -> str:
        """Shares are out of 2^32; a double is the same number in C as it is in Python."""
        fields = [
            f".kind = {step.pattern.upper()}",
            f".count = {step.count}",
            f".seed = {step.seed}",
        ]
        if step.write_share:
            fields.append(f".writes_below = {threshold(step.write_share)}")
        if step.pattern == "zipf":
            fields.append(f".exponent = {step.exponent!r}")
        if step.pattern == "hot":
            fields += [
                f".hot_pages = {step.hot_pages}",
                f".hot_below = {threshold(step.hot_share)}",
            ]
        pattern = f"(struct pattern){{{', '.join(fields)}}}"
        return f"access_pages({self.range(step.region, step.span)},\n\t\t\t     {pattern})"

    def range(self, region: str, span: ByteRange) -> str:
        """A range as the functions of the runtime take it."""
        return f"{self.regions[region]}, {size(span.offset)}, {size(span.length)}"

    def memory(self, region: str, span: ByteRange) -> str:
        """A range as system calls take it."""
        return f"at({self.regions[region]}, {size(span.offset)}), {size(span.length)}"
