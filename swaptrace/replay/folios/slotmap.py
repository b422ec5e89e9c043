"""Where folios find slots on the swap device, clusters of them being kept on lists by what they
were begun for (mm/swapfile.c, 6.15 and later: cluster_alloc_swap_entry())."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ORDERS: Final = 10
"""SWAP_NR_ORDERS: of one page to a whole cluster."""


@dataclass(eq=False, slots=True)
class Cluster:
    """Slots `first` to `first + size`; `order` is what it was begun for, `where` the list that it
    is on (None: none)."""

    first: int
    size: int
    used: set[int] = field(default_factory=set)
    order: int = 0
    where: dict[Cluster, None] | None = None

    @property
    def full(self) -> bool:
        return len(self.used) == self.size


def lists() -> list[dict[Cluster, None]]:
    """A list for each order."""
    return [{} for _ in range(ORDERS)]


class SlotMap:
    """The slots of a device of `total` pages; the header page and the end cut clusters short.

    `nonfull_first` is the rule of that name.
    """

    def __init__(self, total: int, cluster: int, nonfull_first: bool) -> None:
        self.total, self.size, self.nonfull_first = total, cluster, nonfull_first
        self.used = 0
        self.free: dict[Cluster, None] = {}
        self.full: dict[Cluster, None] = {}
        self.nonfull, self.frag = lists(), lists()
        self.next: list[int | None] = [None] * ORDERS
        self.clusters = [self.made(first) for first in range(0, total + 1, cluster)]

    def made(self, first: int) -> Cluster:
        """A new cluster; what cannot be used of it counts as in use."""
        cluster = Cluster(first, self.size)
        beyond = range(max(first, self.total + 1), first + self.size)
        cluster.used |= {*beyond} | ({0} if first == 0 else set())
        self.move(cluster, self.nonfull[0] if cluster.used else self.free)
        return cluster

    @property
    def swap_full(self) -> bool:
        """vm_swap_full(): more than half in use."""
        return (self.total - self.used) * 2 < self.total

    def move(self, cluster: Cluster, to: dict[Cluster, None]) -> None:
        """Put a cluster at the end of a list."""
        if cluster.where is not None:
            del cluster.where[cluster]
        to[cluster] = None
        cluster.where = to

    def release(self, slot: int) -> None:
        """swap_range_free(): of one slot."""
        cluster = self.clusters[slot // self.size]
        cluster.used.remove(slot)
        self.used -= 1
        if not cluster.used:
            cluster.order = 0
            self.move(cluster, self.free)
        elif cluster.where is not self.nonfull[cluster.order]:
            self.move(cluster, self.nonfull[cluster.order])

    def allocate(self, order: int) -> int | None:
        """cluster_alloc_swap_entry(): the first of 1 << order slots in a row, naturally aligned."""
        found = None
        at = self.next[order]
        if at is not None and self.usable(self.clusters[at // self.size], order):
            cluster = self.clusters[at // self.size]
            found = self.scan(cluster, order, at if cluster.used else cluster.first)
        if found is None:
            found = self.from_lists(order)
        return found

    def from_lists(self, order: int) -> int | None:
        """A cluster begun for this order, a free one, or one without much room in a row."""
        nonfull = (self.nonfull[order], True), (self.free, False)
        for clusters, scan_all in nonfull if self.nonfull_first else reversed(nonfull):
            found = self.scan_list(clusters, order, scan_all)
            if found is not None:
                return found
        found = self.scan_list(self.frag[order], order, scan_all=False)
        for other in range(1, ORDERS) if order == 0 else ():
            for clusters in (self.frag[other], self.nonfull[other]):
                if found is None:  # stolen from a larger order
                    found = self.scan_list(clusters, order, scan_all=True)
        return found

    def usable(self, cluster: Cluster, order: int) -> bool:
        """cluster_is_usable(): free, or begun for the order."""
        return cluster.where is not self.full and (not cluster.used or cluster.order == order)

    def scan_list(self, clusters: dict[Cluster, None], order: int, scan_all: bool) -> int | None:
        """alloc_swap_scan_list(): look at its first cluster, or at one after the other."""
        while clusters:
            cluster = next(iter(clusters))
            del clusters[cluster]
            cluster.where = None
            found = self.scan(cluster, order, cluster.first)
            if found is not None or not scan_all:
                return found
        return None

    def scan(self, cluster: Cluster, order: int, start: int) -> int | None:
        """alloc_swap_scan_cluster(): from a slot on."""
        pages, end = 1 << order, cluster.first + cluster.size
        found = None
        if len(cluster.used) + pages <= cluster.size:
            for slot in range(start, end - pages + 1, pages):
                if cluster.used.isdisjoint(range(slot, slot + pages)):
                    found = slot
                    break
        self.next[order] = None
        if found is not None:
            if not cluster.used:
                cluster.order = order
            cluster.used.update(range(found, found + pages))
            self.used += pages
            if not cluster.full and found + pages < end:
                self.next[order] = found + pages
        self.relocate(cluster)
        return found

    def relocate(self, cluster: Cluster) -> None:
        """relocate_cluster(): onto the list that fits."""
        right = self.frag[cluster.order]
        if not cluster.used or cluster.full:
            right = self.full if cluster.used else self.free
        if cluster.where is not right:
            self.move(cluster, right)

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same slots are found."""
        lists = (self.free, self.full, *self.nonfull, *self.frag)
        return (
            tuple(self.next),
            tuple(tuple((c.first, c.order, frozenset(c.used)) for c in each) for each in lists),
        )
