"""A second implementation of the swap device that can fill: clusters as objects, on lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from swaptrace.kernels import version
from swaptrace.scenario.hardware import Machine

Holder = tuple[int, int, int]
"""The shared region (by id), the page and the number of the slot."""


@dataclass(eq=False)
class Cluster:
    """Positions `first` to `end`. `taken` says who has each that is not free: a page's slot, or
    None for nobody who could give it back."""

    first: int
    end: int
    unusable: int
    taken: dict[int, Holder | None] = field(default_factory=dict)
    where: list[Cluster] | None = None

    @property
    def count(self) -> int:
        return self.unusable + len(self.taken)


class Clusters:
    """The device. `only_cached` says of a holder whether the swap cache alone has it, `give_back`
    lets it be taken back."""

    def __init__(
        self,
        machine: Machine,
        only_cached: Callable[[Holder], bool],
        give_back: Callable[[Holder], None],
    ) -> None:
        self.size = machine.page_size // 8
        self.total = machine.swap.size // machine.page_size
        self.only_cached, self.give_back = only_cached, give_back
        kernel = version(machine.kernel)
        self.lazy = kernel >= (7, 0)
        self.nonfull_first, self.cached = kernel >= (6, 18), kernel < (6, 15)
        self.free: list[Cluster] = []
        self.nonfull: list[Cluster] = []
        self.frag: list[Cluster] = []
        self.full_ones: list[Cluster] = []
        self.all = list(self.made())
        for cluster in self.all:
            self.move(cluster, self.nonfull if cluster.count else self.free)
        self.next: int | None = None
        self.active, self.direct, self.work = self.cached, False, False
        self.stock: list[int] = []
        self.returned: list[int] = []
        self.promised = 0

    def made(self) -> Iterator[Cluster]:
        for first in range(0, self.total + 1, self.size):
            low, high = max(first, 1), min(first + self.size, self.total + 1)
            yield Cluster(low, high, self.size - (high - low))

    # what there is

    @property
    def inuse(self) -> int:
        return sum(len(cluster.taken) for cluster in self.all)

    @property
    def left(self) -> int:
        """nr_swap_pages."""
        return self.total - self.inuse - self.promised

    @property
    def full(self) -> bool:
        return self.left * 2 < self.total

    def cluster(self, position: int) -> Cluster:
        return self.all[position // self.size]

    def move(self, cluster: Cluster, to: list[Cluster]) -> None:
        if cluster.where is not None:
            cluster.where.remove(cluster)
        to.append(cluster)
        cluster.where = to

    def take_off(self, cluster: Cluster) -> None:
        assert cluster.where is not None
        cluster.where.remove(cluster)
        cluster.where = None

    # giving back

    def release(self, position: int) -> None:
        """A position is free again."""
        cluster = self.cluster(position)
        del cluster.taken[position]
        if cluster.count == 0:
            self.move(cluster, self.free)
        elif cluster.where is not self.nonfull:
            self.move(cluster, self.nonfull)

    def freed(self, position: int) -> None:
        """A page has given its slot up."""
        if self.direct or not self.active:
            self.release(position)
            return
        if len(self.returned) == 64:
            self.empty(self.returned)
        self.returned.append(position)
        self.cluster(position).taken[position] = None

    def empty(self, positions: list[int]) -> None:
        while positions:
            self.release(positions.pop(0))

    def reclaim(self, position: int) -> bool:
        """Take a position back, if the swap cache alone has it."""
        holder = self.cluster(position).taken.get(position)
        if holder is None or not self.only_cached(holder):
            return False
        self.direct = True
        self.give_back(holder)
        self.direct = False
        return True

    def reclaim_full(self, clusters: int) -> None:
        while self.full_ones:
            cluster = self.full_ones[0]
            if self.nonfull_first:
                self.take_off(cluster)
            else:
                self.move(cluster, self.full_ones)
            clusters -= 1
            for position in range(cluster.first, cluster.end):
                self.reclaim(position)
            if cluster.where is None:
                self.relocate(cluster)
            if clusters <= 0:
                break

    def do_work(self) -> None:
        """reclaim_work."""
        if self.work:
            self.work = False
            self.reclaim_full(self.inuse // self.size)

    # allocating

    def usable(self, position: int) -> bool:
        if position not in self.cluster(position).taken:
            return True
        return self.full and self.reclaim(position)

    def use(self, position: int) -> None:
        self.cluster(position).taken[position] = None
        self.work |= self.inuse == self.total

    def relocate(self, cluster: Cluster) -> None:
        right = self.frag
        if cluster.count in (0, self.size):
            right = self.full_ones if cluster.count else self.free
        if cluster.where is not right:
            self.move(cluster, right)

    def scan(self, cluster: Cluster, start: int) -> int | None:
        """6.18, from a position on."""
        found = None
        if cluster.count < self.size:
            for position in range(max(start, cluster.first), cluster.end):
                usable = self.usable(position)
                if cluster.where is self.free:
                    break
                if usable:
                    found = position
                    break
        if found is not None:
            self.use(found)
        self.relocate(cluster)
        more = found is not None and cluster.count < self.size
        beyond = None if found is None else found + 1
        at_end = beyond is not None and beyond % self.size == 0
        self.next = beyond if more and not at_end else None
        return found

    def scan_list(self, clusters: list[Cluster], scan_all: bool) -> int | None:
        while clusters:
            cluster = clusters[0]
            self.take_off(cluster)
            found = self.scan(cluster, cluster.first)
            if found is not None or not scan_all:
                return found
        return None

    def new_way(self) -> int | None:
        """6.18 and later."""
        if self.next is not None and self.cluster(self.next).where in (self.nonfull, self.frag):
            found = self.scan(self.cluster(self.next), self.next)
            if found is not None:
                return found
        if self.inuse == self.total:
            return None
        found = self.scan_list(self.nonfull, True)
        if found is None:
            found = self.scan_list(self.free, False)
        if found is None:
            if self.full:
                self.reclaim_full(1)
            found = self.scan_list(self.frag, False)
        return found

    def old_scan(self, cluster: Cluster, start: int) -> int | None:
        """6.12, from a position on."""
        self.next = None
        if cluster.count == self.size:
            return None
        for position in range(max(start, cluster.first), cluster.end):
            if self.usable(position):
                if cluster.where is self.free:
                    self.move(cluster, self.nonfull)
                self.use(position)
                if cluster.count == self.size:
                    self.move(cluster, self.full_ones)
                elif position + 1 < cluster.end:
                    self.next = position + 1
                return position
        return None

    def old_way(self) -> int | None:
        """Up to 6.17."""
        found = None
        if self.next is not None:
            found = self.old_scan(self.cluster(self.next), self.next)
        if found is not None:
            return found
        if self.free:
            return self.old_scan(self.free[0], self.free[0].first)
        if self.full:
            self.reclaim_full(1)
        scanned = 0
        while self.nonfull or scanned < len(self.frag):
            cluster = (self.nonfull or self.frag)[0]
            self.move(cluster, self.frag)
            scanned += 1
            found = self.old_scan(cluster, cluster.first)
            if found is not None:
                break
        return found

    def several(self, goal: int) -> list[int]:
        goal = max(0, min(goal, self.left))
        self.promised += goal
        found: list[int] = []
        while len(found) < goal and self.inuse < self.total:
            position = self.old_way()
            if position is None:
                break
            found.append(position)
            self.promised -= 1
        self.promised -= goal - len(found)
        return found

    def allocate(self) -> int | None:
        """A position for a page that is swapped out."""
        if self.nonfull_first:
            return self.new_way()
        if self.cached:
            if not self.active:
                self.active = self.left > 320
            elif self.left < 128:
                self.active = False
                self.empty(self.stock)
                self.empty(self.returned)
        if self.active:
            self.stock = self.stock or self.several(64)
            if self.stock:
                return self.stock.pop(0)
        return next(iter(self.several(1)), None)

    def hold(self, position: int, holder: Holder) -> None:
        self.cluster(position).taken[position] = holder
