"""A second implementation of the multi-generational LRU: on objects, sets and lists."""

from __future__ import annotations

from collections import Counter

from swaptrace.counters import ReclaimCounter
from swaptrace.errors import OutOfMemory
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Access, Activate, Event, Populate, Reclaim
from swaptrace.mm.moves import moves
from swaptrace.replay.region import Walk
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import Family, Process, World
from tests.replay.folios import Folio, Shadow
from tests.replay.limited import NaiveArena

Entry = tuple[int, int, int]
"""A PMD entry: the process and the family (by id), and which of the entries."""


class NaiveGenerations(NaiveArena):
    """Takes the place of `swaptrace.replay.arena.Arena` where the LRU has generations.

    Generations are numbered on without end; each has a list a kind, the newest folio first.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.newest = 3
        self.oldest = {"anon": 0, "file": 0}
        self.rings: dict[tuple[int, str], list[Folio]] = {}
        self.activating: list[Folio] = []
        self.filters: list[set[Entry] | None] = [None, None]
        self.young_entries: set[Entry] = set()
        self.ran: set[int] = set()
        self.born: list[Process] = []
        self.walked: list[Process] = []
        self.current: Process | None = None
        self.since = 0
        self.in_fault = True
        self.evictions: Counter[tuple[str, int]] = Counter()
        self.refaults: Counter[tuple[str, int]] = Counter()
        self.protected: Counter[tuple[str, int]] = Counter()
        self.average: dict[str, Counter[tuple[str, int]]] = {"refaulted": Counter()}
        self.average["total"] = Counter()

    # lists

    def ring(self, seq: int, kind: str) -> list[Folio]:
        return self.rings.setdefault((seq, kind), [])

    def slotted(self, folio: Folio) -> bool:
        family = self.of[folio.where[0]]
        column = self.world.table.columns[self.column(family, folio.where[1])]
        return column.folios[self.pages[folio.where].folios.index(folio)].slot is not None

    def add(self, folio: Folio, newest: bool = True) -> None:
        if not self.evictable(folio):
            folio.place, folio.active = "unevictable", False
            return
        kind = "file" if folio.file else "anon"
        low = self.oldest[kind]
        if folio.active:
            folio.seq, folio.refs, folio.referenced = self.newest, False, False
            folio.active = False
        elif kind == "anon" and not self.slotted(folio):
            folio.seq = self.newest - 1
        elif not newest or low + 2 >= self.newest:
            folio.seq = low
        else:
            folio.seq = low + 1
        folio.place = self.ring(folio.seq, kind)
        folio.place.insert(0 if newest else len(folio.place), folio)

    def remove(self, folio: Folio, reclaiming: bool = False) -> None:
        if isinstance(folio.place, list):
            assert folio.seq is not None
            folio.place.remove(folio)
            folio.active = not reclaiming and folio.seq >= self.newest - 1
        folio.place, folio.seq = "", None

    def join(self) -> None:
        batch, self.batch = self.batch, []
        for folio in batch:
            if folio.freed:
                self.used -= 1
            else:
                folio.place = ""
                self.add(folio)

    def activate_all(self) -> None:
        waiting, self.activating = self.activating, []
        for folio in waiting:
            if folio.freed:
                self.used -= 1
            elif isinstance(folio.place, list):
                self.remove(folio)
                folio.active = True
                self.add(folio)
                self.count(ReclaimCounter.PGACTIVATE, 1)

    def drain(self) -> None:
        self.join()
        self.activate_all()

    def add_new(self, folio: Folio) -> None:
        folio.place = "batch"
        folio.active |= self.in_fault
        self.batch.append(folio)
        if len(self.batch) == 31:
            self.join()

    def free(self, folio: Folio) -> None:
        folio.freed = True
        if folio.place != "batch":
            self.remove(folio)
            self.used -= folio not in self.activating

    # refaults

    def references(self, folio: Folio) -> int:
        return 3 * folio.refs + folio.workingset

    def tier(self, references: int) -> int:
        return references.bit_length()

    def evicted(self, folio: Folio, advised: bool) -> Shadow:
        kind, refs = "file" if folio.file else "anon", self.references(folio)
        self.evictions[kind, self.tier(refs)] += 1
        return Shadow(self.oldest[kind], refs > 0, max(refs - 1, 0))

    def refault(self, folio: Folio, shadow: Shadow) -> None:
        self.count(ReclaimCounter.WORKINGSET_REFAULT, 1)
        if shadow.age != self.oldest["anon"]:
            return
        refs = shadow.refs + shadow.workingset
        self.refaults["anon", self.tier(refs)] += 1
        self.count(ReclaimCounter.WORKINGSET_ACTIVATE, 1)
        if self.in_fault or refs >= 3:
            folio.refs = folio.workingset = True
            self.count(ReclaimCounter.WORKINGSET_RESTORE, 1)

    def position(self, kind: str, tier: int) -> tuple[int, int]:
        """Refaulted and in all."""
        at = kind, tier
        total = self.average["total"][at] + self.evictions[at] + self.protected[at]
        return self.average["refaulted"][at] + self.refaults[at], total

    def calm(self, first: tuple[str, int, int], second: tuple[str, int, int]) -> bool:
        """Each is kind, tier, gain."""
        refaulted, total = self.position(*second[:2])
        most, of = self.position(*first[:2])
        return refaulted < 64 or refaulted * (of + 64) * first[2] <= (most + 1) * total * second[2]

    def last(self, first: tuple[str, int, int], kind: str, gain: int) -> int:
        for tier in (1, 2, 3):
            if not self.calm(first, (kind, tier, gain)):
                return tier - 1
        return 3

    def forget(self, kind: str) -> None:
        for tier in range(4):
            refaulted, total = self.position(kind, tier)
            self.average["refaulted"][kind, tier] = refaulted // 2
            self.average["total"][kind, tier] = total // 2
            for counts in (self.evictions, self.refaults, self.protected):
                counts[kind, tier] = 0

    # page tables

    def entry(self, process: Process, family: Family, page: int) -> Entry:
        return id(process), id(family), (family.base + page) // 512

    def touch(self, family: Family, page: int, member: int) -> None:
        process = self.world.processes[family.members[member]]
        self.current = process
        self.ran.add(id(process))
        self.young_entries.add(self.entry(process, family, page))

    def mapped(self, family: Family, page: int, member: int) -> Folio | None:
        """What the process maps there, if its PTE is young; then it is no longer."""
        pte = self.world.table.columns[self.column(family, page)].maps[member].pte
        state = self.state(family, page)
        if not isinstance(pte, Pte) or pte.is_zero_page or member not in state.young:
            return None
        state.young.discard(member)
        return state.folios[pte.folio]

    def listed(self, seq: int, entry: Entry) -> None:
        known = self.filters[seq % 2]
        if known is not None:
            known.add(entry)

    def walk_entry(self, family: Family, member: int, entry: Entry) -> None:
        process = self.world.processes[family.members[member]]
        low, high = max(entry[2] * 512, family.base), min(entry[2] * 512 + 512, family.end)
        total = young = 0
        for start, end, area in process.space.clipped(low, high):
            if area.vma.locked or not (area.vma.readable or area.vma.writable):
                continue
            total += end - start
            for page in range(start - family.base, end - family.base):
                folio = self.mapped(family, page, member)
                if folio is None:
                    continue
                young += 1
                if folio.seq is None:
                    folio.referenced = True
                else:
                    folio.seq = self.newest
                    folio.refs = folio.referenced = folio.workingset = False
        if total and young * 8 >= total:
            self.listed(self.newest + 1, entry)

    def walk(self, process: Process, force: bool) -> None:
        for family in self.of.values():
            if process.name not in family.members:
                continue
            member = family.members.index(process.name)
            for number in range(family.base // 512, (family.end - 1) // 512 + 1):
                entry = id(process), id(family), number
                if not force:
                    if entry not in self.young_entries:
                        continue
                    self.young_entries.discard(entry)
                    known = self.filters[self.newest % 2]
                    if known is not None and entry not in known:
                        continue
                self.walk_entry(family, member, entry)

    def age(self, can_swap: bool) -> None:
        self.notice()
        fresh = True
        for process in self.born:
            force = not any(process is other for other in self.walked)
            again = process is self.current and self.since >= 64
            if not force and id(process) not in self.ran and not again:
                continue
            self.ran.discard(id(process))
            if fresh:
                self.filters[(self.newest + 1) % 2] = set()
                fresh = False
            if process is self.current:
                self.since = 0
            self.walk(process, force)
        self.walked = list(self.born)
        for kind in ("file", "anon"):
            if self.newest - self.oldest[kind] == 3:
                self.merge(kind, can_swap)
        self.newest += 1

    def notice(self) -> None:
        """Processes that came or went."""
        now = list(self.world.processes.values())
        self.born = [p for p in self.born if any(p is q for q in now)]
        self.born += [p for p in now if not any(p is q for q in self.born)]

    def merge(self, kind: str, can_swap: bool) -> None:
        old = self.oldest[kind]
        source = self.ring(old, kind)
        if kind == "file" or can_swap:
            for folio in source[::-1]:
                assert folio.seq is not None
                if folio.seq == old:
                    folio.seq = old + 1
                    folio.refs = folio.referenced = folio.workingset = False
                self.shift(folio, kind, newest=False)
        else:
            target = self.ring(old + 4, kind)
            assert not target
            for folio in source:
                folio.place = target
            target += source
            source.clear()
            for folio in self.everyone():
                if folio.seq == old and not folio.file:
                    folio.seq = old + 4
        self.forget(kind)
        self.oldest[kind] += 1

    def shift(self, folio: Folio, kind: str, newest: bool) -> None:
        """To the list of its generation."""
        assert isinstance(folio.place, list)
        assert folio.seq is not None
        folio.place.remove(folio)
        folio.place = self.ring(folio.seq, kind)
        folio.place.insert(0 if newest else len(folio.place), folio)

    def everyone(self) -> list[Folio]:
        return [folio for ring in self.rings.values() for folio in ring]

    def near(self, family: Family, page: int, member: int) -> bool:
        """Whether the PTE is young; then its neighbours are looked at."""
        if self.mapped(family, page, member) is None:
            return False
        process, at = self.world.processes[family.members[member]], family.base + page
        area = process.space.within(at, at + 1)[0]
        low, high = at // 512 * 512, at // 512 * 512 + 512
        start, end = max(low, area.start, family.base), min(high, area.end, family.end)
        if end - start == 1:
            return True
        if end - start > 64:
            start = min(max(start, at - 32), end - 64) if end - at >= 32 else end - 64
            end = start + 64
        young = 1
        for other in range(start - family.base, end - family.base):
            folio = self.mapped(family, other, member)
            if folio is None:
                continue
            young += 1
            if folio.seq is None:
                folio.referenced = True
            elif folio.seq != self.newest:
                folio.refs = folio.referenced = folio.workingset = False
                self.activating.append(folio)
                if len(self.activating) == 31:
                    self.activate_all()
        if young * 8 >= end - start:
            self.listed(self.newest, self.entry(process, family, page))
        return True

    # eviction

    def spared(self, folio: Folio, kind: str, tier: int) -> bool:
        low, refs = self.oldest[kind], self.references(folio)
        if not self.evictable(folio):
            return False
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
        source = self.ring(self.oldest[kind], kind)
        while self.newest - self.oldest[kind] > 1 and source and seen < 4096 and len(taken) < 64:
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
        if can_swap and self.oldest["anon"] < self.oldest["file"]:
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
        before, found = dict(self.oldest), dict(self.oldest)
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
        self.oldest = found
        return found != before

    def shrink(self, folio: Folio) -> str:
        family, page = self.of[folio.where[0]], folio.where[1]
        if folio.where == self.busy or not self.evictable(folio):
            return "kept"
        number = self.pages[folio.where].folios.index(folio)
        column = self.world.table.columns[self.column(family, page)]
        users = [
            p for p, m in enumerate(column.maps) if isinstance(m.pte, Pte) and m.pte.folio == number
        ]
        if users and folio.referenced:
            return "kept"
        young = [p for p in users if self.near(family, page, p)]
        if young:
            if folio.referenced or len(young) > 1:
                if self.world.device.full:
                    self.take(family, page, Activate(0, self.world.facts, number))
                self.count(ReclaimCounter.PGACTIVATE, 1)
            return "kept"
        held = folio in self.activating
        event = self.now(Reclaim(0, self.world.facts, number, held))
        written = moves(self.world.table.policy, column, event).writes
        self.since += written
        self.take(family, page, event)
        if folio.freed:
            return "freed"
        if not written and not held:
            self.count(ReclaimCounter.PGACTIVATE, 1)
        return "in flight" if written else "kept"

    def batch_out(self, can_swap: bool) -> tuple[int, int]:
        """How many were looked at, and how many freed."""
        seen, taken = self.isolate(can_swap)
        seen += self.pass_over(can_swap)
        if self.newest - self.oldest["anon" if can_swap else "file"] == 1:
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
            folio.refs = folio.referenced = folio.workingset = False
            folio.active = True
            self.add(folio)
        self.count(ReclaimCounter.PGSTEAL, freed)
        return seen, freed

    def unbalanced(self, can_swap: bool) -> tuple[bool, int]:
        low = self.oldest["anon" if can_swap else "file"]
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
                self.age(can_swap)
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

    def happen(self, family: Family, page: int, event: Event) -> bool:
        if isinstance(event, Access | Populate):
            self.touch(family, page, event.process)
        return super().happen(family, page, event)

    def one(self, family: Family, page: int, event: Event) -> bool:
        self.in_fault = isinstance(event, Access | Populate)
        return super().one(family, page, event)

    def cold(self, tally: Tally, family: Family, walk: Walk, process: int) -> None:
        self.tally = tally
        self.drain()
        for page in walk.pages().tolist():
            folio = self.own(family, page, process)
            if folio is None:
                continue
            self.state(family, page).young.discard(process)
            folio.referenced = False
            if isinstance(folio.place, list):
                self.remove(folio)
                folio.active = False
                self.add(folio)
                self.tally.reclaim[ReclaimCounter.PGDEACTIVATE] += 1


def naive_arena(world: World) -> NaiveArena:
    """The second implementation of whatever reclaims on this machine."""
    generations = world.machine.reclaim == "mglru"
    return NaiveGenerations(world) if generations else NaiveArena(world)
