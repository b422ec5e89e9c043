"""Breadth-first search over the states of one page, under one policy or two side by side.

Under two policies a state is a node of each graph and which process of the one is which of the
other. The search goes level by level with arrays, so that what is found first for a kind of
difference is a shortest sequence for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from swaptrace.counters import COUNTERS
from swaptrace.explore.arrays import NOWHERE, Booleans, Expander, Numbers
from swaptrace.explore.graph import Effect, Limits
from swaptrace.explore.partners import Partners

PAGE_MAP = "page_map"


class Taken(NamedTuple):
    """An operation of a sequence: its name, who executes it, and the child of a fork."""

    operation: str
    process: str
    child: str = ""


class Difference(NamedTuple):
    """The shortest sequence that shows a kind of difference.

    `kind` is a counter, a violation or `page_map`; then `flag` is the letter. `values` are what
    each policy shows: what the last operation counts, how many processes see the violation in it,
    or the page map of the first process in which the flag differs.
    """

    kind: str
    flag: str
    steps: tuple[Taken, ...]
    values: tuple[int | str, ...]


class Bounds(NamedTuple):
    """Where the search stops by itself: longest sequence and most states; None: nowhere."""

    steps: int | None = None
    states: int | None = None


class Found(NamedTuple):
    """What a search found.

    `states` and `transitions` were visited; `complete` is that there are no others; `depth` is the
    length of the longest of the shortest sequences to a state.
    """

    differences: tuple[Difference, ...]
    states: int
    transitions: int
    depth: int
    complete: bool


Tick = Callable[[int], None]
"""Told how many states are known."""


class Level(NamedTuple):
    """The states that sequences of one length lead to first: a node of each graph, who is who, and
    how they were reached: from which state of the level before, by which slot."""

    first: Numbers
    second: Numbers
    partner: Numbers
    before: Numbers
    slot: Numbers

    def take(self, rows: Numbers | slice) -> Level:
        """Some of them."""
        return Level(*(column[rows] for column in self))


class Side:
    """One graph as far as it is known: rows of arrays, by node."""

    def __init__(self, expander: Expander, effects: dict[Effect, int]) -> None:
        self.expander = expander
        self.shared = effects
        self.own: list[int] = []
        self.flags: list[tuple[str, ...]] = []
        self.row = np.full(0, NOWHERE)
        self.asked = np.zeros(0, int)
        self.nodes = self.places = self.effects = np.zeros((0, 0), int)

    def ask(self, nodes: Numbers) -> None:
        """Begin to work out the edges of those nodes that have none yet."""
        wanted = np.unique(nodes)
        missing = int(wanted[-1]) + 1 - len(self.row)
        if missing > 0:
            self.row = np.append(self.row, np.full(missing, NOWHERE))
        self.asked = wanted[self.row[wanted] == NOWHERE]
        self.expander.ask(self.asked.tolist())

    def answer(self) -> None:
        """Wait for them."""
        found = self.expander.answer()
        self.own += [self.shared.setdefault(e, len(self.shared)) for e in found.new_effects]
        self.flags += found.new_flags
        self.row[self.asked] = np.arange(len(self.nodes), len(self.nodes) + len(self.asked))
        effects = np.array(self.own, dtype=int)[found.effects] if self.own else found.effects
        if not len(self.nodes):
            self.nodes, self.places, self.effects = found.nodes, found.places, effects
        else:
            self.nodes = np.concatenate([self.nodes, found.nodes])
            self.places = np.concatenate([self.places, found.places])
            self.effects = np.concatenate([self.effects, effects])


def search(
    sides: Sequence[Expander], limits: Limits, bounds: Bounds, tick: Tick = lambda _states: None
) -> Found:
    """Visit every state that a sequence leads to, under one policy or under two at once.

    Under one, what is looked for is its violations. Raises `PolicyError`.
    """
    return _Search(sides, limits, bounds).run(tick)


class _Search:
    def __init__(self, sides: Sequence[Expander], limits: Limits, bounds: Bounds) -> None:
        self.limits, self.bounds = limits, bounds
        self.effects: dict[Effect, int] = {}
        self.sides = [Side(side, self.effects) for side in sides]
        self.partners = Partners(limits)
        zero = np.zeros(1, int)
        self.levels = [Level(zero, zero, zero, zero, zero)]
        self.seen = self.keys(self.levels[0])
        self.found: dict[tuple[str, str], Difference] = {}
        self.transitions = 0
        self.complete = True

    def run(self, tick: Tick) -> Found:
        while len(self.levels[-1].first):
            if len(self.levels) - 1 == self.bounds.steps:
                self.complete = False
                break
            self.expand(self.levels[-1])
            self.levels.append(self.next_level(self.levels[-1]))
            tick(len(self.seen))
        depth = len(self.levels) - 1 - (not len(self.levels[-1].first))
        differences = sorted(self.found.values(), key=lambda each: len(each.steps))
        return Found(tuple(differences), len(self.seen), self.transitions, depth, self.complete)

    def keys(self, level: Level) -> Numbers:
        """A number for each state."""
        base = 1 << 28
        return (level.first * base + level.second) * self.partners.count + level.partner

    def expand(self, level: Level) -> None:
        """Have the edges of a level worked out, those of both graphs at the same time."""
        for side, nodes in zip(self.sides, level, strict=False):
            side.ask(nodes)
        for side in self.sides:
            side.answer()

    def next_level(self, level: Level) -> Level:
        """Take every operation from every state of a level; the states that are new."""
        slots = np.arange(len(self.limits.operations) * self.limits.processes)
        first = self.sides[0]
        row = first.row[level.first][:, None]
        nodes, effects = first.nodes[row, slots], first.effects[row, slots]
        places = first.places[row, slots]
        reached = nodes != NOWHERE
        other_nodes = nodes * 0
        partner = other_nodes
        if len(self.sides) == 1:
            self.look_for_violations(effects, reached)
        else:
            second = self.sides[1]
            beside = self.partners.slots(level.partner, slots)
            other_row = second.row[level.second][:, None]
            other_nodes = second.nodes[other_row, beside]
            other_effects = second.effects[other_row, beside]
            reached &= other_nodes != NOWHERE
            moved = self.partners.after(level.partner, slots)
            partner = self.partners.placed(moved, places, second.places[other_row, beside])
            self.compare_effects(effects, other_effects, reached)
            reached &= ~self.misread(other_effects)
        self.transitions += int(np.count_nonzero(reached))
        reached &= ~self.misread(effects)
        before, slot = np.nonzero(reached)
        found = Level(nodes[reached], other_nodes[reached], partner[reached], before, slot)
        if len(self.sides) == 2:
            self.compare_flags(found)
        return self.new_states(found)

    def new_states(self, found: Level) -> Level:
        """Those that no shorter sequence leads to, each once, in the order of their discovery."""
        keys, at = np.unique(self.keys(found), return_index=True)
        if not len(keys):
            return found
        place = np.minimum(np.searchsorted(self.seen, keys), len(self.seen) - 1)
        at = np.sort(at[self.seen[place] != keys])
        room = None if self.bounds.states is None else self.bounds.states - len(self.seen)
        if room is not None and len(at) > room:
            self.complete = False
            at = at[: max(0, room)]
        new = found.take(at)
        self.seen = np.union1d(self.seen, self.keys(new))
        return new

    # What differs.

    def misread(self, effects: Numbers) -> Booleans:
        """After which effects nothing can be told of what follows."""
        return np.array([effect.misread for effect in self.effects], dtype=bool)[effects]

    def look_for_violations(self, effects: Numbers, reached: Booleans) -> None:
        """The violations of a single policy."""
        shown = list(self.effects)
        for effect, at in first_of(effects.ravel(), reached.ravel()):
            for kind in shown[effect].violations:
                self.note(kind, "", at, (shown[effect].violations.count(kind),))

    def compare_effects(self, ours: Numbers, theirs: Numbers, reached: Booleans) -> None:
        """Whatever one policy shows in an operation and the other does not."""
        shown, base = list(self.effects), len(self.effects)
        differ = (reached & (ours != theirs)).ravel()
        for pair, at in first_of((ours * base + theirs).ravel(), differ):
            one, two = shown[pair // base], shown[pair % base]
            for name, old, new in zip(COUNTERS, one.counts, two.counts, strict=True):
                if old != new:
                    self.note(name, "", at, (old, new))
            for kind in dict.fromkeys(chain(one.violations, two.violations)):
                values = one.violations.count(kind), two.violations.count(kind)
                if values[0] != values[1]:
                    self.note(kind, "", at, values)

    def compare_flags(self, found: Level) -> None:
        """Page maps that differ in the states that were reached."""
        base = 1 << 28
        pairs = (found.first * base + found.second) * self.partners.count + found.partner
        everything = np.ones(len(pairs), dtype=bool)
        for _, at in first_of(pairs, everything):
            ours = self.sides[0].flags[int(found.first[at])]
            theirs = self.sides[1].flags[int(found.second[at])]
            beside = self.partners.orders[int(found.partner[at])]
            cell = int(found.before[at]) * self.slots + int(found.slot[at])
            for process, flags in enumerate(ours):
                for flag in sorted(({*flags} ^ {*theirs[beside[process]]}) - {"-"}):
                    values = (f"1{flags}", f"1{theirs[beside[process]]}")
                    self.note(PAGE_MAP, flag, cell, values)

    @property
    def slots(self) -> int:
        return len(self.limits.operations) * self.limits.processes

    def note(self, kind: str, flag: str, cell: int, values: tuple[int | str, ...]) -> None:
        """Remember a difference that is seen for the first time, in an operation of the level."""
        if (kind, flag) not in self.found:
            steps = tuple(self.sequence(*divmod(cell, self.slots)))
            self.found[kind, flag] = Difference(kind, flag, steps, values)

    def sequence(self, state: int, slot: int) -> Iterator[Taken]:
        """The operations that lead to a state of the last level, and one more, with names for the
        processes, whose numbers change from node to node."""
        path = []
        for level in reversed(self.levels):
            path.append((int(level.first[state]), slot))
            state, slot = int(level.before[state]), int(level.slot[state])
        names, born = ["main"], 0
        for node, taken in reversed(path):
            operation, process = divmod(taken, self.limits.processes)
            name, who, child = self.limits.operations[operation], names[process], ""
            if name == "fork":
                born += 1
                child = "child" if born == 1 else f"child{born}"
                names = [*names, child]
            elif name == "exit":
                names = names[:process] + names[process + 1 :]
            yield Taken(name, who, child)
            side = self.sides[0]
            order = self.partners.orders[int(side.places[side.row[node], taken])]
            names = [names[order.index(number)] for number in range(len(names))]


def first_of(values: Numbers, wanted: Booleans) -> list[tuple[int, int]]:
    """Each distinct value among those wanted and where it is first, in that order."""
    places = np.flatnonzero(wanted)
    distinct, at = np.unique(values[places], return_index=True)
    order = np.argsort(at)
    return list(zip(distinct[order].tolist(), places[at[order]].tolist(), strict=True))
