"""Random scenarios over the whole format, for `verify --random`.

The same seed and index make the same scenario. What is made is valid but for errnos, which
`settled` adds: it asks the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, Literal

from swaptrace.advice import Advice
from swaptrace.mm.column import ENTRY_BYTES
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.pagescan import MincoreStep
from swaptrace.scenario.remote import MigrateStep, PokeStep
from swaptrace.scenario.schema import (
    AccessStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    KsmScanStep,
    MadviseStep,
    MeasureStep,
    MemoryMergeStep,
    MemsetStep,
    MmapStep,
    MprotectStep,
    MunmapStep,
    Order,
    Prot,
    RepeatStep,
    Scenario,
    Step,
    UnpinStep,
)
from swaptrace.scenario.thp import Thp
from swaptrace.scenario.uffd import UffdMode, UffdWriteprotectStep
from swaptrace.scenario.values import LENGTH
from swaptrace.verify.needs import needs
from swaptrace.verify.random_access import pattern_step
from swaptrace.verify.random_advice import ADVICE, OF_OBJECTS
from swaptrace.verify.random_lock import lock_step
from swaptrace.verify.random_machine import limited, machine, of_kernel
from swaptrace.verify.random_mapping import (
    MAPPED,
    elsewhere,
    holes,
    map_flags,
    mmap_over,
    mremap,
    of_kind,
    out_of_order,
)
from swaptrace.verify.random_pins import needs_unpinned, pin_step
from swaptrace.verify.random_uffd import FEATURES, Features, scan_step, uffd_step

MAX_PROCESSES: Final = 5
SIZES: Final = (1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 27, 33, 40, 55, 64, 200, 600)
"""Of regions, in pages; the last one has more than one page table."""

PROTS: Final[tuple[Prot, ...]] = ("r", "r", "rw", "rw", "rw", "none", "w", "rx", "rwx")
OPS: Final[tuple[Literal["read", "write", "read_write"], ...]] = (
    *("read",) * 2,
    *("write",) * 2,
    "read_write",
)
STRIDES: Final = (0.125, 0.5, 1.5, 2, 3, 5, 7, 2.5)
"""Of accesses, in pages."""


@dataclass
class Maker:
    """Makes one scenario. `soft_dirty`, `uffd` and `rwp` are whether the kernel has these; `merges`
    is that KSM scans, for which whole pages are written, `registers` that all of userfaultfd is
    modelled, `limits` that some machines limit swap; `filling` is how many areas of it are small.
    `thp` are the sizes of large folios, to which half of the ranges are aligned; `kernel` is the
    version whose rules decide what fails."""

    random: Random
    page_size: int
    soft_dirty: bool
    uffd: bool
    rwp: bool = False
    merges: bool = False
    registers: bool = False
    filling: float = 0.2
    thp: tuple[Thp, ...] = ()
    kernel: str = Machine().kernel
    limits: bool = False
    sizes: dict[str, dict[str, int]] = field(default_factory=lambda: {"main": {}})
    ends: dict[str, int] = field(default_factory=dict)
    objects: dict[str, set[str]] = field(default_factory=lambda: {"main": set()})
    files: dict[str, int] = field(default_factory=dict)
    born: int = 0
    mapped: int = 0
    features: Features = ()

    def scenario(self, name: str) -> Scenario:
        """A few regions, then up to thirty steps."""
        regions = self.random.choice((1, 1, 1, 2, 2, 3))
        self.features = self.random.choice(FEATURES)
        steps: list[Step] = [self.mmap(f"r{number}", "main") for number in range(regions)]
        steps += holes(self.random, steps, self.page_size)
        for _ in range(self.random.randint(6, 26)):
            steps += self.group()
        return Scenario(name, "", self.machine(steps), tuple(steps))

    def machine(self, steps: list[Step]) -> Machine:
        """One of the kernel, whose errnos the steps have."""
        fixed = of_kernel(self.kernel, self.page_size, self.thp)
        wanted = needs(Scenario("", "", fixed, tuple(steps)))
        pages = wanted.memory // self.page_size
        made = machine(self.random, fixed, pages, self.filling, wanted.pins)
        return limited(self.random, made, self.kernel, pages) if self.limits else made

    def group(self) -> Iterator[Step]:
        """One step, or a few within a `repeat` or a `measure`."""
        chance = self.random.random()
        if chance < 0.04:
            inner = tuple(self.plain() for _ in range(self.random.randint(1, 3)))
            yield RepeatStep(line=1, count=self.random.randint(2, 4), steps=inner)
        elif chance < 0.08:
            inner = tuple(self.plain() for _ in range(self.random.randint(1, 3)))
            yield MeasureStep(line=1, label=self.random.choice("abc"), steps=inner)
        elif chance < 0.14:
            yield from self.process()
        elif chance < (0.2 if self.thp else 0.16):
            yield from self.pinned()
        elif chance < 0.26:
            yield from self.there_and_back()
        elif chance < 0.27:
            region, process = self.somewhere()
            span = ByteRange(0, self.sizes[process][region] * self.page_size)
            yield MunmapStep(line=1, process=process, region=region, span=span)
            yield self.mmap(region, process)
        elif self.files and chance < 0.31:
            yield self.mmap(f"r{self.mapped}f", self.random.choice(list(self.sizes)), again=True)
        else:
            yield self.plain()

    def there_and_back(self) -> Iterator[Step]:
        """What the patch is about: pages are written, swapped out, read and written again, each
        by a process that may be another one and with a step in between now and then."""
        region, process = self.somewhere()
        pages = self.sizes[process][region]
        for make in (self.access, self.pageout, self.access, self.access):
            if self.random.random() < 0.15:
                yield self.plain()
            if self.random.random() < 0.1:
                process = self.random.choice([n for n in self.sizes if region in self.sizes[n]])
                pages = self.sizes[process][region]
            if self.random.random() < 0.9:
                yield make(region, process, pages)

    def mmap(self, region: str, process: str, again: bool = False) -> MmapStep:
        """A region of any of the sizes, mostly small; of a file that there is if it is `again`."""
        pages = self.random.choice(SIZES if self.random.random() < 0.3 else SIZES[:12])
        self.sizes[process][region] = pages
        size, at = pages * self.page_size, self.address(process)
        if at is not None:
            self.ends[process] = at + size
        kind = self.random.random()
        shared, file = kind < (0.6 if again else 0.1), again or 0.06 < kind < 0.17
        note = set.add if shared or file else set.discard
        note(self.objects[process], region)
        step = MmapStep(
            line=1,
            process=process,
            region=region,
            size=size,
            prot=self.random.choice(MAPPED),
            at=at,
            flags=map_flags(self.random, populates=not self.thp),
            shared=shared,
        )
        return of_kind(self.random, step, file, self.files, self.page_size)

    def address(self, process: str) -> int | None:
        """Mostly none; else where another region ends, or nobody's, anywhere in a page table."""
        self.mapped += 1
        chance = self.random.random()
        if chance < 0.7:
            return None
        if chance < 0.85 and process in self.ends:
            return self.ends[process]
        page = self.random.randrange(self.page_size // ENTRY_BYTES)
        return (self.mapped << 36) + page * self.page_size

    def process(self) -> Iterator[Step]:
        """A fork, or an exit of a process that was forked."""
        if len(self.sizes) > 1 and self.random.random() < 0.45:
            process = self.random.choice([name for name in self.sizes if name != "main"])
            del self.sizes[process]
            yield ExitStep(line=1, process=process)
        elif len(self.sizes) < MAX_PROCESSES:
            yield self.fork(self.random.choice(list(self.sizes)))

    def fork(self, process: str) -> ForkStep:
        self.born += 1
        child = f"child{self.born}"
        self.sizes[child] = dict(self.sizes[process])
        self.objects[child] = set(self.objects[process])
        return ForkStep(line=1, process=process, child=child)

    def pinned(self) -> Iterator[Step]:
        """A pin, often a fork, what happens meanwhile, and its end."""
        region, process = self.somewhere()
        span = self.span(self.sizes[process][region], 0.5)
        yield pin_step(self.random, region, process, span)
        if self.random.random() < 0.5 and len(self.sizes) < MAX_PROCESSES:
            yield self.fork(process)
        for _ in range(self.random.randint(1, 5)):
            sizes = dict(self.sizes[process])
            step = self.plain()
            if needs_unpinned(step, region, process):
                self.sizes[process] = sizes
            else:
                yield step
        yield UnpinStep(line=1, process=process, region=region)

    def somewhere(self) -> tuple[str, str]:
        """A region, and a process that has it."""
        process = "main" if self.random.random() < 0.4 else self.random.choice(list(self.sizes))
        return self.random.choice(list(self.sizes[process])), process

    def span(self, pages: int, part: float) -> ByteRange:
        """Whole pages: with the probability `part` some of them, else all."""
        if self.random.random() >= part:
            return ByteRange(0, pages * self.page_size)
        unit = 1
        if self.thp and self.random.random() < 0.5:
            folio = self.random.choice([LENGTH(each.size) for each in self.thp])
            unit = min(pages, folio // self.page_size)
        first = self.random.randrange(0, pages, unit)
        last = min(pages, first + unit * self.random.randint(1, -(-(pages - first) // unit)))
        return ByteRange(first * self.page_size, (last - first) * self.page_size)

    def plain(self) -> Step:
        """One step on a region."""
        kinds: list[tuple[Callable[[str, str, int], Step], float]] = [
            (self.access, 40),
            (self.pattern, 5),
            (self.pageout, 18),
            (self.advice, 8),
            (self.mprotect, 9),
            (self.lock, 5),
            (self.memset, 4),
            (self.munmap, 1),
            (self.mmap_over, 2),
            (self.mremap, 6),
            (self.refused, 2),
            (self.incore, 2),
            (self.poke, 3),
            (self.migrate, 2),
        ]
        if self.soft_dirty:
            kinds.append((self.clear_refs, 5))
        if self.uffd:
            kinds.append((self.protect, 8))
        if self.merges:
            kinds += [(self.merging, 8), (self.ksm_scan, 8), (self.memset, 12)]
            kinds.append((self.memory_merge, 2))
        if self.registers:
            kinds += [(self.userfault, 9), (self.scan, 7)]
        region, process = self.somewhere()
        if region in self.objects[process]:  # of which this is not modelled
            kinds = [each for each in kinds if each[0] not in (self.migrate, self.mmap_over)]
        make = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        return make(region, process, self.sizes[process][region])

    def mmap_over(self, region: str, process: str, pages: int) -> Step:
        span = self.span(pages, 0.8)
        return mmap_over(self.random, process, region, span, populates=not self.thp)

    def mremap(self, region: str, process: str, pages: int) -> Step:
        self.mapped += 1
        step = mremap(self.random, process, region, pages * self.page_size, self.page_size)
        if step.keeps:
            step = replace(step, name=f"r{self.mapped}m")
            if region in self.objects[process]:
                self.objects[process].add(f"r{self.mapped}m")
        self.sizes[process][step.name or region] = step.size // self.page_size
        to = elsewhere(self.random, self.mapped, self.page_size, self.thp)
        return step if step.to is None else replace(step, to=to)

    def refused(self, region: str, process: str, pages: int) -> Step:
        """A system call on a range that is not in order, whatever it is that it gives."""
        makes = (self.advice, self.mprotect, self.lock, self.munmap, self.incore)
        step = self.random.choice(makes)(region, process, pages)
        return out_of_order(self.random, step, self.page_size)

    def access(self, region: str, process: str, pages: int) -> Step:
        span = self.span(pages, 0.4)
        if self.random.random() < 0.05:
            span = ByteRange(span.offset + 100, max(1, span.length - 300))
        order: Order = self.random.choice(("forward",) * 6 + ("backward", "random"))
        op = self.random.choice(OPS)
        stride = self.random.choice(STRIDES) if self.random.random() < 0.35 else 1
        if self.merges and op == "write":
            return self.memset(region, process, pages)
        return AccessStep(
            line=1,
            process=process,
            op=op,
            region=region,
            span=span,
            stride=int(self.page_size * stride),
            order=order,
            seed=self.random.randrange(100) if order == "random" else 0,
            value=self.random.choice((None, None, 200)) if op == "write" else None,
        )

    def pattern(self, region: str, process: str, pages: int) -> Step:
        span = self.span(pages, 0.4)
        inside = span.length // self.page_size
        return pattern_step(self.random, region, process, span, inside, writes=not self.merges)

    def memset(self, region: str, process: str, pages: int) -> Step:
        value = self.random.choice((0, 17, 34) if self.merges else (0, 17))
        span = self.span(pages, 0.4)
        return MemsetStep(line=1, process=process, region=region, value=value, span=span)

    def merging(self, region: str, process: str, pages: int) -> Step:
        advice = Advice.UNMERGEABLE if self.random.random() < 0.2 else Advice.MERGEABLE
        span = self.span(pages, 0.2)
        return MadviseStep(line=1, process=process, region=region, advice=advice, span=span)

    def ksm_scan(self, _region: str, process: str, _pages: int) -> Step:
        return KsmScanStep(line=1, process=process, zero_pages=self.random.random() < 0.2)

    def memory_merge(self, _region: str, process: str, _pages: int) -> Step:
        return MemoryMergeStep(line=1, process=process, on=self.random.random() < 0.7)

    def pageout(self, region: str, process: str, pages: int) -> Step:
        span = self.span(pages, 0.25)
        return self.advised(process, region, Advice.PAGEOUT, span)

    def advice(self, region: str, process: str, pages: int) -> Step:
        known = OF_OBJECTS if region in self.objects[process] else ADVICE
        advice, span = self.random.choice(known), self.span(pages, 0.5)
        return self.advised(process, region, advice, span)

    def advised(self, process: str, region: str, advice: Advice, span: ByteRange) -> MadviseStep:
        """Advice on a process's memory, now and then by another."""
        step = MadviseStep(line=1, process=process, region=region, advice=advice, span=span)
        if self.random.random() < 0.9:
            return step
        return replace(step, process=self.random.choice(list(self.sizes)), target=process)

    def mprotect(self, region: str, process: str, pages: int) -> Step:
        prot = self.random.choice(PROTS)
        span = self.span(pages, 0.6)
        return MprotectStep(line=1, process=process, region=region, prot=prot, span=span)

    def lock(self, region: str, process: str, pages: int) -> Step:
        return lock_step(self.random, region, process, self.span(pages, 0.6))

    def incore(self, region: str, process: str, pages: int) -> Step:
        vec = self.random.random() < 0.95
        span = self.span(pages, 0.5)
        return MincoreStep(line=1, process=process, region=region, span=span, vec=vec)

    def poke(self, region: str, process: str, pages: int) -> Step:
        value = self.random.choice((0, 17, 34) if self.merges else (0, 17))
        span = self.span(pages, 0.6)
        return PokeStep(line=1, process=process, region=region, value=value, span=span)

    def migrate(self, region: str, process: str, pages: int) -> Step:
        span = self.span(pages, 0.6)
        return MigrateStep(line=1, process=process, region=region, span=span)

    def munmap(self, region: str, process: str, pages: int) -> Step:
        return MunmapStep(line=1, process=process, region=region, span=self.span(pages, 1))

    def scan(self, region: str, process: str, pages: int) -> Step:
        return scan_step(self.random, region, process, self.span(pages, 0.5))

    def userfault(self, region: str, process: str, pages: int) -> Step:
        span, registered = self.span(pages, 0.7), self.span(pages, 0.2)
        own = self.random.random() < 0.8
        features = self.features if own else self.random.choice(FEATURES)
        is_object = region in self.objects[process]
        return uffd_step(self.random, features, region, process, span, registered, is_object)

    def clear_refs(self, _region: str, process: str, _pages: int) -> Step:
        return ClearRefsStep(line=1, process=process)

    def protect(self, region: str, process: str, pages: int) -> Step:
        protect = self.random.random() < 0.75
        span = self.span(pages, 0.6)
        reads = self.rwp and region not in self.objects[process]
        mode: UffdMode = "rwp" if reads and self.random.random() < 0.4 else "wp"
        return UffdWriteprotectStep(
            line=1, process=process, region=region, span=span, wp=protect, mode=mode
        )
