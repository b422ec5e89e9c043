"""The classic lists of a memory cgroup, of folios of any size (mm/swap.c, mm/vmscan.c,
mm/workingset.c).

All sizes are in pages. A folio that is added last is at the end of its list, which is reclaimed
from its beginning.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from math import isqrt
from typing import Final, Literal, TypeAlias

from swaptrace.counters import ReclaimCounter
from swaptrace.frozen import FrozenValue
from swaptrace.mm.block import Block
from swaptrace.replay.processes import SharedRegion

Kind: TypeAlias = Literal["anon", "file"]
List: TypeAlias = "OrderedDict[LruFolio, None]"

Move: TypeAlias = Literal["deactivate", "lazyfree", "activate"]
"""The per-CPU batches besides that of new folios, in the order in which they are drained."""

LISTS: Final[tuple[tuple[Kind, bool], ...]] = (
    ("anon", False),
    ("anon", True),
    ("file", False),
    ("file", True),
)
"""The kind of each list, and whether it is the active one, in the order of enum lru_list."""

BATCH: Final = 31
"""PAGEVEC_SIZE."""

CLUSTER: Final = 32
"""SWAP_CLUSTER_MAX."""


@dataclass(eq=False, slots=True)
class LruFolio:
    """Folio `number` of a block. `gen` and `refs` are what the multi-generational LRU keeps in its
    flags."""

    shared: SharedRegion
    block: Block
    number: int
    pages: range
    referenced: bool = False
    active: bool = False
    workingset: bool = False
    lazyfree: bool = False
    place: List | None = None
    gen: int = -1
    refs: int = 0

    @property
    def nr_pages(self) -> int:
        """folio_nr_pages()."""
        return len(self.pages)

    @property
    def kind(self) -> Kind:
        """folio_is_file_lru(): after MADV_FREE it is with the pages of files."""
        return "file" if self.lazyfree else "anon"

    def inherit(self, folio: LruFolio) -> None:
        """__split_huge_page_tail(): a part of a folio has its flags."""
        self.referenced = folio.referenced
        self.active, self.workingset = folio.active, folio.workingset
        self.lazyfree, self.gen, self.refs = folio.lazyfree, folio.gen, folio.refs


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Shadow(FrozenValue):
    """What an evicted folio leaves in its slots. `age` is None if it was on advice: reclaim_pages()
    has no target, so that the root cgroup's age is noted. Of the multi-generational LRU it is the
    oldest generation, with how often the folio had been referenced."""

    age: int | None
    workingset: bool
    refs: int = 0


class Lists:
    """Folios that may be reclaimed, and what the cgroup's statistics know of them."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.lists: dict[tuple[Kind, bool], List] = {name: OrderedDict() for name in LISTS}
        self.size = dict.fromkeys(LISTS, 0)
        self.flushed = dict(self.size)
        self.batch: list[LruFolio] = []
        self.waiting: dict[Move, list[LruFolio]] = {"deactivate": [], "lazyfree": []}
        self.unevictable: List = OrderedDict()
        self.activated = self.activated_flushed = 0
        self.cost: dict[Kind, int] = {"anon": 0, "file": 0}
        self.age = 0
        self.counts: Counter[str] = Counter()

    def count(self, counter: ReclaimCounter, pages: int) -> None:
        """What the cgroup counts."""
        self.counts[counter] += pages

    def flush(self) -> None:
        """mem_cgroup_flush_stats()."""
        self.flushed = dict(self.size)
        self.activated_flushed = self.activated

    def add(self, folio: LruFolio, evictable: bool) -> None:
        """lruvec_add_folio()."""
        if not evictable:
            folio.active, folio.place = False, self.unevictable
            self.unevictable[folio] = None
            return
        name = folio.kind, folio.active
        folio.place = self.lists[name]
        folio.place[folio] = None
        self.size[name] += folio.nr_pages

    def remove(self, folio: LruFolio) -> None:
        """lruvec_del_folio(), wherever it is."""
        for batch in (self.batch, *self.waiting.values()):
            if folio in batch:
                batch.remove(folio)
        if folio.place is None:
            return
        del folio.place[folio]
        for name, those in self.lists.items():
            if folio.place is those:
                self.size[name] -= folio.nr_pages
        folio.place = None

    def replace(self, folio: LruFolio, parts: list[LruFolio]) -> None:
        """lru_add_split_folio(): the parts lie where the folio did."""
        place = folio.place
        if folio in self.batch:
            at = self.batch.index(folio)
            self.batch[at : at + 1] = parts
        if place is None:
            return
        there = list(place)
        at = there.index(folio)
        self.remove(folio)
        there[at : at + 1] = parts
        place.clear()
        place.update(dict.fromkeys(there))
        for part in parts:
            part.place = place
            for name, those in self.lists.items():
                self.size[name] += part.nr_pages if place is those else 0

    def low(self, kind: Kind) -> bool:
        """inactive_is_low()."""
        few, many = self.flushed[kind, False], self.flushed[kind, True]
        gigabytes = (few + many) * self.page_size >> 30
        return few * (isqrt(10 * gigabytes) or 1) < many

    def note_cost(self, kind: Kind, cost: int) -> None:
        """lru_note_cost()."""
        self.cost[kind] += cost
        if sum(self.cost.values()) > sum(self.flushed.values()) // 4:
            self.cost = {name: value // 2 for name, value in self.cost.items()}

    def wait(self, move: Move, folio: LruFolio) -> None:
        """folio_batch_add_and_move(); a large folio does not wait."""
        if folio.place is None or folio.place is self.unevictable or folio in self.waiting[move]:
            return
        self.waiting[move].append(folio)
        if folio.nr_pages > 1 or len(self.waiting[move]) == BATCH:
            self.move(move)

    def move(self, move: Move) -> None:
        """lru_deactivate(), lru_lazyfree(), of all that waits."""
        batch, self.waiting[move] = self.waiting[move], []
        for folio in batch:
            if not (folio.active if move == "deactivate" else not folio.lazyfree):
                continue
            self.remove(folio)
            folio.active = folio.referenced = False
            if move == "lazyfree":
                folio.lazyfree = True
            else:
                self.count(ReclaimCounter.PGDEACTIVATE, folio.nr_pages)
            self.add(folio, evictable=True)

    def evicted(self, folio: LruFolio, pages: int, advised: bool) -> Shadow:
        """workingset_eviction(), of a folio or of so many pages that it has been split into."""
        if advised:
            return Shadow(None, folio.workingset)
        shadow = Shadow(self.age, folio.workingset)
        self.age += pages
        return shadow

    def refault(self, folio: LruFolio, shadow: Shadow, swappable: bool) -> None:
        """workingset_refault(); the root cgroup's working set is taken to be large."""
        self.count(ReclaimCounter.WORKINGSET_REFAULT, folio.nr_pages)
        size = self.flushed["file", False] + self.flushed["file", True]
        if swappable:
            size += self.flushed["anon", True]
        if shadow.age is not None and self.age - shadow.age > size:
            return
        folio.active = True
        self.age += folio.nr_pages
        self.activated += folio.nr_pages
        self.count(ReclaimCounter.WORKINGSET_ACTIVATE, folio.nr_pages)
        if shadow.workingset:
            folio.workingset = True
            self.note_cost("anon", CLUSTER * folio.nr_pages)
            self.count(ReclaimCounter.WORKINGSET_RESTORE, folio.nr_pages)

    def isolate(self, name: tuple[Kind, bool], pages: int) -> list[LruFolio]:
        """isolate_lru_folios(): the oldest, until so many pages have been looked at."""
        taken: list[LruFolio] = []
        scanned = 0
        for folio in self.lists[name]:
            if scanned >= pages:
                break
            scanned += folio.nr_pages
            taken.append(folio)
        for folio in taken:
            self.remove(folio)
        return taken
