"""What a scenario needs of the machine that it runs on: names, memory, kernel features."""

from __future__ import annotations

from dataclasses import dataclass

from swaptrace.scenario.schema import (
    Access,
    AccessPattern,
    ClearRefs,
    Exit,
    Fork,
    Measure,
    Mlock,
    Mmap,
    Repeat,
    Scenario,
    Step,
    UffdWriteprotect,
)
from swaptrace.verify.leaves import written


@dataclass(frozen=True)
class Needs:
    """`processes` and `regions` in order of appearance, `main` first; `memory` in bytes, as much
    as is mapped at a time, counted for each process; `shuffled` is how many accesses or pages are
    put into random order at most, `ranks` how many pages a zipf pattern has."""

    processes: tuple[str, ...]
    regions: tuple[str, ...]
    memory: int
    shuffled: int
    ranks: int
    soft_dirty: bool
    uffd: bool
    mlock: bool


def needs(scenario: Scenario) -> Needs:
    """Found by a look at every step."""
    steps = list(written(scenario.steps))
    forked = (step.child for step in steps if isinstance(step, Fork))
    mapped = (step.region for step in steps if isinstance(step, Mmap))
    return Needs(
        processes=tuple(dict.fromkeys(("main", *forked))),
        regions=tuple(dict.fromkeys(mapped)),
        memory=_Mapped().most(scenario.steps),
        shuffled=max((shuffled(step, scenario.machine.page_size) for step in steps), default=0),
        ranks=max((ranks(step, scenario.machine.page_size) for step in steps), default=0),
        soft_dirty=any(isinstance(step, ClearRefs) for step in steps),
        uffd=any(isinstance(step, UffdWriteprotect) for step in steps),
        mlock=any(isinstance(step, Mlock) for step in steps),
    )


def shuffled(step: Step, page_size: int) -> int:
    """How many accesses or pages the step puts into random order."""
    if isinstance(step, AccessPattern):
        return pages(step, page_size) if step.pattern in ("zipf", "hot") else 0
    if not isinstance(step, Access) or step.order != "random":
        return 0
    if step.stride < page_size:
        return step.span.length // page_size + 2
    return -(-step.span.length // step.stride)


def ranks(step: Step, page_size: int) -> int:
    """How many pages of different popularity the step has."""
    zipf = isinstance(step, AccessPattern) and step.pattern == "zipf"
    return shuffled(step, page_size) if zipf else 0


def pages(step: AccessPattern, page_size: int) -> int:
    """How many pages the range has a byte of."""
    start, end = step.span.offset, step.span.offset + step.span.length
    return -(-end // page_size) - start // page_size


class _Mapped:
    """The sizes of the regions of each process, as the steps go by."""

    def __init__(self) -> None:
        self.sizes: dict[str, dict[str, int]] = {"main": {}}
        self.peak = 0

    def most(self, steps: tuple[Step, ...]) -> int:
        """As much as is ever mapped. The body of a repeat leaves what it found or maps what an
        earlier pass unmapped, so that two passes show its most."""
        for step in steps:
            if isinstance(step, Measure):
                self.most(step.steps)
            elif isinstance(step, Repeat):
                for _ in range(min(step.count, 2)):
                    self.most(step.steps)
            else:
                self.leaf(step)
        return self.peak

    def leaf(self, step: Step) -> None:
        """What one step maps."""
        if isinstance(step, Mmap):
            self.sizes[step.process][step.region] = step.size
        elif isinstance(step, Fork):
            self.sizes[step.child] = dict(self.sizes[step.process])
        elif isinstance(step, Exit):
            del self.sizes[step.process]
        self.peak = max(self.peak, sum(sum(sizes.values()) for sizes in self.sizes.values()))
