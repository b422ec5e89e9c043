"""The free and the full clusters of a swap device, many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from swaptrace.replay.runs.region import Region
from swaptrace.replay.runs.walk import Walk

NOT_FULL: Final = -1


class FullClusters:
    """Which clusters are full, and the order that each was begun for."""

    def __init__(self, count: int) -> None:
        self.orders = Region(count, NOT_FULL)

    def set(self, first: int, count: int, order: int) -> None:
        """What clusters side by side are now."""
        self.orders.change(Walk(first, count), lambda _: order)

    def add(self, number: int, order: int) -> None:
        """A cluster has become full."""
        self.set(number, 1, order)

    def remove(self, number: int) -> int:
        """A cluster is full no more; the order that it was begun for."""
        order = self.order(number)
        self.set(number, 1, NOT_FULL)
        return order

    def order(self, number: int) -> int:
        """The order of a full cluster, or `NOT_FULL`."""
        return next(order for _, _, order in self.orders.segments(Walk(number, 1)))

    def around(self, number: int) -> range:
        """The full clusters side by side with one, begun for the same."""
        return range(*self.orders.uniform_around(number))


class Sequence(NamedTuple):
    """`length` clusters: the first, and by how much each of the next is further on."""

    first: int
    length: int
    step: int = 1

    @property
    def numbers(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.length * self.step, self.step)


class FreeClusters:
    """The free clusters in the order in which they are taken; one that becomes free is the last."""

    def __init__(self, first: int, count: int) -> None:
        self.sequences = deque([Sequence(first, count)] if count > 0 else [])

    def __len__(self) -> int:
        return sum(each.length for each in self.sequences)

    def pop(self) -> int | None:
        """The next one."""
        if not self.sequences:
            return None
        first = self.sequences[0].first
        self.drop(1)
        return first

    def drop(self, count: int) -> None:
        """Take so many, which the first sequence has."""
        first, left, step = self.sequences.popleft()
        if left > count:
            self.sequences.appendleft(Sequence(first + count * step, left - count, step))

    def append(self, number: int) -> None:
        """One that has become free."""
        self.extend(Sequence(number, 1))

    def extend(self, new: Sequence) -> None:
        """Some that have become free, in this order."""
        if self.sequences:
            last = self.sequences[-1]
            step = last.step if last.length > 1 else new.first - last.first
            goes_on = abs(step) == 1 and new.first == last.first + last.length * step
            if goes_on and (new.length == 1 or new.step == step):
                self.sequences[-1] = Sequence(last.first, last.length + new.length, step)
                return
        self.sequences.append(new)

    def remove(self, number: int) -> bool:
        """Take one from wherever it is; whether it was free."""
        for index, each in enumerate(self.sequences):
            if number in each.numbers:
                at = each.numbers.index(number)
                parts = [
                    Sequence(each.first, at, each.step),
                    Sequence(number + each.step, each.length - at - 1, each.step),
                ]
                del self.sequences[index]
                for part in reversed([part for part in parts if part.length]):
                    self.sequences.insert(index, part)
                return True
        return False

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self.sequences)
