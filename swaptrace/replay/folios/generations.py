"""The lists of the multi-generational LRU, of folios of any size (linux/mm_inline.h,
mm/workingset.c, v6.12).

All sizes are in pages. A folio's flags name its generation; it is on the list of that one, or still
on an older one until reclaim comes to it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final, TypeAlias

from swaptrace.counters import ReclaimCounter
from swaptrace.replay.folios.lru import BATCH, Kind, List, Lists, LruFolio, Move, Shadow
from swaptrace.result.lrugen import TYPES, Generation, LruGen
from swaptrace.result.lrugen import Tier as ShownTier

KINDS: Final[tuple[Kind, Kind]] = ("anon", "file")
MIN_NR_GENS: Final = 2
MAX_NR_GENS: Final = 4
MAX_NR_TIERS: Final = 4
MOST_REFS: Final = 3
"""LRU_REFS_MASK, as a number."""

Tier: TypeAlias = tuple[Kind, int]


def refs_of(folio: LruFolio) -> int:
    """folio_lru_refs()."""
    return folio.refs + folio.workingset


def tier_of(refs: int) -> int:
    """lru_tier_from_refs(), the integer logarithm of refs + 1 rounded up."""
    return refs.bit_length()


def clear_refs(folio: LruFolio) -> None:
    """folio_clear_lru_refs()."""
    folio.refs, folio.referenced, folio.workingset = 0, False, False


class Generations(Lists):
    """`rings` are the lists by generation (modulo `MAX_NR_GENS`) and type, the newest folio last;
    `pages` how many pages have that generation in their flags. `in_fault` is lru_gen_in_fault()."""

    def __init__(self, page_size: int) -> None:
        super().__init__(page_size)
        places = [(gen, kind) for gen in range(MAX_NR_GENS) for kind in KINDS]
        self.rings: dict[tuple[int, Kind], List] = {place: OrderedDict() for place in places}
        self.pages = dict.fromkeys(places, 0)
        self.waiting["activate"] = []
        self.max_seq = MIN_NR_GENS + 1
        self.min_seq: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.in_fault = True
        self.avg_refaulted, self.avg_total = Counter[Tier](), Counter[Tier]()
        self.refaulted, self.evictions = Counter[Tier](), Counter[Tier]()
        self.protected = Counter[Tier]()

    @property
    def youngest(self) -> int:
        """The generation of `max_seq`."""
        return self.max_seq % MAX_NR_GENS

    def oldest(self, kind: Kind) -> int:
        """The generation of `min_seq`."""
        return self.min_seq[kind] % MAX_NR_GENS

    def nr_gens(self, kind: Kind) -> int:
        """get_nr_gens()."""
        return self.max_seq - self.min_seq[kind] + 1

    def seq_for(self, folio: LruFolio, reclaiming: bool) -> int:
        """The generation that a folio is added to."""
        if folio.active:
            return self.max_seq
        if folio.kind == "anon" and folio.block.folios[folio.number].slot is None:
            return self.max_seq - 1
        oldest = self.min_seq[folio.kind]
        return oldest if reclaiming or oldest + MIN_NR_GENS >= self.max_seq else oldest + 1

    def add(self, folio: LruFolio, evictable: bool, reclaiming: bool = False) -> None:
        """lru_gen_add_folio(): to the newest end of its generation's list, or to the oldest."""
        if not evictable:
            super().add(folio, evictable)
            return
        folio.gen = self.seq_for(folio, reclaiming) % MAX_NR_GENS
        if folio.active:
            folio.refs, folio.referenced, folio.active = 0, False, False
        self.pages[folio.gen, folio.kind] += folio.nr_pages
        folio.place = self.rings[folio.gen, folio.kind]
        folio.place[folio] = None
        folio.place.move_to_end(folio, last=not reclaiming)

    def take(self, folio: LruFolio, reclaiming: bool = False) -> None:
        """lru_gen_del_folio(): that it was in a young generation is remembered, but for reclaim.
        Per-CPU batches still refer to the folio."""
        if folio.place is None:
            return
        del folio.place[folio]
        if folio.gen >= 0:
            self.pages[folio.gen, folio.kind] -= folio.nr_pages
            newest = self.youngest, (self.max_seq - 1) % MAX_NR_GENS
            folio.active = not reclaiming and folio.gen in newest
        folio.place, folio.gen = None, -1

    def remove(self, folio: LruFolio) -> None:
        for batch in (self.batch, *self.waiting.values()):
            while folio in batch:
                batch.remove(folio)
        self.take(folio)

    def replace(self, folio: LruFolio, parts: list[LruFolio]) -> None:
        place = folio.place
        super().replace(folio, parts)
        for part in parts:
            if place is not None and part.gen >= 0:
                self.pages[part.gen, part.kind] += part.nr_pages

    def set_gen(self, folio: LruFolio, gen: int) -> None:
        """Another generation for a folio, whose tier starts anew; it stays on its list."""
        self.pages[folio.gen, folio.kind] -= folio.nr_pages
        self.pages[gen, folio.kind] += folio.nr_pages
        folio.gen = gen
        clear_refs(folio)

    def shift(self, folio: LruFolio, newest: bool) -> None:
        """list_move() to the list of its generation."""
        assert folio.place is not None
        del folio.place[folio]
        folio.place = self.rings[folio.gen, folio.kind]
        folio.place[folio] = None
        folio.place.move_to_end(folio, last=newest)

    def inc_refs(self, folio: LruFolio) -> None:
        """folio_inc_refs(): the folio was used once more, by way of a system call."""
        if folio.place is self.unevictable:
            return
        if not folio.referenced:
            folio.referenced = True
        elif not folio.workingset:
            folio.workingset = True
        else:
            folio.refs = min(folio.refs + 1, MOST_REFS)

    def wait(self, move: Move, folio: LruFolio) -> None:
        """A folio may wait twice to be activated."""
        if move != "activate":
            super().wait(move, folio)
        elif folio.gen >= 0:
            self.waiting[move].append(folio)
            if folio.nr_pages > 1 or len(self.waiting[move]) == BATCH:
                self.move(move)

    def move(self, move: Move) -> None:
        batch, self.waiting[move] = self.waiting[move], []
        for folio in batch:
            if folio.gen < 0 or (move == "lazyfree" and folio.lazyfree):
                continue
            if move == "activate" and folio.active:
                continue
            self.take(folio)
            folio.active = move == "activate"
            if move != "activate":
                folio.referenced = False
            if move == "lazyfree":
                folio.lazyfree = True
            elif move == "activate":
                self.count(ReclaimCounter.PGACTIVATE, folio.nr_pages)
            else:
                self.count(ReclaimCounter.PGDEACTIVATE, folio.nr_pages)
            self.add(folio, evictable=True)

    def evicted(self, folio: LruFolio, pages: int, advised: bool) -> Shadow:  # noqa: ARG002
        """lru_gen_eviction(), on advice as well."""
        refs = refs_of(folio)
        self.evictions[folio.kind, tier_of(refs)] += pages
        return Shadow(self.min_seq[folio.kind], refs > 0, max(refs - 1, 0))

    def refault(self, folio: LruFolio, shadow: Shadow, swappable: bool) -> None:  # noqa: ARG002
        """lru_gen_refault(): it is recent where no generation has gone since, and then counts for
        its tier."""
        self.count(ReclaimCounter.WORKINGSET_REFAULT, folio.nr_pages)
        if shadow.age != self.min_seq["anon"]:
            return
        refs = shadow.refs + shadow.workingset
        self.refaulted["anon", tier_of(refs)] += folio.nr_pages
        self.count(ReclaimCounter.WORKINGSET_ACTIVATE, folio.nr_pages)
        if self.in_fault or refs >= MOST_REFS:
            folio.refs, folio.workingset = MOST_REFS, True
            self.count(ReclaimCounter.WORKINGSET_RESTORE, folio.nr_pages)

    def reset_ctrl_pos(self, kind: Kind) -> None:
        """The oldest generation is gone: its refaults go into the moving averages."""
        for tier in [(kind, number) for number in range(MAX_NR_TIERS)]:
            self.avg_refaulted[tier] = (self.avg_refaulted[tier] + self.refaulted[tier]) // 2
            total = self.avg_total[tier] + self.evictions[tier] + self.protected[tier]
            self.avg_total[tier] = total // 2
            self.refaulted[tier] = self.evictions[tier] = self.protected[tier] = 0

    def shown(self) -> LruGen:
        """Generations and tiers as they are."""
        seqs = range(self.min_seq["anon"], self.max_seq + 1)
        counts = (self.refaulted, self.evictions, self.protected)
        return LruGen(
            generations=tuple(
                Generation(seq, *(self.pages[seq % MAX_NR_GENS, kind] for kind in KINDS))
                for seq in seqs
            ),
            tiers=tuple(
                ShownTier(name, tier, *(count[kind, tier] for count in counts))
                for name, kind in zip(TYPES, KINDS, strict=True)
                for tier in range(MAX_NR_TIERS)
                if any(count[kind, tier] for count in counts)
            ),
        )
