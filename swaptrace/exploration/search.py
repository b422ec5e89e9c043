"""Breadth-first search over the states of one page, under one policy or two side by side.

Processes are interchangeable: states that differ only in who is who are one. The search goes level
by level with arrays of keys (`exploration.product`), so that what is found first for a kind of
difference is a shortest sequence for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from swaptrace.counters import COUNTERS
from swaptrace.exploration.arrays import NOWHERE, Booleans, Numbers
from swaptrace.exploration.graph import Limits, ShownEffect
from swaptrace.exploration.product import Product, among
from swaptrace.exploration.workers import Worker

PAGE_MAP = "page_map"

AT_ONCE = 1 << 15
"""From how many states steps are taken at once: enough for numpy, little enough for the memory."""


class TakenOperation(NamedTuple):
    """An operation of a sequence: its name, who executes it, and the child of a fork."""

    operation: str
    process: str
    child: str = ""


class FoundDifference(NamedTuple):
    """The shortest sequence that shows a kind of difference.

    `kind` is a counter, a violation or `page_map`; then `flag` is the letter. `values` are what
    each policy shows: what the last operation counts, how many processes see the violation in it,
    or the page map of the first process in which the flag differs.
    """

    kind: str
    flag: str
    steps: tuple[TakenOperation, ...]
    values: tuple[int | str, ...]


class SearchBounds(NamedTuple):
    """Where the search stops by itself: longest sequence and most states; None: nowhere."""

    steps: int | None = None
    states: int | None = None


class Found(NamedTuple):
    """What a search found.

    `states` and `transitions` were visited; `complete` is that there are no others; `depth` is the
    length of the longest of the shortest sequences to a state. `losing` is that some sequences were
    not continued because a process had lost its data, `parted` that the two put other numbers of
    folios into the per-CPU batches, so that what others do then is not the same for both.
    """

    differences: tuple[FoundDifference, ...]
    states: int
    transitions: int
    depth: int
    complete: bool
    losing: bool = False
    parted: bool = False


Tick = Callable[[int], None]
"""Told how many states are known."""


class Level(NamedTuple):
    """States that sequences of one length lead to first.

    `keys` are as they were reached, `names` the keys whoever is who. How each was reached is its
    cell: the number of a state of the level before times the slots of a state, plus the slot of an
    operation and a process.
    """

    keys: Numbers
    names: Numbers
    cells: Numbers

    def take(self, rows: Numbers | Booleans | slice) -> Level:
        """Some of them."""
        return Level(*(column[rows] for column in self))

    def without_repetitions(self) -> Level:
        """Each state once, in the order of their discovery."""
        return self.take(first_in_order(self.names))


def joined(parts: Sequence[Level]) -> Level:
    """The states of all, each once."""
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Level(*columns).without_repetitions()


def search(
    sides: Sequence[Worker], limits: Limits, bounds: SearchBounds, tick: Tick = lambda _states: None
) -> Found:
    """Visit every state that a sequence leads to, under one policy or under two at once.

    Under one, what is looked for is its violations. Raises `PolicyError`.
    """
    found = Search(sides, limits, bounds)
    while found.step():
        tick(len(found.seen))
    return found.result()


class Search:
    """A search as far as it has come: `level` are the states found last, `views` the numbers of
    their views, `seen` the names of all, in ascending order."""

    def __init__(self, sides: Sequence[Worker], limits: Limits, bounds: SearchBounds) -> None:
        self.limits, self.bounds = limits, bounds
        self.product = Product(sides, limits)
        start = np.array([Product.START])
        self.level = Level(start, start, start)
        self.views = self.product.meet(start)
        self.seen = start
        self.cells: list[Numbers] = []
        self.found: dict[tuple[str, str], FoundDifference] = {}
        self.telling = self.misread = np.zeros(0, dtype=bool)
        self.transitions = 0
        self.complete = True
        self.losing = False
        self.parted = False

    def step(self) -> bool:
        """Take every operation from every state of the last level; whether there was one."""
        if not len(self.level.keys):
            return False
        if len(self.cells) == self.bounds.steps:
            self.complete = False
            return False
        self.expand()
        self.level = self.next_level(self.level.keys)
        self.cells.append(self.level.cells)
        return True

    def result(self) -> Found:
        """What was found so far."""
        depth = len(self.cells) - (not len(self.level.keys))
        differences = sorted(self.found.values(), key=lambda each: len(each.steps))
        return Found(
            tuple(differences),
            len(self.seen),
            self.transitions,
            depth,
            self.complete,
            self.losing,
            self.parted,
        )

    def expand(self) -> None:
        """Have the operations of a level worked out, and see which effects they have."""
        self.product.expand()
        known, count = len(self.telling), len(self.product.effects.codes)
        new = [self.product.effects_of(number) for number in range(known, count)]
        self.telling = np.append(self.telling, [tells(effects) for effects in new]).astype(bool)
        ends = not self.limits.after_loss
        misread = [ends and any(effect.misread for effect in effects) for effects in new]
        self.misread = np.append(self.misread, misread).astype(bool)

    def next_level(self, keys: Numbers) -> Level:
        """Take every operation from every state of a level; the states that are new."""
        parts: list[Level] = []
        for first in range(0, len(keys), AT_ONCE):
            parts.append(self.reached(keys, slice(first, first + AT_ONCE)))
            while len(parts) > 1 and len(parts[-1].keys) * 2 > len(parts[-2].keys):
                parts[-2:] = [joined(parts[-2:])]
        return self.new_states(joined(parts))

    def reached(self, keys: Numbers, rows: slice) -> Level:
        """The states that some of a level lead to, but for those of earlier levels."""
        targets, effects = self.product.steps(keys[rows], self.views[rows])
        base, targets, effects = rows.start * self.slots, targets.ravel(), effects.ravel()
        done = targets != NOWHERE
        self.transitions += int(np.count_nonzero(done))
        self.look_at_effects(effects, done, base)
        ended = done & self.misread[effects]
        self.losing |= bool(ended.any())
        cells = np.flatnonzero(done & ~ended)
        names = self.product.canonical(targets[cells])
        found = Level(targets[cells], names, base + cells).without_repetitions()
        return found.take(~among(found.names, self.seen))

    def new_states(self, found: Level) -> Level:
        """Look at the new states, and keep as many as may be known."""
        views = self.product.meet(found.keys)
        self.losing |= bool(self.product.only_reads(views).any())
        if len(self.product.sides) == 2:
            self.compare_flags(found, views)
        room = None if self.bounds.states is None else self.bounds.states - len(self.seen)
        if room is not None and len(views) > room:
            self.complete = False
            room = max(0, room)
            found, views = found.take(slice(room)), views[:room]
        self.views = views
        self.seen = np.sort(np.concatenate([self.seen, found.names]), kind="stable")
        return found

    # What differs.

    def look_at_effects(self, effects: Numbers, done: Booleans, base: int) -> None:
        """Whatever an operation shows for the first time."""
        for number, at in first_of(effects, done & self.telling[effects]):
            self.telling[number] = False
            shown = self.product.effects_of(number)
            self.parted |= len({effect.batch for effect in shown}) > 1
            for kind, values in differences(shown):
                self.note(kind, "", base + at, values)

    def compare_flags(self, found: Level, views: Numbers) -> None:
        """Page maps that differ in the states that were reached."""
        count, maps = self.limits.processes, list(self.product.page_maps)
        differ = np.array([ours != theirs for ours, theirs in maps])
        mapped = self.product.mapped[views]
        for number, at in first_of(mapped.ravel(), (differ[mapped] & (views != NOWHERE)).ravel()):
            ours, theirs = maps[number]
            for flag, values in flag_differences(ours, theirs):
                self.note(PAGE_MAP, flag, int(found.cells[at // count]), values)

    @property
    def slots(self) -> int:
        return len(self.limits.operations) * self.limits.processes

    def note(self, kind: str, flag: str, cell: int, values: tuple[int | str, ...]) -> None:
        """Remember a difference that is seen for the first time, in an operation of the level."""
        if (kind, flag) not in self.found:
            steps = tuple(self.sequence(cell))
            self.found[kind, flag] = FoundDifference(kind, flag, steps, values)

    def sequence(self, cell: int) -> Iterator[TakenOperation]:
        """The operations that lead to a state of the last level, and one more, with names for the
        processes."""
        path = [cell]
        for cells in reversed(self.cells):
            path.append(int(cells[path[-1] // self.slots]))
        slots = (taken % self.slots for taken in reversed(path))
        return named(self.limits, slots)


def named(limits: Limits, slots: Iterable[int]) -> Iterator[TakenOperation]:
    """A sequence of slots (an operation's number times the processes, plus the process's), with
    names for the processes."""
    names, born = ["main"], 0
    for slot in slots:
        operation, process = divmod(slot, limits.processes)
        name, who, child = limits.operations[operation], names[process], ""
        if name == "fork":
            born += 1
            child = "child" if born == 1 else f"child{born}"
            names.append(child)
        elif name == "exit":
            names.pop(process)
        yield TakenOperation(name, who, child)


def tells(effects: Sequence[ShownEffect]) -> bool:
    """Whether an operation shows anything that is looked for."""
    return bool(effects[0].violations) if len(effects) == 1 else effects[0] != effects[1]


def differences(effects: Sequence[ShownEffect]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The violations of one policy; or whatever one shows in an operation and the other does not.
    With the values of each."""
    if len(effects) == 2:
        for name, *counts in zip(COUNTERS, *(effect.counts for effect in effects), strict=True):
            if counts[0] != counts[1]:
                yield name, tuple(counts)
    for kind in dict.fromkeys(chain(*(effect.violations for effect in effects))):
        times = tuple(effect.violations.count(kind) for effect in effects)
        if len(times) == 1 or times[0] != times[1]:
            yield kind, times


def flag_differences(ours: str, theirs: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """The letters that only one of two page maps has, with both."""
    for flag in sorted(({*ours} ^ {*theirs}) - {"-"}):
        yield flag, (f"1{ours}", f"1{theirs}")


def first_of(values: Numbers, wanted: Booleans) -> list[tuple[int, int]]:
    """Each distinct value among those wanted and where it is first, in that order."""
    places = np.flatnonzero(wanted)
    at = places[first_in_order(values[places])]
    return list(zip(values[at].tolist(), at.tolist(), strict=True))


def first_in_order(values: Numbers) -> Numbers:
    """Where each distinct value is first, in that order."""
    return np.sort(np.unique(values, return_index=True)[1])
