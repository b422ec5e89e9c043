"""Whether two policies differ in a kind of difference at all, without the product of their states.

The states of two policies side by side can be hundreds of millions where each has a million. But
for the kinds that are left, both are deterministic automata, and whether two of those show the same
is decided by merging the states of each that nothing tells apart (`exploration.automaton`): either
the start of one is told from that of the other in some round, which is the length of the shortest
sequence that does it, or what is left of both is the same automaton.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from typing import NamedTuple

from swaptrace.counters import COUNTERS, VIOLATIONS
from swaptrace.errors import SwaptraceError
from swaptrace.exploration.abstraction import ON_DATA, kept_for
from swaptrace.exploration.arrays import Distinguishable
from swaptrace.exploration.automaton import Enumeration, States
from swaptrace.exploration.graph import START, Edge, Graph, Limits
from swaptrace.exploration.refinement import AutomatonPart, Kind, Refinement, StateRow
from swaptrace.exploration.search import (
    PAGE_MAP,
    FoundDifference,
    Tick,
    differences,
    flag_differences,
    named,
)
from swaptrace.exploration.workers import LocalWorker, Worker, both, elsewhere
from swaptrace.mm.policy import Policy
from swaptrace.scenario.claims import LETTERS
from swaptrace.scenario.hardware import Machine

KINDS: frozenset[Kind] = frozenset(
    [(name, "") for name in (*COUNTERS, *VIOLATIONS)] + [(PAGE_MAP, letter) for letter in LETTERS]
)
"""Every kind of difference there is."""


class Settled(NamedTuple):
    """The differences of some kinds, all that there are; and how many states of either policy, and
    transitions between them, were visited for it."""

    differences: tuple[FoundDifference, ...]
    states: int
    transitions: int


class Machinery:
    """One policy's side: finds its states, then goes through the rounds for some kinds."""

    def __init__(self, graph: Graph, merging: bool) -> None:
        self.limits = graph.limits
        self.enumeration: Enumeration | None = Enumeration(graph, merging)
        self.states: States | None = None
        self.refinement: Refinement | None = None
        self.parts: Iterator[AutomatonPart] = iter(())

    def find_more(self) -> tuple[int, int, bool]:
        """Find the next states: how many are known, how many transitions, and whether to go on.

        Raises `PolicyError`, `Distinguishable`.
        """
        assert self.enumeration is not None
        more = self.enumeration.step()
        search = self.enumeration.search
        if not more:
            self.states = self.enumeration.states()
            self.enumeration = None
        return len(search.seen), search.transitions, more

    def watch(self, kinds: Collection[Kind]) -> None:
        """Begin the rounds for some kinds."""
        assert self.states is not None
        self.refinement = Refinement(self.states, self.limits, kinds)

    def round(self) -> tuple[int, bool]:
        """`Refinement.step`."""
        assert self.refinement is not None
        return self.refinement.step()

    def row(self, place: int, number: int) -> StateRow:
        """`Refinement.row`."""
        assert self.refinement is not None
        return self.refinement.row(place, number)

    def begin_least(self) -> int:
        """Begin to give `Refinement.least`; how many classes there are."""
        assert self.refinement is not None
        self.parts = self.refinement.least()
        return self.refinement.classes

    def next_part(self) -> AutomatonPart | None:
        """The next part of it, None at the end. Raises `SwaptraceError`."""
        return next(self.parts, None)


def settle(
    policies: Sequence[Policy],
    machines: Sequence[Machine],
    limits: Limits,
    kinds: Collection[Kind],
    tick: Tick = lambda _states: None,
) -> Settled:
    """Find the shortest sequence for each of some kinds, or that there is none.

    What a process expects to read multiplies the states, so that what depends on it goes by itself.
    Sequences go on after a loss of data. Raises `PolicyError`.
    """
    found, states, transitions = list[FoundDifference](), 0, 0
    on_data = {kind for kind in kinds if kind[0] in ON_DATA}
    for some in ({*kinds} - on_data, on_data):
        if some:
            known = states

            def tell(more: int, known: int = known) -> None:
                tick(known + more)

            settled = _Settling(policies, machines, limits, some).settled(tell)
            found += settled.differences
            states += settled.states
            transitions += settled.transitions
    return Settled(tuple(found), states, transitions)


class _Settling:
    def __init__(
        self,
        policies: Sequence[Policy],
        machines: Sequence[Machine],
        limits: Limits,
        kinds: Collection[Kind],
    ) -> None:
        self.kinds = {*kinds}
        self.limits = limits._replace(after_loss=True)
        each = list(zip(policies, machines, strict=True))
        self.whole = [Graph(policy, machine, self.limits) for policy, machine in each]
        kept = kept_for({kind for kind, _ in kinds})
        self.graphs = [Graph(policy, machine, self.limits, kept) for policy, machine in each]

    def settled(self, tick: Tick) -> Settled:
        try:
            return self._with(True, tick)
        except Distinguishable:
            return self._with(False, tick)

    def _with(self, merging: bool, tick: Tick) -> Settled:
        with ExitStack() as stack:
            sides: list[Worker] = []
            for graph in self.graphs:
                side = Machinery(graph, merging)
                alone = self.limits.processes == 1
                sides.append(LocalWorker(side) if alone else stack.enter_context(elsewhere(side)))
            states, transitions = _find_all(sides, tick)
            return Settled(tuple(self._differences(sides)), states, transitions)

    def _differences(self, sides: list[Worker]) -> Iterator[FoundDifference]:
        kinds = {*self.kinds}
        while kinds:
            path = told_apart(sides, kinds)
            if path is None:
                return
            found = [each for each in self._shown(path) if (each.kind, each.flag) in kinds]
            if not found:
                raise SwaptraceError(
                    "internal error: a sequence does not tell apart what it should; "
                    "please report it"
                )
            yield from found
            kinds -= {(each.kind, each.flag) for each in found}

    def _shown(self, path: Sequence[int]) -> Iterator[FoundDifference]:
        """What differs in the last operation of a sequence of slots, with nothing left out."""
        edges = [last_edge(graph, path) for graph in self.whole]
        steps = tuple(named(self.limits, path))
        for kind, values in differences([edge.effect for edge in edges]):
            yield FoundDifference(kind, "", steps, values)
        noted: set[str] = set()
        maps = [graph.flags(edge.state) for graph, edge in zip(self.whole, edges, strict=True)]
        for ours, theirs in zip(*maps, strict=True):
            for letter, pair in flag_differences(ours, theirs):
                if letter not in noted:
                    noted.add(letter)
                    yield FoundDifference(PAGE_MAP, letter, steps, pair)


def _find_all(sides: list[Worker], tick: Tick) -> tuple[int, int]:
    """Have all states of both sides found: how many states and transitions."""
    known = dict.fromkeys(range(len(sides)), (0, 0, True))
    while busy := [number for number in known if known[number][2]]:
        answers = both([sides[number] for number in busy], "find_more")
        known.update(zip(busy, answers, strict=True))
        tick(sum(states for states, _, _ in known.values()))
    return sum(each[0] for each in known.values()), sum(each[1] for each in known.values())


def told_apart(sides: list[Worker], kinds: Collection[Kind]) -> list[int] | None:
    """The slots of a shortest sequence that shows a difference of some kinds; None: there is none.

    Where no class is split any more on either side, both are compared once as automata. If those
    are not the same, some later round tells the starts apart, of as many as there are classes.
    """
    both(sides, "watch", frozenset(kinds))
    last: int | None = None
    for number in count(1):
        (one, done), (other, done_too) = both(sides, "round")
        if one != other:
            return _path(sides, number)
        if number == last:
            break
        if done and done_too and last is None:
            last = number + sum(both(sides, "begin_least"))
            if same_automaton(sides):
                return None
    raise SwaptraceError("internal error: unlike automata are not told apart")


def same_automaton(sides: list[Worker]) -> bool:
    """Whether what is left of both is the same, part by part."""
    while True:
        one, other = both(sides, "next_part")
        if one is None or other is None:
            return one is other
        if not one.same(other):
            return False


def _path(sides: list[Worker], number: int) -> list[int]:
    """From the starts, which the given round is the first to tell apart, to where they are."""
    places, path = [0] * len(sides), list[int]()
    while True:
        number -= 1
        rows = [_row(side, place, number) for side, place in zip(sides, places, strict=True)]
        slot, last = _differing(*rows)
        path.append(slot)
        if last or not number:
            return path
        places = [row.places[slot] for row in rows]


def _row(side: Worker, place: int, number: int) -> StateRow:
    side.ask("row", place, number)
    row: StateRow = side.answer()
    return row


def _differing(one: StateRow, other: StateRow) -> tuple[int, bool]:
    """The first slot that shows something else or leads to states that are told apart; whether it
    is the former."""
    slots = range(len(one.shown))
    for slot in slots:
        if one.shown[slot] != other.shown[slot]:
            return slot, True
    for slot in slots:
        if one.hashes[slot] != other.hashes[slot]:
            return slot, False
    raise SwaptraceError("internal error: nothing leads to what tells the policies apart")


def last_edge(graph: Graph, path: Sequence[int]) -> Edge:
    """The last edge of a sequence of slots."""
    state, edge = START, None
    for slot in path:
        operation, process = divmod(slot, graph.limits.processes)
        edges = graph.edges_of(state, process)
        edge = next(each for each in edges if each.operation == operation)
        state = edge.state
    assert edge is not None
    return edge
