"""When large folios and the swap device are as they were before.

Clusters of slots that are free, or full, are told apart by nothing, and the free ones are taken in
turn, so that a loop never finds the same ones. So clusters are numbered within the stretch of
neighbours that are in use, and the stretches as they are met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.replay.folios.stretches import StretchTables
from swaptrace.replay.runs.walk import Walk

Interval: TypeAlias = tuple[int, int]


def state_key(slots: SlotMap, regions: list[StretchTables], row: int) -> tuple[object, ...]:
    """Equal for two moments after which the same happens; `row` is the length of rows."""
    labels = labels_of(slots, in_use(slots, regions, row))
    tables = tuple(
        (
            *(number, each.tables, each.blocks),
            *(tuple(labels.place(at * row) for at in each.rows), each.strides),
        )
        for region in regions
        for number, each in region.numbered()
    )
    return tables, slots_key(slots, labels)


def slots_key(slots: SlotMap, labels: ClusterLabels) -> tuple[object, ...]:
    """The same of the swap device alone."""
    lists = tuple(
        tuple((labels.label(number), order, used) for number, order, used in each)
        for each in slots.lists()
    )
    following = tuple(None if at is None else labels.place(at) for at in slots.next)
    places = tuple((labels.place(each.start), len(each)) for each in slots.stock)
    stock = slots.active, slots.returned, places
    cut = tuple(labels.label(number) for number in sorted(slots.cut))
    full = tuple(
        tuple(slots.full.orders.segments(Walk(first, last - first + 1)))
        for first, last in labels.intervals
    )
    return lists, following, stock, cut, full, slots.used, len(slots.free), slots.reserve


def in_use(slots: SlotMap, regions: list[StretchTables], row: int) -> Iterator[Interval]:
    """The clusters that something is known of in these regions: first and last."""
    for region in regions:
        for each in region.stretches:
            ends = [*each.rows, *each.rows_at(each.tables - 1)]
            if ends:
                yield min(ends) * row // slots.size, max(ends) * row // slots.size


def labels_of(slots: SlotMap, used: Iterable[Interval]) -> ClusterLabels:
    """Labels for these clusters, and those that the device knows something of."""
    numbers = [number for each in slots.lists() for number, _, _ in each]
    numbers += [at // slots.size for at in slots.next if at is not None]
    numbers += [each.start // slots.size for each in slots.stock]
    known = [*used, *((number, number) for number in (*numbers, *slots.cut))]
    return ClusterLabels(merged(known), slots.size)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Those that have a cluster in common as one, ascending."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


class ClusterLabels:
    """Numbers for clusters of so many slots: of the interval, in the order in which they are met,
    and within it."""

    def __init__(self, known: list[Interval], size: int) -> None:
        self.known, self.size = known, size
        self.numbers: dict[Interval, int] = {}

    @property
    def intervals(self) -> list[Interval]:
        """Those that have been met, in order."""
        return list(self.numbers)

    def label(self, cluster: int) -> tuple[int, int]:
        """The label of a cluster that is in use."""
        interval = next(each for each in self.known if each[0] <= cluster <= each[1])
        return self.numbers.setdefault(interval, len(self.numbers)), cluster - interval[0]

    def place(self, slot: int) -> tuple[int, int, int]:
        """The label of a slot's cluster, and where in that the slot is."""
        return (*self.label(slot // self.size), slot % self.size)
