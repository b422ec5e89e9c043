"""Which states of one graph nothing can tell apart.

States are merged as by Moore (Gedanken-experiments on sequential machines, 1956): in round r those
remain alike from which all sequences of up to r operations show the same. They are compared by
hashes that depend on nothing else, so that the states of two graphs can be compared as well.

That nothing tells two graphs apart rests on no hash: the last partition is checked state by state,
and what is left of both is compared number by number. A collision of hashes can cost a proof, or
make a sequence that is found longer than the shortest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swaptrace.counters import COUNTERS
from swaptrace.errors import SwaptraceError
from swaptrace.exploration.arrays import NOWHERE, Numbers
from swaptrace.exploration.automaton import Permutations, States
from swaptrace.exploration.graph import Limits, ShownEffect
from swaptrace.exploration.search import PAGE_MAP, first_in_order

Hashes = NDArray[np.uint64]
Kind = tuple[str, str]
"""A counter, a violation or `page_map`, and of a page map the letter."""


def shows(kinds: Collection[Kind], effect: ShownEffect | None) -> dict[str, int]:
    """What an operation shows of some kinds, and how often."""
    if effect is None:
        return {}
    counts = dict(zip(COUNTERS, effect.counts, strict=True))
    counts |= {kind: effect.violations.count(kind) for kind in effect.violations}
    return {kind: counts[kind] for kind, _ in sorted(kinds) if counts.get(kind)}


def letters_of(kinds: Collection[Kind], page_map: str | None) -> str | None:
    """The letters of a page map that matter to some kinds."""
    if page_map is None:
        return None
    return "".join(letter for letter in page_map if (PAGE_MAP, letter) in kinds)


def constant(*what: object) -> np.uint64:
    """A number that depends on a value and looks like chance, the same in every process."""
    digest = blake2b(repr(what).encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little") | 1)


def mixed(hashes: Hashes) -> Hashes:
    """Each bit of the numbers spread over all (the finalizer of MurmurHash3)."""
    hashes = hashes ^ (hashes >> np.uint64(33))
    hashes = hashes * np.uint64(0xFF51AFD7ED558CCD)
    hashes = hashes ^ (hashes >> np.uint64(33))
    hashes = hashes * np.uint64(0xC4CEB9FE1A85EC53)
    return hashes ^ (hashes >> np.uint64(33))


class Seen(NamedTuple):
    """What a state, or one of its operations, shows: numbers among distinct values, and those."""

    numbers: Numbers
    values: tuple[object, ...]

    @classmethod
    def of(cls, every: Sequence[Any], show: Callable[[Any], object]) -> Seen:
        """What all of some values show, as numbers by theirs."""
        shown = [repr(show(each)) for each in every]
        values = tuple(dict.fromkeys(shown))
        return cls(np.array([values.index(each) for each in shown]), values)

    def hashes(self) -> Hashes:
        """A hash for each of the values it was made of."""
        return np.array([constant(value) for value in self.values])[self.numbers]


class StateRow(NamedTuple):
    """What the operations of a state show, and the hashes of the states they lead to in some round;
    and where those are."""

    shown: tuple[str, ...]
    hashes: tuple[int, ...]
    places: tuple[int, ...]


class AutomatonPart(NamedTuple):
    """Of an automaton, a number for each class: the class that a slot leads to, or what it or a
    process shows, by its place among the `values`."""

    numbers: Numbers
    values: tuple[str, ...]

    def same(self, other: AutomatonPart) -> bool:
        """Whether it is that of another automaton."""
        return self.values == other.values and np.array_equal(self.numbers, other.numbers)


class Refinement:
    """The rounds of one graph for some kinds of difference."""

    def __init__(self, states: States, limits: Limits, kinds: Collection[Kind]) -> None:
        self.states, self.processes = states, limits.processes
        self.operations = limits.operations
        self.turns = Permutations.of(limits.processes)
        self.effects = Seen.of(states.effects, lambda effect: shows(kinds, effect))
        self.letters = Seen.of(states.page_maps, lambda letters: letters_of(kinds, letters))
        fixed = [[order[n:] == tuple(range(n, limits.processes)) for order in self.turns.every]
                 for n in range(limits.processes + 1)]  # fmt: skip
        self.valid = np.array(fixed)[states.counts]
        self.hashes = mixed(self._shown_by_states())
        self.history = [self._kept()]
        self.classes = 0
        self.classes = self._classes()

    def _shown_by_states(self) -> Hashes:
        found = np.zeros(self.valid.shape, np.uint64)
        codes = self.letters.hashes()
        for turn, order in enumerate(self.turns.every):
            for process, who in enumerate(order):
                flags = codes[self.states.flags[who]]
                found[:, turn] += constant("process", process) * flags
        return found

    def _kept(self) -> NDArray[np.uint32]:
        """Half of each hash, which is enough for the way back along one sequence."""
        return (self.hashes >> np.uint64(32)).astype(np.uint32)

    def _classes(self) -> int:
        return len(np.unique(self.hashes[self.valid]))

    def leads(self, turn: int, slot: int) -> tuple[int, int]:
        """The slot of the states as they are that is this one when they are turned, and by which
        order what it leads to is turned."""
        operation, process = divmod(slot, self.processes)
        after = turn
        if self.operations[operation] == "exit":
            after = int(self.turns.after_exit[turn, process])
        return operation * self.processes + self.turns.every[turn][process], after

    def of_targets(self, values: NDArray[Any], turn: int, slot: int) -> NDArray[Any]:
        """A value of each state in each order, taken where a slot leads to."""
        source, after = self.leads(turn, slot)
        turned = np.ascontiguousarray(values[:, self.turns.together[:, after]])
        found: NDArray[Any] = turned.ravel()[self.states.targets[source]]
        return found

    def step(self) -> tuple[int, bool]:
        """Another round: the hash of the start, and whether no class was split."""
        codes = self.effects.hashes()
        found = self.hashes * constant("itself")
        for turn in range(len(self.turns.every)):
            for slot in range(len(self.states.targets)):
                source, _ = self.leads(turn, slot)
                found[:, turn] += constant("target", slot) * self.of_targets(
                    self.hashes, turn, slot
                )
                found[:, turn] += constant("effect", slot) * codes[self.states.shown[source]]
        self.hashes = mixed(found)
        self.history.append(self._kept())
        before, self.classes = self.classes, self._classes()
        return int(self.hashes[0, 0]), before == self.classes

    def row(self, place: int, number: int) -> StateRow:
        """Of a state in some order of its processes."""
        state, turn = divmod(place, len(self.turns.every))
        shown, hashes, places = [], [], []
        for slot in range(len(self.states.targets)):
            source, after = self.leads(turn, slot)
            effect = self.effects.numbers[self.states.shown[source][state]]
            shown.append(str(self.effects.values[effect]))
            to, turned = divmod(int(self.states.targets[source][state]), len(self.turns.every))
            turned = int(self.turns.together[turned, after])
            hashes.append(int(self.history[number][to, turned]))
            places.append(to * len(self.turns.every) + turned)
        return StateRow(tuple(shown), tuple(hashes), tuple(places))

    # The partition of the last round, as an automaton of its own.

    def least(self) -> Iterator[AutomatonPart]:
        """The least automaton that shows the same, part by part: if all are those of another
        graph, nothing tells the two apart.

        Classes have numbers in the order in which they are reached. Raises `SwaptraceError` if
        states are in one class that differ in what they show or in the classes that they lead to,
        which a collision of hashes could bring about.
        """
        classes = np.unique(self.hashes, return_inverse=True)[1].reshape(self.hashes.shape)
        first = np.zeros(classes.max() + 1, int)
        places = np.flatnonzero(self.valid.ravel())
        first[classes.ravel()[places]] = places
        parts = [self._checked(classes, first, part) for part in self._parts(classes)]
        slots = len(self.states.targets)
        order = _in_order(np.stack(parts[:slots], axis=1), int(classes[0, 0]))
        number = np.full(len(first), NOWHERE)
        number[order] = np.arange(len(order))
        for part in parts[:slots]:
            yield AutomatonPart(number[part[order]], ())
        for part, seen in zip(parts[slots:], self._seen(), strict=True):
            shown = part[order]
            appearing = shown[first_in_order(shown)]
            renumbered = np.zeros(len(seen.values), int)
            renumbered[appearing] = np.arange(len(appearing))
            values = tuple(str(seen.values[each]) for each in appearing)
            yield AutomatonPart(renumbered[shown], values)

    def _parts(self, classes: Numbers) -> Any:
        """What has to be alike within a class: a table of states and orders for each slot's target
        and effect, and for each process's page map."""
        turns, slots = range(len(self.turns.every)), range(len(self.states.targets))
        for slot in slots:
            yield np.stack([self.of_targets(classes, turn, slot) for turn in turns], axis=1)
        for slot in slots:
            sources = [self.leads(turn, slot)[0] for turn in turns]
            shown = [self.effects.numbers[self.states.shown[source]] for source in sources]
            yield np.stack(shown, axis=1)
        for process in range(self.processes):
            flags = [self.states.flags[order[process]] for order in self.turns.every]
            yield np.stack([self.letters.numbers[each] for each in flags], axis=1)

    def _seen(self) -> list[Seen]:
        return [self.effects] * len(self.states.targets) + [self.letters] * self.processes

    def _checked(self, classes: Numbers, first: Numbers, part: Numbers) -> Numbers:
        """What a part is for each class."""
        found: Numbers = part.ravel()[first]
        if not np.array_equal(found[classes][self.valid], part[self.valid]):
            raise SwaptraceError("internal error: unlike states are in one class")
        return found


def _in_order(targets: Numbers, start: int) -> Numbers:
    """The classes in the order in which they are reached, slot by slot."""
    known = np.zeros(len(targets), dtype=bool)
    known[start] = True
    levels = [np.array([start])]
    while len(levels[-1]):
        reached = targets[levels[-1]].ravel()
        reached = reached[~known[reached]]
        levels.append(reached[first_in_order(reached)])
        known[levels[-1]] = True
    return np.concatenate(levels)
