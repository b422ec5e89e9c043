"""Where folios find slots on the swap device, clusters of them being kept on lists by what they
were begun for (mm/swapfile.c, 6.15 and later: cluster_alloc_swap_entry()).

A device of terabytes has millions of clusters, but few that are in use in part. Those are objects;
the free ones are kept as sequences, in the order in which they will be taken, the full ones as runs
of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule, follows
from swaptrace.replay.folios.clusters import NOT_FULL, FreeClusters, FullClusters

ORDERS: Final = 10
"""SWAP_NR_ORDERS: of one page to a whole cluster."""

SLOTS_RETURNED: Final = 64
"""How many slots a CPU holds that were released (SWAP_SLOTS_CACHE_SIZE, up to 6.14)."""

ACTIVATES_ABOVE: Final = 5 * SLOTS_RETURNED
DEACTIVATES_BELOW: Final = 2 * SLOTS_RETURNED
"""How many slots are left (THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE and the other, for one CPU)."""

SLOT_CACHE: Final = 2 * SLOTS_RETURNED
"""How many it sets aside, with as many that it will give to the next pages."""


@dataclass(eq=False, slots=True)
class Cluster:
    """A cluster some slots of which are in use: bits of `used`. `order` is what it was begun for,
    `where` the list that it is on (None: none)."""

    number: int
    used: int = 0
    order: int = 0
    where: dict[Cluster, None] | None = None


@dataclass(slots=True)
class Moved:
    """Clusters that have come to be used, free, full and not full any more; `regular` unless one
    was taken that was not the next free one, or those that are full were begun for several orders.
    """

    taken: list[int] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)
    filled: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    filled_as: int = -1
    opened_as: int = -1
    regular: bool = True

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many of each kind, and their orders."""
        moved = self.taken, self.freed, self.filled, self.opened
        return (*map(len, moved), self.filled_as, self.opened_as)

    def fill(self, number: int, order: int) -> None:
        """A cluster is full."""
        self.regular = self.regular and self.filled_as in (-1, order)
        self.filled.append(number)
        self.filled_as = order

    def open(self, number: int, order: int) -> None:
        """A cluster is full no more."""
        self.regular = self.regular and self.opened_as in (-1, order)
        self.opened.append(number)
        self.opened_as = order


class SlotMap:
    """The slots of a device of `total` pages; the header page and the end cut clusters short.

    `nonfull_first` is the rule of that name. `stock` are slots that a CPU has set aside for the
    next pages, each range within a cluster, if it is `active` in that; `returned` is that it may
    keep back some that were released. `moved` is what has happened since it was last set.
    """

    active = returned = False

    def __init__(self, total: int, cluster: int, nonfull_first: bool) -> None:
        self.total, self.size, self.nonfull_first = total, cluster, nonfull_first
        self.whole = (1 << cluster) - 1
        self.used = 0
        self.partial: dict[int, Cluster] = {}
        self.nonfull: list[dict[Cluster, None]] = [{} for _ in range(ORDERS)]
        self.frag: list[dict[Cluster, None]] = [{} for _ in range(ORDERS)]
        self.next: list[int | None] = [None] * ORDERS
        self.stock: list[range] = []
        self.moved = Moved()
        self.cut: set[int] = set()
        count = total // cluster + 1
        self.full = FullClusters(count)
        end = total - (count - 1) * cluster + 1
        free = range(1, count if end == cluster else count - 1)
        self.free = FreeClusters(free.start, len(free))
        self.begin_cut(0, 1, min(cluster, total + 1))
        if count > 1 and end < cluster:
            self.begin_cut(count - 1, 0, end)

    def begin_cut(self, number: int, first: int, end: int) -> None:
        """A cluster of which not all can be used: what cannot counts as in use."""
        inside = ((1 << end) - 1) & ~((1 << first) - 1)
        self.cut.add(number)
        self.partial[number] = cluster = Cluster(number, self.whole & ~inside)
        self.relocate(cluster, self.nonfull[0])

    @property
    def reserve(self) -> int:
        """How many of the free clusters may be in use in truth."""
        return 0

    @property
    def swap_full(self) -> bool:
        """vm_swap_full(): more than half in use."""
        return (self.total - self.used) * 2 < self.total

    def relocate(self, cluster: Cluster, to: dict[Cluster, None] | None = None) -> None:
        """relocate_cluster(): to the end of the list that fits, or of another."""
        right = self.frag[cluster.order] if to is None else to
        if not cluster.used or cluster.used == self.whole:
            self.settle(cluster)
        elif cluster.where is not right:
            self.unlist(cluster)
            right[cluster] = None
            cluster.where = right

    def unlist(self, cluster: Cluster) -> None:
        """Take a cluster off its list."""
        if cluster.where is not None:
            del cluster.where[cluster]
            cluster.where = None

    def settle(self, cluster: Cluster) -> None:
        """A cluster that is free or full is an object no more."""
        self.unlist(cluster)
        del self.partial[cluster.number]
        if cluster.used:
            self.full.add(cluster.number, cluster.order)
            self.moved.fill(cluster.number, cluster.order)
        else:
            self.free.append(cluster.number)
            self.moved.freed.append(cluster.number)

    def release(self, slot: int, count: int = 1) -> None:
        """swap_range_free(): of slots in a row, within a cluster."""
        number, at = divmod(slot, self.size)
        cluster = self.partial.get(number)
        if cluster is None:
            order = self.full.remove(number)
            assert order != NOT_FULL, "the slot is in use"
            self.moved.open(number, order)
            cluster = self.partial[number] = Cluster(number, self.whole, order)
        cluster.used &= ~(((1 << count) - 1) << at)
        self.used -= count
        self.relocate(cluster, self.nonfull[cluster.order])

    def allocate(self, order: int) -> int | None:
        """cluster_alloc_swap_entry(): the first of 1 << order slots in a row, naturally aligned."""
        at = self.next[order]
        found = None if at is None else self.go_on(order, at)
        return self.from_lists(order) if found is None else found

    def go_on(self, order: int, at: int) -> int | None:
        """The next in the cluster that the CPU has for an order, if no other order has it by now;
        from its first slot on if it has become free."""
        number = at // self.size
        cluster = self.partial.get(number)
        if cluster is not None and cluster.order == order:
            return self.scan(cluster, order, at % self.size)
        if cluster is not None or not self.free.remove(number):
            return None
        self.moved.regular = False
        return self.scan(self.begun(number), order, 0)

    def begun(self, number: int) -> Cluster:
        """A cluster that was free."""
        self.partial[number] = cluster = Cluster(number)
        return cluster

    def from_lists(self, order: int) -> int | None:
        """A cluster begun for this order, a free one, or one without much room in a row."""
        of_order = (self.scan_list, self.scan_free)
        for scan in of_order if self.nonfull_first else reversed(of_order):
            found = scan(self.nonfull[order], order, True)
            if found is not None:
                return found
        found = self.scan_list(self.frag[order], order, scan_all=False)
        for other in range(1, ORDERS) if order == 0 else ():
            for clusters in (self.frag[other], self.nonfull[other]):
                if found is None:  # stolen from a larger order
                    found = self.scan_list(clusters, order, scan_all=True)
        return found

    def scan_free(self, _list: object, order: int, _scan_all: bool) -> int | None:
        """alloc_swap_scan_list() of the free clusters."""
        number = self.free.pop()
        if number is None:
            return None
        self.moved.taken.append(number)
        return self.scan(self.begun(number), order, 0)

    def scan_list(self, clusters: dict[Cluster, None], order: int, scan_all: bool) -> int | None:
        """alloc_swap_scan_list(): look at its first cluster, or at one after the other."""
        while clusters:
            cluster = next(iter(clusters))
            self.unlist(cluster)
            found = self.scan(cluster, order, 0)
            if found is not None or not scan_all:
                return found
        return None

    def scan(self, cluster: Cluster, order: int, start: int) -> int | None:
        """alloc_swap_scan_cluster(): from a slot on."""
        pages, found = 1 << order, None
        if cluster.used.bit_count() + pages <= self.size:
            found = self.room(cluster.used, pages, start)
        self.next[order] = None
        first = cluster.number * self.size
        if found is not None:
            if not cluster.used:
                cluster.order = order
            cluster.used |= ((1 << pages) - 1) << found
            self.used += pages
            if cluster.used != self.whole and found + pages < self.size:
                self.next[order] = first + found + pages
        self.relocate(cluster)
        return None if found is None else first + found

    def room(self, used: int, pages: int, start: int) -> int | None:
        """The first slots in a row, naturally aligned, none of which is in use."""
        if pages == 1:
            free = (self.whole & ~used) >> start
            return start + (free & -free).bit_length() - 1 if free else None
        row = (1 << pages) - 1
        return next((at for at in range(start, self.size, pages) if not used >> at & row), None)

    def lists(self) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        """The clusters that are in use in part, list by list: number, order, slots."""
        lists = (*self.nonfull, *self.frag)
        return tuple(tuple((c.number, c.order, c.used) for c in each) for each in lists)

    def renumber(self, further: list[int]) -> None:
        """The clusters in use in part, in the order of `lists`, are others of the same kind, each
        so much further on; and then the clusters in which the next slots are looked for, and those
        of the stock."""
        clusters = [cluster for each in (*self.nonfull, *self.frag) for cluster in each]
        by = iter(further)
        for cluster in clusters:
            cluster.number += next(by)
        self.next = [at if at is None else at + self.size * next(by) for at in self.next]
        self.stock = [shifted(slots, self.size * next(by)) for slots in self.stock]
        self.partial = {cluster.number: cluster for cluster in clusters}


def shifted(slots: range, by: int) -> range:
    """Slots so much further on."""
    return range(slots.start + by, slots.stop + by)


class CpuSlotMap(SlotMap):
    """The same up to 6.11 (scan_swap_map_try_ssd_cluster()): a large folio lies in the cluster that
    the CPU has for its size, or else in a free one. Where the slots lie does not matter there, as
    all come back one by one; only whether there is a free cluster does.
    """

    def __init__(self, total: int, cluster: int) -> None:
        super().__init__(total, cluster, nonfull_first=False)

    @property
    def reserve(self) -> int:
        """A CPU holds slots that it will give to the next pages, which lie in two clusters, and,
        once any were released, some that are free but not yet so in the map, each of which may
        be the last one of a cluster (swap_slots_cache)."""
        return 2 + SLOTS_RETURNED * self.returned

    def release(self, slot: int, count: int = 1) -> None:
        self.returned = True
        super().release(slot, count)

    def from_lists(self, order: int) -> int | None:
        if order:
            check_free_clusters(self, "before Linux 6.12")
        return super().from_lists(order)


class StockedSlotMap(SlotMap):
    """The same from 6.12 to 6.14 (folio_alloc_swap(), refill_swap_slots_cache()): single pages get
    slots that the CPU has set aside, 64 at a time, large folios do not.

    A slot that is released is free at once here. In truth the CPU keeps up to 64 of these back,
    which shows nowhere while there are free clusters. Whoever has used a larger device before has
    left this switched on.
    """

    active = True

    @property
    def reserve(self) -> int:
        """As many of the free clusters, at most, as the slots that are kept back may lie in."""
        return min(SLOTS_RETURNED, (self.total // self.size + 1) // 8)

    def allocate(self, order: int) -> int | None:
        if order or not self.check_cache_active():
            return super().allocate(order)
        if not self.stock:
            self.refill()
        if not self.stock:
            return None
        first, *others = self.stock
        self.stock = [first[1:], *others] if len(first) > 1 else others
        return first.start

    def check_cache_active(self) -> bool:
        """Whether slots are set aside; where few are left, those that are go back."""
        left = self.total - self.used
        if not self.active:
            self.active = left > ACTIVATES_ABOVE
        elif left < DEACTIVATES_BELOW:
            stock, self.stock = self.stock, []
            for each in stock:
                self.release(each.start, len(each))
            self.active = self.returned = False
        return self.active

    def release(self, slot: int, count: int = 1) -> None:
        self.returned = self.active
        super().release(slot, count)

    def refill(self) -> None:
        """get_swap_pages() of 64 slots, or as many as there are."""
        for _ in range(SLOTS_RETURNED):
            slot = super().allocate(0)
            if slot is None:
                return
            last = self.stock[-1] if self.stock else range(0)
            if last.stop == slot and slot % self.size:
                self.stock[-1] = range(last.start, slot + 1)
            else:
                self.stock.append(range(slot, slot + 1))

    def go_on(self, order: int, at: int) -> int | None:
        """From that slot on, whatever has become of the cluster."""
        number = at // self.size
        cluster = self.partial.get(number)
        if cluster is None:
            if not self.free.remove(number):
                return None
            self.moved.regular = False
            cluster = self.begun(number)
        return self.scan(cluster, order, at % self.size)

    def from_lists(self, order: int) -> int | None:
        if self.returned:
            check_free_clusters(self, "from Linux 6.12 to 6.14")
        return super().from_lists(order)


def check_free_clusters(slots: SlotMap, when: str) -> None:
    """Raise `NotModelled` where it is not known that there is a free cluster."""
    if len(slots.free) <= slots.reserve:
        raise NotModelled(
            f"large folios (machine.thp) are not modelled {when} on a swap device "
            f"of which not more than {slots.reserve} times 2 MiB are free in one piece, since a "
            "CPU sets slots aside; give a larger machine.swap.size"
        )


def slot_map(kernel: str, total: int, cluster: int) -> SlotMap:
    """The slots of a device as a kernel gives them out."""
    if not follows(kernel, Rule.NONFULL_CLUSTERS):
        return CpuSlotMap(total, cluster)
    if not follows(kernel, Rule.NO_SLOT_CACHE):
        return StockedSlotMap(total, cluster, nonfull_first=False)
    return SlotMap(total, cluster, follows(kernel, Rule.NONFULL_CLUSTERS_FIRST))
