"""A graph's edges as arrays, worked out here or in a process of its own.

An edge has a slot: the operation's number times the number of processes, plus the process. Who
is who is the number of a permutation in `Places`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from multiprocessing import get_context
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from swaptrace.explore.graph import Effect, Graph, Places
from swaptrace.processes import dying_with_this, uninterrupted

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Numbers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

NOWHERE = -1
"""The node of a slot whose operation does nothing."""


def arrangements(processes: int) -> list[Places]:
    """Every permutation of one process, of two, and so on."""
    return [order for count in range(1, processes + 1) for order in permutations(range(count))]


class Expansion(NamedTuple):
    """The edges of some nodes: a row for each, a column for each slot.

    `nodes`, `places` (a number in `arrangements`) and `effects` say where each leads and what it
    shows. `new_effects` are the effects that were not met before, and `new_flags` the page maps of
    the nodes that were not, in the order of their numbers.
    """

    nodes: Numbers
    places: Numbers
    effects: Numbers
    new_effects: tuple[Effect, ...]
    new_flags: tuple[tuple[str, ...], ...]


class Expander(Protocol):
    """Where edges are worked out: `ask` begins, `answer` waits. Raises `PolicyError`."""

    def ask(self, nodes: Sequence[int]) -> None: ...

    def answer(self) -> Expansion: ...


class Here:
    """In this process."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.orders = {order: n for n, order in enumerate(arrangements(graph.limits.processes))}
        self.effects: dict[Effect, int] = {}
        self.flagged = 0
        self.asked: Sequence[int] = ()

    def ask(self, nodes: Sequence[int]) -> None:
        self.asked = nodes

    def answer(self) -> Expansion:
        limits, known = self.graph.limits, len(self.effects)
        slots = len(limits.operations) * limits.processes
        found: list[tuple[int, int, int, int]] = []
        for row, node in enumerate(self.asked):
            for edge in self.graph.edges(node):
                cell = row * slots + edge.operation * limits.processes + edge.process
                effect = self.effects.setdefault(edge.effect, len(self.effects))
                found.append((cell, edge.node, self.orders[edge.places], effect))
        cells, *columns = np.array(found, dtype=int).reshape(-1, 4).T
        nodes, places, effects = (
            filled(len(self.asked), slots, nothing, cells, values)
            for nothing, values in zip((NOWHERE, 0, 0), columns, strict=True)
        )
        first, self.flagged = self.flagged, len(self.graph.states)
        flags = tuple(self.graph.flags(node) for node in range(first, self.flagged))
        return Expansion(nodes, places, effects, tuple(self.effects)[known:], flags)


def filled(rows: int, slots: int, nothing: int, cells: Numbers, values: Numbers) -> Numbers:
    """A table of `nothing` but in some cells."""
    table = np.full(rows * slots, nothing)
    table[cells] = values
    return table.reshape(rows, slots)


class There:
    """In a process of its own."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def ask(self, nodes: Sequence[int]) -> None:
        self.pipe.send(nodes)

    def answer(self) -> Expansion:
        try:
            found = self.pipe.recv()
        except EOFError:
            raise MemoryError from None  # nothing else kills it
        if isinstance(found, Exception):
            raise found
        expansion: Expansion = found
        return expansion


@contextmanager
def elsewhere(graph: Graph) -> Iterator[There]:
    """A process that works out the edges of a graph, until the end of the context."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(
        target=_serve, args=(graph, theirs, ours, dying_with_this()), daemon=True
    )
    with uninterrupted():
        worker.start()
    theirs.close()
    try:
        yield There(ours)
    finally:
        worker.kill()
        worker.join()
        ours.close()


def _serve(
    graph: Graph, pipe: Connection, other_end: Connection, prepare: Callable[[], None]
) -> None:
    other_end.close()
    prepare()
    here = Here(graph)
    while True:
        try:
            here.ask(pipe.recv())
        except EOFError:
            return
        try:
            pipe.send(here.answer())
        except Exception as error:
            pipe.send(error)
