"""A system call under way: who calls, on which range, and how it reaches VMAs and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from swaptrace.kernels import Rule
from swaptrace.mm.column import Vma
from swaptrace.mm.event import Event, Populate, SetVma
from swaptrace.replay.access import touch
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.base import ByteRange
from swaptrace.vmflags import VmFlag

Errno: TypeAlias = str | None


class Call(NamedTuple):
    """A system call of a process on a range of page addresses, which may be of several regions."""

    world: World
    tally: Tally
    process: Process
    start: int
    end: int

    @property
    def space(self) -> AddressSpace:
        return self.process.space

    def pieces(self, start: int, end: int) -> Iterator[tuple[SharedRegion, Walk, int]]:
        """The part of a range in each region, and the caller's index in that one's columns."""
        for shared in self.process.shared_regions():
            low, high = max(start, shared.base), min(end, shared.end)
            if low < high:
                member = shared.member(self.process.name)
                yield shared, Walk(low - shared.base, high - low), member

    def map(self, area: VmArea) -> VmArea:
        """A new VMA where nothing is mapped, and what it becomes with its neighbours."""
        before = [*self.space.around(area), area]
        merged = self.space.insert(area, self.world.follows(Rule.MERGES_UNFAULTED))
        merged = self.kept_soft_dirty(before, merged)
        self.share_soft_dirty(before, merged)
        return merged

    def modify(self, area: VmArea, start: int, end: int, new: VmArea) -> bool:
        """A part of one VMA gets the flags of `new`; it may split, and merge as on the machine's
        kernel. Whether it is soft-dirty then."""
        before = [*self.space.around(area), area._replace(start=start, end=end)]
        unfaulted = self.world.follows(Rule.MERGES_UNFAULTED)
        merged = self.space.modify(area, start, end, new, unfaulted)
        merged = self.kept_soft_dirty(before, merged)
        self.share_soft_dirty(before, merged)
        if self.world.arena is not None:
            for address in (start, end):
                self.world.arena.adjust_trans_huge(self.tally, self.process, address)
        return merged.vma.soft_dirty

    def kept_soft_dirty(self, before: Iterable[VmArea], merged: VmArea) -> VmArea:
        """VMA_STICKY_FLAGS: what has merged is soft-dirty if a part was."""
        parts = (a for a in before if merged.start <= a.start and a.end <= merged.end)
        sticks = self.world.follows(Rule.SOFT_DIRTY_STICKS)
        if not (sticks and any(a.vma.soft_dirty for a in parts)) or merged.vma.soft_dirty:
            return merged
        kept = merged._replace(vma=merged.vma._replace(soft_dirty=True))
        self.space.put(merged, kept)
        return kept

    def share_soft_dirty(self, before: Iterable[VmArea], merged: VmArea) -> None:
        """What a VMA has taken in is soft-dirty, or not, as the part that it merged with: flags
        that differ in VM_SOFTDIRTY alone are alike."""
        for area in before:
            inside = merged.start <= area.start and area.end <= merged.end
            if inside and area.vma.soft_dirty != merged.vma.soft_dirty:
                vma = area.vma._replace(soft_dirty=merged.vma.soft_dirty)
                self.send(area.start, area.end, SetVma(0, self.world.facts, vma))

    def lru_add_drain(self) -> None:
        """The per-CPU batches are drained, where they matter."""
        if self.world.arena is not None:
            self.world.arena.lru_add_drain(self.tally)
        if self.world.batch is not None:
            self.world.batch.drain()

    def send(self, start: int, end: int, event: Event) -> None:
        """One event of the caller's for each page of a part of the range."""
        for shared, walk, member in self.pieces(start, end):
            send(self.world, self.tally, shared, walk, event._replace(process=member))


def begin(world: World, tally: Tally, process: Process, region: str, span: ByteRange) -> Call:
    """The call on a range that the loader has already rounded to pages."""
    start = process.regions[region].base + span.offset // world.machine.page_size
    return Call(world, tally, process, start, start + world.pages(span.length))


def is_aligned(world: World, number: int) -> bool:
    """Whether an offset or a length, or the bits of several, is a multiple of the page size."""
    return number % world.machine.page_size == 0


def whole(world: World, tally: Tally, process: Process) -> Call:
    """A call on the whole address space of a process."""
    shared_regions = process.shared_regions()
    start = min((shared.base for shared in shared_regions), default=0)
    return Call(world, tally, process, start, max((f.end for f in shared_regions), default=0))


def populate(call: Call, start: int, end: int, **how: Any) -> bool:
    """Fault in a part of one VMA, up to what cannot be: whether there was nothing of that kind.
    `how` as in `Populate`."""
    done = False
    for shared, walk, member in call.pieces(start, end):
        event = Populate(member, call.world.facts, **how)
        if not touch(call.world, call.tally, call.process, shared, walk, event):
            break
    else:
        done = True
    if not how.get("pin"):  # populate_vma_page_range(), faultin_page_range()
        call.lru_add_drain()
    return done


def each_vma(call: Call, fixup: Callable[[Call, VmArea, int, int], None]) -> Errno:
    """Apply `fixup` to each VMA's part of the range, from the start up to the first hole.

    The VMAs may split and merge meanwhile.
    """
    at = call.start
    while at < call.end:
        area = next(iter(call.space.within(at, at + 1)), None)
        if area is None:
            return "ENOMEM"
        end = min(area.end, call.end)
        fixup(call, area, at, end)
        at = end
    return None


def set_vma(
    call: Call, area: VmArea, start: int, end: int, vma: Vma, flags: VmFlag | None = None
) -> None:
    """New flags for a part of a VMA, without a look at the page tables."""
    new = area._replace(vma=vma, flags=area.flags if flags is None else flags)
    soft_dirty = call.modify(area, start, end, new)
    if vma != area.vma:
        vma = vma._replace(soft_dirty=soft_dirty)
        call.send(start, end, SetVma(0, call.world.facts, vma))
