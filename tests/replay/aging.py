"""A second implementation of the multi-generational LRU, on objects: lists, refaults, aging."""

from __future__ import annotations

from collections import Counter

from swaptrace.counters import ReclaimCounter
from swaptrace.mm.column import Pte
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.world import World
from tests.replay.folios import Folio, Shadow
from tests.replay.limited import NaiveArena

Entry = tuple[int, int, int]
"""A PMD entry: the process and the shared region (by id), and which of the entries."""


class NaiveAging(NaiveArena):
    """Generations are numbered on without end; each has a list a kind, the newest folio first."""

    generations = True

    def __init__(self, world: World, placed: bool = False) -> None:
        super().__init__(world, placed)
        self.newest = 3
        self.lowest = {"anon": 0, "file": 0}
        self.rings: dict[tuple[int, str], list[Folio]] = {}
        self.filters: list[set[Entry] | None] = [None, None]
        self.old_entries: set[Entry] = set()
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
        shared = self.of[folio.where[0]]
        column = self.world.table.columns[self.column(shared, folio.where[1])]
        return column.folios[self.pages[folio.where].folios.index(folio)].slot is not None

    def add(self, folio: Folio, newest: bool = True) -> None:
        if folio.mlocked:
            folio.place, folio.active = "unevictable", False
            return
        kind = "file" if folio.file else "anon"
        low = self.lowest[kind]
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

    def join(self, folio: Folio, name: str = "add") -> None:
        folio.active |= self.in_fault and name == "add"
        super().join(folio, name)

    def mark_accessed(self, folio: Folio) -> None:
        if folio.place == "unevictable":
            return
        if folio.referenced and folio.workingset:
            folio.refs = min(folio.refs + 1, 3)
        folio.workingset |= folio.referenced
        folio.referenced = True

    # refaults

    def references(self, folio: Folio) -> int:
        return folio.refs + folio.workingset

    def tier(self, references: int) -> int:
        return references.bit_length()

    def evicted(self, folio: Folio, advised: bool) -> Shadow:  # noqa: ARG002
        kind, refs = "file" if folio.file else "anon", self.references(folio)
        self.evictions[kind, self.tier(refs)] += 1
        return Shadow(self.lowest[kind], refs > 0, max(refs - 1, 0))

    def refault(self, folio: Folio, shadow: Shadow) -> None:
        self.count(ReclaimCounter.WORKINGSET_REFAULT, 1)
        if shadow.age != self.lowest["anon"]:
            return
        refs = shadow.refs + shadow.workingset
        self.refaults["anon", self.tier(refs)] += 1
        self.count(ReclaimCounter.WORKINGSET_ACTIVATE, 1)
        if self.in_fault or refs >= 3:
            folio.refs, folio.workingset = 3, True
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

    def entry(self, process: Process, shared: SharedRegion, page: int) -> Entry:
        return id(process), id(shared), (shared.base + page) // 512

    def touch(self, shared: SharedRegion, page: int, member: int) -> None:
        process = self.world.processes[shared.members[member]]
        self.switched_to(process.name)
        self.old_entries.discard(self.entry(process, shared, page))

    def switched_to(self, name: str) -> None:
        if any(name in shared.members for shared in self.of.values()):
            self.current = self.world.processes[name]
            self.ran.add(id(self.current))

    def mapped(self, shared: SharedRegion, page: int, member: int) -> Folio | None:
        """What the process maps there, if its PTE is young; then it is no longer."""
        pte = self.world.table.columns[self.column(shared, page)].maps[member].pte
        state = self.state(shared, page)
        if not isinstance(pte, Pte) or pte.is_zero_page or member not in state.young:
            return None
        state.young.discard(member)
        return state.folios[pte.folio]

    def listed(self, seq: int, entry: Entry) -> None:
        known = self.filters[seq % 2]
        if known is not None:
            known.add(entry)

    def walk_entry(self, shared: SharedRegion, member: int, entry: Entry) -> None:
        process = self.world.processes[shared.members[member]]
        low, high = max(entry[2] * 512, shared.base), min(entry[2] * 512 + 512, shared.end)
        total = young = 0
        for start, end, area in process.space.clipped(low, high):
            if area.vma.locked or not (area.vma.readable or area.vma.writable):
                continue
            total += end - start
            for page in range(start - shared.base, end - shared.base):
                folio = self.mapped(shared, page, member)
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
        for shared in self.of.values():
            if process.name not in shared.members:
                continue
            member = shared.members.index(process.name)
            for number in range(shared.base // 512, (shared.end - 1) // 512 + 1):
                entry = id(process), id(shared), number
                if not force:
                    if entry in self.old_entries:
                        continue
                    self.old_entries.add(entry)
                    known = self.filters[self.newest % 2]
                    if known is not None and entry not in known:
                        continue
                self.walk_entry(shared, member, entry)

    def new_generation(self, can_swap: bool) -> None:
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
            if self.newest - self.lowest[kind] == 3:
                self.merge(kind, can_swap)
        self.newest += 1

    def notice(self) -> None:
        """Processes that came or went."""
        now = list(self.world.processes.values())
        self.born = [p for p in self.born if any(p is q for q in now)]
        self.born += [p for p in now if not any(p is q for q in self.born)]

    def merge(self, kind: str, can_swap: bool) -> None:
        old = self.lowest[kind]
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
        self.lowest[kind] += 1

    def shift(self, folio: Folio, kind: str, newest: bool) -> None:
        """To the list of its generation."""
        assert isinstance(folio.place, list)
        assert folio.seq is not None
        folio.place.remove(folio)
        folio.place = self.ring(folio.seq, kind)
        folio.place.insert(0 if newest else len(folio.place), folio)

    def everyone(self) -> list[Folio]:
        return [folio for ring in self.rings.values() for folio in ring]

    def near(self, shared: SharedRegion, page: int, member: int) -> bool:
        """Whether the PTE is young; then its neighbours are looked at."""
        if self.mapped(shared, page, member) is None:
            return False
        process, at = self.world.processes[shared.members[member]], shared.base + page
        area = process.space.within(at, at + 1)[0]
        low, high = at // 512 * 512, at // 512 * 512 + 512
        start, end = max(low, area.start, shared.base), min(high, area.end, shared.end)
        if end - start == 1:
            return True
        if end - start > 64:
            start = min(max(start, at - 32), end - 64) if end - at >= 32 else end - 64
            end = start + 64
        young = 1
        for other in range(start - shared.base, end - shared.base):
            folio = self.mapped(shared, other, member)
            if folio is None:
                continue
            young += 1
            if folio.seq is None:
                folio.referenced = True
            elif folio.seq != self.newest:
                folio.refs = folio.referenced = folio.workingset = False
                self.wait("activate", folio)
        if young * 8 >= end - start:
            self.listed(self.newest, self.entry(process, shared, page))
        return True
