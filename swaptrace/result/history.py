"""How the address space looked after each step of a replay, as frozen values.

A history is what pictures are drawn from. Pages are runs of equal states, so that a terabyte takes
no more than a page. States and transitions are numbered, since most steps have the same few.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from swaptrace.result.explanation import Transition


class StateKind(StrEnum):
    """What a page is for one process, as coarsely as a colour can tell it."""

    HOLE = "not mapped"
    NONE = "no page"
    ZERO_PAGE = "the zero page"
    DIRTY = "writable, dirty"
    CLEAN = "writable, clean"
    READ_ONLY_DIRTY = "read-only, dirty"
    READ_ONLY_CLEAN = "read-only, clean"
    EXCLUSIVE = "in swap, exclusive"
    SHARED = "in swap, not exclusive"
    CACHED = "in swap, and cached"


class ViewState(NamedTuple):
    """One process's view of a page: in words, and the letters of its page map."""

    kind: StateKind
    words: str
    flags: str


class StateRun(NamedTuple):
    """So many neighbouring pages in one state (its number)."""

    pages: int
    state: int


class Strip(NamedTuple):
    """A region of a process, from its first page on.

    With `parts` it had more runs than can be drawn: it is cut into that many parts of equal length
    (0: it is not), and within a part the runs are in the order of their states, not of their pages.
    """

    process: str
    region: str
    runs: tuple[StateRun, ...]
    parts: int = 0

    @property
    def pages(self) -> int:
        """How many it has."""
        return sum(run.pages for run in self.runs)


class TakenTransition(NamedTuple):
    """So many pages took a transition (its number)."""

    transition: int
    pages: int


class Moment(NamedTuple):
    """How it looked within a long step, after so many of its accesses: of each strip of the step,
    in its order, how many pages were in which state, wherever they lie."""

    accesses: int
    pages: tuple[tuple[StateRun, ...], ...]


class Frame(NamedTuple):
    """An executed leaf step: what it counted, the transitions that it took, and every region of
    every process after it. `step` is its path, as of `StepResult`; `course` is how a long step went
    on."""

    step: str
    line: int
    process: str
    op: str
    counters: Mapping[str, int]
    taken: tuple[TakenTransition, ...]
    strips: tuple[Strip, ...]
    course: tuple[Moment, ...] = ()


class Gap(NamedTuple):
    """So many steps that were left out, behind the first `after` of those that are there."""

    after: int
    steps: int


class History(NamedTuple):
    """A scenario under one policy, step by step.

    `transitions` are all that happened, also in steps that were left out, each with the pages of
    all steps. `repeated` says that iterations of a `repeat` are counted in the results which, since
    they end as others do, were not replayed and are not here.
    """

    states: tuple[ViewState, ...]
    transitions: tuple[Transition, ...]
    frames: tuple[Frame, ...]
    gap: Gap | None = None
    repeated: bool = False
