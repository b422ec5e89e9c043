"""Long sequences of accesses to memory that may come in large folios, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from swaptrace.counters import POSITION, Counter
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.event import Access
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.folios.opened import Opened
from swaptrace.replay.folios.regions import Regions
from swaptrace.replay.folios.sweep import Sweep
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.tally import Tally
from swaptrace.traces.chunk import Chunk

Place: TypeAlias = tuple[Process, SharedRegion]
"""A process and a region of it."""

Seen: TypeAlias = tuple[int, int, bool, int]
"""A block, a page of it, whether it is written, and by which process."""


class Sweeps:
    """The reads and writes of a process in a region."""

    def __init__(self, regions: Regions, tally: Tally, place: Place) -> None:
        self.process, self.shared = place
        self.member = self.shared.members.index(self.process.name)
        facts = regions.world.facts
        read = Access(self.member, facts, read=True, store=None)
        write = Access(self.member, facts, read=False, store="fresh")
        self.read, self.write = (Sweep(regions, tally, self.shared, e) for e in (read, write))


class FolioPlayer:
    """Plays chunks of accesses. `marks` are the numbers of accesses, ascending, after which `mark`
    is called; `progress` is told of each chunk how many they were."""

    def __init__(
        self,
        regions: Regions,
        tally: Tally,
        marks: Iterable[int],
        mark: Callable[[int], None],
        progress: Callable[[int], None],
    ) -> None:
        self.regions, self.tally = regions, tally
        self.marks, self.mark, self.progress = list(marks), mark, progress
        self.played = 0
        self.sweeps: dict[tuple[str, int], Sweeps] = {}
        self.opened: dict[tuple[int, int], tuple[Sweep, Opened]] = {}
        self.idle: set[Seen] = set()
        self.full = regions.slots.swap_full

    def play(self, chunk: Chunk, place: Callable[[int, int], Place], first: int = 0) -> bool:
        """All accesses of a chunk; its numbers mean `place(process, region)`, and page `first` of a
        region is its page 0. False if one ended the step."""
        sweeps: dict[tuple[int, int], Sweeps] = {}
        for page, write, numbers in each_access(chunk):
            known = sweeps.get(numbers)
            if known is None:
                known = sweeps[numbers] = self.at(place(*numbers))
            if not self.access(known, page + first, write):
                return False
            self.played += 1
            while self.marks and self.marks[0] <= self.played:
                self.flush()
                self.mark(self.marks.pop(0))
        self.progress(len(chunk.page))
        return True

    def at(self, place: Place) -> Sweeps:
        """The sweeps of a place."""
        key = place[0].name, id(place[1])
        if key not in self.sweeps:
            self.sweeps[key] = Sweeps(self.regions, self.tally, place)
        return self.sweeps[key]

    def access(self, of: Sweeps, page: int, write: bool) -> bool:
        """One access; False if it ended the step. What has been seen to change nothing is passed
        over."""
        shared = of.shared
        if page >= shared.region.pages:
            self.tally.counts[POSITION[Counter.SIGSEGV]] += 1
            return False
        table = self.table(of.read, page)
        k, i = table.find(page)
        seen = table.blocks[k], i, write, of.member
        if seen in self.idle:
            return True
        rows, counted = table.rows[k], table.counted
        known = len(counted.violations), len(counted.counts), sum(counted.counts.values())
        goes_on = (of.write if write else of.read).visit(table, range(page, page + 1))
        if self.full != self.regions.slots.swap_full:
            self.full = not self.full
            self.idle.clear()
        same = table.blocks[k] == seen[0] and table.rows[k] == rows and goes_on
        counts = len(counted.violations), len(counted.counts), sum(counted.counts.values())
        tells = self.regions.world.table.tells
        if same and counts == known and not table.looked_up and not tells:
            self.idle.add(seen)
        table.looked_up = False
        return goes_on

    def table(self, sweep: Sweep, page: int) -> Opened:
        """The page table of a page, which stays open."""
        number = sweep.number(page)
        key = id(sweep.tables), number
        if key not in self.opened:
            self.opened[key] = sweep, sweep.open(number)
        return self.opened[key][1]

    def flush(self) -> None:
        """Count what has been counted in the page tables, and write them back."""
        for sweep, table in self.opened.values():
            sweep.tables.replace(table.number, [table.stretch])
            sweep.count(table.counted, table.first, 1)
            table.counted.clear()

    def finish(self) -> None:
        """All is over."""
        self.flush()
        for sweep, table in self.opened.values():
            sweep.table = table
            sweep.close()
        for of in self.sweeps.values():
            for area in list(of.process.space.areas):
                start, end = area.start - of.shared.base, area.end - of.shared.base
                if area.anon_vma is None and self.owns_any(of, start, end):
                    anon_vma_prepare(self.regions.world, of.process, area)

    def owns_any(self, of: Sweeps, start: int, end: int) -> bool:
        """Whether a page of a range is one of the process's own, in memory or in swap."""
        at = 0
        for pages, column in self.regions.columns(of.shared):
            pte = column.maps[of.member].pte
            own = isinstance(pte, SwapPte) or (isinstance(pte, Pte) and not pte.is_zero_page)
            if own and at < end and start < at + pages:
                return True
            at += pages
        return False


def each_access(chunk: Chunk) -> Iterator[tuple[int, bool, tuple[int, int]]]:
    """Page, whether it is written, and the numbers of process and region."""
    pages, writes = chunk.page.tolist(), chunk.write.tolist()
    nobody = [0] * len(pages)
    processes = nobody if chunk.process is None else chunk.process.tolist()
    regions = nobody if chunk.region is None else chunk.region.tolist()
    places = zip(processes, regions, strict=True)
    return zip(pages, map(bool, writes), places, strict=True)
