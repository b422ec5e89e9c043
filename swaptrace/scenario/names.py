"""Do the names of a scenario exist where they are used, and are its ranges within them?

`Declarations` walks the steps in the order of execution and keeps what each process has mapped.
It finishes the steps on the way: a range without a `length` gets that of its region. The
body of a `repeat` is walked again until a pass leaves everything as an earlier pass found
it, so that what goes wrong only in a later pass is found as well. All of it is charged to
a budget, since a small file can ask for a walk without end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from swaptrace.errors import did_you_mean, quote
from swaptrace.scenario.addresses import ADDRESS_LIMIT, first_fit, joined, without
from swaptrace.scenario.areas import DeclaredFile, DeclaredProcess, DeclaredRegion, moved_to
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.fields import ALIGNED, TO_END
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.schema import (
    AccessPatternStep,
    CheckStep,
    ExitStep,
    ForkStep,
    MadviseStep,
    MeasureStep,
    MmapStep,
    MunmapStep,
    OfProcess,
    OnRange,
    PinStep,
    RepeatStep,
    Step,
    SystemCall,
    TraceStep,
    UnpinStep,
)
from swaptrace.scenario.source import Report, SourceMark
from swaptrace.scenario.steps import ParsedStep
from swaptrace.scenario.values import human

BUDGET: Final = 1_000_000
"""How much walking is done: a step costs 1, and so does a region that is copied for a new
process or to compare two passes."""

SCANNED: Final = 4
"""That many entries that are only looked at cost 1."""

BEYOND: Final = 1 << 30
"""How far behind its region a range may reach that is to be refused."""


class Declarations:
    """What the processes have mapped at one moment of the walk.

    `lost` are names of which nothing can be said, since a step with them is not understood.
    """

    def __init__(self, report: Report, page_size: int, lost: set[str]) -> None:
        self.report = report
        self.page_size = page_size
        self.lost = lost
        self.living = {"main": DeclaredProcess(0)}
        self.exited: dict[str, int] = {}  # and in which line
        self.spans: dict[int, ByteRange] = {}  # of each parsed step, by its identity
        self.files: dict[str, DeclaredFile] = {}
        self.later: list[str] = []  # the repeats around that are not in their first pass
        self.budget = BUDGET

    def steps(self, parsed: tuple[ParsedStep, ...]) -> tuple[Step, ...]:
        """Walk the steps and finish them."""
        return tuple(self.step(step) for step in parsed)

    def step(self, parsed: ParsedStep) -> Step:
        """Check one step, note what it does to the names, and finish it."""
        self.spend(1, parsed)
        step = parsed.step
        if isinstance(step, MeasureStep | RepeatStep):
            return self.nested(step, parsed)
        process = self.process(step, parsed)
        if isinstance(step, OfProcess):
            return step
        match step:
            case ForkStep():
                self.fork(step, process, parsed)
            case _ if process is None:
                pass
            case MmapStep():
                self.mmap(step, process, parsed)
            case MremapStep():
                self.mremap(step, process, parsed)
            case ExitStep():
                for name, line in process.pinned.items():
                    message = f"process {quote(step.process)} has pinned region {quote(name)}"
                    self.wrong(parsed.mark("argument"), f"{message} (line {line}); unpin it before")
                self.exited[step.process] = step.line
                del self.living[step.process]
            case TraceStep():
                self.trace(step, process, parsed)
            case CheckStep():
                self.check(step, process, parsed)
            case UnpinStep():
                self.unpin(step, process, parsed)
            case _:
                return self.on_region(step, process, parsed)
        return step

    def nested(self, step: MeasureStep | RepeatStep, parsed: ParsedStep) -> Step:
        """A step with inner ones; a process that is wrong here is not wrong again in each."""
        if "process" in parsed.marks and self.process(step, parsed) is None:
            self.lost.add(step.process)
        if isinstance(step, RepeatStep):
            return replace(step, steps=self.repeat(step.count, parsed))
        return replace(step, steps=self.steps(parsed.steps))

    def process(
        self, step: Step, parsed: ParsedStep, key: str = "process"
    ) -> DeclaredProcess | None:
        """The living process that executes the step, or that another key of it names."""
        name = step.process
        if name in self.living:
            return self.living[name]
        mark = parsed.mark("argument" if isinstance(step, ExitStep) else key)
        if not name or name in self.lost:
            return None
        if name in self.exited:
            self.wrong(mark, f"process {quote(name)} has exited (line {self.exited[name]})")
        else:
            hint = did_you_mean(name, self.living) or "all have exited"
            self.wrong(mark, f"no process {quote(name)} here; {hint}")
        return None

    def fork(self, step: ForkStep, parent: DeclaredProcess | None, parsed: ParsedStep) -> None:
        """A child under a name that is free, with the parent's regions."""
        running = self.living.get(step.child)
        if running is not None:
            since = f"forked in line {running.line}" if running.line else "the first process"
            self.wrong(
                parsed.mark("argument"),
                f"process {quote(step.child)} is still running ({since}); "
                "let it exit before, or use another name",
            )
        elif parent is None:
            self.lost.add(step.child)
        elif step.child:
            self.spend(len(parent.regions), parsed)
            self.living[step.child] = parent.fork(step.line)
            self.exited.pop(step.child, None)

    def mmap(self, step: MmapStep, process: DeclaredProcess, parsed: ParsedStep) -> None:
        """A region under a name that is free, or a part of one that is mapped anew."""
        old, fixed = process.regions.get(step.region), "MAP_FIXED" in step.flags
        if step.errno is not None:
            return
        if old is not None and fixed:
            self.mmap_part(step, process, old, parsed)
            return
        if fixed and step.at is None:
            message = "MAP_FIXED needs an address ('at'), or a region that it is mapped over"
            self.wrong(parsed.mark("flags"), f"flags: {message}")
        if step.offset:
            message = "only a mapping over a part of a region has one: MAP_FIXED"
            self.wrong(parsed.mark("offset"), f"offset: {message}")
            return
        if old is not None and old.mapped:
            still = "partly " if old.mapped != ((0, old.size),) else ""
            self.wrong(
                parsed.mark("argument"),
                f"region {quote(step.region)} is still {still}mapped in process "
                f"{quote(step.process)} (line {old.line}); munmap it before, or use another name",
            )
            return
        if step.file is not None:
            self.file(step, step.file, parsed)
        if step.region in process.pinned:
            line = process.pinned[step.region]
            message = f"region {quote(step.region)} is still pinned (line {line}); unpin it before"
            self.wrong(parsed.mark("argument"), message)
        process.regions.pop(step.region, None)
        self.spend(len(process.regions) // SCANNED, parsed)
        taken = ((area.base, area.end) for area in process.regions.values())
        base = step.at or first_fit(taken, step.size, self.page_size)
        area = DeclaredRegion(step.size, ((0, step.size),), step.at, base, step.line)
        if area.end > ADDRESS_LIMIT:
            message = f"from {base:#x} on there is no room for {human(step.size)}"
            limit = f"the address space ends at {ADDRESS_LIMIT:#x}"
            self.wrong(parsed.mark("size"), f"size: {message}; {limit}")
            area = replace(area, size=0, base=0)
        if step.at is not None:
            self.no_overlap(area, process, parsed)
        if step.region:
            process.regions[step.region] = area

    def file(self, step: MmapStep, name: str, parsed: ParsedStep) -> None:
        """A new file, or one that there is, which has a size already."""
        old = self.files.setdefault(name, DeclaredFile.of(step))
        if message := old.refusal(step):
            self.wrong(parsed.mark("file"), f"file: file {quote(name)} {message}")

    def mmap_part(
        self, step: MmapStep, process: DeclaredProcess, area: DeclaredRegion, parsed: ParsedStep
    ) -> None:
        """A mapping over a part of a region."""
        if step.at is not None:
            message = (
                f"region {quote(step.region)} has an address (line {area.line}); leave this out"
            )
            self.wrong(parsed.mark("at"), f"at: {message}")
        end = step.offset + step.size
        if end > area.size > 0:
            message = f"region {quote(step.region)} has {human(area.size)}, and this ends at"
            self.wrong(parsed.mark("size"), f"size: {message} {human(end)}")
        self.spend(len(area.mapped) // SCANNED, parsed)
        mapped = joined((*area.mapped, (step.offset, end)))
        process.regions[step.region] = replace(area, mapped=mapped)

    def no_overlap(
        self, new: DeclaredRegion, process: DeclaredProcess, parsed: ParsedStep, key: str = "at"
    ) -> None:
        """Addresses belong to one region, even after it is unmapped: its name still means them."""
        self.spend(len(process.regions) // SCANNED, parsed)
        start, end = new.base, new.end
        near = [
            (name, area)
            for name, area in process.regions.items()
            if area.base < end and start < area.base + area.size
        ]
        for name, area in near:
            where = f"region {quote(name)} of line {area.line}, {area.base:#x} to {area.end:#x}"
            self.wrong(parsed.mark(key), f"{key}: {start:#x} to {end:#x} overlaps {where}")

    def mremap(self, step: MremapStep, process: DeclaredProcess, parsed: ParsedStep) -> None:
        """The region has another size or place; with MREMAP_DONTUNMAP it is another that has."""
        area = process.regions.get(step.region)
        if area is None:
            self.no_region(step, step.region, process, parsed.mark("argument"))
        elif step.region in process.pinned:
            message = f"region {quote(step.region)} is pinned (line {process.pinned[step.region]})"
            self.wrong(parsed.mark("argument"), f"{message}; unpin it before")
        elif step.errno is None and area.size:
            moved = moved_to(process, step, area, self.page_size)
            if step.name in process.regions:
                message = f"there is a region {quote(step.name or '')} here; use another name"
                self.wrong(parsed.mark("as"), f"as: {message}")
            elif step.to is not None:
                self.no_overlap(moved, process, parsed, "to")
            process.regions[step.name or step.region] = moved

    def trace(self, step: TraceStep, process: DeclaredProcess, parsed: ParsedStep) -> None:
        """The region of a trace, where the step names one; what the file names is known later."""
        if step.region is not None and step.region not in process.regions:
            self.no_region(step, step.region, process, parsed.mark("region"))

    def unpin(self, step: UnpinStep, process: DeclaredProcess, parsed: ParsedStep) -> None:
        """A region that the process has pinned."""
        if step.region not in process.regions:
            self.no_region(step, step.region, process, parsed.mark("argument"))
        elif process.pinned.pop(step.region, None) is None:
            message = f"region {quote(step.region)} is not pinned here by {quote(step.process)}"
            self.wrong(parsed.mark("argument"), message)

    def check(self, step: CheckStep, process: DeclaredProcess, parsed: ParsedStep) -> None:
        """The regions of a check, and whether what is said of one is of all its pages."""
        claims = step.claims
        for key, said in (("pages", claims.pages), ("data", claims.data), ("vmas", claims.vmas)):
            for name, claim in said:
                mark, area = parsed.mark(f"{key} {name}"), process.regions.get(name)
                if area is None:
                    self.no_region(step, name, process, mark)
                elif area.size and claim.pages not in (None, area.size // self.page_size):
                    pages = f"{claim.pages} pages, and region {quote(name)} has"
                    self.wrong(mark, f"{key}: this is {pages} {area.size // self.page_size}")

    def on_region(self, step: OnRange, process: DeclaredProcess, parsed: ParsedStep) -> Step:
        """A step on a region that the process has, with the range made definite."""
        if isinstance(step, MadviseStep) and step.target is not None:
            owner = self.owner(step, step.target, parsed)
            if owner is None:
                return step
            process = owner
        area = process.regions.get(step.region)
        if area is None:
            self.no_region(step, step.region, process, parsed.mark("argument"))
            return step
        span = self.span(step, area, parsed)
        if isinstance(step, AccessPatternStep):
            self.hot_pages(step, span, parsed)
        if isinstance(step, PinStep) and step.errno is None:
            if step.region in process.pinned:
                line = process.pinned[step.region]
                message = f"region {quote(step.region)} is pinned already (line {line})"
                self.wrong(parsed.mark("argument"), f"{message}; unpin it before")
            process.pinned[step.region] = step.line
        if isinstance(step, MunmapStep) and step.errno is None:
            self.spend(len(area.mapped) // SCANNED, parsed)
            end = span.offset + span.length
            process.regions[step.region] = replace(
                area, mapped=without(area.mapped, span.offset, end)
            )
        return replace(step, span=span)

    def owner(self, step: MadviseStep, name: str, parsed: ParsedStep) -> DeclaredProcess | None:
        """The living process whose memory a step is about."""
        return self.process(replace(step, process=name), parsed, "target")

    def hot_pages(self, step: AccessPatternStep, span: ByteRange, parsed: ParsedStep) -> None:
        """Some pages must be left that are not hot."""
        first, end = (
            span.offset // self.page_size,
            -(-(span.offset + span.length) // self.page_size),
        )
        if step.pattern == "hot" and step.hot_pages >= end - first:
            message = f"the range has {end - first} pages, and some must not be hot"
            self.wrong(parsed.mark("hot_pages"), f"hot_pages: {message}")

    def no_region(self, step: Step, name: str, process: DeclaredProcess, mark: SourceMark) -> None:
        """Report a region that the process does not have."""
        if not name or name in self.lost:
            return
        owner = next((who for who, other in self.living.items() if name in other.regions), None)
        hint = did_you_mean(name, process.regions) or "it has mapped none yet"
        if owner is not None:
            hint = f"process {quote(owner)} has one; is a 'process' missing or wrong?"
        self.wrong(mark, f"process {quote(step.process)} has no region {quote(name)} here; {hint}")

    def span(self, step: OnRange, area: DeclaredRegion, parsed: ParsedStep) -> ByteRange:
        """The range within the region; in whole pages where the kernel makes it so."""
        start, length = step.span.offset, step.span.length
        if area.size == 0:
            return step.span
        most = area.size if step.errno is None else area.size + BEYOND
        if start >= (area.size if length == TO_END else most):
            message = f"region {quote(step.region)} has {human(area.size)}, so at most"
            self.wrong(parsed.mark("offset"), f"offset: {message} {most - 1}")
        elif start + length > most:
            message = f"region {quote(step.region)} has {human(area.size)}, so at most"
            rest = f"{human(most - start)}{' from this offset on' if start else ''}"
            self.wrong(parsed.mark("length"), f"length: {message} {rest}")
        end = area.size if length == TO_END else start + length
        if isinstance(step, SystemCall) and (length >= 0 or step.op not in ALIGNED["offset"]):
            if step.op not in ALIGNED["offset"]:
                start -= start % self.page_size
            if step.op not in ALIGNED["length"]:
                end += -end % self.page_size
        span = ByteRange(start, end - start)
        first = self.spans.setdefault(id(parsed), span)
        if span != first:
            sizes = f"{human(first.length)} in the first pass, {human(span.length)} in this one"
            message = f"the range to the end of region {quote(step.region)} is {sizes}"
            self.wrong(parsed.marks["step"], f"{message}; give its length")
        return span

    def repeat(self, count: int, parsed: ParsedStep) -> tuple[Step, ...]:
        """Walk the body pass after pass, until one finds what an earlier one found, and so
        nothing new can come, or something is wrong. Finish it as in the first pass."""
        seen = [self.snapshot(parsed)]
        before = len(self.report.found)
        steps = self.steps(parsed.steps)
        for number in range(2, count + 1):
            if len(self.report.found) > before:
                break
            state = self.snapshot(parsed)
            self.spend(len(seen) * len(state) // SCANNED, parsed)
            if state in seen:
                cycle = seen[seen.index(state) :]
                self.living = cycle[(count + 1 - number) % len(cycle)]
                break
            seen.append(state)
            self.later.append(f"in pass {number} of the repeat of line {parsed.step.line}, ")
            self.steps(parsed.steps)
            self.later.pop()
        return steps

    def snapshot(self, parsed: ParsedStep) -> dict[str, DeclaredProcess]:
        """A copy of everything that decides what is right later."""
        self.spend(sum(1 + len(process.regions) for process in self.living.values()), parsed)
        return {
            name: replace(process, regions=dict(process.regions), pinned=dict(process.pinned))
            for name, process in self.living.items()
        }

    def spend(self, cost: int, parsed: ParsedStep) -> None:
        """Charge for work; at the end of the budget nothing more is checked."""
        self.budget -= cost
        if self.budget < 0:
            self.report.stop(
                parsed.marks["step"],
                "too much to check: up to here there are too many regions, forks and holes, or "
                "passes of a repeat that each find other regions mapped",
            )

    def wrong(self, mark: SourceMark, message: str) -> None:
        """Report, and say in which pass if only a later one goes wrong."""
        self.report.add(mark, "".join(self.later[-1:]) + message)
