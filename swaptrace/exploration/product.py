"""The states of one graph, or of two walked side by side, as numbers.

A state is an integer, its *key*: the number of its column, and below it, for each process, the
number of what is that process's own (`exploration.views`). Of two graphs, the numbers are those of
pairs. What an operation does is worked out once for each view of a state; a step from a state is
then the view's number for where it leads, and the other processes' own, which stays what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.arrays import (
    NOWHERE,
    Booleans,
    Expansion,
    Numbers,
    Order,
    ViewFlags,
    orders,
)
from swaptrace.exploration.graph import SHOWS_LOSS, Limits, ShownEffect
from swaptrace.exploration.workers import Worker

OWN_BITS = 14
"""Of a key, for each process."""

OWN_MASK = (1 << OWN_BITS) - 1
KEY_BITS = 63
PAIR_BITS = 31


class Numbering:
    """Numbers for codes, from 0 on, as they come."""

    def __init__(self) -> None:
        self.codes = self._sorted = self._numbers = np.zeros(0, int)

    def of(self, codes: Numbers) -> Numbers:
        """The numbers of some codes; those that are new get one."""
        distinct, inverse = np.unique(codes, return_inverse=True)
        fresh = distinct[~self._known(distinct)]
        if len(fresh):
            self.codes = np.append(self.codes, fresh)
            self._numbers = np.argsort(self.codes, kind="stable")
            self._sorted = self.codes[self._numbers]
        numbers = self._numbers[np.searchsorted(self._sorted, distinct)]
        found: Numbers = numbers[inverse].reshape(codes.shape)
        return found

    def _known(self, codes: Numbers) -> Booleans:
        if not len(self._sorted):
            return np.zeros(len(codes), dtype=bool)
        return among(codes, self._sorted)


def among(codes: Numbers, ascending: Numbers) -> Booleans:
    """Which codes are in a sorted array that is not empty."""
    place = np.minimum(np.searchsorted(ascending, codes), len(ascending) - 1)
    found: Booleans = ascending[place] == codes
    return found


def packed(columns: Numbers, owns: Numbers) -> Numbers:
    """The code of a view."""
    code: Numbers = (columns << OWN_BITS) | owns
    return code


def unpacked(codes: Numbers) -> tuple[Numbers, Numbers]:
    """The column of the code of a view, and what is its first process's own."""
    return codes >> OWN_BITS, codes & OWN_MASK


class ViewMoves(NamedTuple):
    """What the operations of some views do, as `arrays.Expansion`."""

    columns: Numbers
    owns: Numbers
    children: Numbers
    effects: Numbers


class GraphSide:
    """One graph as far as it is known: rows of arrays, by the number of a view."""

    def __init__(self, worker: Worker, operations: int) -> None:
        self.worker = worker
        self.views = Numbering()
        self.flags: list[str] = []
        self.lost = np.zeros(0, dtype=bool)
        self.effects: list[ShownEffect] = []
        nothing = np.zeros((0, operations), int)
        self.moves = ViewMoves(nothing, nothing, nothing, nothing)
        self.counts = np.ones(0, int)
        self.turned = np.zeros(0, int)

    def ask_flags(self, codes: Numbers) -> Numbers:
        """Have the views that are new looked at; the numbers of all."""
        numbers = self.views.of(codes)
        self._ask("flags_of", len(self.lost))
        return numbers

    def take_flags(self) -> None:
        found: ViewFlags = self.worker.answer()
        self.flags += found.flags
        self.lost = np.append(self.lost, found.lost)

    def ask_expanded(self) -> None:
        """Have the operations of all views worked out."""
        self._ask("expanded", len(self.moves.columns))

    def expanded(self) -> None:
        found: Expansion = self.worker.answer()
        pairs = zip(self.moves, found[: len(self.moves)], strict=True)
        self.moves = ViewMoves(*(np.concatenate(pair) for pair in pairs))
        self.effects += found.new_effects
        self.counts = np.append(self.counts, found.new_counts)
        turned = [self.turned.reshape(-1, found.new_turned.shape[1]), found.new_turned]
        self.turned = np.concatenate(turned)

    def _ask(self, question: str, first: int) -> None:
        self.worker.ask(question, np.stack(unpacked(self.views.codes[first:]), axis=1))


def numbers_of(every: list[list[Order]], order: Callable[[int, int], Order]) -> Numbers:
    """By how many processes there are, and by process, the number of an order among `every`."""
    table = np.zeros((len(every), len(every) - 1), int)
    for count, known in enumerate(every):
        for process in range(count):
            rest = tuple(range(count, len(every) - 1))
            table[count, process] = known.index((*order(process, count), *rest))
    return table


def to_front(process: int, count: int) -> Order:
    """One process first, the others as they are."""
    return process, *(n for n in range(count) if n != process)


def back(process: int, count: int) -> Order:
    """The way back from there."""
    return tuple(to_front(process, count).index(n) for n in range(count))


class Product:
    """The views of one graph or of two side by side: rows of arrays, by number."""

    START = 0
    """The key of a fresh mapping."""

    def __init__(self, workers: Sequence[Worker], limits: Limits) -> None:
        self.limits = limits
        names = limits.operations
        self.sides = [GraphSide(worker, len(names)) for worker in workers]
        self.reads = np.array([name == SHOWS_LOSS for name in names])
        self.exit = names.index("exit") if "exit" in names else NOWHERE
        self.shift = OWN_BITS * limits.processes
        every = [orders(n, limits.processes) for n in range(limits.processes + 1)]
        self.order_shifts = OWN_BITS * np.array(every)
        self.to_front = numbers_of(every, to_front)
        self.back = numbers_of(every, back)
        self.columns, self.owns, self.views = Numbering(), Numbering(), Numbering()
        self.effects = Numbering()
        for numbering in (self.columns, self.owns):
            numbering.of(np.zeros(1, int))
        self.counts = np.ones(1, int)
        self.turned = np.zeros((1, self.order_shifts.shape[1]), int)
        self.rows = [np.zeros(0, int) for _ in self.sides]
        self.page_maps: dict[tuple[str, ...], int] = {}
        self.mapped = np.zeros(0, int)
        self.lost = np.zeros(0, dtype=bool)
        self.shown = np.zeros((0, len(names)), int)
        self.targets = np.zeros((limits.processes, *self.shown.shape), int)

    def meet(self, keys: Numbers) -> Numbers:
        """The views of each state: a row for each, a column for each process, `NOWHERE` where there
        is none."""
        columns, known = keys >> self.shift, len(self.lost)
        counts = self.counts[columns]
        views = np.full((len(keys), self.limits.processes), NOWHERE)
        codes = np.zeros(views.shape, int)
        for process in range(self.limits.processes):
            turned = self.turned[columns, self.to_front[counts, process]]
            codes[:, process] = packed(turned, (keys >> OWN_BITS * process) & OWN_MASK)
        there = np.arange(self.limits.processes) < counts[:, None]
        views[there] = self.views.of(codes[there])
        self._look(known)
        return views

    def _look(self, first: int) -> None:
        """Look at the views from some number on."""
        columns, owns = unpacked(self.views.codes[first:])
        of_columns, of_owns = (self._parts(self.columns, columns), self._parts(self.owns, owns))
        for number, (side, column, mine) in enumerate(
            zip(self.sides, of_columns, of_owns, strict=True)
        ):
            rows = side.ask_flags(packed(column, mine))
            self.rows[number] = np.append(self.rows[number], rows)
        lost = np.zeros(len(columns), dtype=bool)
        for side, rows in zip(self.sides, self.rows, strict=True):
            side.take_flags()
            lost |= side.lost[rows[first:]]
        self.lost = np.append(self.lost, lost)
        flags = (
            [side.flags[row] for row in rows[first:].tolist()]
            for side, rows in zip(self.sides, self.rows, strict=True)
        )
        mapped = [
            self.page_maps.setdefault(m, len(self.page_maps)) for m in zip(*flags, strict=True)
        ]
        self.mapped = np.append(self.mapped, np.array(mapped, int))

    def expand(self) -> None:
        """Work out what the operations of all views do, those of both graphs at the same time."""
        for side in self.sides:
            side.ask_expanded()
        for side in self.sides:
            side.expanded()
        first = len(self.shown)
        moves = [
            ViewMoves(*(part[rows[first:]] for part in side.moves))
            for side, rows in zip(self.sides, self.rows, strict=True)
        ]
        done = moves[0].columns != NOWHERE
        if any(not np.array_equal(move.columns != NOWHERE, done) for move in moves):
            raise SwaptraceError("internal error: an operation is tried under one policy alone")
        joined = ViewMoves(*(self._joined(parts)[done] for parts in zip(*moves, strict=True)))
        columns, owns, children = (
            numbering.of(codes)
            for numbering, codes in zip((self.columns, self.owns, self.owns), joined, strict=False)
        )
        self._know_columns()
        targets = np.full((self.limits.processes, *done.shape), NOWHERE)
        for process in range(self.limits.processes):
            targets[process][done] = self._keys(
                process, np.nonzero(done)[1], columns, owns, children
            )
        shown = np.zeros(done.shape, int)
        shown[done] = self.effects.of(joined.effects)
        self.targets = np.concatenate([self.targets, targets], axis=1)
        self.shown = np.concatenate([self.shown, shown])

    def _keys(
        self, process: int, operations: Numbers, columns: Numbers, owns: Numbers, children: Numbers
    ) -> Numbers:
        """Where operations of the first process lead if it is some other process, without what is
        the own of those that take no part.

        Who exits leaves the others in order.
        """
        counts = self.counts[columns]
        turned = self.turned[columns, self.back[counts, process]]
        column = np.where(operations == self.exit, columns, turned)
        keys: Numbers = column << self.shift | owns << OWN_BITS * process
        keys |= children << OWN_BITS * (counts - 1)  # a child is the last
        return keys

    def _know_columns(self) -> None:
        """How many processes new columns have, and their other orders, which may be new."""
        while len(self.counts) < len(self.columns.codes):
            first, last = len(self.counts), len(self.columns.codes)
            parts = self._parts(self.columns, np.arange(first, last))
            self.counts = np.append(self.counts, self.sides[0].counts[parts[0]])
            pairs = zip(self.sides, parts, strict=True)
            turned = self.columns.of(self._joined([side.turned[part] for side, part in pairs]))
            self.turned = np.concatenate([self.turned, turned])
        if len(self.owns.codes) > OWN_MASK or len(self.counts) >> (KEY_BITS - self.shift):
            raise SwaptraceError("these are more states than explore has numbers for")

    def _parts(self, numbering: Numbering, numbers: Numbers) -> list[Numbers]:
        """The numbers in each graph."""
        codes = numbering.codes[numbers]
        if len(self.sides) == 1:
            return [codes]
        return [codes >> PAIR_BITS, codes & ((1 << PAIR_BITS) - 1)]

    def _joined(self, parts: Sequence[Numbers]) -> Numbers:
        """The code of the numbers in each graph."""
        return parts[0] if len(parts) == 1 else parts[0] << PAIR_BITS | parts[1]

    def effects_of(self, number: int) -> list[ShownEffect]:
        """What each graph shows."""
        parts = self._parts(self.effects, np.array([number]))
        return [side.effects[int(part[0])] for side, part in zip(self.sides, parts, strict=True)]

    def steps(self, keys: Numbers, views: Numbers) -> tuple[Numbers, Numbers]:
        """Where operations lead from some states, or `NOWHERE`, and what they show.

        A row for each state; a column for each operation, and in it for each process.
        """
        shape = (len(keys), len(self.limits.operations), self.limits.processes)
        targets, shown = np.full(shape, NOWHERE), np.zeros(shape, int)
        lost = self.only_reads(views)
        for process in range(self.limits.processes):
            there = views[:, process] != NOWHERE
            rows = views[there, process]
            found = self.targets[process, rows]
            done = found != NOWHERE
            done &= ~lost[there, None] | self.reads
            found += self._others(keys[there], process)[:, None]
            if self.exit != NOWHERE:
                found[:, self.exit] += self._moved_up(keys[there], process)
            targets[there, :, process] = np.where(done, found, NOWHERE)
            shown[there, :, process] = self.shown[rows]
        return targets.reshape(len(keys), -1), shown.reshape(len(keys), -1)

    def only_reads(self, views: Numbers) -> Booleans:
        """In which states nothing but reads is tried, since data are lost."""
        if self.limits.after_loss:
            return np.zeros(len(views), dtype=bool)
        found: Booleans = np.any(self.lost[views] & (views != NOWHERE), axis=1)
        return found

    def _others(self, keys: Numbers, process: int) -> Numbers:
        """What is the other processes' own."""
        all_owns = (1 << self.shift) - 1
        others: Numbers = keys & (all_owns ^ (OWN_MASK << OWN_BITS * process))
        return others

    def _moved_up(self, keys: Numbers, process: int) -> Numbers:
        """What has to be added if the process is gone and those behind it move up."""
        low = (1 << OWN_BITS * process) - 1
        others = self._others(keys, process) & ~low
        moved: Numbers = (others >> OWN_BITS) - others
        return moved

    def canonical(self, keys: Numbers) -> Numbers:
        """Of the keys of a state in all orders of its processes, the least."""
        least = keys
        for number in range(1, self.order_shifts.shape[1]):
            least = np.minimum(least, self.in_order(keys, number))
        return least

    def in_order(self, keys: Numbers, number: int) -> Numbers:
        """The keys of states with their processes in one of the `orders`."""
        columns = keys >> self.shift
        counts = self.counts[columns]
        other: Numbers = self.turned[columns, number] << self.shift
        for process in range(self.limits.processes):
            shifts = self.order_shifts[counts, number, process]
            other |= ((keys >> shifts) & OWN_MASK) << OWN_BITS * process
        return other
