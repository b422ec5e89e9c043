"""Every state of one page under one policy, worked out as they are asked for.

Processes are interchangeable: states that differ only in who is who are one node. An edge
therefore says where each process has gone (`Edge.places`), so that two graphs can be walked side
by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from swaptrace.explore.alphabet import Situation, tried
from swaptrace.mm.column import ZERO, Column, Mapping, Pte, Vma, canonical
from swaptrace.mm.event import Event, Fork, Unmap
from swaptrace.mm.policy import Policy
from swaptrace.mm.transition import NOUGHT, transition
from swaptrace.replay.pagemap import flags_of
from swaptrace.replay.visit import NEW_ANON
from swaptrace.replay.world import static_facts
from swaptrace.scenario.schema import Machine

Places = tuple[int, ...]
"""Where each process has gone: `places[i]` is the new number of process i."""

MISREAD = ("lost_write", "cow_leak")
"""The violations after which nothing can be told of what follows."""


class State(NamedTuple):
    """A page, and of each process whether its VMA has an anon_vma, on which fork depends."""

    column: Column
    anon_vmas: tuple[bool, ...]

    def permuted(self, order: Sequence[int]) -> State:
        """The state in which process i is the one that was `order[i]`."""
        column = self.column
        return State(
            canonical([column.maps[i] for i in order], column.folios, column.slots),
            tuple(self.anon_vmas[i] for i in order),
        )


class Effect(NamedTuple):
    """What an operation shows: its counters in the order of `COUNTERS`, and the kinds of the
    violations, one for each process that sees it."""

    counts: tuple[int, ...]
    violations: tuple[str, ...]

    @property
    def misread(self) -> bool:
        """Whether a process saw other data than its own."""
        return any(kind in MISREAD for kind in self.violations)


class Edge(NamedTuple):
    """An operation of one process (by its number in the alphabet), and the node it leads to."""

    operation: int
    process: int
    node: int
    places: Places
    effect: Effect


class Limits(NamedTuple):
    """What is explored: the operations by name, and how many processes there may be."""

    operations: tuple[str, ...]
    processes: int


class Graph:
    """The nodes met under one policy, numbered in order of appearance; 0 is a fresh mapping."""

    def __init__(self, policy: Policy, machine: Machine, limits: Limits) -> None:
        self.policy = policy
        self.limits = limits
        self.facts = static_facts(machine)
        self.soft_dirty = machine.soft_dirty
        self.states: list[State] = []
        self._nodes: dict[State, tuple[int, Places]] = {}
        self.find(State(Column((Mapping(Vma()),)), (False,)))

    def find(self, state: State) -> tuple[int, Places]:
        """The node of a state, and the number that each of its processes has there."""
        found = self._nodes.get(state)
        if found is None:
            node = len(self.states)
            self.states.append(state)
            for order in permutations(range(len(state.anon_vmas))):
                self._nodes.setdefault(state.permuted(order), (node, order))
            found = self._nodes[state]
        return found

    def flags(self, node: int) -> tuple[str, ...]:
        """The page map of each process."""
        state = self.states[node]
        numbers = range(len(state.anon_vmas))
        return tuple(flags_of(state.column, number, self.soft_dirty) for number in numbers)

    def edges(self, node: int) -> Iterator[Edge]:
        """What every operation that does something does.

        Where data are lost, only reads are tried, which show it.
        """
        state = self.states[node]
        names = ("read",) if lost(state.column) else self.limits.operations
        for process, mapping in enumerate(state.column.maps):
            assert mapping.vma is not None
            situation = Situation(
                process,
                mapping.vma,
                state.anon_vmas[process],
                len(state.anon_vmas),
                self.facts,
                self.soft_dirty,
                self.limits.processes,
            )
            for name, events in tried(names, situation):
                yield self._edge(state, name, process, events)

    def _edge(self, state: State, name: str, process: int, events: tuple[Event, ...]) -> Edge:
        column, counts, seen = state.column, NOUGHT, list[str]()
        for event in events:
            outcome = transition(self.policy, column, event)
            column = outcome.column
            counts = add(counts, outcome.counts)
            if outcome.violations:
                seen += [kind for kind, _ in outcome.violations]
        anon_vmas = after(state.anon_vmas, events[-1], any(counts[at] for at in NEW_ANON))
        node, places = self.find(State(column, anon_vmas))
        number = self.limits.operations.index(name)
        return Edge(number, process, node, places, Effect(counts, tuple(sorted(seen))))


def add(counts: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two lots of counters, of which one is mostly `NOUGHT`."""
    if more is NOUGHT or counts is NOUGHT:
        return counts if more is NOUGHT else more
    return tuple(one + other for one, other in zip(counts, more, strict=True))


def lost(column: Column) -> bool:
    """Whether some process's data are no longer what it may expect, read or not."""
    return any(not sees_its_data(column, mapping) for mapping in column.maps)


def sees_its_data(column: Column, mapping: Mapping) -> bool:
    """Whether a load would find what the process last wrote, or zeroes after MADV_FREE."""
    seen = content(column, mapping)
    return seen == mapping.data or (mapping.freed and seen == ZERO)


def content(column: Column, mapping: Mapping) -> int | None:
    """The data token that a load would find, wherever it is now."""
    pte = mapping.pte
    if pte is None or (isinstance(pte, Pte) and pte.is_zero_page):
        return ZERO
    if isinstance(pte, Pte):
        return column.folios[pte.folio].data
    cached = (folio.data for folio in column.folios if folio.slot == pte.slot)
    return next(cached, column.slots[pte.slot].data)


def after(anon_vmas: tuple[bool, ...], event: Event, own_page: bool) -> tuple[bool, ...]:
    """Who has an anon_vma after an event, in which the process may have got a page of its own."""
    process = event.process
    if isinstance(event, Fork):
        return (*anon_vmas, anon_vmas[process])
    if isinstance(event, Unmap):
        return anon_vmas[:process] + anon_vmas[process + 1 :]
    if own_page:
        return (*anon_vmas[:process], True, *anon_vmas[process + 1 :])
    return anon_vmas
