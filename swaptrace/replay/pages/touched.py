"""How much memory the steps of a scenario touch, at most: what is mapped takes none by itself."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from swaptrace.scenario.base import ByteRange
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
    PinStep,
    RepeatStep,
    Step,
    TraceStep,
    UnpinStep,
)
from swaptrace.scenario.uffd import (
    UffdCopyStep,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)


@dataclass
class TouchedArea:
    """A region of a process: its size, the ranges of it that are touched, and how many bytes
    each step touches of which the places are not known. A step that is repeated touches the same
    ones again. `file` is what stays when the region goes, if it maps one."""

    size: int
    file: str | None = None
    ranges: set[tuple[int, int]] = field(default_factory=set)
    scattered: dict[Hashable, int] = field(default_factory=dict)

    @property
    def touched(self) -> int:
        """Bytes, at most."""
        total = sum(self.scattered.values())
        reached = 0
        for start, end in sorted(self.ranges):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        return min(self.size, total)


class TouchedMemory:
    """What each process has touched, as the steps go by; `peak` is the most of all together.

    A trace has at most so many `records` (None: nothing is known of it).
    """

    def __init__(self, page_size: int, records: int | None = None) -> None:
        self.page_size = page_size
        self.records = records
        self.areas: dict[str, dict[str, TouchedArea]] = {"main": {}}
        self.left: dict[str, int] = {}
        """What is in files that were unmapped, in bytes at most."""
        self.populating: set[str] = set()
        """The processes whose new mappings are populated (mlockall)."""
        self.peak = 0

    def run(self, steps: tuple[Step, ...]) -> int:
        """As much as is ever touched at a time. The body of a repeat touches in its second pass
        what it does in all further ones."""
        for step in steps:
            if isinstance(step, MeasureStep):
                self.run(step.steps)
            elif isinstance(step, RepeatStep):
                for _ in range(min(step.count, 2)):
                    self.run(step.steps)
            else:
                self.leaf(step)
                total = (area.touched for areas in self.areas.values() for area in areas.values())
                self.peak = max(self.peak, sum(total) + sum(self.left.values()))
        return self.peak

    def leaf(self, step: Step) -> None:
        """What one step touches, or gives back."""
        areas = self.areas[step.process]
        match step:
            case MmapStep() | MremapStep() if step.errno is not None:
                pass
            case MmapStep():
                self.map(step, areas)
            case MremapStep():
                self.remap(step, areas)
            case MunmapStep() if step.span == ByteRange(0, areas[step.region].size):
                self.leave(areas[step.region])
                areas[step.region] = TouchedArea(step.span.length)
            case ForkStep():
                self.areas[step.child] = {name: _copied(area) for name, area in areas.items()}
            case ExitStep():
                for area in self.areas.pop(step.process).values():
                    self.leave(area)
                self.populating.discard(step.process)
            case MlockallStep(flags=flags):
                self.lock_all(step.process, "MCL_CURRENT" in flags, "MCL_FUTURE" in flags)
            case MunlockallStep():
                self.lock_all(step.process, now=False, later=False)
            case TraceStep():
                self.replay(step, areas)
            case AccessPatternStep() | AccessStep():
                self.access(step, areas[step.region])
            case MemsetStep() | PokeStep() | MlockStep() | PinStep() | UffdCopyStep():
                areas[step.region].ranges.add(self.whole_pages(step.span))
            case MadviseStep(advice=advice, target=target) if advice.populates:
                areas = self.areas[target or step.process]
                areas[step.region].ranges.add(self.whole_pages(step.span))
            case (
                MadviseStep()
                | MunmapStep()
                | MprotectStep()
                | MunlockStep()
                | ClearRefsStep()
                | UffdWriteprotectStep()
            ):
                pass  # they change what is there, or nothing
            case UffdRegisterStep() | UffdUnregisterStep() | UffdZeropageStep() | UnpinStep():
                pass
            case MincoreStep() | MigrateStep() | PagemapScanStep() | CheckStep():
                pass
            case KsmScanStep() | MemoryMergeStep():
                pass
            case MeasureStep() | RepeatStep():
                raise AssertionError("no step of its own")

    def leave(self, area: TouchedArea) -> None:
        """A region goes, and what it has touched of a file is left."""
        if area.file is not None:
            self.left[area.file] = self.left.get(area.file, 0) + area.touched

    def access(self, step: AccessStep | AccessPatternStep, area: TouchedArea) -> None:
        """Accesses to all of a range, or to some of its pages."""
        if isinstance(step, AccessPatternStep):
            pages = min(step.count, self.pages(step.span))
            area.scattered[replace(step, line=1)] = pages * self.page_size
        elif step.stride > self.page_size:
            pages = -(-step.span.length // step.stride)
            area.scattered[step.span, step.stride] = pages * self.page_size
        else:
            area.ranges.add(self.whole_pages(step.span))

    def map(self, step: MmapStep, areas: dict[str, TouchedArea]) -> None:
        """A new region, or a part of one that there is."""
        if "MAP_FIXED" not in step.flags or step.region not in areas:
            if step.region in areas:
                self.leave(areas[step.region])
            areas[step.region] = TouchedArea(step.size, step.file)
        populated = {"MAP_POPULATE", "MAP_LOCKED"} & set(step.flags)
        if populated or step.process in self.populating:
            areas[step.region].ranges.add((step.offset, step.offset + step.size))

    def remap(self, step: MremapStep, areas: dict[str, TouchedArea]) -> None:
        """Another size, all of which may come at once in a locked region; or another name."""
        area = areas[step.region]
        if step.name is not None:
            areas[step.name] = _copied(area)
        elif step.size > area.size:
            area.ranges.add((area.size, step.size))
        area.size = step.size

    def lock_all(self, process: str, now: bool, later: bool) -> None:
        """mlockall(), as if every page came at once."""
        self.populating.discard(process)
        if later:
            self.populating.add(process)
        if now:
            for area in self.areas[process].values():
                area.ranges.add((0, area.size))

    def replay(self, step: TraceStep, areas: dict[str, TouchedArea]) -> None:
        """Any pages of the region, or of all if the trace names them."""
        for name in areas if step.region is None else (step.region,):
            size = areas[name].size
            known = size if self.records is None else self.records * self.page_size
            areas[name].scattered[step.path] = known

    def whole_pages(self, span: ByteRange) -> tuple[int, int]:
        """The range, up to where its pages begin and end."""
        end = span.offset + max(0, span.length)  # one that is negative is refused
        page = self.page_size
        return span.offset // page * page, -(-end // page) * page

    def pages(self, span: ByteRange) -> int:
        """How many pages the range has a byte of."""
        start, end = self.whole_pages(span)
        return (end - start) // self.page_size


def _copied(area: TouchedArea) -> TouchedArea:
    """That of a child."""
    return TouchedArea(area.size, area.file, set(area.ranges), dict(area.scattered))
