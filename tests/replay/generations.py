"""A second implementation of the multi-generational LRU, on objects: eviction, and events."""

from __future__ import annotations

from collections import Counter

from swaptrace.counters import ReclaimCounter
from swaptrace.errors import OutOfMemory
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Access, Event, Populate, Reclaim
from swaptrace.mm.moves import moves
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.world import World
from tests.replay.aging import NaiveAging
from tests.replay.folios import Folio
from tests.replay.limited import NaiveArena


class NaiveGenerations(NaiveAging):
    """Takes the place of `swaptrace.replay.pages.arena.Arena` where the LRU has generations."""

    # eviction

    def spared(self, folio: Folio, kind: str, tier: int) -> bool:
        low, refs = self.lowest[kind], self.references(folio)
        if folio.seq != low:
            self.shift(folio, kind, newest=True)
            return True
        if self.tier(refs) <= tier and refs < 4:
            return False
        folio.seq, folio.refs, folio.referenced, folio.workingset = low + 1, False, False, False
        self.shift(folio, kind, newest=False)
        self.protected[kind, self.tier(refs)] += 1
        return True

    def scan(self, kind: str, tier: int) -> tuple[int, list[Folio]]:
        taken: list[Folio] = []
        seen = 0
        source = self.ring(self.lowest[kind], kind)
        while self.newest - self.lowest[kind] > 1 and source and seen < 4096 and len(taken) < 64:
            folio = source[-1]
            seen += 1
            if self.spared(folio, kind, tier):
                continue
            if not folio.referenced:
                folio.refs = folio.workingset = False
            folio.referenced = False
            self.remove(folio, reclaiming=True)
            taken.append(folio)
        self.count(ReclaimCounter.PGSCAN, len(taken))
        return (seen if taken or seen == 4096 else 0), taken

    def isolate(self, can_swap: bool) -> tuple[int, list[Folio]]:
        gain = {"anon": 60, "file": 140}
        kinds, tier = ["file", "anon"] if can_swap else ["file"], None
        if can_swap and self.lowest["anon"] < self.lowest["file"]:
            kinds = ["anon", "file"]
        elif can_swap:
            if not self.calm(("anon", 0, 60), ("file", 0, 140)):
                kinds = ["anon", "file"]
            kind, other = kinds
            tier = self.last((other, 0, gain[other]), kind, gain[kind])
        for kind in kinds:
            limit = self.last((kind, 0, 1), kind, 2) if tier is None else tier
            seen, taken = self.scan(kind, limit)
            if seen:
                return seen, taken
            tier = None
        return 0, []

    def pass_over(self, can_swap: bool) -> bool:
        """Generations that are empty."""
        before, found = dict(self.lowest), dict(self.lowest)
        kinds = ["anon", "file"] if can_swap else ["file"]
        for kind in kinds:
            while found[kind] + 2 <= self.newest and not self.ring(found[kind], kind):
                found[kind] += 1
        if can_swap:
            found["anon"] = min(found.values())
            found["file"] = max(found["anon"], before["file"])
        for kind in kinds:
            if found[kind] != before[kind]:
                self.forget(kind)
        self.lowest = found
        return found != before

    def shrink(self, folio: Folio) -> str:
        shared, page = self.of[folio.where[0]], folio.where[1]
        if folio.where == self.busy:
            return "kept"
        number = self.pages[folio.where].folios.index(folio)
        column = self.world.table.columns[self.column(shared, page)]
        users = [
            p for p, m in enumerate(column.maps) if isinstance(m.pte, Pte) and m.pte.folio == number
        ]
        if users and folio.referenced:
            return "kept"
        if self.in_locked_vma(folio):
            folio.referenced = False
            self.spare(folio)
            self.lock(folio)
            return "kept"
        young = [p for p in users if self.near(shared, page, p)]
        if young:
            if folio.referenced or len(young) > 1:
                if self.swap_full:
                    self.spare(folio)
                self.count(ReclaimCounter.PGACTIVATE, 1)
            return "kept"
        held = folio in self.batches["activate"]
        event = self.swapping_out(shared, page, Reclaim(0, self.world.facts, number, held))
        column = self.world.table.columns[self.column(shared, page)]
        written = moves(self.world.table.policy, column, event).writes
        self.since += written
        self.take(shared, page, event)
        if folio.freed:
            return "freed"
        if not written and not held:
            self.count(ReclaimCounter.PGACTIVATE, 1)
        return "in flight" if written else "kept"

    def batch_out(self, can_swap: bool) -> tuple[int, int]:
        """How many were looked at, and how many freed."""
        seen, taken = self.isolate(can_swap)
        seen += self.pass_over(can_swap)
        if self.newest - self.lowest["anon" if can_swap else "file"] == 1:
            seen = 0
        freed, kept = 0, []
        for folio in taken:
            fate = self.shrink(folio)
            freed += fate == "freed"
            if fate == "in flight":
                self.add(folio, newest=False)
            if fate == "kept":
                kept.append(folio)
        for folio in kept:
            if not folio.mlocked:
                folio.refs = folio.referenced = folio.workingset = False
                folio.active = True
        age = self.age
        self.put_back(kept)
        self.age = age
        self.count(ReclaimCounter.PGSTEAL, freed)
        return seen, freed

    def unbalanced(self, can_swap: bool) -> tuple[bool, int]:
        low = self.lowest["anon" if can_swap else "file"]
        if low + 2 > self.newest:
            return True, 0
        all_of = [f for f in self.everyone() if can_swap or f.file]
        sizes = Counter(folio.seq for folio in all_of)
        total = len(all_of)
        if low + 2 < self.newest:
            return False, total
        return sizes[self.newest] * 2 > total or sizes[self.newest - 2] * 4 < total, total

    def generation_round(self, priority: int) -> int:
        self.drain()
        can_swap = self.world.device.total - self.world.device.used >= 64
        seen = freed = 0
        while True:
            old, total = self.unbalanced(can_swap)
            if old and priority < 12:
                self.new_generation(can_swap)
                return freed
            if not total >> priority:
                return freed
            more, gone = self.batch_out(can_swap)
            seen, freed = seen + more, freed + gone
            if not more or seen >= total >> priority:
                return freed

    def charge(self) -> None:
        for _ in range(18):
            if self.used < self.capacity:
                break
            freed = 0
            for _again in range(2):
                for priority in range(12, -1, -1):
                    freed += self.generation_round(priority)
                    if freed >= 32:
                        break
                if freed:
                    break
        if self.used >= self.capacity:
            raise OutOfMemory("the memory limit is reached")
        self.used += 1

    # events

    def happen(self, shared: SharedRegion, page: int, event: Event) -> bool:
        if isinstance(event, Access):
            self.touch(shared, page, event.process)
        ended = super().happen(shared, page, event)
        if isinstance(event, Access):  # again, after the fault
            self.touch(shared, page, event.process)
        return ended

    def one(self, shared: SharedRegion, page: int, event: Event) -> bool:
        self.in_fault = isinstance(event, Access | Populate)
        return super().one(shared, page, event)


def naive_arena(world: World, placed: bool) -> NaiveArena:
    """The second implementation of whatever reclaims on this machine."""
    generations = world.machine.reclaim == "mglru"
    return (NaiveGenerations if generations else NaiveArena)(world, placed)
