"""The per-CPU batches of folios, where they are kept from one fault to the next (mm/swap.c, since
7.3 mm/folio.c; mm/mlock.c).

A folio that a fault allocates or reads, or that MADV_PAGEOUT leaves, waits in a batch before it
joins an LRU list, and the batch has a reference to it. One that MADV_FREE marks, or MADV_COLD if it
is active, is on its list and waits in another batch, which has a reference as well. A third is that
of mlock: of what a locked VMA allocates, maps that was mapped before, or unmaps. Of an object's
folio or a KSM folio it matters only that it takes a place. Every
`lru_add_drain()` empties all three, and the folio that fills one empties that: so pages depend on
one another, and each is visited by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from swaptrace.advice import Effect
from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule, follows
from swaptrace.mm.column import Column, Folio
from swaptrace.mm.event import MOST_ADDED, Event, MapPages, Pageout, SwapIn
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.around import fault_around
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.visit import note_violations, with_facts
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MadviseStep, MmapStep, Step

KNOWN: Final = frozenset(
    [
        "mmap",
        "munmap",
        "mprotect",
        "memset",
        "read",
        "write",
        "read_write",
        "access",
        "trace",
        "madvise",
        "fork",
        "exit",
        "clear_refs",
        "mlock",
        "munlock",
        "mlockall",
        "munlockall",
        "uffd_writeprotect",
        "ksm_scan",
        "pin",
        "unpin",
        "check",
        "measure",
        "repeat",
    ]
)
"""Operations that put folios into no other batch than these, and take no reference that is not
modelled here."""

ADVICE: Final = frozenset(
    {
        Effect.PAGEOUT,
        Effect.COLD,
        Effect.FREE,
        Effect.ZAP,
        Effect.REMOVE,
        Effect.SWAP_IN,
        Effect.POPULATE_READ,
        Effect.POPULATE_WRITE,
        Effect.FLAGS,
        Effect.UNMERGE,
    }
)
"""Advice of which the same is true."""


@dataclass(slots=True)
class Batch:
    """One of them: `count` entries, `pages` with one each, or more, to whose folios they still
    refer, and what becomes of such a folio when it is emptied. `doubtful` is that some of the
    entries may not be there."""

    emptied: Callable[[Folio], Folio]
    count: int = 0
    doubtful: bool = False
    pages: dict[tuple[int, int], SharedRegion] = field(default_factory=dict)


class LruBatch:
    """`capacity` is PAGEVEC_SIZE or FOLIO_BATCH_SIZE; `zap_drains` that unmapping pages drains,
    `ahead_drains` that swap_vma_readahead() does, behind the window. The batches are that of `new`
    folios, that of mlock (`locked`), and those of MADV_FREE and MADV_COLD, which are one here
    (`advised`): each call drains all first, so that at most one has anything in it. `placed` is
    that the allocator could come to take slots back."""

    def __init__(self, world: World, placed: bool) -> None:
        self.world, self.placed = world, placed
        self._alone: dict[int, bool] = {}
        self.capacity = capacity_of(world.machine.kernel)
        self.zap_drains = not world.follows(Rule.UNMAPS_UNDRAINED)
        self.ahead_drains = not world.follows(Rule.READS_AHEAD_UNDRAINED)
        self.new = Batch(lambda folio: folio._replace(batched=False))
        self.advised = Batch(lambda folio: folio._replace(queued=False))
        self.locked = Batch(Folio.mlock_drained)

    def key(self) -> tuple[object, ...]:
        """As `KeptBatch`."""
        return self.new.count, self.advised.count, self.advised.doubtful, self.locked.count

    @property
    def left(self) -> int:
        """How many more fill it, as far as one event can tell (`Facts.batch_left`)."""
        return min(self.capacity - self.new.count, MOST_ADDED)

    @property
    def mlock_left(self) -> int:
        """The same of that of mlock (`Facts.mlock_left`)."""
        return min(self.capacity - self.locked.count, MOST_ADDED)

    def check(self, step: Step) -> None:
        """Raise `NotModelled` for a step that more than this batch is about."""
        check_known(step)

    def drain(self) -> None:
        """lru_add_drain(): every folio joins its list, or moves on it."""
        for batch in (self.new, self.advised, self.locked):
            self._empty(batch)

    def _empty(self, batch: Batch) -> None:
        """It is full, or is drained."""
        for (_, page), shared in batch.pages.items():
            self._change(shared, page, batch.emptied)
        batch.pages.clear()
        batch.count, batch.doubtful = 0, False

    def _change(self, shared: SharedRegion, page: int, how: Callable[[Folio], Folio]) -> None:
        """Change the folios of a page."""
        table = self.world.table
        column = table.columns[column_at(shared, page)]
        put(shared, page, table.intern(column._replace(folios=tuple(map(how, column.folios)))))

    def zap(self) -> None:
        """What a system call that unmaps pages begins with, and ends with where it frees them
        (free_pages_and_swap_cache())."""
        if self.zap_drains:
            self.drain()

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> None:
        """An event for each page of a walk, in its order."""
        for page in walk.ordered().pages().tolist():
            self.happen(tally, shared, page, with_facts(self.world, event))

    def read(self, tally: Tally, walk: Walk, task: Pass) -> None:
        """Accesses that may read ahead: the fault and, behind it, the window around it."""
        shared, table = task.shared, self.world.table
        for page in walk.ordered().pages().tolist():
            event, window = with_facts(self.world, task.event), range(0)
            row = table.row(event, column_at(shared, page))
            lookup = row.lookup
            if row.around:
                self._around(tally, task, page)
                event = with_facts(self.world, task.event)
            if lookup == "read":
                window = range(*task.window(shared.base + page))
                if task.alone:
                    event = event._replace(facts=event.facts._replace(readahead=False))
            elif lookup != "none":
                task.note_hit(shared.base + page, lookup == "readahead_hit")
            if window and not self.ahead_drains:
                event = self._ahead(tally, shared, page, event, window)
                window = range(0)
            self.happen(tally, shared, page, event)
            for neighbour in window:
                if neighbour != page:
                    self.happen(tally, shared, neighbour, self._reading(event))

    def _around(self, tally: Tally, task: Pass, page: int) -> None:
        """filemap_map_pages(), before the fault's own page."""
        shared, size = task.shared, self.world.machine.page_size
        for neighbour in fault_around(shared.base, page, task.low, task.high, size):
            event = MapPages(task.event.process, self.world.facts_now(pageout=False))
            column = column_at(shared, neighbour)
            if neighbour != page and self.world.table.row(event, column).new != column:
                self.happen(tally, shared, neighbour, event)

    def _reading(self, event: Event) -> SwapIn:
        return SwapIn(event.process, self.world.facts_now(pageout=False), readahead=True)

    def _ahead(
        self, tally: Tally, shared: SharedRegion, page: int, event: Event, window: range
    ) -> Event:
        """What is read ahead stays in the batch, in the order of addresses, and so does what the
        fault reads, which is mapped last: the fault, as it is then."""
        waits = False
        for neighbour in window:
            if neighbour != page:
                row = self.happen(tally, shared, neighbour, self._reading(event))
                waits = waits and not row.batch.filled
                continue
            self.new.count += 1
            waits = self.new.count < self.capacity
            if not waits:
                self._empty(self.new)
        self.new.count -= waits  # the fault counts it itself
        now = with_facts(self.world, event)
        return now._replace(facts=now.facts._replace(read_listed=not waits))

    def happen(self, tally: Tally, shared: SharedRegion, page: int, event: Event) -> TransitionRow:
        """One event on one page."""
        column, table = column_at(shared, page), self.world.table
        row = table.row(event, column)
        if self.placed and isinstance(event, Pageout):
            self._check_slots(row)
        tally.take(shared, event, column, row, 1)
        self.world.device.used += row.slots
        if row.violations:
            note_violations(tally, shared, Walk(page, 1), column, row, 1)
        if row.new != column:
            put(shared, page, row.new)
        self._note(shared, page, row)
        return row

    def _check_slots(self, row: TransitionRow) -> None:
        """Raise `NotModelled` where the allocator, which is asked for a slot while more than half
        are in use, would take one back."""
        device = self.world.device
        if not device.full or (not row.slots and device.slot_free):
            return
        columns, known = self.world.table.columns, self._alone
        for number in {n for each in self.world.shared_regions() for n in each.region.numbers()}:
            if number not in known:
                known[number] = cached_alone(columns[number])
            if known[number]:
                raise NotModelled(
                    "machine.lru_batch is not modelled on a swap device that is more than half "
                    "full and has slots that only the swap cache holds"
                )

    def _note(self, shared: SharedRegion, page: int, row: TransitionRow) -> None:
        """What the event has emptied, and then has put into batches: `row.new` has both."""
        key, did, folios = (id(shared), page), row.batch, self.world.table.columns[row.new].folios
        for batch, filled, added, waits in (
            (self.new, did.filled, did.added, any(folio.batched for folio in folios)),
            (
                self.advised,
                False,
                did.queued + did.doubtful,
                any(folio.queued is not False for folio in folios),
            ),
            (self.locked, did.mlock_filled, did.mlocked, any(folio.mlocks for folio in folios)),
        ):
            if did.drained or filled:
                batch.pages.pop(key, None)
                self._empty(batch)
            batch.count += added
            if waits:
                batch.pages[key] = shared
        self.advised.doubtful |= did.doubtful > 0
        if did.queued + did.doubtful and self.advised.count >= self.capacity:
            self._fill_advised(key)

    def _fill_advised(self, last: tuple[int, int]) -> None:
        """The batch of MADV_FREE or MADV_COLD is full, or may be, or may have been."""
        if not self.advised.doubtful:
            self._empty(self.advised)
            return
        at_once = self.advised.count == self.capacity
        for key in list(self.advised.pages) if at_once else [last]:
            self._change(self.advised.pages[key], key[1], doubt)


def doubt(folio: Folio) -> Folio:
    """A folio of which it is not known any more whether it waits."""
    return folio._replace(queued=None) if folio.queued else folio


def check_known(step: Step) -> None:
    """Raise `NotModelled` for a step that more than the batches is about."""
    private = not isinstance(step, MmapStep) or not step.flags
    advised = not isinstance(step, MadviseStep) or step.advice.effect in ADVICE
    if step.op in KNOWN and private and advised:
        return
    call = step.given if isinstance(step, MadviseStep) else step.op
    what = f"such a {call}" if isinstance(step, MmapStep) else call
    raise NotModelled(f"{what} is not modelled where the batch is kept (machine.lru_batch)")


def capacity_of(kernel: str) -> int:
    """How many folios a batch holds."""
    return 31 if follows(kernel, Rule.BATCHES_OF_31) else 15


def batch_of(world: World, placed: bool = False) -> LruBatch:
    """An empty batch."""
    return LruBatch(world, placed)


def cached_alone(column: Column) -> bool:
    """Whether a folio is in the swap cache that no swap PTE needs."""
    slots = (folio.slot for folio in column.folios if folio.slot is not None)
    return any(not column.swap_count(slot) for slot in slots)


def column_at(shared: SharedRegion, page: int) -> int:
    """The number of a page's column."""
    return shared.region.column_at(page)


def put(shared: SharedRegion, page: int, column: int) -> None:
    """Give a page another column."""
    shared.region.change(Walk(page, 1), lambda _: column)
