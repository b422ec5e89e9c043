"""The per-CPU batch of new folios, where it is kept from one fault to the next (mm/swap.c).

A folio that a fault allocates or reads waits in a batch before it joins an LRU list, and the batch
has a reference to it. Every `lru_add_drain()`, and the folio that fills it, empties the batch: so
pages depend on one another, and each is visited by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from swaptrace.advice import Effect
from swaptrace.errors import NotModelled, SwaptraceError
from swaptrace.mm.column import Column
from swaptrace.mm.event import MOST_ADDED, Event, SwapIn
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.region import Walk
from swaptrace.replay.runs.visit import note_violations, with_facts
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import MadviseStep, MmapStep, Step


class Rules(NamedTuple):
    """`capacity` is PAGEVEC_SIZE or FOLIO_BATCH_SIZE; `zap_drains` that unmapping pages drains."""

    capacity: int
    zap_drains: bool


RULES: Final[Mapping[str, Rules]] = {
    "6.1": Rules(15, zap_drains=True),
    "6.12": Rules(31, zap_drains=True),
    "7.2": Rules(31, zap_drains=False),
    "7.3": Rules(31, zap_drains=False),
}
"""The kernels of which it is known: those whose source was read."""

KNOWN: Final = frozenset(
    [
        "mmap",
        "munmap",
        "mprotect",
        "memset",
        "read",
        "write",
        "read_write",
        "madvise",
        "fork",
        "exit",
        "clear_refs",
        "uffd_writeprotect",
        "check",
        "measure",
        "repeat",
    ]
)
"""Operations that put folios into no other batch, and take no reference that is not modelled here;
each visits its pages one by one."""

ADVICE: Final = frozenset(
    {
        Effect.PAGEOUT,
        Effect.ZAP,
        Effect.SWAP_IN,
        Effect.POPULATE_READ,
        Effect.POPULATE_WRITE,
        Effect.FLAGS,
    }
)
"""Advice of which the same is true."""


class LruBatch:
    """`count` folios are in the batch; `pages` have one each, or more, that they still refer to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rules = RULES[world.machine.kernel]
        self.count = 0
        self.pages: dict[tuple[int, int], SharedRegion] = {}

    @property
    def left(self) -> int:
        """How many more fill it, as far as one event can tell (`Facts.batch_left`)."""
        return min(self.rules.capacity - self.count, MOST_ADDED)

    def check(self, step: Step) -> None:
        """Raise `NotModelled` for a step that more than this batch is about."""
        private = not isinstance(step, MmapStep) or not (step.shared or step.file or step.flags)
        advised = not isinstance(step, MadviseStep) or step.advice.effect in ADVICE
        if step.op in KNOWN and private and advised:
            return
        call = step.given if isinstance(step, MadviseStep) else step.op
        what = f"such a {call}" if isinstance(step, MmapStep) else call
        raise NotModelled(f"{what} is not modelled where the batch is kept (machine.lru_batch)")

    def drain(self) -> None:
        """lru_add_drain(): every folio joins its list."""
        table = self.world.table
        for (_, page), family in self.pages.items():
            put(family, page, table.intern(unbatched(table.columns[column_at(family, page)])))
        self.pages.clear()
        self.count = 0

    def zap(self) -> None:
        """What a system call that unmaps pages begins with."""
        if self.rules.zap_drains:
            self.drain()

    def send(self, tally: Tally, family: SharedRegion, walk: Walk, event: Event) -> None:
        """An event for each page of a walk, in its order."""
        for page in walk.ordered().pages().tolist():
            self.happen(tally, family, page, with_facts(self.world, event))

    def read(self, tally: Tally, walk: Walk, task: Pass) -> None:
        """Accesses that may read ahead: the fault and, behind it, the window around it."""
        family, table = task.family, self.world.table
        for page in walk.ordered().pages().tolist():
            event, window = with_facts(self.world, task.event), range(0)
            lookup = table.row(event, column_at(family, page)).lookup
            if lookup == "read":
                window = range(*task.window(family.base + page))
                if task.alone:
                    event = event._replace(facts=event.facts._replace(readahead=False))
            elif lookup != "none":
                task.note_hit(family.base + page, lookup == "readahead_hit")
            self.happen(tally, family, page, event)
            for neighbour in window:
                if neighbour != page:
                    ahead = SwapIn(event.process, self.world.facts_now(pageout=False), True)
                    self.happen(tally, family, neighbour, ahead)

    def happen(self, tally: Tally, family: SharedRegion, page: int, event: Event) -> None:
        """One event on one page."""
        column, table = column_at(family, page), self.world.table
        row = table.row(event, column)
        tally.take(family, event, column, row, 1)
        self.world.device.used += row.slots
        if row.violations:
            note_violations(tally, family, Walk(page, 1), column, row, 1)
        if row.new != column:
            put(family, page, row.new)
        self._note(family, page, row)

    def _note(self, family: SharedRegion, page: int, row: TransitionRow) -> None:
        key = id(family), page
        if row.batch.drained:
            self.pages.pop(key, None)
            self.drain()
        self.count += row.batch.added
        if any(folio.batched for folio in self.world.table.columns[row.new].folios):
            self.pages[key] = family


def batch_of(world: World, machine: Machine) -> LruBatch:
    """An empty batch. Raises `SwaptraceError` where it is not known how that would go on."""
    known = ", ".join(RULES)
    if machine.kernel not in RULES:
        raise SwaptraceError(
            f"machine.lru_batch is modelled as in Linux {known}, not as in {machine.kernel}"
        )
    if world.arena is not None:
        raise SwaptraceError(
            "machine.lru_batch is not modelled under a memory limit, with large folios, or where "
            "the swap device fills"
        )
    if world.facts.exclusive_alone and world.facts.readahead and not _synchronous(world):
        raise SwaptraceError(
            "machine.lru_batch is not modelled with read-ahead in Linux 7.3, which leaves what it "
            "read in the batch; set swap.page_cluster to 0"
        )
    return LruBatch(world)


def _synchronous(world: World) -> bool:
    return world.facts.backend.synchronous_io


def unbatched(column: Column) -> Column:
    """The column with none of its folios in the batch."""
    return column._replace(folios=tuple(each._replace(batched=False) for each in column.folios))


def column_at(family: SharedRegion, page: int) -> int:
    """The number of a page's column."""
    return int(family.region.at(np.array([page], dtype=np.int64))[0])


def put(family: SharedRegion, page: int, column: int) -> None:
    """Give a page another column."""
    where, what = np.array([page], dtype=np.int64), np.array([column], dtype=np.int64)
    family.region.assign(where, what)
