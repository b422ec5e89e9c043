"""What one page can become under one policy: its states, and what each operation makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from swaptrace.exploration.abstraction import EVERYTHING, MISREAD, Kept, forgotten
from swaptrace.exploration.alphabet import OPERATIONS, Situation
from swaptrace.exploration.company import OTHERS, company_of, split
from swaptrace.exploration.unasked import Known, Numbered, Unasked
from swaptrace.mm.checks import lost
from swaptrace.mm.column import Column, Mapping, Vma
from swaptrace.mm.event import MOST_ADDED, Event, Fork, Unmap
from swaptrace.mm.outcome import Batched
from swaptrace.mm.page import UNBATCHED
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import NOUGHT
from swaptrace.replay.pagemap import flags_of
from swaptrace.replay.runs.visit import NEW_ANON
from swaptrace.replay.world import static_facts
from swaptrace.scenario.hardware import Machine

SHOWS_LOSS = "read"
"""The only operation that is tried where a process's data are lost."""


class PageState(NamedTuple):
    """A page, and of each process whether its VMA has an anon_vma, on which fork depends."""

    column: Column
    anon_vmas: tuple[bool, ...]


START = PageState(Column((Mapping(Vma()),)), (False,))
"""A fresh mapping of one process."""


class ShownEffect(NamedTuple):
    """What an operation shows: its counters in the order of `COUNTERS`, and the kinds of the
    violations, one for each process that sees it; and what it does to the per-CPU batches, where
    they are kept."""

    counts: tuple[int, ...]
    violations: tuple[str, ...]
    batch: Batched = UNBATCHED

    @property
    def misread(self) -> bool:
        """Whether a process saw other data than its own."""
        return any(kind in MISREAD for kind in self.violations)


class Edge(NamedTuple):
    """An operation (by its number among those that are explored) of a process, and what comes of
    it. The child of a fork is the last process; after an exit those behind move up."""

    operation: int
    process: int
    state: PageState
    effect: ShownEffect


class Limits(NamedTuple):
    """What is explored: the operations by name, how many processes there may be, and whether
    sequences go on after a process has lost its data."""

    operations: tuple[str, ...]
    processes: int
    after_loss: bool = False


class Tried(NamedTuple):
    """An operation that does something: its number and its name, and the events that it means for
    the page."""

    number: int
    name: str
    events: tuple[Numbered, ...]


class Graph:
    """The states of a page under one policy, on one machine, as far as they are `kept`.

    Effects that depend on what is not kept mean nothing. Graphs may have what is `unasked` in
    common.
    """

    def __init__(
        self,
        policy: Policy,
        machine: Machine,
        limits: Limits,
        kept: Kept = EVERYTHING,
        unasked: Unasked | None = None,
    ) -> None:
        self.policy = Steady(policy)
        self.unasked = unasked or Unasked()
        self.tried: dict[tuple[int, Vma, bool, int], list[Tried]] = {}
        self.kept = kept
        self.limits = limits
        self.facts = static_facts(machine, "mlock" in limits.operations)
        self.company = company_of(machine)
        if self.company is not None:
            self.facts = self.facts._replace(batch_left=MOST_ADDED, mlock_left=MOST_ADDED)
        self.soft_dirty = machine.soft_dirty

    def flags(self, state: PageState) -> tuple[str, ...]:
        """The page map of each process."""
        numbers = range(len(state.anon_vmas))
        return tuple(flags_of(state.column, number, self.soft_dirty) for number in numbers)

    def edges(self, state: PageState) -> Iterator[Edge]:
        """What every operation that does something does.

        Where data are lost, only reads are tried, which show it.
        """
        loss = not self.limits.after_loss and any(
            lost(state.column, mapping) for mapping in state.column.maps
        )
        for process in range(len(state.anon_vmas)):
            for edge in self.edges_of(state, process):
                if not loss or self.limits.operations[edge.operation] == SHOWS_LOSS:
                    yield edge

    def edges_of(self, state: PageState, process: int) -> Iterator[Edge]:
        """What every operation of one process does, whether or not data are lost."""
        known = self.unasked.of(state.column)
        for tried in self._tried(state, process):
            yield Edge(tried.number, process, *self._outcome(state, tried, known))

    def _tried(self, state: PageState, process: int) -> list[Tried]:
        """The operations that do something for a process."""
        vma, count = state.column.maps[process].vma, len(state.anon_vmas)
        assert vma is not None
        key = process, vma, state.anon_vmas[process], count
        found = self.tried.get(key)
        if found is None:
            situation = Situation(*key, self.facts, self.soft_dirty, self.limits.processes)
            found = self.tried[key] = []
            for number, letter in enumerate(self.limits.operations):
                name, events = self._events(letter, situation)
                if events is not None:
                    found.append(Tried(number, name, tuple(map(self.unasked.numbered, events))))
        return found

    def _events(self, letter: str, situation: Situation) -> tuple[str, tuple[Event, ...] | None]:
        """An operation of the alphabet, and what it means for the page, if it does something."""
        if self.company is None:
            return letter, OPERATIONS[letter].events(situation)
        name, left = split(letter)
        if name in OTHERS:
            return name, ()
        facts = self.facts._replace(batch_left=left)
        return name, OPERATIONS[name].events(situation._replace(facts=facts))

    def _outcome(
        self, state: PageState, tried: Tried, known: Known
    ) -> tuple[PageState, ShownEffect]:
        """Where an operation leads and what it shows; some is `known` of the state's column."""
        _, name, events = tried
        column, counts = state.column, NOUGHT
        seen: tuple[str, ...] = ()
        batches: list[Batched] = []
        if self.company is not None:
            column = self.company.before(name, column)
        for event in events:
            if column is not state.column:
                known = self.unasked.of(column)
            happened = known.get(event.number)
            if happened is None:
                happened = self.unasked.happens(self.policy, column, event, known)
            column = happened.column
            counts = add(counts, happened.counts)
            seen += happened.kinds
            batches.append(happened.batch)
        effect = ShownEffect(counts, tuple(sorted(seen)) if seen else ())
        if self.company is not None:
            column = self.company.after(name, column)
            effect = effect._replace(batch=self.company.joined(name, batches))
        anon_vmas = state.anon_vmas
        if events:
            anon_vmas = after(anon_vmas, events[-1].event, any(NEW_ANON(counts)))
        return PageState(forgotten(column, self.kept), anon_vmas), effect


def add(counts: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two lots of counters, of which one is mostly `NOUGHT`."""
    if more is NOUGHT or counts is NOUGHT:
        return counts if more is NOUGHT else more
    return tuple(one + other for one, other in zip(counts, more, strict=True))


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
