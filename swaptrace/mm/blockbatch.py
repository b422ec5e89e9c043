"""The per-CPU batches of folios of any size, where they are kept (mm/swap.c, since 7.3 mm/folio.c;
mm/mlock.c): what of a page of a block has to do with them.

A folio that is large waits in none: it empties that which it is put into, whoever waits there
(folio_may_be_lru_cached()).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from swaptrace.counters import Counter
from swaptrace.mm.block import BlockFolio, Surroundings
from swaptrace.mm.column import ZERO, Folio, MlockEntry
from swaptrace.mm.outcome import Batched
from swaptrace.mm.pmd import PmdPage


class BlockBatches:
    """What waits in each, in its order, of all blocks: `new` is that of new folios, `advised` that
    of MADV_FREE or MADV_COLD, `locked` that of mlock. A folio that has gone meanwhile keeps its
    place. `doubtful` are those of which it is not known whether they wait in that of MADV_COLD, to
    which `most_advised` have come at most."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.new: list[BlockFolio] = []
        self.advised: list[BlockFolio] = []
        self.doubtful: list[BlockFolio] = []
        self.most_advised = 0
        self.locked: list[tuple[BlockFolio, MlockEntry]] = []

    def references(self, folio: BlockFolio) -> int:
        """How many they hold to a folio."""
        return sum(each is folio for each in self._all())

    def off_lru(self, folio: BlockFolio) -> bool:
        """Whether a folio is on no list yet."""
        return is_in(folio, self.new) or is_in(
            folio, (each for each, entry in self.locked if entry == "new")
        )

    def _all(self) -> list[BlockFolio]:
        return [*self.new, *self.advised, *(folio for folio, _ in self.locked)]

    def add(self, folio: BlockFolio) -> None:
        """folio_add_lru()."""
        self.new.append(folio)
        if self.is_full(self.new, folio):
            self.new.clear()

    def queue(self, folio: BlockFolio, sure: bool = True) -> None:
        """folio_mark_lazyfree(), folio_deactivate(); not `sure` to come to it."""
        if folio.nr_pages > 1 and sure:
            self.empty_advised()
            return
        if folio.nr_pages == 1:
            self.most_advised += 1
            (self.advised if sure else self.doubtful).append(folio)
        if folio.nr_pages == 1 and self.most_advised < self.capacity:
            return
        if sure and not self.doubtful:
            self.empty_advised()
            return
        self.doubtful += self.advised
        self.advised.clear()

    def empty_advised(self) -> None:
        """The batch of MADV_FREE or MADV_COLD has nothing in it."""
        self.advised.clear()
        self.doubtful.clear()
        self.most_advised = 0

    def lock(self, folio: BlockFolio, entry: MlockEntry) -> None:
        """mlock_folio(), mlock_new_folio(), munlock_folio()."""
        self.locked.append((folio, entry))
        if self.is_full(self.locked, folio):
            self.drain_locked()

    def is_full(
        self, batch: list[BlockFolio] | list[tuple[BlockFolio, MlockEntry]], last: BlockFolio
    ) -> bool:
        """Whether a batch is emptied after a folio was put into it."""
        return len(batch) == self.capacity or last.nr_pages > 1

    def drain_locked(self) -> None:
        """mlock_folio_batch()."""
        locked, self.locked = self.locked, []
        while locked:
            folio = locked[0][0]
            entries = tuple(entry for each, entry in locked if each is folio)
            locked = [(each, entry) for each, entry in locked if each is not folio]
            done = Folio(
                ZERO,
                mlocked=folio.mlocked,
                mlock_count=folio.mlock_count,
                batched=is_in(folio, self.new),
                mlocks=entries,
            ).mlock_drained()
            folio.mlocked, folio.mlock_count = done.mlocked, done.mlock_count

    def drain(self) -> None:
        """lru_add_drain()."""
        self.new.clear()
        self.empty_advised()
        self.drain_locked()


def is_in(folio: BlockFolio, folios: Iterable[BlockFolio]) -> bool:
    """Whether it is one of them; another one may be equal."""
    return any(each is folio for each in folios)


class KeptSurroundings(Surroundings, Protocol):
    """What lies around a block where the batches are kept."""

    batches: BlockBatches


class KeptPage(PmdPage):
    """Page `i` of a block whose folios may wait in a batch."""

    __slots__ = ()

    around: KeptSurroundings

    def let_go(self) -> None:
        """What waits goes on to wait."""

    def in_doubt(self, f: int) -> bool:
        return is_in(self.block.folios[f], self.around.batches.doubtful)

    def sure_references(self, f: int) -> int:
        return self.around.batches.references(self.block.folios[f])

    def off_lru(self, f: int) -> bool:
        return self.around.batches.off_lru(self.block.folios[f])

    def lru_add(self, f: int) -> None:
        self.around.batches.add(self.block.folios[f])

    def queue_inactive(self, f: int) -> None:
        self.around.batches.queue(self.block.folios[f])
        self.set_active(f, False)

    def queue_perhaps(self, f: int) -> None:
        self.around.batches.queue(self.block.folios[f], sure=False)
        self.set_folio(f, active=False)

    def queue_mlock(self, f: int, entry: MlockEntry) -> None:
        if entry != "unlock":
            self.set_folio(f, mlocked=True)
        self.around.batches.lock(self.block.folios[f], entry)

    def mlock_drain(self) -> None:
        self.around.batches.drain_locked()

    def lru_add_drain(self) -> None:
        self.count(Counter.LRU_DRAINS)
        self.around.batches.drain()
        self.batched = Batched(drained=True)
