"""All states of one graph as arrays: a deterministic automaton."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swaptrace.exploration.arrays import NOWHERE, Expander, Numbers, Order, orders
from swaptrace.exploration.graph import Graph, Limits, ShownEffect
from swaptrace.exploration.product import Product
from swaptrace.exploration.search import AT_ONCE, Level, Search, SearchBounds
from swaptrace.exploration.workers import LocalWorker


class States(NamedTuple):
    """The states of a graph, each in one order of its processes.

    For each slot (an operation's number times the processes, plus the process's), `targets` has
    for each state the state that the operation leads to times the number of orders, plus the order
    of its processes (of `Permutations`), and `shown` the number of the effect. An operation that
    does nothing leads from a state to itself and shows number 0. `flags` has for each process the
    number of its page map, 0 where there is none; `counts` are how many processes there are.
    """

    targets: tuple[NDArray[np.int32], ...]
    shown: tuple[NDArray[np.unsignedinteger], ...]
    flags: tuple[NDArray[np.int16], ...]
    counts: Numbers
    effects: tuple[ShownEffect | None, ...]
    page_maps: tuple[str | None, ...]


class Permutations(NamedTuple):
    """The orders of up to so many processes, by number; 0 is that in which they are.

    `together[i, j]` is order j of what is in order i. `after_exit[i, p]` is the order of those that
    are left when process p of order i is gone.
    """

    every: tuple[Order, ...]
    together: Numbers
    after_exit: Numbers

    @classmethod
    def of(cls, processes: int) -> Permutations:
        """Those of so many processes."""
        every = tuple(permutations(range(processes)))
        number = {order: at for at, order in enumerate(every)}
        together = [[number[tuple(i[p] for p in j)] for j in every] for i in every]
        after_exit = [[number[_without(order, p)] for p in range(processes)] for order in every]
        return cls(every, np.array(together), np.array(after_exit))


def _without(order: Order, process: int) -> Order:
    gone = order[process]
    left = (p - (p > gone) for at, p in enumerate(order) if at != process)
    return *left, len(order) - 1


class Enumeration:
    """Finds all states of a graph, level by level, and makes arrays of them."""

    def __init__(self, graph: Graph, merging: bool) -> None:
        self.limits = graph.limits
        self.search = Search([LocalWorker(Expander(graph, merging))], graph.limits, SearchBounds())
        self.levels = [self.search.level]
        self.views = [self.search.views]

    def step(self) -> bool:
        """Find the states of the next level; whether there was one to start from."""
        if not self.search.step():
            return False
        self.levels.append(self.search.level)
        self.views.append(self.search.views)
        return True

    def states(self) -> States:
        """All of them, once they are found."""
        product, limits = self.search.product, self.limits
        level = Level(*(np.concatenate(part) for part in zip(*self.levels, strict=True)))
        views = np.concatenate(self.views)
        self.levels, self.views = [], []
        slots = len(limits.operations) * limits.processes
        targets = [np.zeros(len(views), np.int32) for _ in range(slots)]
        few = np.min_scalar_type(len(product.effects.codes))
        shown = [np.zeros(len(views), few) for _ in range(slots)]
        find = _Places(product, level, limits)
        for first in range(0, len(views), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            to, effects = product.steps(level.keys[rows], views[rows])
            places = find(to, first)
            for slot in range(slots):
                targets[slot][rows] = places[:, slot]
                shown[slot][rows] = np.where(to[:, slot] == NOWHERE, 0, effects[:, slot] + 1)
        side = product.sides[0]
        letters = dict.fromkeys([None, *product.page_maps])
        page_maps = tuple(None if each is None else each[0] for each in letters)
        flags = np.where(views == NOWHERE, 0, product.mapped[views] + 1).astype(np.int16)
        return States(
            tuple(targets),
            tuple(shown),
            tuple(np.ascontiguousarray(column) for column in flags.T),
            product.counts[level.keys >> product.shift],
            (None, *(side.effects[code] for code in product.effects.codes.tolist())),
            page_maps,
        )


class _Places:
    """Where keys are among all states, and in which order of their processes."""

    def __init__(self, product: Product, level: Level, limits: Limits) -> None:
        self.product, self.keys = product, level.keys
        self.by_name = np.argsort(level.names)
        self.names = level.names[self.by_name]
        every = Permutations.of(limits.processes).every
        known = [orders(count, limits.processes) for count in range(limits.processes + 1)]
        self.numbers = np.array([[every.index(order) for order in each] for each in known])

    def __call__(self, keys: Numbers, first: int) -> Numbers:
        """Of a table of keys of which the rows are states from number `first` on; a state itself
        where there is no key."""
        orders_each = self.numbers.shape[1]
        itself = np.arange(first, first + len(keys)) * orders_each
        places: Numbers = itself[:, None].repeat(keys.shape[1], axis=1)
        there = keys != NOWHERE
        wanted = keys[there]
        found = self.by_name[np.searchsorted(self.names, self.product.canonical(wanted))]
        counts = self.product.counts[wanted >> self.product.shift]
        turned = np.full(len(wanted), NOWHERE)
        for number in reversed(range(orders_each)):
            same = self.product.in_order(self.keys[found], number) == wanted
            turned[same] = self.numbers[counts[same], number]
        places[there] = found * orders_each + turned
        return places
