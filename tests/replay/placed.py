"""The slots of pages, and where they are on a naive device."""

from __future__ import annotations

from collections.abc import Callable

from swaptrace.mm.event import Event, Pageout, Reclaim
from swaptrace.mm.moves import moves
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.world import World
from tests.replay.clusters import Clusters, Holder

GiveBack = Callable[[World, SharedRegion, int, int], None]
"""Lets FreeSwap happen to a slot of a page."""


class Slots:
    """The positions of the slots of every page."""

    def __init__(self, world: World, give_back: GiveBack) -> None:
        self.world = world
        self.give_back = give_back
        self.positions: dict[tuple[int, int], list[int]] = {}
        self.of: dict[int, SharedRegion] = {}
        self.clusters = Clusters(world.machine, self.only_cached, self.free)
        self.reserved: int | None = None

    def column(self, shared: SharedRegion, page: int) -> int:
        return next(c for _, _, c in shared.region.segments(Walk(page, 1)))

    def only_cached(self, holder: Holder) -> bool:
        shared, page, slot = holder
        column = self.world.table.columns[self.column(self.of[shared], page)]
        return column.swap_count(slot) == 0

    def free(self, holder: Holder) -> None:
        shared, page, slot = holder
        self.give_back(self.world, self.of[shared], page, slot)

    def reserve(self, shared: SharedRegion, page: int, event: Pageout | Reclaim) -> bool:
        """Whether there is a slot for a page, if it needs one."""
        if not self.needs_slot(shared, page, event):
            return True
        if not self.clusters.lazy:
            self.clusters.do_work()
        self.reserved = self.clusters.allocate()
        if self.reserved is not None and not self.needs_slot(shared, page, event):
            self.clusters.freed(self.reserved)
            self.reserved = None
            return True
        return self.reserved is not None

    def needs_slot(self, shared: SharedRegion, page: int, event: Pageout | Reclaim) -> bool:
        free = event._replace(facts=event.facts._replace(slot_free=True))
        return self.world.table.row(free, self.column(shared, page)).slots > 0

    def follow(self, shared: SharedRegion, page: int, event: Event) -> None:
        """Before the page takes a transition: where its slots go."""
        key = id(shared), page
        self.of[id(shared)] = shared
        column = self.world.table.columns[self.column(shared, page)]
        way = moves(self.world.table.policy, column, event)
        old = self.positions.get(key, [])
        new: dict[int, int] = {}
        for number, to in enumerate(way.slots):
            if to >= 0:
                new[to] = old[number]
            else:
                self.clusters.freed(old[number])
        if way.added >= 0:
            assert self.reserved is not None
            new[way.added], self.reserved = self.reserved, None
        self.positions[key] = [new[number] for number in range(len(new))]
        for number, position in new.items():
            self.clusters.hold(position, (*key, number))
