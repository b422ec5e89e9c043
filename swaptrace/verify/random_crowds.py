"""Random scenarios of large folios that up to four processes map, for `verify --random`.

A large folio knows two of its mappers (mm/mmids.py): what it takes the others for shows once
processes have come and gone, and while nobody has split it or written all of it anew. In half of
them pages are pinned now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from swaptrace.advice import Advice
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import (
    AccessStep,
    ExitStep,
    ForkStep,
    MadviseStep,
    MmapStep,
    MprotectStep,
    PinStep,
    Scenario,
    Step,
    UnpinStep,
)
from swaptrace.scenario.thp import Thp, sizes
from swaptrace.scenario.values import LENGTH
from swaptrace.verify.random_machine import of_kernel
from swaptrace.verify.random_pins import pin_step

PAGE: Final = 4096
REGION: Final = "buf"
MOST: Final = 4
"""Processes at a time."""

OPS: Final[tuple[Literal["read", "write"], ...]] = ("write", "write", "read")
ADVICE: Final = (
    *(Advice.DONTNEED,) * 6,
    *(Advice.PAGEOUT,) * 2,
    Advice.FREE,
    Advice.COLD,
)
PINNED_ADVICE: Final = (*ADVICE, *(Advice.PAGEOUT, Advice.FREE) * 3, Advice.COLLAPSE)
"""What else asks whether a folio is pinned."""


@dataclass
class CrowdMaker:
    """Makes one scenario, on a machine with folios of these sizes."""

    random: Random
    thp: tuple[Thp, ...]
    kernel: str
    processes: list[str] = field(default_factory=lambda: ["main"])
    born: int = 0
    pins: bool = False
    pinned: set[str] = field(default_factory=set)

    def scenario(self, name: str) -> Scenario:
        """A region of one or two folios, written once, then up to twenty steps."""
        size = self.random.choice((1, 1, 2)) * max(LENGTH(each.size) for each in sizes(self.thp))
        span = ByteRange(0, size)
        self.pins = self.random.random() < 0.5
        steps: list[Step] = [
            MmapStep(line=1, region=REGION, size=size),
            AccessStep(line=1, op="write", region=REGION, span=span, stride=PAGE),
        ]
        for _ in range(self.random.randint(8, 20)):
            steps += self.group(size // PAGE)
        return Scenario(name, "", of_kernel(self.kernel, PAGE, self.thp), tuple(steps))

    def group(self, pages: int) -> Iterator[Step]:
        """A process comes, goes, or does something."""
        process, chance = self.random.choice(self.processes), self.random.random()
        if self.pins and self.random.random() < 0.3:
            yield self.pin(process, pages)
        elif chance < 0.4 and len(self.processes) < MOST:
            self.born += 1
            self.processes.append(f"child{self.born}")
            yield ForkStep(line=1, process=process, child=self.processes[-1])
        elif chance < 0.55 and process != "main":
            self.processes.remove(process)
            if process in self.pinned:
                yield self.pin(process, pages)
            yield ExitStep(line=1, process=process)
        else:
            yield from self.plain(process, self.span(pages))

    def pin(self, process: str, pages: int) -> PinStep | UnpinStep:
        """A pin, or its end."""
        if process in self.pinned:
            self.pinned.remove(process)
            return UnpinStep(line=1, process=process, region=REGION)
        self.pinned.add(process)
        return pin_step(self.random, REGION, process, self.span(pages))

    def plain(self, process: str, span: ByteRange) -> Iterator[Step]:
        """An access, advice, or two calls of mprotect() that leave nothing behind but PTEs."""
        chance = self.random.random()
        if chance < 0.3:
            op = self.random.choice(OPS)
            yield AccessStep(line=1, process=process, op=op, region=REGION, span=span, stride=PAGE)
        elif chance < 0.93:
            advice = self.random.choice(PINNED_ADVICE if self.pins else ADVICE)
            yield MadviseStep(line=1, process=process, region=REGION, advice=advice, span=span)
        else:
            for prot in ("r", "rw"):
                yield MprotectStep(line=1, process=process, region=REGION, prot=prot, span=span)

    def span(self, pages: int) -> ByteRange:
        """All pages, half of the time, else some."""
        if self.random.random() < 0.5:
            return ByteRange(0, pages * PAGE)
        first = self.random.randrange(pages)
        some = self.random.randint(1, min(pages - first, self.random.choice((3, pages))))
        return ByteRange(first * PAGE, some * PAGE)
