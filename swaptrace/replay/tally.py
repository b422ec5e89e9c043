"""Adding up: the counters of a step, of the windows and of the whole run."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

from swaptrace.counters import ALL_COUNTERS, COUNTERS, ReclaimCounter, ViolationKind
from swaptrace.mm.event import Event
from swaptrace.replay.table import TransitionRow
from swaptrace.result.result import Checked, Checkpoint, StepResult, Violation

if TYPE_CHECKING:
    from swaptrace.mm.blockevent import BlockChange
    from swaptrace.replay.processes import SharedRegion


class Taken(NamedTuple):
    """A transition of pages of `region`, which `members` share: `event` happened to `column`.

    `kind` is the event's type, which tuples do not compare.
    """

    region: str
    members: tuple[str, ...]
    kind: type[Event]
    event: Event
    column: int


class RegionChange(NamedTuple):
    """What happened to pages of `region` in a block, which `members` share."""

    region: str
    members: tuple[str, ...]
    change: BlockChange


class Sighting(NamedTuple):
    """A violation within one step: the first page and how many pages show it."""

    page: int
    pages: int


POSITIONS: Final = range(len(COUNTERS))

NO_RECLAIM: Final = dict.fromkeys(ReclaimCounter, 0)


class Tally:
    """What one leaf step counts, and which transitions its pages take."""

    __slots__ = ("changes", "counts", "reclaim", "sightings", "taken")

    def __init__(self) -> None:
        self.counts = [0] * len(COUNTERS)
        self.reclaim = NO_RECLAIM.copy()
        self.sightings: dict[tuple[ViolationKind, str, str], Sighting] = {}
        self.taken: dict[Taken, int] = {}
        self.changes: dict[RegionChange, int] = {}

    def take(
        self, shared: SharedRegion, event: Event, column: int, row: TransitionRow, pages: int
    ) -> None:
        """So many pages of a region took the transition that `event` makes of `column`."""
        for index in compress(POSITIONS, row.counts):
            self.counts[index] += row.counts[index] * pages
        key = Taken(shared.name, shared.labels, type(event), event, column)
        known = len(self.taken)
        before = self.taken.setdefault(key, pages)  # one hash of an event with its facts
        if len(self.taken) == known:
            self.taken[key] = before + pages

    def add_change(self, shared: SharedRegion, change: BlockChange, times: int) -> None:
        """Something happened so often to pages of a block."""
        key = RegionChange(shared.name, tuple(shared.members), change)
        self.changes[key] = self.changes.get(key, 0) + times

    def see(self, kind: ViolationKind, process: str, region: str, page: int, pages: int) -> None:
        """A violation of `kind`, first on `page` (of the region)."""
        key = (kind, process, region)
        old = self.sightings.get(key, Sighting(page, 0))
        self.sightings[key] = Sighting(min(old.page, page), old.pages + pages)

    def counters(self) -> dict[str, int]:
        """By name, zeroes left out."""
        counts = [*self.counts, *self.reclaim.values()]
        return dict(zip(compress(ALL_COUNTERS, counts), filter(None, counts), strict=True))


def add_counters(to: dict[str, int], counters: dict[str, int], times: int = 1) -> None:
    """Add counters, `times` over."""
    for name, count in counters.items():
        to[name] = to.get(name, 0) + count * times


@dataclass(slots=True)
class Record:
    """What a stretch of a replay found: a whole run, or one iteration of a `repeat`.

    `steps` is None unless the executed steps are wanted, `checkpoints` likewise.
    """

    total: dict[str, int] = field(default_factory=dict)
    windows: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: dict[tuple[str, int, int, str, str], Violation] = field(default_factory=dict)
    checks: dict[tuple[int, int, str, str], Checked] = field(default_factory=dict)
    steps: list[StepResult] | None = None
    checkpoints: list[Checkpoint] | None = None
    notes: dict[int, str] = field(default_factory=dict)

    def fresh(self) -> Record:
        """An empty record that keeps the same things."""
        return Record(
            steps=None if self.steps is None else [],
            checkpoints=None if self.checkpoints is None else [],
        )

    def add(self, counters: dict[str, int], window: str | None) -> None:
        """What a leaf step has counted."""
        add_counters(self.total, counters)
        if window is not None:
            add_counters(self.windows.setdefault(window, {}), counters)

    def add_note(self, line: int, text: str) -> None:
        """What a line's step gives occasion to say, the first time."""
        self.notes.setdefault(line, text)

    def add_violation(self, violation: Violation, column: int) -> None:
        """Only the first time that a step of the scenario shows it is kept."""
        v = violation
        self.violations.setdefault((v.kind, v.line, column, v.process, v.region), v)

    def add_check(self, checked: Checked, column: int) -> None:
        """Of each claim of the scenario one is kept: the first that does not hold, or else the
        first."""
        key = checked.line, column, checked.kind, checked.region
        if self.checks.setdefault(key, checked).ok and not checked.ok:
            self.checks[key] = checked

    def merge(self, other: Record, times: int = 1) -> None:
        """Add what another record has counted, `times` over; its steps are left alone."""
        add_counters(self.total, other.total, times)
        for label, counters in other.windows.items():
            add_counters(self.windows.setdefault(label, {}), counters, times)
        for key, violation in other.violations.items():
            self.violations.setdefault(key, violation)
        for (_, column, *_), checked in other.checks.items():
            self.add_check(checked, column)
        for line, text in other.notes.items():
            self.add_note(line, text)
