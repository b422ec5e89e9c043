"""Random scenarios of huge pages (hugetlbfs), for `verify --random`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import (
    HUGE_PAGE,
    AccessStep,
    ExitStep,
    ForkStep,
    MapFlag,
    MemsetStep,
    MmapStep,
    MunmapStep,
    Order,
    Scenario,
    Step,
)
from swaptrace.scenario.uffd import UffdRegisterStep, UffdUnregisterStep, UffdWriteprotectStep
from swaptrace.verify.random_uffd import ASYNC, scan_step

PAGE: Final = 4096


@dataclass
class HugePageMaker:
    """Makes one scenario. Its processes have regions of so many huge pages each; with `uffd` they
    are write-protected, and scanned."""

    random: Random
    uffd: bool
    sizes: dict[str, dict[str, int]] = field(default_factory=lambda: {"main": {}})
    born: int = 0
    mapped: int = 0

    def scenario(self, name: str) -> Scenario:
        """A few regions, then up to thirty steps."""
        steps: list[Step] = [self.mmap("main") for _ in range(self.random.choice((1, 1, 2, 3)))]
        for _ in range(self.random.randint(5, 25)):
            steps += self.group()
        pool = self.random.randint(2, 8)
        return Scenario(name, "", Machine(page_size=PAGE, hugepages=pool), tuple(steps))

    def mmap(self, process: str) -> MmapStep:
        self.mapped += 1
        region, pages = f"h{self.mapped}", self.random.choice((1, 1, 2, 3))
        self.sizes[process][region] = pages
        shared = self.random.random() < 0.5
        flags: tuple[MapFlag, ...] = ("MAP_HUGETLB",)
        if self.random.random() < 0.2:
            flags = (*flags, "MAP_NORESERVE")
        return MmapStep(
            line=1,
            process=process,
            region=region,
            size=pages * HUGE_PAGE,
            prot=self.random.choice(("rw", "rw", "rw", "rw", "r")),
            flags=flags,
            shared=shared,
            file=f"f{self.mapped}" if shared and self.random.random() < 0.5 else None,
        )

    def group(self) -> Iterator[Step]:
        """A step of a process."""
        process = self.random.choice(list(self.sizes))
        chance = self.random.random()
        if chance < 0.08 and len(self.sizes) < 4:
            self.born += 1
            self.sizes[f"child{self.born}"] = dict(self.sizes[process])
            yield ForkStep(line=1, process=process, child=f"child{self.born}")
        elif chance < 0.14 and process != "main":
            del self.sizes[process]
            yield ExitStep(line=1, process=process)
        elif chance < 0.18:
            yield self.mmap(process)
        elif self.sizes[process]:
            region = self.random.choice(list(self.sizes[process]))
            pages = self.sizes[process][region]
            yield (
                self.plain(process, region, pages)
                if chance < 0.7 or not self.uffd
                else (self.userfault(process, region, pages))
            )

    def plain(self, process: str, region: str, pages: int) -> Step:
        """An access, or now and then munmap."""
        chance = self.random.random()
        if chance < 0.08:
            span = self.whole(pages)
            return MunmapStep(line=1, process=process, region=region, span=span)
        first = self.random.randrange(pages * HUGE_PAGE // PAGE)
        length = self.random.randint(1, pages * HUGE_PAGE // PAGE - first)
        span = ByteRange(first * PAGE, length * PAGE)
        if chance < 0.25:
            value = self.random.choice((0, 17))
            return MemsetStep(line=1, process=process, region=region, value=value, span=span)
        order: Order = self.random.choice(("forward", "forward", "backward", "random"))
        return AccessStep(
            line=1,
            process=process,
            op=self.random.choice(("read", "write", "read_write")),
            region=region,
            span=span,
            stride=self.random.choice((PAGE, 16 * PAGE, 700 * PAGE)),
            order=order,
            seed=self.random.randrange(100) if order == "random" else 0,
        )

    def whole(self, pages: int) -> ByteRange:
        """Whole huge pages; now and then not, which is refused."""
        first = self.random.randrange(pages)
        end = self.random.randint(first + 1, pages)
        off = PAGE if self.random.random() < 0.1 else 0
        return ByteRange(first * HUGE_PAGE + off, (end - first) * HUGE_PAGE - off)

    def userfault(self, process: str, region: str, pages: int) -> Step:
        """Asynchronous write-protection, or a scan."""
        chance, span = self.random.random(), self.whole(pages)
        if chance < 0.3:
            return UffdRegisterStep(
                line=1, process=process, region=region, span=span, mode=("wp",), features=(ASYNC,)
            )
        if chance < 0.6:
            wp = self.random.random() < 0.8
            return UffdWriteprotectStep(line=1, process=process, region=region, span=span, wp=wp)
        if chance < 0.65:
            return UffdUnregisterStep(line=1, process=process, region=region, span=span)
        return scan_step(self.random, region, process, span)
