"""Columns as small integers, and the memory of every transition taken so far.

The transition function runs once for each distinct pair of event and column; afterwards
a page costs an array look-up at most.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from swaptrace.counters import ViolationKind
from swaptrace.mm.column import Column
from swaptrace.mm.event import Event
from swaptrace.mm.outcome import Batched, Lookup
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import transition


class TransitionRow(NamedTuple):
    """A transition between interned columns.

    `slots` is by how many the swap slots in use change; the other fields are those of
    `Outcome`.
    """

    new: int
    counts: tuple[int, ...]
    violations: tuple[tuple[ViolationKind, int], ...]
    lookup: Lookup
    slots: int
    path: tuple[str, ...]
    ends: bool
    batch: Batched
    around: bool


class Table:
    """All columns met under one policy, numbered in order of appearance.

    A table serves any number of replays under its policy. `evaluations` counts how often the
    transition function ran; `blocks` is what `readahead` remembers of whole page tables. `tells` is
    set, before all replays, where it is asked what happened to large folios.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._steady = Steady(policy)
        self.columns: list[Column] = []
        self.evaluations = 0
        self.tells = False
        self.blocks: dict[Hashable, Any] = {}
        self._ids: dict[Column, int] = {}
        self._rows: dict[tuple[type[Event], Event], dict[int, TransitionRow]] = {}

    def intern(self, column: Column) -> int:
        """The number of a column, which must be canonical."""
        number = self._ids.setdefault(column, len(self.columns))
        if number == len(self.columns):
            self.columns.append(column)
        return number

    def rows(self, event: Event) -> dict[int, TransitionRow]:
        """The transitions known for `event`, by column; `row` adds to it."""
        # Events are tuples: of two kinds with equal fields only the type tells them apart.
        return self._rows.setdefault((type(event), event), {})

    def row(self, event: Event, column: int) -> TransitionRow:
        """What `event` does to a column."""
        rows = self.rows(event)
        row = rows.get(column)
        if row is None:
            row = rows[column] = self._evaluate(event, column)
        return row

    def _evaluate(self, event: Event, column: int) -> TransitionRow:
        self.evaluations += 1
        before = self.columns[column]
        outcome = transition(self._steady, before, event)
        return TransitionRow(
            new=self.intern(outcome.column),
            counts=outcome.counts,
            violations=outcome.violations,
            lookup=outcome.lookup,
            slots=len(outcome.column.slots) - len(before.slots),
            path=outcome.path,
            ends=outcome.ends,
            batch=outcome.batch,
            around=outcome.around,
        )
