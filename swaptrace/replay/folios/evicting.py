"""The eviction of the multi-generational LRU where memory comes in large folios (mm/vmscan.c,
v6.12), for a memory cgroup on a device that is synchronous."""

from __future__ import annotations

from typing import Final

from swaptrace.counters import ReclaimCounter
from swaptrace.errors import OutOfMemory
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Access, Event, Populate
from swaptrace.reclaim.eviction import MAX_SWAPPINESS, SWAPPINESS
from swaptrace.reclaim.memory import CLUSTER, MAX_LRU_BATCH, MIN_LRU_BATCH
from swaptrace.replay.folios.aging import Aging
from swaptrace.replay.folios.generations import (
    KINDS,
    MAX_NR_GENS,
    MAX_NR_TIERS,
    MIN_NR_GENS,
    MOST_REFS,
    Tier,
    clear_refs,
    refs_of,
    tier_of,
)
from swaptrace.replay.folios.lru import Kind, LruFolio
from swaptrace.replay.folios.pagewise import Near
from swaptrace.replay.folios.reclaiming import COSTLY, DEF_PRIORITY
from swaptrace.replay.folios.young import Sharer
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally

GAIN: Final[dict[Kind, int]] = {"anon": SWAPPINESS, "file": MAX_SWAPPINESS - SWAPPINESS}
"""What the controller weighs a type's refaults with."""

CHARGE_BATCH: Final = 64
"""MEMCG_CHARGE_BATCH."""

MAX_RECLAIM_RETRIES: Final = 16

OTHER: Final[dict[Kind, Kind]] = {"anon": "file", "file": "anon"}


class Evicting(Aging):
    """All pages of a world with large folios, a memory limit, and generations."""

    stock = 0
    """Pages that are charged in advance (struct memcg_stock_pcp)."""

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        self.lru.in_fault = isinstance(event, Access | Populate)
        return super().send(tally, shared, walk, event)

    def add_lru(self, folio: LruFolio) -> None:
        folio.active |= self.lru.in_fault
        super().add_lru(folio)

    def drain_stock(self) -> None:
        """drain_all_stock()."""
        self.stock = 0

    def deactivate(self, folio: LruFolio) -> None:
        self.lru.wait("deactivate", folio)

    # the controller

    def positive_ctrl_err(self, setpoint: Tier, gain: int, variable: Tier, other_gain: int) -> bool:
        """Whether the tier `variable` refaults no more than `setpoint` does."""
        lru = self.lru
        refaulted = lru.avg_refaulted[variable] + lru.refaulted[variable]
        if refaulted < MIN_LRU_BATCH:
            return True
        most = lru.avg_refaulted[setpoint] + lru.refaulted[setpoint]
        total, of = (
            lru.avg_total[tier] + lru.evictions[tier] + lru.protected[tier]
            for tier in (variable, setpoint)
        )
        return refaulted * (of + MIN_LRU_BATCH) * gain <= (most + 1) * total * other_gain

    def last_tier(self, setpoint: Tier, gain: int, kind: Kind, other_gain: int) -> int:
        """The last tier of a type that refaults no more than `setpoint`."""
        tier = 1
        while tier < MAX_NR_TIERS and self.positive_ctrl_err(
            setpoint, gain, (kind, tier), other_gain
        ):
            tier += 1
        return tier - 1

    def type_to_scan(self, can_swap: bool) -> tuple[Kind, int | None]:
        """Which type is scanned first, and the last tier of it to evict, if it was asked for."""
        min_seq = self.lru.min_seq
        if not can_swap:
            return "file", None
        if min_seq["anon"] < min_seq["file"]:
            return "anon", None
        files = self.positive_ctrl_err(("anon", 0), GAIN["anon"], ("file", 0), GAIN["file"])
        kind: Kind = "file" if files else "anon"
        other = OTHER[kind]
        return kind, self.last_tier((other, 0), GAIN[other], kind, GAIN[kind])

    # isolation

    def sort_folio(self, folio: LruFolio, kind: Kind, tier_idx: int) -> bool:
        """Whether the folio is spared: it was promoted meanwhile, or its tier is protected."""
        lru, oldest = self.lru, self.lru.oldest(kind)
        if folio.gen != oldest:
            lru.shift(folio, newest=True)
            return True
        refs = refs_of(folio)
        if tier_of(refs) <= tier_idx and refs <= MOST_REFS:
            return False
        lru.set_gen(folio, (oldest + 1) % MAX_NR_GENS)
        lru.shift(folio, newest=False)
        lru.protected[kind, tier_of(refs)] += folio.nr_pages
        return True

    def scan_folios(self, kind: Kind, tier: int, taken: list[LruFolio]) -> int:
        """Isolate up to a batch from the oldest generation; how many pages were looked at."""
        lru = self.lru
        if lru.nr_gens(kind) == MIN_NR_GENS:
            return 0
        ring = lru.rings[lru.oldest(kind), kind]
        scanned = isolated = 0
        remaining = MAX_LRU_BATCH
        while ring and remaining and isolated < MIN_LRU_BATCH:
            folio = next(iter(ring))
            remaining -= 1
            scanned += folio.nr_pages
            if self.sort_folio(folio, kind, tier):
                continue
            if not folio.referenced:
                clear_refs(folio)
            folio.referenced = False
            lru.take(folio, reclaiming=True)
            taken.append(folio)
            isolated += folio.nr_pages
        lru.count(ReclaimCounter.PGSCAN, isolated)
        return scanned if isolated or not remaining else 0

    def isolate_folios(self, can_swap: bool, taken: list[LruFolio]) -> int:
        """From the type that the controller chooses, else from the other."""
        kind, tier = self.type_to_scan(can_swap)
        for _ in KINDS if can_swap else KINDS[:1]:
            if tier is None:
                tier = self.last_tier((kind, 0), 1, kind, 2)
            scanned = self.scan_folios(kind, tier, taken)
            if scanned:
                return scanned
            kind, tier = OTHER[kind], None
        return 0

    def try_to_inc_min_seq(self, can_swap: bool) -> bool:
        """Pass over generations that are empty; whether there were any."""
        lru = self.lru
        kinds = KINDS if can_swap else KINDS[1:]
        found = dict(lru.min_seq)
        for kind in kinds:
            while found[kind] + MIN_NR_GENS <= lru.max_seq:
                if lru.rings[found[kind] % MAX_NR_GENS, kind]:
                    break
                found[kind] += 1
        if can_swap:
            found["anon"] = min(found.values())
            found["file"] = max(found["anon"], lru.min_seq["file"])
        moved = [kind for kind in kinds if found[kind] != lru.min_seq[kind]]
        for kind in moved:
            lru.reset_ctrl_pos(kind)
            lru.min_seq[kind] = found[kind]
        return bool(moved)

    # what becomes of what is isolated

    def sharers(self, near: Near, folio: LruFolio) -> dict[Sharer, list[int]]:
        """The pages of the folio that are mapped, by process and VMA."""
        found: dict[Sharer, list[int]] = {}
        for i in folio.pages:
            for p, mapping in enumerate(folio.block.maps[i]):
                if isinstance(mapping.pte, Pte) and mapping.pte.folio == folio.number:
                    found.setdefault((p, near.bounds(p, i)), []).append(i)
        return found

    def shrink_folio(self, folio: LruFolio, back: list[LruFolio]) -> int:
        """shrink_folio_list() for one folio, which is put `back` if it stays; the pages reclaimed.
        Parts that nothing maps are freed, but only as they are put back."""
        if folio in self.busy:
            back.append(folio)
            return 0
        near = Near(self, folio.shared, folio.block)
        sharers = self.sharers(near, folio)
        if sharers and folio.referenced:
            back.append(folio)
            return 0
        young = sum(
            sum(self.look_around(near, i, p) for i in pages) > 0
            for (p, _), pages in sorted(sharers.items())
        )
        if young:
            if folio.referenced or young > 1:
                self.activate(folio)
            back.append(folio)
            return 0
        folio.referenced = False
        held = folio in self.lru.waiting["activate"]
        gone = self.evict(folio, back, held=held)
        self.written += gone.written
        return gone.reclaimed

    def evict_folios(self, can_swap: bool) -> tuple[int, int]:
        """One batch; how many pages were looked at (0 where only young generations are left), and
        how many reclaimed."""
        taken: list[LruFolio] = []
        scanned = self.isolate_folios(can_swap, taken) + self.try_to_inc_min_seq(can_swap)
        if self.lru.nr_gens("anon" if can_swap else "file") == MIN_NR_GENS:
            scanned = 0
        back: list[LruFolio] = []
        reclaimed = sum(self.shrink_folio(folio, back) for folio in taken)
        for folio in back:
            evictable = self.evictable(folio)
            if evictable:
                clear_refs(folio)
                folio.active = True
            self.lru.add(folio, evictable)
        self.lru.count(ReclaimCounter.PGSTEAL, reclaimed)
        return scanned, reclaimed

    def should_run_aging(self, can_swap: bool) -> tuple[bool, int]:
        """Whether the generations are out of balance, and how many pages they have."""
        lru = self.lru
        kinds = KINDS if can_swap else KINDS[1:]
        oldest = lru.min_seq[kinds[0]]
        if oldest + MIN_NR_GENS > lru.max_seq:
            return True, 0
        old = young = total = 0
        for kind in kinds:
            for seq in range(lru.min_seq[kind], lru.max_seq + 1):
                size = lru.pages[seq % MAX_NR_GENS, kind]
                total += size
                young += size if seq == lru.max_seq else 0
                old += size if seq + MIN_NR_GENS == lru.max_seq else 0
        if oldest + MIN_NR_GENS < lru.max_seq:
            return False, total
        return young * MIN_NR_GENS > total or old * (MIN_NR_GENS + 2) < total, total

    def shrink_generations(self, priority: int) -> int:
        """try_to_shrink_lruvec(), one priority of a direct reclaim; the pages freed."""
        self.drain()
        can_swap = self.slots.total - self.slots.used >= MIN_LRU_BATCH
        scanned = freed = 0
        while True:
            aging, total = self.should_run_aging(can_swap)
            if aging and priority < DEF_PRIORITY:
                self.try_to_inc_max_seq(can_swap)
                return freed
            if not total >> priority:
                return freed
            delta, gone = self.evict_folios(can_swap)
            scanned, freed = scanned + delta, freed + gone
            if not delta or scanned >= total >> priority:
                return freed

    def direct_reclaim(self, goal: int) -> int:
        """try_to_free_mem_cgroup_pages(); a failure is repeated once."""
        freed = 0
        for _ in range(2):
            for priority in range(DEF_PRIORITY, -1, -1):
                freed += self.shrink_generations(priority)
                self.shrink_slab(priority)
                if freed >= goal:
                    break
            if freed:
                break
        return freed

    def make_room(self, pages: int, may_reclaim: bool) -> bool:
        """try_charge_memcg(): with as many pages in advance as there is room for."""
        batch, drained, attempts = max(CHARGE_BATCH, pages), False, 0
        while not self.charged(pages, batch):
            batch = pages
            if not may_reclaim:
                return False
            freed = self.direct_reclaim(max(pages, CLUSTER))
            if self.margin >= pages:
                continue
            if not drained:
                self.stock, drained = 0, True
                continue
            if freed and pages <= COSTLY:
                continue
            attempts += 1
            if attempts > MAX_RECLAIM_RETRIES:
                if pages > COSTLY:
                    return False
                raise OutOfMemory("the memory limit is reached, and nothing is left to reclaim")
        return True

    @property
    def margin(self) -> int:
        """mem_cgroup_margin()."""
        return self.capacity - self.used - self.stock

    def charged(self, pages: int, batch: int) -> bool:
        """consume_stock(), page_counter_try_charge(): whether there is room, or some in advance."""
        if self.stock >= pages:
            self.stock -= pages
        elif self.margin >= batch:
            self.stock += batch - pages
        elif self.margin < pages:
            return False
        return True
