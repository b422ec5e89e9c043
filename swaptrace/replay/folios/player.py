"""Long sequences of accesses to memory in large folios under a limit, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from swaptrace.counters import POSITION, Counter
from swaptrace.mm.event import Access
from swaptrace.replay.access import touch
from swaptrace.replay.folios.accesses import Place, each_access
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.traces.chunk import Chunk


class LimitedPlayer:
    """Plays chunks of accesses. `marks` are the numbers of accesses, ascending, after which `mark`
    is called, `progress` is told how many a chunk had."""

    def __init__(
        self,
        world: World,
        tally: Tally,
        marks: Iterable[int],
        mark: Callable[[int], None],
        progress: Callable[[int], None],
    ) -> None:
        self.world, self.tally = world, tally
        self.marks, self.mark, self.progress = list(marks), mark, progress
        self.played = 0

    def play(self, chunk: Chunk, place: Callable[[int, int], Place], first: int = 0) -> bool:
        """All accesses of a chunk; its numbers mean `place(process, region)`, and page `first` of a
        region is its page 0. False if one ended the step."""
        for page, write, numbers in each_access(chunk):
            process, shared = place(*numbers)
            if not self.access(process, shared, page + first, write):
                return False
            self.played += 1
            while self.marks and self.marks[0] <= self.played:
                self.mark(self.marks.pop(0))
        self.progress(len(chunk.page))
        return True

    def access(self, process: Process, shared: SharedRegion, page: int, write: bool) -> bool:
        """One access; False if it ended the step."""
        if page >= shared.region.pages:
            self.tally.counts[POSITION[Counter.SIGSEGV]] += 1
            return False
        member = shared.members.index(process.name)
        event = Access(member, self.world.facts, read=not write, store="fresh" if write else None)
        return touch(self.world, self.tally, process, shared, Walk(page, 1), event)
