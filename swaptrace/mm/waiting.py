"""The per-CPU batches while an event happens to a page (mm/swap.c, since 7.3 mm/folio.c;
mm/mlock.c): which of its folios wait in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from swaptrace.counters import Counter
from swaptrace.errors import NotModelled
from swaptrace.mm.column import Column, Folio, Mapping, MlockEntry, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.outcome import Batched


class Waiting(ABC):
    """What of a `Page` has to do with the batches: `batch` is that of new folios, `queued` that of
    MADV_FREE or MADV_COLD, `mlocks` that of mlock, `doubtful` are folios of which it is not known
    whether they wait in that of MADV_COLD; `fresh` are the folios that nobody has mapped yet,
    `batched` is what the event has put into the batches."""

    __slots__ = (
        "batch",
        "batched",
        "column",
        "doubtful",
        "facts",
        "folios",
        "fresh",
        "maps",
        "mlocks",
        "queued",
    )

    column: Column
    facts: Facts
    folios: list[Folio]
    maps: list[Mapping]
    batch: set[int]
    queued: set[int]
    doubtful: set[int]
    mlocks: dict[int, tuple[MlockEntry, ...]]
    fresh: set[int]
    batched: Batched

    @abstractmethod
    def vma(self, p: int) -> Vma:
        """The VMA of process `p`, where there is one."""

    @abstractmethod
    def set_folio(self, f: int, **changes: Any) -> None:
        """Change fields of folio `f`."""

    @abstractmethod
    def keeps_mlocked(self, f: int) -> bool:
        """Whether PG_mlocked is a state of folio `f`."""

    @abstractmethod
    def count(self, counter: Counter, times: int = 1) -> None:
        """Count something, `times` over."""

    def find_waiting(self) -> None:
        """Which folios wait in the per-CPU batches, or to be mapped."""
        for f, folio in enumerate(self.column.folios):
            if folio.batched:
                self.batch.add(f)
            if folio.queued is not False:
                (self.doubtful if folio.queued is None else self.queued).add(f)
            if folio.mlocks:
                self.mlocks[f] = folio.mlocks
            if folio.fresh:
                self.fresh.add(f)

    def lru_add(self, f: int) -> None:
        """folio_add_lru(): into the per-CPU batch, which holds a reference, and is drained when it
        is full."""
        self.batch.add(f)
        if not self.facts.batch_left:
            return
        self.batched = self.batched._replace(added=self.batched.added + 1)
        empty = self.batched.drained or self.batched.filled
        if not empty and self.batched.added == self.facts.batch_left:
            self.batch.clear()
            self.batched = self.batched._replace(filled=True, added=0)

    def lru_add_vma(self, f: int, p: int) -> None:
        """folio_add_lru_vma(): where the VMA is locked into the batch of mlock, not onto an LRU
        list (mlock_new_folio())."""
        if self.vma(p).locked and self.keeps_mlocked(f):
            self.queue_mlock(f, "new")
        else:
            self.lru_add(f)

    def mlock_vma_folio(self, f: int, p: int) -> None:
        """mlock_vma_folio(): the folio is mlocked, if the VMA is locked."""
        if self.vma(p).locked:
            self.queue_mlock(f, "lock")

    def munlock_vma_folio(self, f: int, p: int) -> None:
        """munlock_vma_folio(): the folio is mlocked once less, if the VMA is locked."""
        if self.vma(p).locked:
            self.queue_mlock(f, "unlock")

    def walk_mlocks(self, f: int, entry: MlockEntry) -> None:
        """mlock_folio() or munlock_folio(), of what a walk comes to."""
        self.queue_mlock(f, entry)

    def queue_mlock(self, f: int, entry: MlockEntry) -> None:
        """mlock_folio(), mlock_new_folio() or munlock_folio(): an entry, which has a reference, and
        PG_mlocked at once unless it is to be cleared; the last that fits empties the batch. Of a
        KSM folio or an object's only that it fills the batch matters."""
        if self.keeps_mlocked(f):
            if entry != "unlock":
                self.set_folio(f, mlocked=True)
            self.mlocks[f] = (*self.mlocks.get(f, ()), entry)
        if not self.facts.mlock_left:
            return
        self.batched = self.batched._replace(mlocked=self.batched.mlocked + 1)
        empty = self.batched.drained or self.batched.mlock_filled
        if not empty and self.batched.mlocked == self.facts.mlock_left:
            self.mlock_drain()
            self.batched = self.batched._replace(mlock_filled=True, mlocked=0)

    def mark_of(self, f: int) -> Folio:
        """A folio that has PG_mlocked, and is counted, as folio `f` is."""
        return self.folios[f]

    def mlock_drain(self) -> None:
        """mlock_folio_batch(), of the folios here."""
        for f, entries in self.mlocks.items():
            folio = self.mark_of(f)._replace(batched=f in self.batch, mlocks=entries)
            done = folio.mlock_drained()
            self.set_folio(f, mlocked=done.mlocked, mlock_count=done.mlock_count)
        self.mlocks.clear()

    def off_lru(self, f: int) -> bool:
        """Whether a folio is on no list yet (not folio_test_lru()), as it waits in a batch."""
        return f in self.batch or "new" in self.mlocks.get(f, ())

    def batch_references(self, f: int) -> int:
        """How many the batches have to folio `f`. Raises `NotModelled` where it is not known
        whether it waits in that of MADV_COLD."""
        if self.in_doubt(f):
            raise NotModelled(
                "a fault on a page after MADV_COLD, and before what drains the batches, is not "
                "modelled where the batch is kept (machine.lru_batch) and the page was swapped in, "
                "locked, populated or pinned before: whether it was active is not known"
            )
        return self.sure_references(f)

    def in_doubt(self, f: int) -> bool:
        """Whether it is not."""
        return f in self.doubtful

    def sure_references(self, f: int) -> int:
        """How many there are in any case."""
        return (f in self.batch) + (f in self.queued) + len(self.mlocks.get(f, ()))

    def queue_inactive(self, f: int) -> None:
        """folio_mark_lazyfree(), folio_deactivate(): into a batch of its own, which holds a
        reference; the folio stays on its list, and is not active once that is emptied."""
        self.queued.add(f)
        self.set_active(f, False)
        self.batched = self.batched._replace(queued=self.batched.queued + 1)

    def queue_perhaps(self, f: int) -> None:
        """folio_deactivate() of one of which it is not known whether it is active."""
        self.doubtful.add(f)
        self.set_folio(f, active=False)
        self.batched = self.batched._replace(doubtful=self.batched.doubtful + 1)

    def set_active(self, f: int, yes: bool | None) -> None:
        """PG_active, where the batches are kept; None: it depends on what is not modelled."""
        if self.facts.batch_left:
            self.set_folio(f, active=yes, marked=False)

    def lru_add_drain(self) -> None:
        """lru_add_drain() in a fault: the batches let go of their folios."""
        if self.facts.batch_left:
            self.count(Counter.LRU_DRAINS)
        self.batch.clear()
        self.queued.clear()
        self.doubtful.clear()
        self.mlock_drain()
        self.batched = Batched(drained=True)
