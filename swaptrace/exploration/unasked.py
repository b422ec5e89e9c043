"""What happens to a page without the policy having been asked: the same under every policy.

Most of what an exploration looks at is that, and most of it comes up more than once: under another
policy, and for states that differ only in what an event does not depend on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from swaptrace.mm.column import Column
from swaptrace.mm.event import Event
from swaptrace.mm.outcome import Batched
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import transition

MOST_KNOWN: Final = 1 << 17
"""Of more events nothing is remembered: some 50 MiB."""


class WorkedOut(NamedTuple):
    """What an exploration needs to know of an `Outcome`."""

    column: Column
    counts: tuple[int, ...]
    kinds: tuple[str, ...]
    batch: Batched


class Numbered(NamedTuple):
    """An event with a number of its own."""

    number: int
    event: Event


Known = dict[int, WorkedOut]
"""What events do to a column, by their numbers."""


class Unasked:
    """What is known already of events that a policy had no say in."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[type[Event], Event], int] = {}
        self.columns: dict[Column, Known] = {}
        self.count = 0

    def numbered(self, event: Event) -> Numbered:
        """An event with its number; those of two kinds may have the same fields."""
        number = self.numbers.setdefault((type(event), event), len(self.numbers))
        return Numbered(number, event)

    def of(self, column: Column) -> Known:
        """What is known of a column."""
        return self.columns.setdefault(column, {})

    def happens(self, policy: Steady, column: Column, taken: Numbered, known: Known) -> WorkedOut:
        """What an event does that is not `known` yet. Raises `PolicyError`."""
        asked = policy.asked
        outcome = transition(policy, column, taken.event)
        kinds = tuple([kind for kind, _ in outcome.violations])
        happened = WorkedOut(outcome.column, outcome.counts, kinds, outcome.batch)
        if policy.asked == asked and not policy.functions:
            if self.count == MOST_KNOWN:
                self.columns.clear()
                self.count = 0
            known[taken.number] = happened
            self.count += 1
        return happened
