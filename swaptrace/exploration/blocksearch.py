"""Breadth-first search over the states of a block of pages, under one policy or two side by side.

States are taken one by one, and not put together of parts as those of one page are
(`exploration.product`): what happens to a page of a block depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.blockside import BlockMove, BlockSide, BlockState, Key
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import (
    PAGE_MAP,
    Found,
    FoundDifference,
    SearchBounds,
    TakenOperation,
    Tick,
    differences,
    flag_differences,
    named,
    tells,
)
from swaptrace.scenario.claims import each_page

LONGEST: Final = 100
"""The longest sequence: an operation takes up to four slots for one page, of 512 in a cluster."""

MOST: Final = 100_000
"""How many transitions are taken where it is not said how many states there may be: a minute or
two."""

OFTEN: Final = 100
"""After so many states it is told how many there are."""


class Reached(NamedTuple):
    """A state under each policy, by what it was reached: the number of the state before, and the
    slot of an operation and a process."""

    states: tuple[BlockState, ...]
    before: int
    slot: int
    length: int


class BlockSearch:
    """A search as far as it has come: `known` are the states, in the order of their discovery."""

    def __init__(self, sides: Sequence[BlockSide], limits: Limits, bounds: SearchBounds) -> None:
        self.sides, self.limits = sides, limits
        self.steps = LONGEST if bounds.steps is None else min(bounds.steps, LONGEST)
        self.most = bounds.states
        start = tuple(side.state() for side in sides)
        self.known = [Reached(start, 0, 0, 0)]
        self.keys = {tuple(map(BlockSide.key, sides, start))}
        self.found: dict[tuple[str, str], FoundDifference] = {}
        self.transitions = 0
        self.complete = True

    def run(self, tick: Tick) -> Found:
        """Take every operation from every state. Raises `SwaptraceError`."""
        for number, reached in enumerate(self.known):
            enough = self.most is None and self.transitions >= MOST
            if enough or reached.length == self.steps:
                self.complete = False
                break
            self.leave(number, reached)
            if number % OFTEN == 0:
                tick(len(self.known))
        lengths = sorted(self.found.values(), key=lambda each: len(each.steps))
        depth = self.known[-1].length
        return Found(tuple(lengths), len(self.known), self.transitions, depth, self.complete)

    def leave(self, number: int, reached: Reached) -> None:
        """Take every operation from a state."""
        for slot, moves in self.moves(reached.states):
            self.transitions += 1
            effects = [move.effect for move in moves]
            if tells(effects):
                for kind, values in differences(effects):
                    self.note(kind, "", number, slot, values)
            key: tuple[Key, ...] = tuple(move.key for move in moves)
            if key in self.keys:
                continue
            states = tuple(move.state for move in moves)
            if len(states) == 2:
                self.compare_flags(states, number, slot)
            if len(self.known) == self.most:
                self.complete = False
                continue
            self.keys.add(key)
            self.known.append(Reached(states, number, slot, reached.length + 1))

    def moves(self, states: tuple[BlockState, ...]) -> Iterator[tuple[int, list[BlockMove]]]:
        """What each operation of each process leads to, by its slot."""
        numbers = range(len(states[0].processes))
        for (at, letter), process in product(enumerate(self.limits.operations), numbers):
            each = zip(self.sides, states, strict=True)
            moves = [side.move(state, letter, process) for side, state in each]
            done = [move for move in moves if move is not None]
            if len(done) == len(moves):
                yield at * self.limits.processes + process, done
            elif done:
                raise SwaptraceError("internal error: an operation is tried under one policy alone")

    def compare_flags(self, states: tuple[BlockState, ...], number: int, slot: int) -> None:
        """Page maps that differ."""
        maps = [side.flags(state) for side, state in zip(self.sides, states, strict=True)]
        for codes in zip(*maps, strict=True):
            for pages in zip(*map(each_page, codes), strict=True):
                for flag, _ in flag_differences(*pages):
                    self.note(PAGE_MAP, flag, number, slot, codes)

    def note(
        self, kind: str, flag: str, number: int, slot: int, values: tuple[int | str, ...]
    ) -> None:
        """Remember a difference that is seen for the first time."""
        if (kind, flag) not in self.found:
            steps = tuple(self.sequence(number, slot))
            self.found[kind, flag] = FoundDifference(kind, flag, steps, values)

    def sequence(self, number: int, slot: int) -> Iterator[TakenOperation]:
        """The operations that lead to a state, and one more."""
        slots = [slot]
        while number:
            slots.append(self.known[number].slot)
            number = self.known[number].before
        return named(self.limits, reversed(slots))
