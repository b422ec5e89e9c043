"""Reclaim of folios of any size for a charge: each is taken whole, or split.

It is that of `reclaim: classic` (shrink_lruvec() and what it calls, mm/vmscan.c) on a device that
is synchronous.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from swaptrace.counters import POSITION, Counter, ReclaimCounter
from swaptrace.errors import OutOfMemory
from swaptrace.mm.blockevent import Shrink, SplitFolios
from swaptrace.mm.column import SwapPte
from swaptrace.replay.folios.charged import Charged
from swaptrace.replay.folios.lru import CLUSTER, LISTS, Kind, LruFolio
from swaptrace.replay.folios.pagewise import Near

WRITTEN: Final = (POSITION[Counter.PSWPOUT], POSITION[Counter.SWPOUT_ZERO])
SPLIT: Final = POSITION[Counter.MTHP_SPLIT]
DEF_PRIORITY: Final = 12
COSTLY: Final = 8
"""1 << PAGE_ALLOC_COSTLY_ORDER: for no more pages the kernel goes on as long as it frees any."""

RETRIES: Final = 17
"""MAX_RECLAIM_RETRIES, and one for pages that other CPUs have charged in advance."""


SHRINK_BATCH: Final = 128


class Evicted(NamedTuple):
    """What has come of a folio: how many pages were written, and how many count as reclaimed."""

    written: int
    reclaimed: int


class Reclaiming(Charged):
    """Reclaim for a charge. `deferred` is what the last call has left to the shrinker."""

    snapshot = deferred = 0

    @property
    def capacity(self) -> int:
        """What may be charged, in pages."""
        machine = self.world.machine
        assert machine.memory is not None
        return machine.memory // machine.page_size

    def make_room(self, pages: int, may_reclaim: bool) -> bool:
        attempts = 0
        while self.used + pages > self.capacity:
            freed = self.direct_reclaim(max(pages, CLUSTER)) if may_reclaim else 0
            if self.used + pages <= self.capacity:
                return True
            attempts += 1
            if not may_reclaim or (pages > COSTLY and attempts > RETRIES):
                return False
            if not freed and pages <= COSTLY:
                self.rescue()
        return True

    def rescue(self) -> None:
        """Where statistics do not know that there is something to reclaim."""
        if self.lru.batch:
            self.drain()
        elif self.lru.size["anon", True] and self.slots.used < self.slots.total:
            self.shrink_active_list("anon", CLUSTER)
        else:
            raise OutOfMemory("the memory limit is reached, and nothing is left to reclaim")

    def direct_reclaim(self, goal: int) -> int:
        """try_to_free_mem_cgroup_pages(), do_try_to_free_pages(): how many pages it has freed."""
        freed = 0
        for force in (False, False, True):
            for priority in range(DEF_PRIORITY, -1, -1):
                freed += self.shrink_lruvec(priority, force, goal)
                self.shrink_slab(priority)
                if freed >= goal:
                    break
            self.snapshot = self.lru.activated_flushed
            if freed:
                break
        return freed

    def shrink_lruvec(self, priority: int, force: bool, goal: int) -> int:
        """One priority of a direct reclaim."""
        kinds: tuple[Kind, ...] = ("anon", "file")
        deactivates = {kind: force or self.lru.low(kind) for kind in kinds}
        deactivates["anon"] |= self.lru.activated_flushed != self.snapshot
        ahead = self.get_scan_count(priority, deactivates["file"])
        target, freed = dict(ahead), 0
        while ahead["anon", False] or ahead["file", False] or ahead["file", True]:
            for (kind, active), left in list(ahead.items()):
                portion = min(left, CLUSTER)
                ahead[kind, active] -= portion
                if portion and active and deactivates[kind]:
                    self.shrink_active_list(kind, portion)
                elif portion and not active:
                    freed += self.shrink_inactive_list(kind, portion)
            if freed >= goal and not adjusted(ahead, target):
                break
        if self.lru.low("anon"):
            self.shrink_active_list("anon", CLUSTER)
        return freed

    def get_scan_count(self, priority: int, file_deactivates: bool) -> dict[tuple[Kind, bool], int]:
        """get_scan_count(): how many pages of each list are to be looked at."""
        lru = self.lru
        trim = lru.flushed["file", False] >> priority and not file_deactivates
        total = sum(lru.cost.values())
        share = {
            "anon": 60 * (3 * total + 1) // (total + lru.cost["anon"] + 1),
            "file": 140 * (3 * total + 1) // (total + lru.cost["file"] + 1),
        }
        ahead = {}
        for kind, active in LISTS:
            scan = lru.size[kind, active] >> priority
            if self.slots.used >= self.slots.total or (priority and trim):
                scan = scan if kind == "file" else 0
            elif priority:
                scan = scan * share[kind] // sum(share.values())
            ahead[kind, active] = scan
        return ahead

    def shrink_active_list(self, kind: Kind, pages: int) -> None:
        """The oldest active folios become inactive."""
        self.drain()
        taken = self.lru.isolate((kind, True), pages)
        for folio in taken:
            self.look_at(folio)
            folio.active, folio.workingset = False, True
        for folio in taken:
            self.lru.add(folio, self.evictable(folio))
        self.lru.count(ReclaimCounter.PGDEACTIVATE, sum(folio.nr_pages for folio in taken))

    def shrink_inactive_list(self, kind: Kind, pages: int) -> int:
        """The oldest inactive folios, each as shrink_folio_list() decides; the pages freed."""
        self.drain()
        taken = self.lru.isolate((kind, False), pages)
        scanned = sum(folio.nr_pages for folio in taken)
        freed = written = 0
        back: list[LruFolio] = []
        for folio in taken:
            if folio in self.busy or self.references(folio):
                back.append(folio)
                continue
            gone = self.evict(folio, back)
            written += gone.written
            freed += gone.reclaimed
        for folio in back:
            self.lru.add(folio, self.evictable(folio))
            self.lru.age += folio.nr_pages if folio.active else 0
        self.lru.count(ReclaimCounter.PGSCAN, scanned)
        self.lru.count(ReclaimCounter.PGSTEAL, freed)
        self.lru.note_cost(kind, CLUSTER * written + scanned - freed)
        return freed

    def references(self, folio: LruFolio) -> bool:
        """folio_check_references(): whether a folio is spared, and activated if it was used before
        or by several."""
        young, referenced = self.look_at(folio), folio.referenced
        folio.referenced = young > 0
        if young and (referenced or young > 1):
            self.activate(folio)
        return young > 0

    def activate(self, folio: LruFolio) -> None:
        """activate_locked: it gives its slots up where swap is scarce."""
        folio.active = True
        block = folio.block
        held = block.folios.get(folio.number)
        scarce = self.slots.swap_full and held is not None and held.slot is not None
        if held is not None and scarce and not block.folio_swapped(folio.number):
            block.cache(folio.number, None)
            held.dirty = True
        self.lru.count(ReclaimCounter.PGACTIVATE, folio.nr_pages)

    def evict(
        self, folio: LruFolio, back: list[LruFolio], advised: bool = False, held: bool = False
    ) -> Evicted:
        """Swap a folio out, and let its list follow. What cannot go is put `back`, active; one
        that a per-CPU batch refers to is unmapped (`held`)."""
        block, near = folio.block, Near(self, folio.shared, folio.block)
        event = Shrink(0, self.world.facts, (folio.number,), held)
        swapped, others = len(self.fresh), {*self.known[id(block)].values()} - {folio}
        used, refused = self.used, self.refused
        done = self.happen(near, event, range(folio.pages.start, folio.pages.start + 1))
        assert len(self.fresh) == swapped
        split = done.counts[SPLIT] > 0
        noted = self.leave_shadows(folio, split, advised)
        self.follow(near)
        known = self.known[id(block)].values()
        left = [each for each in known if each.place is None and each not in self.lru.batch]
        left = [each for each in left if each.pages.start in folio.pages and each not in others]
        for part in sorted(left, key=lambda part: self.in_order(folio.pages).index(part.pages[0])):
            part.lazyfree = block.folios[part.number].lazyfree
            if not held:
                self.activate(part)
            back.append(part)
        written = sum(done.counts[at] for at in WRITTEN)
        if not split:
            return Evicted(written, used - self.used)
        unmapped, failed = folio.nr_pages - noted - len(left), self.refused - refused - len(left)
        self.lru.count(ReclaimCounter.PGACTIVATE, failed)
        return Evicted(written + unmapped - failed, noted)

    def leave_shadows(self, folio: LruFolio, split: bool, advised: bool) -> int:
        """Note in the slots of what has been swapped out when that was, of a folio at once or of
        each page that it was split into; the number of pages. Those of a split that nothing maps
        are freed without being counted, by move_folios_to_lru(), and have been written before as
        far as pageout() knows."""
        block, shadow, noted = folio.block, None, 0
        for i in self.in_order(folio.pages):
            ptes = (mapping.pte for mapping in block.maps[i])
            slots = {pte.slot for pte in ptes if isinstance(pte, SwapPte)}
            slots = {slot for slot in slots if slot not in self.shadows}
            if slots and (split or shadow is None):
                shadow = self.lru.evicted(folio, 1 if split else folio.nr_pages, advised)
            for slot in slots:
                assert shadow is not None
                self.shadows[slot] = shadow
            noted += bool(slots)
        return noted

    def shrink_slab(self, priority: int) -> None:
        """do_shrink_slab(), for the queue of folios of which parts are unmapped."""
        freeable = len(self.split_queue)
        if not freeable:
            return
        delta = 2 * (freeable >> priority)
        total, scanned = min((self.deferred >> priority) + delta, 2 * freeable), 0
        while total >= min(SHRINK_BATCH, freeable):
            batch = min(SHRINK_BATCH, total)
            if not self.deferred_split_scan(batch):
                break
            total, scanned = total - batch, scanned + batch
        self.deferred = min(max(self.deferred + delta - scanned, 0), 2 * freeable)

    def deferred_split_scan(self, pages: int) -> bool:
        """Split the first folios of the queue where they lie, so that what is unmapped is freed,
        which nobody counts; False if there is none. One that a fault refers to stays."""
        folios, self.split_queue = self.split_queue[:pages], self.split_queue[pages:]
        for folio in folios:
            if folio in self.busy:
                self.split_queue.append(folio)
                continue
            near = Near(self, folio.shared, folio.block)
            event = SplitFolios(0, self.world.facts, (folio.number,))
            self.happen(near, event, folio.pages)
            self.follow(near)
        return bool(folios)


def adjusted(ahead: dict[tuple[Kind, bool], int], target: dict[tuple[Kind, bool], int]) -> bool:
    """Once enough is freed: the list with less left is done, the other goes on to the same share;
    whether anything is to be done."""
    left = {kind: ahead[kind, False] + ahead[kind, True] for kind, _ in LISTS}
    if not all(left.values()):
        return False
    kinds: tuple[Kind, Kind] = ("anon", "file")
    less, more = kinds if left["file"] > left["anon"] else kinds[::-1]
    per_cent = left[less] * 100 // (target[less, False] + target[less, True] + 1)
    for active in (False, True):
        done = target[more, active] - ahead[more, active]
        ahead[more, active] = max(target[more, active] * (100 - per_cent) // 100 - done, 0)
        ahead[less, active] = 0
    return True
