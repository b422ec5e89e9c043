"""A second implementation of the per-CPU batches: lists of what was put into them, one by one.

What is in a batch stands in a list, in its order; when one is emptied, every page there is loses
the mark, and what waits to be mlocked is. The transition function says what an event adds, and is
shared with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from swaptrace.mm.column import Folio
from swaptrace.mm.event import Event, MapPages, Pageout, SwapIn
from swaptrace.mm.policy import Policy
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.pages import sequence
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs import batch
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.schema import Scenario, Step
from tests.replay.naive import around, repeat, replay_pattern

CAPACITY = {"6.1": 15, "6.12": 31, "7.2": 31, "7.3": 31}

Entry = tuple[str, int]
"""The page that a folio was put into a batch for, by its region."""


def listed(folio: Folio) -> Folio:
    """lru_add()."""
    return folio._replace(batched=False)


def unqueued(folio: Folio) -> Folio:
    """lru_lazyfree()."""
    return folio._replace(queued=False)


def doubted(folio: Folio) -> Folio:
    """It waits, or not."""
    return folio._replace(queued=folio.queued and None)


def mlocked(folio: Folio) -> Folio:
    """mlock_folio_batch(), with the flags of the kernel."""
    on_list = not folio.batched and "new" not in folio.mlocks
    flag, count = folio.mlocked, folio.mlock_count
    unevictable = count > 0
    for entry in folio.mlocks:
        if entry == "new":  # __mlock_new_folio()
            on_list, unevictable, count = True, flag, int(flag)
        elif entry == "lock":  # __mlock_folio()
            if not on_list:
                continue
            if not flag:
                unevictable = False
            elif unevictable:
                count += 1
            else:
                unevictable, count = True, 1
        else:  # __munlock_folio()
            if on_list and unevictable:
                count -= count > 0
                if count:
                    continue
            flag = unevictable = False
            count = 0
    return folio._replace(mlocked=flag, mlock_count=count, mlocks=())


class Lists:
    """In the place of `LruBatch`."""

    def __init__(self, world: World, _placed: bool) -> None:
        machine = world.machine
        self.world = world
        self.capacity = CAPACITY[machine.kernel]
        self.before_7 = machine.kernel < "7"
        self.drains_ahead = machine.kernel != "7.3"
        self.new: list[Entry] = []
        self.freed: list[Entry] = []
        self.doubts = False
        self.locked: list[Entry] = []

    def key(self) -> tuple[object, ...]:
        return ()

    @property
    def left(self) -> int:
        return min(self.capacity - len(self.new), 4)

    @property
    def mlock_left(self) -> int:
        return min(self.capacity - len(self.locked), 4)

    def check(self, step: Step) -> None:
        """Everything is tried."""

    def drain(self) -> None:
        self.empty(self.new, listed)
        self.empty(self.freed, unqueued)
        self.doubts = False
        self.empty(self.locked, mlocked)

    def zap(self) -> None:
        if self.before_7:
            self.drain()

    def empty(self, entries: list[Entry], change: Callable[[Folio], Folio]) -> None:
        entries.clear()
        table = self.world.table
        shared_regions = {
            id(f): f for p in self.world.processes.values() for f in p.shared_regions()
        }
        for shared in shared_regions.values():
            for page in range(shared.region.pages):
                column = table.columns[self.column(shared, page)]
                clear = tuple(change(folio) for folio in column.folios)
                self.put(shared, page, table.intern(column._replace(folios=clear)))

    def column(self, shared: SharedRegion, page: int) -> int:
        return int(shared.region.at(np.array([page], dtype=np.int64))[0])

    def put(self, shared: SharedRegion, page: int, column: int) -> None:
        where = np.array([page], dtype=np.int64)
        shared.region.assign(where, np.array([column], dtype=np.int64))

    def now(self, event: Event) -> Event:
        return event._replace(facts=self.world.facts_now(isinstance(event, Pageout)))

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> None:
        for page in walk.ordered().pages().tolist():
            self.happen(tally, shared, page, self.now(event))

    def happen(self, tally: Tally, shared: SharedRegion, page: int, event: Event) -> TransitionRow:
        """Emptied first, as what an event adds comes behind that."""
        column, entry = self.column(shared, page), (shared.name, page)
        row = self.world.table.row(event, column)
        tally.take(shared, event, column, row, 1)
        self.world.device.used += row.slots
        for kind, member in row.violations:
            tally.see(kind, shared.members[member], shared.name, page, 1)
        self.put(shared, page, column)
        if row.batch.drained:
            self.drain()
        if row.batch.filled:
            self.empty(self.new, listed)
        if row.batch.mlock_filled:
            self.empty(self.locked, mlocked)
        self.put(shared, page, row.new)
        self.new += [entry] * row.batch.added
        self.freed += [entry] * (row.batch.queued + row.batch.doubtful)
        self.doubts = self.doubts or row.batch.doubtful > 0
        self.locked += [entry] * row.batch.mlocked
        if len(self.freed) >= self.capacity:
            self.full()
        return row

    def full(self) -> None:
        """The batch of MADV_FREE or MADV_COLD may be, and may have been before."""
        freed = list(self.freed)
        self.empty(self.freed, doubted if self.doubts else unqueued)
        self.freed = freed if self.doubts else []

    def read(self, tally: Tally, walk: Walk, task: Any) -> None:
        for page in walk.ordered().pages().tolist():
            self.fault(tally, page, task)

    def fault(self, tally: Tally, page: int, task: Any) -> None:
        shared, event = task.shared, self.now(task.event)
        row = self.world.table.row(event, self.column(shared, page))
        lookup = row.lookup
        bounds = task.low, task.high
        for near in around(self.world, shared.base + page, bounds, shared) if row.around else ():
            if near != page:
                mapped = MapPages(event.process, self.world.facts_now(pageout=False))
                self.happen(tally, shared, near, mapped)
        event = self.now(task.event)
        if lookup in ("hit", "readahead_hit"):
            task.note_hit(shared.base + page, lookup == "readahead_hit")
        window = range(*task.window(shared.base + page)) if lookup == "read" else range(0)
        others = [each for each in window if each != page]
        if lookup == "read" and not window:
            event = event._replace(facts=event.facts._replace(readahead=False))
        if window and not self.drains_ahead:
            event = self.in_place(tally, shared, page, window, event)
            others = []
        self.happen(tally, shared, page, event)
        for other in others:
            self.happen(tally, shared, other, self.ahead(event))

    def ahead(self, event: Event) -> SwapIn:
        return SwapIn(event.process, self.world.facts_now(pageout=False), readahead=True)

    def in_place(
        self, tally: Tally, shared: SharedRegion, page: int, window: range, event: Event
    ) -> Event:
        """The window in order; the entry of the fault itself is taken out again, for the fault to
        put it in, unless it has gone."""
        own = ("the fault", page)
        for each in window:
            if each != page:
                self.happen(tally, shared, each, self.ahead(event))
                continue
            self.new.append(own)
            if len(self.new) == self.capacity:
                self.empty(self.new, listed)
        gone = own not in self.new
        if not gone:
            self.new.remove(own)
        event = self.now(event)
        return event._replace(facts=event.facts._replace(read_listed=gone))


@contextmanager
def lists() -> Iterator[None]:
    """Replace the engine's batches, and its ways to repeat and to play accesses."""
    with (
        mock.patch.object(batch, "batch_of", Lists),
        mock.patch.object(Replay, "repeat", repeat),
        mock.patch.object(sequence, "replay_pattern", replay_pattern),
    ):
        yield


def replay_by_lists(scenario: Scenario, policy: Policy) -> PolicyResult:
    """As `swaptrace.replay.engine.replay`, with steps and page maps."""
    with lists():
        return engine.replay(scenario, policy, steps=True, pages=True)
