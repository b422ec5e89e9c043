"""Replaying a scenario while taking down how the address space looks after each step."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from swaptrace.mm.column import Column, Mapping, Marker, SwapPte
from swaptrace.replay.engine import Replay
from swaptrace.replay.explain import transition
from swaptrace.replay.explainblocks import region_transition
from swaptrace.replay.pagemap import column_counts, column_runs, flags_of
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.tally import RegionChange, Tally, add_counters
from swaptrace.replay.tally import Taken as TakenBy
from swaptrace.replay.wording import mapping_words
from swaptrace.result.explanation import Transition
from swaptrace.result.history import (
    Frame,
    Gap,
    History,
    Moment,
    StateKind,
    StateRun,
    Strip,
    TakenTransition,
    ViewState,
)
from swaptrace.scenario.schema import ForkStep, Step

FIRST: Final = 160
"""How many steps are kept from the beginning."""

LAST: Final = 40
"""How many are kept from the end, where there are more."""

LOOKS: Final = 20
"""After how many parts of a long step it is looked at the pages, unless there are checkpoints."""

MOST_LOOKS: Final = 100
"""More columns nobody tells apart."""

PARTS: Final = 512
"""Into how many parts a region is cut that has more than twice as many runs."""


class StepHistorian:
    """The observer of a replay that is about to begin; it makes its history."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        replay.observe = self.observe
        replay.look = min(replay.parts, MOST_LOOKS) or LOOKS, self.look
        replay.world.table.tells = True
        self.first: list[Frame] = []
        self.last: deque[Frame] = deque(maxlen=LAST)
        self.steps = 0
        self.course: list[Moment] = []
        self.counted: dict[str, int] = {}
        self.states: dict[ViewState, int] = {}
        self.views: dict[tuple[int, int], int] = {}
        self.numbers: dict[tuple[TakenBy, str], int] = {}
        self.transitions: list[Transition] = []
        self.known: dict[tuple[object, ...], int] = {}
        self.pages: Counter[int] = Counter()

    def observe(self, path: str, step: Step, tally: Tally) -> None:
        """Take down one leaf step that has been executed."""
        counters = tally.counters()
        add_counters(self.counted, counters)
        child = step.child if isinstance(step, ForkStep) else ""
        taken = tuple(
            TakenTransition(self.transition(each, child), pages)
            for each, pages in tally.taken.items()
        )
        taken += tuple(
            TakenTransition(self.change_number(each, child), each.change.pages * times)
            for each, times in tally.changes.items()
        )
        for number, pages in taken:
            self.pages[number] += pages
        self.steps += 1
        strips = tuple(self.strips())
        course, self.course = tuple(self.course), []
        frame = Frame(path, step.line, step.process, step.op, counters, taken, strips, course)
        if len(self.first) < FIRST:
            self.first.append(frame)
        else:
            self.last.append(frame)

    def look(self, accesses: int) -> None:
        """Take down how it is within a long step; one that is shorter has fewer parts."""
        if accesses > (self.course[-1].accesses if self.course else 0):
            self.course.append(Moment(accesses, tuple(self.shares())))

    def transition(self, taken: TakenBy, child: str) -> int:
        """The number of a transition; what is told in the same words is the same one."""
        known = self.numbers.get((taken, child))
        if known is None:
            # In whichever region: that is said where pages take it.
            table = self.replay.world.table
            found = transition(table, taken._replace(region=""), 0, child)
            known = self.numbers[taken, child] = self.number(found)
            self.meet(taken.column, table.row(taken.event, taken.column).new)
        return known

    def change_number(self, of: RegionChange, child: str) -> int:
        """The same of what happened to pages of large folios, in the words of the strips."""
        columns = (view.column for _, view in of.change.before + of.change.after)
        self.meet(*map(self.replay.world.table.intern, columns))
        return self.number(region_transition(of._replace(region=""), 0, child, sized=False))

    def number(self, found: Transition) -> int:
        """The number of what is told in these words."""
        key = (found.event, found.before, found.after, found.path, *found.counters.items())
        known = self.known.setdefault(key, len(self.transitions))
        if known == len(self.transitions):
            self.transitions.append(found)
        return known

    def meet(self, *columns: int) -> None:
        """Number the states of a transition, which pages may have only within a step."""
        table = self.replay.world.table
        for column in columns:
            for member in range(len(table.columns[column].maps)):
                self.state(column, member)

    def strips(self) -> Iterator[Strip]:
        """Every region of every process that lives."""
        for process in self.replay.world.processes.values():
            for name, shared in process.regions.items():
                yield self.strip(process.name, name, shared)

    def strip(self, process: str, region: str, shared: SharedRegion) -> Strip:
        """One region as one process sees it."""
        member = shared.member(process)
        world = self.replay.world
        runs = [
            (pages, self.state(world.table.intern(column), member))
            for pages, column in column_runs(world, shared)
        ]
        found = list(_merged(runs))
        if len(found) <= 2 * PARTS:
            return Strip(process, region, tuple(found))
        return Strip(process, region, tuple(_coarse(found, shared.region.pages)), PARTS)

    def shares(self) -> Iterator[tuple[StateRun, ...]]:
        """How many pages are in which state, in the order of `strips`."""
        world = self.replay.world
        for process in world.processes.values():
            for shared in process.regions.values():
                member = shared.member(process.name)
                pages: Counter[int] = Counter()
                for count, column in column_counts(world, shared):
                    pages[self.state(world.table.intern(column), member)] += count
                yield tuple(StateRun(pages[state], state) for state in sorted(pages))

    def state(self, column: int, member: int) -> int:
        """The number of what a process sees of a column."""
        known = self.views.get((column, member))
        if known is None:
            world = self.replay.world
            found = state_of(world.table.columns[column], member, world.machine.soft_dirty)
            known = self.views[column, member] = self.states.setdefault(found, len(self.states))
        return known

    def history(self) -> History:
        """All that has been taken down."""
        omitted = self.steps - len(self.first) - len(self.last)
        return History(
            tuple(self.states),
            tuple(
                each._replace(pages=self.pages[number])
                for number, each in enumerate(self.transitions)
            ),
            (*self.first, *self.last),
            Gap(len(self.first), omitted) if omitted else None,
            repeated=self.counted != self.replay.record.total,
        )


def _merged(runs: Iterable[tuple[int, int]]) -> Iterator[StateRun]:
    """Neighbours in the same state as one run: what tells their columns apart may be another
    process's."""
    for state, group in groupby(runs, key=lambda run: run[1]):
        yield StateRun(sum(pages for pages, _ in group), state)


def _coarse(runs: Iterable[StateRun], pages: int) -> Iterator[StateRun]:
    """The runs cut at the ends of `PARTS` equal parts, in each part ordered by their states."""
    ends = (pages * (part + 1) // PARTS for part in range(PARTS))
    end, at = next(ends), 0
    inside: Counter[int] = Counter()
    for count, state in runs:
        left = count
        while left:
            here = min(left, end - at)
            inside[state] += here
            at, left = at + here, left - here
            if at == end:
                yield from (StateRun(inside[each], each) for each in sorted(inside))
                inside.clear()
                end = next(ends, pages)


def state_of(column: Column, member: int, soft_dirty: bool) -> ViewState:
    """What a process sees of a column; `soft_dirty` is that the machine's page map tells it."""
    mapping = column.maps[member]
    words = mapping_words(column, mapping)
    return ViewState(kind_of(column, mapping), words, flags_of(column, member, soft_dirty))


def kind_of(column: Column, mapping: Mapping) -> StateKind:
    """What a page is for the process of the mapping."""
    pte = mapping.pte
    if mapping.vma is None:
        return StateKind.HOLE
    if pte is None or isinstance(pte, Marker):
        return StateKind.NONE
    if isinstance(pte, SwapPte):
        if any(folio.slot == pte.slot for folio in column.folios):
            return StateKind.CACHED
        return StateKind.EXCLUSIVE if pte.exclusive else StateKind.SHARED
    if pte.is_zero_page:
        return StateKind.ZERO_PAGE
    if pte.write:
        return StateKind.DIRTY if pte.dirty else StateKind.CLEAN
    return StateKind.READ_ONLY_DIRTY if pte.dirty else StateKind.READ_ONLY_CLEAN
