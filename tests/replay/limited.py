"""A second implementation of the memory limit: one page and event after another, on objects."""

from __future__ import annotations

from math import isqrt

from swaptrace.counters import POSITION, Counter, ReclaimCounter
from swaptrace.errors import OutOfMemory
from swaptrace.mm.column import Pte
from swaptrace.mm.event import (
    Access,
    Activate,
    Dontneed,
    Event,
    Fork,
    Free,
    Pageout,
    Populate,
    Reclaim,
    SwapIn,
    Unmap,
)
from swaptrace.mm.moves import moves
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from tests.replay.folios import Folio, NaiveMemory

FAULTS = POSITION[Counter.MINFLT], POSITION[Counter.MAJFLT]


class NaiveArena(NaiveMemory):
    """Takes the place of `swaptrace.replay.pages.arena.Arena`."""

    # reclaim

    def low(self, kind: str) -> bool:
        few, many = self.flushed[kind, False], self.flushed[kind, True]
        gigabytes = (few + many) * self.world.machine.page_size >> 30
        return few * (isqrt(10 * gigabytes) or 1) < many

    def used_by(self, folio: Folio) -> int:
        state = self.pages[folio.where]
        shared = self.of[folio.where[0]]
        column = self.world.table.columns[self.column(shared, folio.where[1])]
        number = state.folios.index(folio)
        mapping = {
            p for p, m in enumerate(column.maps) if isinstance(m.pte, Pte) and m.pte.folio == number
        }
        if self.in_locked_vma(folio):
            return -1
        found = len(mapping & state.young)
        state.young -= mapping
        return found

    def evict(self, folio: Folio) -> tuple[bool, bool]:
        """Whether it is freed, and whether it was written."""
        shared, page = self.of[folio.where[0]], folio.where[1]
        number = self.pages[folio.where].folios.index(folio)
        event = self.swapping_out(shared, page, Reclaim(0, self.world.facts, number))
        column = self.world.table.columns[self.column(shared, page)]
        written = moves(self.world.table.policy, column, event).writes
        self.take(shared, page, event)
        return folio.freed, written

    def shrink_inactive(self, kind: str, number: int) -> int:
        self.drain()
        source = self.lists[kind, False]
        taken = source[::-1][:number]
        for folio in taken:
            self.remove(folio)
        freed = io = 0
        back = []
        for folio in taken:
            if folio.where == self.busy:
                back.append(folio)
                continue
            young, was_referenced = self.used_by(folio), folio.referenced
            folio.referenced = young > 0
            if young < 0:
                self.spare(folio)
                self.lock(folio)
                back.append(folio)
                continue
            if young:
                if was_referenced or young > 1:
                    folio.active = True
                    if self.swap_full:
                        self.spare(folio)
                    self.count(ReclaimCounter.PGACTIVATE, 1)
                back.append(folio)
                continue
            gone, written = self.evict(folio)
            io += written
            freed += gone
            if not gone and written:
                self.add(folio, newest=False)
            elif not gone:
                folio.active = True
                self.count(ReclaimCounter.PGACTIVATE, 1)
                back.append(folio)
        self.put_back(back)
        self.count(ReclaimCounter.PGSCAN, len(taken))
        self.count(ReclaimCounter.PGSTEAL, freed)
        self.note_cost(kind, 32 * io + len(taken) - freed)
        return freed

    def spare(self, folio: Folio, scarce: bool = True) -> None:
        """It gives its slot up, where those are `scarce`."""
        facts = self.world.facts._replace(swap_full=scarce)
        number = self.pages[folio.where].folios.index(folio)
        self.take(self.of[folio.where[0]], folio.where[1], Activate(0, facts, number))

    def put_back(self, folios: list[Folio]) -> int:
        """How many are on lists again."""
        for folio in folios:
            if folio.mlocked:
                folio.place = "batch"
                self.wait("add", folio)
            else:
                self.add(folio)
                self.age += folio.active
        return sum(not folio.mlocked for folio in folios)

    def shrink_active(self, kind: str, number: int) -> None:
        self.drain()
        taken = self.lists[kind, True][::-1][:number]
        for folio in taken:
            self.remove(folio)
            if self.used_by(folio) < 0:
                self.spare(folio, scarce=False)
                self.lock(folio)
            folio.active, folio.workingset = False, True
        self.count(ReclaimCounter.PGDEACTIVATE, self.put_back(taken))

    def round(self, priority: int, force: bool) -> int:
        """One priority of a direct reclaim."""
        allowed = {kind: force or self.low(kind) for kind in ("anon", "file")}
        allowed["anon"] |= self.activated_flushed != self.snapshot
        trim = self.flushed["file", False] >> priority and not allowed["file"]
        total = sum(self.cost.values())
        ap = 60 * (3 * total + 1) // (total + self.cost["anon"] + 1)
        fp = 140 * (3 * total + 1) // (total + self.cost["file"] + 1)
        share = {"anon": ap, "file": fp}
        ahead = {}
        for (kind, active), folios in self.lists.items():
            scan = len(folios) >> priority
            if not self.world.device.slot_free or (priority and trim):
                scan = scan if kind == "file" else 0
            elif priority:
                scan = scan * share[kind] // (ap + fp)
            ahead[kind, active] = scan
        target = dict(ahead)
        freed = 0
        while ahead["anon", False] or ahead["file", False] or ahead["file", True]:
            for (kind, active), left in list(ahead.items()):
                portion = min(left, 32)
                ahead[kind, active] -= portion
                if portion and active and allowed[kind]:
                    self.shrink_active(kind, portion)
                elif portion and not active:
                    freed += self.shrink_inactive(kind, portion)
            if freed < 32:
                continue
            left_of = {k: ahead[k, False] + ahead[k, True] for k in ("anon", "file")}
            if not all(left_of.values()):
                break
            less, more = ("anon", "file") if left_of["file"] > left_of["anon"] else ("file", "anon")
            per_cent = left_of[less] * 100 // (target[less, False] + target[less, True] + 1)
            for active in (False, True):
                done = target[more, active] - ahead[more, active]
                ahead[more, active] = max(target[more, active] * (100 - per_cent) // 100 - done, 0)
                ahead[less, active] = 0
        if self.world.device.total and self.low("anon"):
            self.shrink_active("anon", 32)
        return freed

    def direct_reclaim(self) -> int:
        for force in (False, False, True):
            freed = 0
            for priority in range(12, -1, -1):
                freed += self.round(priority, force)
                if freed >= 32:
                    break
            self.snapshot = self.activated_flushed
            if freed:
                return freed
        return 0

    def oldest(self) -> int:
        """The exact LRU."""
        order = self.lists["anon", False]
        for _ in range(2 * len(order)):
            folio = order[-1]
            self.remove(folio)
            self.count(ReclaimCounter.PGSCAN, 1)
            gone = written = False
            if folio.where != self.busy:
                gone, written = self.evict(folio)
            if gone:
                self.count(ReclaimCounter.PGSTEAL, 1)
                return 1
            self.add(folio, newest=not written)
        return 0

    def charge(self) -> None:
        while self.used >= self.capacity:
            freed = self.oldest() if self.exact else self.direct_reclaim()
            if not freed and self.used >= self.capacity:
                if self.batches["add"]:
                    self.drain()
                    continue
                if self.exact or not self.lists["anon", True] or not self.world.device.slot_free:
                    raise OutOfMemory("the memory limit is reached")
                self.shrink_active("anon", 32)
        self.used += 1

    # events

    def happen(self, shared: SharedRegion, page: int, event: Event) -> bool:
        """One event; whether it ends the step."""
        event = self.now(event)
        old = self.column(shared, page)
        row = self.world.table.row(event, old)
        way = moves(self.world.table.policy, self.world.table.columns[old], event)
        self.busy = (id(shared), page)
        for _ in way.fresh:
            self.charge()
        self.busy = None
        if way.fresh:
            self.do_work()
        self.take(shared, page, event)
        if isinstance(event, Access | Populate):
            faulted = any(row.counts[at] for at in FAULTS)
            if faulted or (isinstance(event, Access) and not row.ends):
                self.state(shared, page).young.add(event.process)
            self.use(shared, page, event.process)
            if isinstance(event, Populate) and not row.ends:
                self.touch_folio(shared, page, event.process)
        return row.ends

    def touch_folio(self, shared: SharedRegion, page: int, process: int) -> None:
        pte = self.world.table.columns[self.column(shared, page)].maps[process].pte
        if isinstance(pte, Pte) and not pte.is_zero_page:
            self.mark_accessed(self.state(shared, page).folios[pte.folio])

    def use(self, shared: SharedRegion, page: int, process: int) -> None:
        pte = self.world.table.columns[self.column(shared, page)].maps[process].pte
        if self.exact and isinstance(pte, Pte) and not pte.is_zero_page:
            folio = self.state(shared, page).folios[pte.folio]
            if isinstance(folio.place, list):
                self.remove(folio)
                self.add(folio)

    def read_ahead(self, shared: SharedRegion, page: int, event: Access | Populate) -> bool:
        """A fault that asks the swap cache."""
        process = self.world.processes[shared.members[event.process]]
        address = shared.base + page
        area = next(iter(process.space.within(address, address + 1)))
        bounds = max(area.start - shared.base, 0), min(area.end, shared.end) - shared.base
        ahead = Pass(self.world, shared, event, bounds, area.readahead)
        row = self.world.table.row(self.now(event), self.column(shared, page))
        if row.lookup != "read":
            ahead.note_hit(address, row.lookup == "readahead_hit")
            ends = self.happen(shared, page, event)
        else:
            ends = self.window(ahead, shared, page, event)
        process.space.put(area, area._replace(readahead=ahead.readahead))
        return ends

    def window(
        self, ahead: Pass, shared: SharedRegion, page: int, event: Access | Populate
    ) -> bool:
        start, end = ahead.window(shared.base + page)
        if ahead.readahead.window == 1:
            alone = event._replace(facts=event.facts._replace(readahead=False))
            return self.happen(shared, page, alone)
        before = self.column(shared, page)
        own = SwapIn(event.process, event.facts, readahead=False)
        for other in range(start, end):
            if other == page:
                read = self.now(own)
                self.happen(shared, page, own)
            else:
                self.happen(shared, other, SwapIn(event.process, event.facts, readahead=True))
        self.drain()
        mapped, now = self.column(shared, page), self.now(event)
        ends = self.happen(shared, page, event)
        if mapped != before:  # else the page was reclaimed at once, and read a second time
            self.recount(shared, page, [(read, before), (now, mapped)], (now, before))
        return ends

    def recount(
        self,
        shared: SharedRegion,
        page: int,
        parts: list[tuple[Event, int]],
        whole: tuple[Event, int],
    ) -> None:
        """A fault that read its page in its place of the window counts as one event."""
        for event, column in parts:
            row = self.world.table.row(event, column)
            self.tally.take(shared, event, column, row, -1)
        row = self.world.table.row(*whole)
        self.tally.take(shared, *whole, row, 1)
        for kind, member in row.violations:
            self.tally.see(kind, shared.members[member], shared.name, page, 1)

    def tick(self) -> None:
        self.clock += 1
        if self.machine.lru_drain and self.clock % self.machine.lru_drain == 0:
            self.drain()
        if self.machine.stat_flush and self.clock % self.machine.stat_flush == 0:
            self.flushed = {name: len(folios) for name, folios in self.lists.items()}
            self.activated_flushed = self.activated

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        self.tally = tally
        if isinstance(event, Pageout | Dontneed | Free | Unmap):
            self.drain()
        for page in walk.pages().tolist():
            if self.one(shared, page, event):
                self.do_work()
                return False
        if isinstance(event, SwapIn):
            self.drain()
        self.do_work()
        return True

    def do_work(self) -> None:
        """reclaim_work, if it is scheduled."""
        if self.slots is not None:
            self.slots.clusters.do_work()

    def one(self, shared: SharedRegion, page: int, event: Event) -> bool:
        state = self.state(shared, page)
        if isinstance(event, Pageout):
            self.pageout(shared, page, event)
            return False
        if isinstance(event, Access | Populate):
            row = self.world.table.row(self.now(event), self.column(shared, page))
            looks = row.lookup != "none" and self.machine.swap.page_cluster
            ends = (self.read_ahead if looks else self.happen)(shared, page, event)
            if isinstance(event, Access):
                self.tick()
            return ends
        self.happen(shared, page, event)
        if isinstance(event, Fork):
            state.young.discard(len(shared.members))
        if isinstance(event, Unmap) and event.gone:
            gone = event.process
            state.young = {p - (p > gone) for p in state.young if p != gone}
        if isinstance(event, Free):
            column = self.world.table.columns[self.column(shared, page)]
            pte = column.maps[event.process].pte
            if isinstance(pte, Pte) and not pte.is_zero_page and column.folios[pte.folio].lazyfree:
                state.young.discard(event.process)
        return False

    def pageout(self, shared: SharedRegion, page: int, event: Pageout) -> None:
        folio = self.own(shared, page, event.process)
        if folio is not None:
            self.remove(folio)
            folio.workingset |= folio.active
            folio.active = folio.referenced = False
        now = self.swapping_out(shared, page, event)
        column = self.world.table.columns[self.column(shared, page)]
        written = moves(self.world.table.policy, column, now).writes
        self.take(shared, page, now, advised=True)
        if folio is not None and not folio.freed:
            if not written and not self.exact:
                folio.active = True
                self.count(ReclaimCounter.PGACTIVATE, 1)
            self.join(folio)

    def adjust_trans_huge(self, _tally: Tally, _process: Process, _address: int) -> None:
        """No entry is huge."""

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, process: int) -> None:
        self.tally = tally
        self.drain()
        for page in walk.pages().tolist():
            folio = self.own(shared, page, process)
            if folio is None:
                continue
            self.state(shared, page).young.discard(process)
            folio.referenced = False
            folio.workingset |= folio.active
            if isinstance(folio.place, list) and (folio.active or self.generations):
                self.wait("deactivate", folio)

    def lru_add_drain(self, tally: Tally) -> None:
        self.tally = tally
        self.drain()

    def switched_to(self, _name: str) -> None:
        """Nobody asks."""
