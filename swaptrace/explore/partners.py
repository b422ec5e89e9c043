"""Which process of one graph is which of the other, as numbers of permutations in arrays."""

from __future__ import annotations

import numpy as np

from swaptrace.explore.arrays import Numbers, arrangements
from swaptrace.explore.graph import Limits, Places


class Partners:
    """Tables over all permutations of up to so many processes.

    Permutation `order` says that process i of the first graph is `order[i]` of the second.
    """

    def __init__(self, limits: Limits) -> None:
        self.orders = arrangements(limits.processes)
        self.count = len(self.orders)
        self.processes = limits.processes
        numbers = {order: number for number, order in enumerate(self.orders)}
        slots = len(limits.operations) * limits.processes
        self._slots = np.zeros((self.count, slots), int)
        self._after = np.zeros((self.count, slots), int)
        for number, order in enumerate(self.orders):
            for slot in range(slots):
                operation, process = divmod(slot, limits.processes)
                beside = order[process] if process < len(order) else process
                self._slots[number, slot] = operation * limits.processes + beside
                moved = after(order, limits.operations[operation], process)
                self._after[number, slot] = numbers.get(moved, 0)
        self._placed = np.zeros((self.count, self.count, self.count), int)
        for at, order in enumerate(self.orders):
            for ours, first in enumerate(self.orders):
                for theirs, second in enumerate(self.orders):
                    if len(order) == len(first) == len(second):
                        self._placed[at, ours, theirs] = numbers[placed(order, first, second)]

    def slots(self, partner: Numbers, slots: Numbers) -> Numbers:
        """For each state and slot of the first graph, the slot of the second."""
        return self._slots[partner[:, None], slots]

    def after(self, partner: Numbers, slots: Numbers) -> Numbers:
        """Who is who after the operation, before the graphs give their processes new numbers."""
        return self._after[partner[:, None], slots]

    def placed(self, moved: Numbers, ours: Numbers, theirs: Numbers) -> Numbers:
        """Who is who after each graph has put its processes where the edge says."""
        return self._placed[moved, ours, theirs]


def after(order: Places, operation: str, process: int) -> Places:
    """A child is the last in both graphs; who exits leaves a gap that is closed."""
    if operation == "fork":
        return (*order, len(order))
    if operation == "exit" and process < len(order):
        gone = order[process]
        kept = order[:process] + order[process + 1 :]
        return tuple(each - (each > gone) for each in kept)
    return order


def placed(order: Places, ours: Places, theirs: Places) -> Places:
    """`order` where process i has become `ours[i]` and its partner j `theirs[j]`."""
    moved = [0] * len(order)
    for process, beside in enumerate(order):
        moved[ours[process]] = theirs[beside]
    return tuple(moved)
