"""Replaying `access` and `trace` steps: long sequences of accesses, page by page in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from swaptrace.counters import POSITION, Counter
from swaptrace.errors import did_you_mean, quote
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.event import Access, Store
from swaptrace.replay.access import anon_vma_prepare, touch
from swaptrace.replay.filemap import is_object
from swaptrace.replay.growing import grow_to
from swaptrace.replay.pages.arena import Arena
from swaptrace.replay.pages.dense import first_page
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.region import Region
from swaptrace.replay.runs.walk import Pages, Walk, check_listable
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import (
    AccessPatternStep,
    MeasureStep,
    RepeatStep,
    Scenario,
    Step,
    TraceStep,
)
from swaptrace.scenario.thp import large_folios
from swaptrace.traces.chunk import CHUNK, Chunk
from swaptrace.traces.columns import TraceError, shown
from swaptrace.traces.files import TraceFile, open_trace
from swaptrace.traces.patterns import accesses

SIGSEGV = POSITION[Counter.SIGSEGV]

Place = tuple[Process, SharedRegion]
"""A process and a region of it."""

Find = Callable[[int, int], Place]
"""The place that the numbers of a process and of a region mean."""

Mark = Callable[[int], None]
"""What is called with a number of accesses."""

Named = TypeVar("Named", Process, SharedRegion)


class Along(NamedTuple):
    """What is done along the way.

    `marks` are the numbers of accesses, ascending, after which `mark` is called with them;
    `progress` is called with how many were made since.
    """

    marks: list[int]
    mark: Mark
    progress: Mark


class Player:
    """Plays chunks of accesses to an arena.

    `first` is the page of a region that page 0 of a chunk is.
    """

    def __init__(self, arena: Arena, tally: Tally, along: Along) -> None:
        self.arena = arena
        self.tally = tally
        self.along = along
        self.marks = list(along.marks)
        self.played = 0
        self.places: list[Place] = []

    def play(self, chunk: Chunk, place: Find, first: int = 0) -> bool:
        """All accesses of a chunk; its numbers mean `place(process, region)`. False if one ended
        the step."""
        pages, events, outside = self.prepared(chunk, place, first)
        for start, end in self.stretches(len(pages)):
            going = self.arena.drive_all(pages[start:end], events[start:end])
            self.arena.settle(self.tally)
            if not going:
                return False
            self.played += end - start
            self.along.progress(end - start)
            while self.marks and self.marks[0] <= self.played:
                self.along.mark(self.marks.pop(0))
        if outside:
            self.tally.counts[SIGSEGV] += 1
        return not outside

    def stretches(self, count: int) -> Iterator[tuple[int, int]]:
        """The accesses of a chunk, cut at the marks."""
        inner = [mark - self.played for mark in self.marks if 0 < mark - self.played < count]
        yield from pairwise([0, *inner, count])

    def prepared(self, chunk: Chunk, place: Find, first: int) -> tuple[Pages, Pages, bool]:
        """Pages of the arena and events, up to the first access that leaves its region; whether
        there is one."""
        pages, events = chunk.page.astype(np.int64) + first, np.zeros(len(chunk.page), np.int64)
        outside = np.zeros(len(pages), np.bool_)
        for which, numbers in selected(chunk):
            found = place(*numbers)
            shared = self.admit(found)
            reads, writes = self.numbers(found)
            outside[which] = pages[which] >= shared.region.pages
            events[which] = np.where(chunk.write[which], writes, reads)
            pages[which] += first_page(shared)
        end = int(outside.argmax()) if outside.any() else len(pages)
        return pages[:end], events[:end], end < len(pages)

    def admit(self, place: Place) -> SharedRegion:
        """The region, in the arena."""
        if place not in self.places:
            self.places.append(place)
        shared = place[1]
        if not self.arena.limited and shared not in self.arena.shared_regions:
            lend(self.arena, shared)
        return shared

    def numbers(self, place: Place) -> tuple[int, int]:
        """The events of a read and of a write."""
        process, shared = place
        member, facts = shared.member(process.name), self.arena.world.facts
        read = Access(member, facts, read=True, store=None)
        write = Access(member, facts, read=False, store="fresh")
        return self.arena.table.number(read), self.arena.table.number(write)

    def prepare_anon_vmas(self) -> None:
        """Every VMA in which a process has got a page of its own has an anon_vma."""
        for process, shared in self.places:
            member = shared.member(process.name)
            for start, end, area in list(process.space.clipped(shared.base, shared.end)):
                if area.anon_vma is None and self.owns_any(shared, member, start, end):
                    anon_vma_prepare(self.arena.world, process, area)

    def owns_any(self, shared: SharedRegion, member: int, start: int, end: int) -> bool:
        """Whether a page of the range is one of the process's own, in memory or in swap."""
        columns = np.unique(shared.region.at(np.arange(start, end) - shared.base)).tolist()
        entries = (self.arena.world.table.columns[c].maps[member].pte for c in columns)
        return any(
            isinstance(pte, SwapPte) or (isinstance(pte, Pte) and not pte.is_zero_page)
            for pte in entries
        )


def selected(chunk: Chunk) -> Iterator[tuple[Pages | slice, tuple[int, int]]]:
    """Which accesses of a chunk are those of which process and region."""
    if chunk.region is None and chunk.process is None:
        yield slice(None), (0, 0)
        return
    pairs = np.zeros(len(chunk.page), np.uint32)
    if chunk.process is not None:
        pairs |= chunk.process.astype(np.uint32) << np.uint32(16)
    if chunk.region is not None:
        pairs |= chunk.region
    for pair in np.unique(pairs).tolist():
        yield np.flatnonzero(pairs == pair), divmod(pair, 1 << 16)


def lend(arena: Arena, shared: SharedRegion) -> None:
    """Give a region of runs to an arena, until `borrowed` is over."""
    region = shared.region
    check_listable(region.pages)
    runs = list(region.runs())
    arena.place(shared, region.pages, 0)
    columns = np.repeat([column for _, _, column in runs], [pages for _, pages, _ in runs])
    at = first_page(shared)
    arena.widen_columns()
    arena.column[at : at + region.pages] = columns


class SinglePlayer:
    """Plays accesses one at a time: those to shared memory or a file, whose faults map neighbours,
    and where a mapping may grow. `first` is as of `Player`."""

    def __init__(self, world: World, tally: Tally, along: Along) -> None:
        self.world = world
        self.tally = tally
        self.along = along
        self.marks = list(along.marks)
        self.played = 0

    def play(self, chunk: Chunk, place: Find, first: int = 0) -> bool:
        """As `Player.play`."""
        numbers = np.zeros(len(chunk.page), np.uint16)
        processes = numbers if chunk.process is None else chunk.process
        regions = numbers if chunk.region is None else chunk.region
        columns = (each.tolist() for each in (chunk.page, chunk.write, processes, regions))
        for page, write, *found in zip(*columns, strict=True):
            if not self.touch(*place(*found), first + page, write):
                return False
            self.played += 1
            while self.marks and self.marks[0] <= self.played:
                self.along.mark(self.marks.pop(0))
        self.along.progress(len(chunk.page))
        return True

    def touch(self, process: Process, shared: SharedRegion, page: int, write: bool) -> bool:
        """One access; False if it ended the step."""
        world, tally = self.world, self.tally
        if page >= shared.region.pages:
            tally.counts[SIGSEGV] += 1
            return False
        store: Store | None = "fresh" if write else None
        event = Access(shared.member(process.name), world.facts, not write, store)
        grow_to(world, tally, process, shared, page)
        return touch(world, tally, process, shared, Walk(page, 1), event)


class Play(Protocol):
    """Who plays chunks of accesses."""

    def play(self, chunk: Chunk, place: Find, first: int = 0) -> bool:
        """As `Player.play`."""


@contextmanager
def playing(world: World, tally: Tally, along: Along, each: bool) -> Iterator[Play]:
    """A player for the pages of a world; `each` is that it has to be one access at a time."""
    if each:
        yield SinglePlayer(world, tally, along)
        return
    from swaptrace.replay.folios.player import LimitedPlayer

    if large_folios(world.machine.thp):
        from swaptrace.replay.folios.accesses import FolioPlayer
        from swaptrace.replay.folios.memory import Folios

        if not isinstance(world.arena, Folios):
            yield LimitedPlayer(world, tally, *along)
            return
        folios = FolioPlayer(world.arena.regions, tally, *along)
        yield folios
        folios.finish()
        return
    if world.batch is not None:
        yield LimitedPlayer(world, tally, *along)
        return
    with borrowed(world) as arena:
        player = Player(arena, tally, along)
        yield player
        player.prepare_anon_vmas()


@contextmanager
def borrowed(world: World) -> Iterator[Arena]:
    """The world's arena; without a memory limit one for the time being."""
    if world.arena is not None:
        assert isinstance(world.arena, Arena)
        yield world.arena
        return
    arena = Arena(world)
    try:
        yield arena
    finally:
        for shared in arena.shared_regions:
            dense, shared.region = shared.region, Region(shared.region.pages, 0)
            shared.region.splice(0, dense.pages, *dense.arrays)


def replay_pattern(
    world: World, tally: Tally, process: Process, step: AccessPatternStep, along: Along
) -> None:
    """The accesses of an `access` step, up to a SIGSEGV."""
    shared, size = process.regions[step.region], world.machine.page_size
    first = step.span.offset // size
    pages = -(-(step.span.offset + step.span.length) // size) - first
    check_listable(pages)
    each = is_object(process, shared) or needs_each(world)
    with playing(world, tally, along, each) as player:
        for chunk in accesses(step, pages):
            if not player.play(chunk, lambda _process, _region: (process, shared), first):
                break


def needs_each(world: World) -> bool:
    """Whether an access may extend a mapping, or a region has several addresses, where that is
    modelled: an arena has one of each."""
    return world.arena is None and world.batch is None and (world.grows or world.moved_apart)


def replay_trace(
    world: World,
    tally: Tally,
    process: Process,
    step: TraceStep,
    trace: TraceFile,
    along: Along,
) -> None:
    """The accesses of a `trace` step, up to a SIGSEGV. Raises `TraceError`."""

    def place(number: int, region: int) -> Place:
        executor = process
        if trace.processes:
            executor = named(world.processes, trace.processes[number], trace, "process")
        return executor, region_of(executor, region, step, trace)

    each = needs_each(world) or any(is_object(*each) for each in places_of(world, step))
    with playing(world, tally, along, each) as player:
        for chunk in trace.chunks(CHUNK):
            if not player.play(chunk, place):
                break


def places_of(world: World, step: TraceStep) -> Iterator[Place]:
    """Where a trace may come to: in one region, or anywhere."""
    for each in world.processes.values():
        for name, shared in each.regions.items():
            if step.region in (None, name):
                yield each, shared


def accesses_in(steps: Iterable[Step], scenario: Scenario) -> int:
    """How many accesses `access` and `trace` steps make, in all iterations."""
    total = 0
    for step in steps:
        match step:
            case MeasureStep():
                total += accesses_in(step.steps, scenario)
            case RepeatStep():
                total += step.count * accesses_in(step.steps, scenario)
            case AccessPatternStep():
                total += step.count
            case TraceStep():
                total += length(trace_of(step, scenario))
            case _:
                pass
    return total


def parts(count: int, number: int) -> list[int]:
    """Where so many equal parts of a sequence end."""
    return [count * part // number for part in range(1, number + 1)]


def along(count: int, stops: Iterable[tuple[int, Mark]], progress: Mark) -> Along:
    """Each of `stops` is called after each of so many equal parts of all accesses (0: never)."""
    at: dict[int, list[Mark]] = {}
    for number, mark in stops:
        for end in parts(count, number):
            at.setdefault(end, []).append(mark)

    def stop(accesses: int) -> None:
        for mark in at[accesses]:
            mark(accesses)

    return Along(sorted(at), stop, progress)


def trace_of(step: TraceStep, scenario: Scenario) -> TraceFile:
    """The trace of a step, the file that it was when the scenario was loaded."""
    return open_trace(scenario.trace_path(step.path), scenario.traces.get(step.path))


def length(trace: TraceFile) -> int:
    """How many accesses a trace has."""
    return trace.count(CHUNK)


def region_of(process: Process, number: int, step: TraceStep, trace: TraceFile) -> SharedRegion:
    """The region of a process that a number in the trace means."""
    if trace.regions and step.region is not None:
        raise TraceError(f"{shown(trace.path)} names its regions itself; leave 'region' out")
    if trace.regions:
        return named(process.regions, trace.regions[number], trace, "region")
    if step.region is not None:
        return named(process.regions, step.region, trace, "region")
    if len(process.regions) != 1:
        raise TraceError(
            f"{shown(trace.path)} does not say which region its pages lie in, and process "
            f"{quote(process.name)} has {len(process.regions)}; give the step a 'region'"
        )
    return next(iter(process.regions.values()))


def named(there_are: dict[str, Named], name: str, trace: TraceFile, what: str) -> Named:
    """A process or region by its name in the trace."""
    if name not in there_are:
        hint = did_you_mean(name, there_are) or "there are none"
        raise TraceError(f"{shown(trace.path)} has a {what} {quote(name)}, not here; {hint}")
    return there_are[name]
