"""What the operations of one process do, as arrays.

Columns without anything of a process's own, what is a process's own, and effects have numbers in
order of appearance; number 0 of the former two is the start. A view (`exploration.views`) is a row
of two numbers: the column's, and that of what is the first process's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swaptrace.errors import PolicyError
from swaptrace.exploration.graph import START, Edge, Graph, PageState, ShownEffect
from swaptrace.exploration.views import Own, View, own, shared
from swaptrace.mm.canonical import canonical
from swaptrace.mm.checks import lost
from swaptrace.mm.column import Column

Numbers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

NOWHERE = -1
"""The column that an operation leads to which does nothing."""

Order = tuple[int, ...]


def orders(count: int, processes: int) -> list[Order]:
    """The ways to number so many processes anew, in a list as long as for the most processes.

    In `order`, process i is the one that was `order[i]`; what is too much stays as it is.
    """
    rest = tuple(range(count, processes))
    found = [(*order, *rest) for order in permutations(range(count))]
    return found + [tuple(range(processes))] * (factorial(processes) - len(found))


class ViewFlags(NamedTuple):
    """Of some views, the process's page map, and whether its data are lost."""

    flags: tuple[str, ...]
    lost: Booleans


class Expansion(NamedTuple):
    """What operations do: a row for each view, a column for each operation.

    `columns` are where they lead (or `NOWHERE`), `owns` what is the process's own there, `children`
    what is its child's, `effects` what they show. Besides the `new_effects`, in the order of their
    numbers, and of the new columns how many processes they have and which columns they are with
    their processes in each of the `orders`.
    """

    columns: Numbers
    owns: Numbers
    children: Numbers
    effects: Numbers
    new_effects: tuple[ShownEffect, ...]
    new_counts: Numbers
    new_turned: Numbers


REGISTERING = frozenset({"uffd_wp", "uffd_unwp"})
"""The operations that register a VMA with a userfaultfd."""


class Distinguishable(Exception):
    """An operation does something else where a VMA is registered with a userfaultfd, although no
    PTE is protected: such states are not one."""


class Expander:
    """Looks at views, and works out what operations do to them.

    With `merging`, whether a VMA is registered with a userfaultfd is left out where no PTE is
    protected. That is right if no operation tells the two apart, which is tried for each view:
    `Distinguishable` is raised where one does. Then states that differ in this alone, and what
    follows from them, remain alike whatever is done.
    """

    def __init__(self, graph: Graph, merging: bool) -> None:
        self.graph = graph
        self.merging = merging and not REGISTERING.isdisjoint(graph.limits.operations)
        self.columns: dict[Column, int] = {shared(START.column): 0}
        self.owns: dict[Own, int] = {own(START, 0): 0}
        self.effects: dict[ShownEffect, int] = {}
        self.by_number: list[Column] = list(self.columns)
        self.own_by_number: list[Own] = list(self.owns)
        self.parts: dict[tuple[PageState, int], tuple[int, int, int]] = {}
        self.sent = 0

    def flags_of(self, views: Numbers) -> ViewFlags:
        """Look at views. Raises `PolicyError`."""
        flags, losses = [], []
        for view in self._views(views):
            state = view.state
            flags.append(self.graph.flags(state)[0])
            losses.append(lost(state.column, state.column.maps[0]))
        return ViewFlags(tuple(flags), np.array(losses, dtype=bool))

    def expanded(self, views: Numbers) -> Expansion:
        """Work out what the operations do to views. Raises `PolicyError`, `Distinguishable`."""
        known = len(self.effects)
        shape = (4, len(views), len(self.graph.limits.operations))
        table = np.zeros(shape, int)
        table[0] = NOWHERE
        for row, view in enumerate(self._views(views)):
            for operation, *numbers in self._moves(view):
                table[:, row, operation] = numbers
        columns, owns, children, effects = table
        new_effects = tuple(self.effects)[known:]
        new_counts, new_turned = self._new_columns()
        return Expansion(columns, owns, children, effects, new_effects, new_counts, new_turned)

    def _views(self, views: Numbers) -> Iterator[View]:
        columns, owns = self.by_number, self.own_by_number
        for column, mine in views.tolist():
            yield View(columns[column], owns[mine])

    def _moves(self, view: View) -> list[tuple[int, ...]]:
        """The operations of the first process, with the numbers of what they do."""
        found = self._moves_of(view)
        if self.merging and not view.own.protected:
            self._try_registered(view, found)
        return found

    def _try_registered(self, view: View, found: list[tuple[int, ...]]) -> None:
        registered = view._replace(own=view.own.registered(True))
        try:
            same = self._moves_of(registered) == found
        except PolicyError:  # perhaps of a question that no sequence leads to
            same = False
        if not same or self.graph.flags(registered.state) != self.graph.flags(view.state):
            raise Distinguishable

    def _moves_of(self, view: View) -> list[tuple[int, ...]]:
        return [self._numbers(view, edge) for edge in self.graph.edges_of(view.state, 0)]

    def _numbers(self, view: View, edge: Edge) -> tuple[int, ...]:
        """The operation, the column, what is its process's own and its child's, and the effect of
        an edge."""
        key = edge.state, len(edge.state.anon_vmas) - len(view.column.maps)
        parts = self.parts.get(key) or self._parts(*key)
        effect = self.effects.setdefault(edge.effect, len(self.effects))
        return edge.operation, *parts, effect

    def _parts(self, state: PageState, grown: int) -> tuple[int, int, int]:
        """The same of a state that was not met yet, in which there are so many more processes."""
        column = self._column(shared(state.column))
        mine = self._own(own(state, 0)) if grown >= 0 else 0
        child = self._own(own(state, -1)) if grown > 0 else 0
        self.parts[state, grown] = column, mine, child
        return column, mine, child

    def _column(self, column: Column) -> int:
        number = self.columns.setdefault(column, len(self.columns))
        if number == len(self.by_number):
            self.by_number.append(column)
        return number

    def _own(self, mine: Own) -> int:
        if self.merging and mine.vma.uffd_wp and not mine.protected:
            mine = mine.registered(False)
        number = self.owns.setdefault(mine, len(self.owns))
        if number == len(self.own_by_number):
            self.own_by_number.append(mine)
        return number

    def _new_columns(self) -> tuple[Numbers, Numbers]:
        """How many processes the new columns have, and their other orders, which may be new."""
        processes = self.graph.limits.processes
        counts, turned = [], []
        while self.sent < len(self.by_number):
            column = self.by_number[self.sent]
            count = len(column.maps)
            counts.append(count)
            turned.append([self._turned(column, o) for o in orders(count, processes)])
            self.sent += 1
        return np.array(counts, int), np.array(turned, int).reshape(-1, factorial(processes))

    def _turned(self, column: Column, order: Order) -> int:
        maps = [column.maps[i] for i in order[: len(column.maps)]]
        return self._column(canonical(maps, column.folios, column.slots))
