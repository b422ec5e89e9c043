"""Folios as objects, on lists: the ground of a second implementation of the memory limit.

It shares with the replay the transition function and `moves`, and nothing else: no numbered nodes,
no tables, no runs of hits, no time that is made up for later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from swaptrace.counters import ReclaimCounter
from swaptrace.mm.column import Column, Entry, Pte, SwapPte, mappers
from swaptrace.mm.event import (
    Access,
    Activate,
    Event,
    FreeSwap,
    Pageout,
    Populate,
    Reclaim,
    SetVma,
)
from swaptrace.mm.moves import moves
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from tests.replay.placed import Slots

ADVISED = "on advice"


@dataclass(eq=False)
class Folio:
    """`place` is "", "batch" (for one that is new), "unevictable", or the list that it is on."""

    where: tuple[int, int]  # shared region (by id) and page
    place: object = ""
    referenced: bool = False
    active: bool = False
    workingset: bool = False
    mlocked: bool = False
    file: bool = False
    freed: bool = False
    seq: int | None = None  # the generation, while on a list of one
    refs: int = 0


@dataclass(eq=False)
class Shadow:
    """What an evicted folio leaves: the age, ADVISED or the oldest generation, and the marks."""

    age: int | str
    workingset: bool
    refs: int = 0


def adds_lock(event: Event, before: Column) -> bool:
    """Whether a VMA becomes a locked one, or a locked one maps what the swap cache has and somebody
    has mapped before."""
    if not isinstance(event, SetVma | Access | Populate):
        return False
    vma, pte = before.maps[event.process].vma, before.maps[event.process].pte
    if isinstance(event, SetVma):
        return event.vma.locked and vma is not None and not vma.locked
    if not isinstance(pte, SwapPte) or vma is None or not vma.locked:
        return False
    return any(f.slot == pte.slot and not f.fresh for f in before.folios)


@dataclass
class PageState:
    """The folios and slots of a column, and the processes whose PTE has been used."""

    folios: list[Folio] = field(default_factory=list)
    shadows: list[Shadow | None] = field(default_factory=list)
    young: set[int] = field(default_factory=set)


class NaiveMemory:
    """Folios on lists, and what a transition does to them."""

    limited = True
    generations = False

    def __init__(self, world: World, placed: bool = False) -> None:
        machine = world.machine
        self.slots = Slots(world, self.give_back) if placed else None
        assert machine.memory is not None
        self.world = world
        self.machine = machine
        self.capacity = machine.memory // machine.page_size
        self.exact = machine.reclaim == "lru"
        self.used = 0
        self.pages: dict[tuple[int, int], PageState] = {}
        self.of: dict[int, SharedRegion] = {}
        self.lists: dict[tuple[str, bool], list[Folio]] = {
            (kind, active): [] for kind in ("anon", "file") for active in (False, True)
        }
        batches = "add", "deactivate", "lazyfree", "activate", "mlock"
        self.batches: dict[str, list[Folio]] = {name: [] for name in batches}
        self.flushed = dict.fromkeys(self.lists, 0)
        self.activated = self.activated_flushed = self.snapshot = 0
        self.cost = {"anon": 0, "file": 0}
        self.age = 2
        self.clock = 0
        self.asked = 0
        self.busy: tuple[int, int] | None = None
        self.reclaim: dict[str, int] = {}
        self.tally = Tally()

    def columns(self, _shared: SharedRegion) -> None:
        """The region's say it."""

    def place(self, shared: SharedRegion, _pages: int, _column: int) -> None:
        self.of[id(shared)] = shared

    def huge(self, shared: SharedRegion, _member: int) -> Iterator[tuple[int, bool]]:
        """No entry is huge."""
        yield shared.region.pages, False

    def key(self) -> tuple[object, ...]:
        self.asked += 1
        return (self.asked,)

    def state(self, shared: SharedRegion, page: int) -> PageState:
        return self.pages.setdefault((id(shared), page), PageState())

    # the lists

    def list_of(self, folio: Folio) -> list[Folio]:
        if self.exact:
            return self.lists["anon", False]
        return self.lists["file" if folio.file else "anon", folio.active]

    def in_locked_vma(self, folio: Folio) -> bool:
        shared = self.of[folio.where[0]]
        column = self.world.table.columns[self.column(shared, folio.where[1])]
        number = self.pages[folio.where].folios.index(folio)
        return any(m.vma and m.vma.locked for m in mappers(column.maps, number))

    def is_marked(self, folio: Folio) -> bool:
        shared = self.of[folio.where[0]]
        column = self.world.table.columns[self.column(shared, folio.where[1])]
        return column.folios[self.pages[folio.where].folios.index(folio)].mlocked

    def add(self, folio: Folio, newest: bool = True) -> None:
        if not folio.mlocked:
            folio.place = self.list_of(folio)
            self.list_of(folio).insert(0 if newest else len(self.list_of(folio)), folio)
        else:
            folio.place, folio.active = "unevictable", False

    def remove(self, folio: Folio) -> None:
        if isinstance(folio.place, list):
            folio.place.remove(folio)
        folio.place = ""

    # the batches

    def drain(self) -> None:
        for name in self.batches:
            self.empty(name)

    def wait(self, name: str, folio: Folio) -> None:
        self.batches[name].append(folio)
        if len(self.batches[name]) == 31:
            self.empty(name)

    def waits(self, folio: Folio) -> bool:
        return any(folio in batch for batch in self.batches.values())

    def empty(self, name: str) -> None:
        batch, self.batches[name] = self.batches[name], []
        for number, folio in enumerate(batch):
            if folio.freed:
                self.used -= not self.waits(folio) and folio not in batch[number + 1 :]
            elif name == "add":
                folio.place = ""
                self.add(folio)
            elif name == "mlock":
                self.settle_lock(folio)
            elif isinstance(folio.place, list):
                {"activate": self.activate, "deactivate": self.deactivate}.get(name, self.give_up)(
                    folio
                )

    def activate(self, folio: Folio) -> None:
        if not folio.active:
            self.remove(folio)
            folio.active = True
            self.add(folio)
            self.count(ReclaimCounter.PGACTIVATE, 1)

    def deactivate(self, folio: Folio) -> None:
        if folio.active or self.generations:
            self.remove(folio)
            folio.active = folio.referenced = False
            self.add(folio)
            self.count(ReclaimCounter.PGDEACTIVATE, 1)

    def give_up(self, folio: Folio) -> None:
        if not folio.file:
            self.remove(folio)
            folio.active = folio.referenced = False
            folio.file = True
            self.add(folio)

    def settle_lock(self, folio: Folio) -> None:
        folio.mlocked &= self.is_marked(folio)
        listed = isinstance(folio.place, list)
        if folio.place == "" or folio in self.batches["add"] or (listed and not folio.mlocked):
            return
        if listed:
            self.remove(folio)
        self.add(folio)

    def lock(self, folio: Folio) -> None:
        folio.mlocked = True
        if self.exact:
            self.settle_lock(folio)
        else:
            self.wait("mlock", folio)

    def join(self, folio: Folio, name: str = "add") -> None:
        """A folio waits for its list."""
        if not self.exact:
            folio.place = "batch"
            self.wait(name, folio)
        elif folio.freed:
            self.used -= 1
        else:
            self.add(folio)

    def add_new(self, folio: Folio, read: bool) -> None:
        if not read and not folio.freed and self.is_marked(folio):
            folio.mlocked = True
            self.join(folio, "mlock")
        else:
            self.join(folio)

    def mark_accessed(self, folio: Folio) -> None:
        if self.exact:
            return
        if not folio.referenced:
            folio.referenced = True
        elif folio.place != "unevictable" and not folio.active:
            folio.referenced = False
            self.age += 1
            if isinstance(folio.place, list):
                self.wait("activate", folio)
            else:
                folio.active = folio in self.batches["add"]

    def free(self, folio: Folio) -> None:
        folio.freed = True
        self.remove(folio)
        self.used -= not self.waits(folio)

    # transitions

    def column(self, shared: SharedRegion, page: int) -> int:
        return next(c for _, _, c in shared.region.segments(Walk(page, 1)))

    def own(self, shared: SharedRegion, page: int, process: int) -> Folio | None:
        """The folio that only this process maps."""
        column = self.world.table.columns[self.column(shared, page)]
        pte = column.maps[process].pte
        if not isinstance(pte, Pte) or pte.is_zero_page or column.mapcount(pte.folio) != 1:
            return None
        return self.state(shared, page).folios[pte.folio]

    def now(self, event: Event) -> Event:
        scarce = isinstance(event, Pageout | Reclaim)
        facts = self.world.facts_now(scarce)._replace(readahead=event.facts.readahead)
        if self.slots is not None:
            facts = facts._replace(slot_free=True, swap_full=False)
            if not scarce:
                facts = facts._replace(swap_full=self.slots.clusters.full)
        return event._replace(facts=facts)

    @property
    def swap_full(self) -> bool:
        """vm_swap_full()."""
        full = self.world.device.full
        return full if self.slots is None else self.slots.clusters.full

    def give_back(self, _world: World, shared: SharedRegion, page: int, slot: int) -> None:
        """The allocator takes a slot back."""
        self.take(shared, page, FreeSwap(0, self.world.facts, slot))

    def swapping_out(self, shared: SharedRegion, page: int, event: Pageout | Reclaim) -> Event:
        """The event as it is for a page that may get a slot."""
        event = event._replace(facts=self.now(event).facts)
        if self.slots is None:
            return event
        free = self.slots.reserve(shared, page, event)
        return event._replace(facts=event.facts._replace(slot_free=free))

    def take(self, shared: SharedRegion, page: int, event: Event, advised: bool = False) -> None:
        """The transition, and what it does to folios."""
        if not isinstance(event, Pageout | Reclaim | Activate):
            event = self.now(event)
        old = self.column(shared, page)
        row = self.world.table.row(event, old)
        way = moves(self.world.table.policy, self.world.table.columns[old], event)
        self.tally.take(shared, event, old, row, 1)
        for kind, member in row.violations:
            self.tally.see(kind, shared.members[member], shared.name, page, 1)
        if self.slots is not None:
            self.slots.follow(shared, page, event)
        shared.region.change(Walk(page, 1), lambda _: row.new)
        state = self.state(shared, page)
        refault = state.shadows[way.read] if way.read >= 0 else None
        stays = ((n, to) for n, to in enumerate(way.slots) if to >= 0 and n != way.read)
        shadows = {to: state.shadows[number] for number, to in stays}
        folios: dict[int, Folio] = {}
        for number, to in enumerate(way.folios):
            folio = state.folios[number]
            if to >= 0:
                folios[to] = folio
            else:
                if way.stored[number] >= 0:
                    shadows[way.stored[number]] = self.evicted(folio, advised)
                self.free(folio)
        new = [Folio((id(shared), page)) for _ in way.fresh]
        for folio, to in zip(new, way.fresh, strict=True):
            folio.freed = to < 0
            if to >= 0:
                folios[to] = folio
        column = self.world.table.columns[row.new]
        state.folios = [folios[number] for number in range(len(column.folios))]
        state.shadows = [shadows.get(number) for number in range(len(column.slots))]
        if refault is not None and not self.exact:
            self.refault(new[0], refault)
        self.world.device.used += row.slots
        for number, folio in enumerate(new):
            self.add_new(folio, read=number == 0 and way.read >= 0)
        for number, folio in enumerate(state.folios):
            self.reconsider(folio, column.folios[number].lazyfree)
        if adds_lock(event, self.world.table.columns[old]):
            self.lock_mapped(state.folios, column.maps[event.process].pte, new)
        if way.drains:
            self.drain()

    def lock_mapped(self, folios: list[Folio], pte: Entry, new: list[Folio]) -> None:
        """What the process maps, if it was there before."""
        if isinstance(pte, Pte) and not pte.is_zero_page and folios[pte.folio] not in new:
            self.lock(folios[pte.folio])

    def reconsider(self, folio: Folio, lazy: bool) -> None:
        listed = isinstance(folio.place, list)
        if folio.mlocked and not self.is_marked(folio):
            if self.exact:
                self.settle_lock(folio)
            elif folio not in self.batches["mlock"]:
                self.wait("mlock", folio)
        if lazy == folio.file:
            return
        if lazy and listed and not self.exact:
            if folio not in self.batches["lazyfree"]:
                self.wait("lazyfree", folio)
            return
        if listed:
            self.remove(folio)
        if lazy:
            folio.active = folio.referenced = False
        folio.file = lazy
        if listed:
            self.add(folio)

    def evicted(self, folio: Folio, advised: bool) -> Shadow:
        if advised:
            return Shadow(ADVISED, folio.workingset)
        self.age += 1
        return Shadow(self.age - 1, folio.workingset)

    def refault(self, folio: Folio, shadow: Shadow) -> None:
        self.count(ReclaimCounter.WORKINGSET_REFAULT, 1)
        size = self.flushed["file", False] + self.flushed["file", True]
        if self.world.device.slot_free:
            size += self.flushed["anon", True]
        if shadow.age == ADVISED or self.age - int(shadow.age) <= size:
            folio.active = True
            self.age += 1
            self.activated += 1
            self.count(ReclaimCounter.WORKINGSET_ACTIVATE, 1)
            if shadow.workingset:
                folio.workingset = True
                self.note_cost("anon", 32)

    def count(self, name: ReclaimCounter, number: int) -> None:
        self.tally.reclaim[name] += number

    def note_cost(self, kind: str, cost: int) -> None:
        self.cost[kind] += cost
        if sum(self.cost.values()) > sum(self.flushed.values()) // 4:
            self.cost = {name: value // 2 for name, value in self.cost.items()}
