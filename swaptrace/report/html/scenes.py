"""A scenario as it is shown: its source, its steps, and the strips of its policies over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from operator import eq
from typing import NamedTuple

from swaptrace.report.html.colors import classes
from swaptrace.report.html.courses import Course, course
from swaptrace.report.html.graph import Picture, picture
from swaptrace.report.html.strips import Mark, Painted, Scale, StripPicture, code, paths, scale
from swaptrace.result.explanation import Transition
from swaptrace.result.history import (
    Frame,
    Gap,
    History,
    StateKind,
    Strip,
    TakenTransition,
    ViewState,
)
from swaptrace.result.result import PolicyResult, ScenarioResult, Violation

Column = tuple[str, str, int]
"""A process, its region, and how many pages that has."""


class SourceLine(NamedTuple):
    """A line of the source, and the steps that it is about."""

    number: int
    text: str
    steps: tuple[int, ...]


class SceneStep(NamedTuple):
    """An executed step, as the slider names it."""

    path: str
    line: int
    title: str


class Legend(NamedTuple):
    """A state that occurs, by its letter, and the classes of its colour."""

    letter: str
    state: ViewState
    classes: str


class SceneCell(NamedTuple):
    """A region after a step, drawn and as text; within a long step, how it came about."""

    drawing: StripPicture
    code: str
    course: Course | None


class SceneRow(NamedTuple):
    """A step under a policy: its regions (None: there is none), what it took and counted, what it
    broke."""

    at: int
    step: SceneStep
    cells: tuple[SceneCell | None, ...]
    taken: tuple[TakenTransition, ...]
    counters: Mapping[str, int]
    broken: tuple[Violation, ...]


class ProcessView(NamedTuple):
    """What one process sees of a page; it is named where there are several."""

    process: str
    entry: Legend


class ShownTransition(NamedTuple):
    """A transition: its number from 1, and how many pages took it under the policies of each group
    (0: there it does not happen)."""

    number: int
    transition: Transition
    before: tuple[ProcessView, ...]
    after: tuple[ProcessView, ...]
    pages: tuple[int, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that it breaks; some for each page of a large folio."""
        counts = Counter(self.transition.violations)
        return tuple(f"{kind}, {n} times" if n > 1 else kind for kind, n in counts.items())


class Group(NamedTuple):
    """Policies whose pages looked alike after every step; the first `alike` rows are those of the
    first group, and are drawn only there."""

    policies: tuple[str, ...]
    rows: tuple[SceneRow, ...]
    gap: Gap | None
    repeated: bool
    alike: int = 0


class Heading(NamedTuple):
    """A column of strips."""

    process: str
    region: str
    pages: int
    scale: Scale
    parts: int


class Scene(NamedTuple):
    """Everything that is drawn of a scenario; `start` is the step that is shown first."""

    source: tuple[SourceLine, ...]
    steps: tuple[SceneStep, ...]
    headings: tuple[Heading, ...]
    groups: tuple[Group, ...]
    legend: tuple[Legend, ...]
    shown: tuple[ShownTransition, ...]
    picture: Picture | None
    start: int

    @property
    def drawings(self) -> Iterator[StripPicture]:
        """What is drawn of the regions, in the order of the page."""
        for group in self.groups:
            for row in group.rows[group.alike :]:
                yield from (cell.drawing for cell in row.cells if cell is not None)


def scene(scenario: ScenarioResult) -> Scene | None:
    """What is drawn of a scenario, if anything was taken down."""
    shown = {name: each for name, each in scenario.policies.items() if each.history is not None}
    histories = [each.history for each in shown.values() if each.history is not None]
    steps = _steps(histories)
    if not steps:
        return None
    legend = _legend(histories)
    headings = _headings(histories)
    alike = _alike(shown)
    happened = _happened([shown[first].history for first, *_ in alike], legend)
    numbers = {_key(each.transition): each.number for each in happened}
    groups = [_group(names, shown[names[0]], steps, headings, legend, numbers) for names in alike]
    return Scene(
        tuple(_source(scenario.source, steps)),
        tuple(steps),
        headings,
        tuple(_briefly(groups)),
        tuple(legend.values()),
        happened,
        picture(
            [each.transition for each in happened],
            {state.words: (entry.letter, state.kind) for state, entry in legend.items()},
            {each.number for each in happened if all(each.pages)},
        ),
        _start(groups, len(steps)),
    )


def _happened(
    histories: Sequence[History | None], legend: Mapping[ViewState, Legend]
) -> tuple[ShownTransition, ...]:
    """Every transition under any policy, once."""
    entries = {state.words: entry for state, entry in legend.items()}
    found: dict[object, tuple[Transition, list[int]]] = {}
    for index, history in enumerate(histories):
        for each in history.transitions if history is not None else ():
            _, pages = found.setdefault(_key(each), (each, [0] * len(histories)))
            pages[index] += each.pages
    return tuple(
        ShownTransition(
            number, each, _views(each.before, entries), _views(each.after, entries), tuple(pages)
        )
        for number, (each, pages) in enumerate(found.values(), 1)
    )


def _key(each: Transition) -> object:
    """What is the same of the same transition under two policies."""
    shown = each.event, each.before, each.after, each.path, each.violations, each.cited
    return (*shown, *each.counters.items())


def _steps(histories: Iterable[History]) -> list[SceneStep]:
    """The steps of all policies in the order of execution. Where policies repeat more or less
    often before they end as before, one has steps that another has not."""
    found: list[SceneStep] = []
    for history in histories:
        at = 0
        for frame in history.frames:
            who = "" if frame.process == "main" else f" by {frame.process}"
            step = SceneStep(frame.step, frame.line, f"{frame.op}{who}")
            known = next((i for i in range(at, len(found)) if found[i] == step), None)
            if known is None:
                found.insert(at, step)
                known = at
            at = known + 1
    return found


def _legend(histories: Iterable[History]) -> dict[ViewState, Legend]:
    """Every state that occurs, in the order in which they are met."""
    found: dict[ViewState, Legend] = {}
    shades: Counter[StateKind] = Counter()
    for history in histories:
        for state in history.states:
            if state not in found:
                color = classes(state.kind, shades[state.kind])
                shades[state.kind] += 1
                found[state] = Legend(letters(len(found)), state, color)
    return found


def letters(number: int) -> str:
    """A to Z, then AA, AB, …"""
    more, last = divmod(number, 26)
    return (letters(more - 1) if more else "") + chr(ord("A") + last)


def _headings(histories: Sequence[History]) -> tuple[Heading, ...]:
    """A column for each region of each process, with one scale for all policies and steps."""
    found: dict[Column, list[Strip]] = {}
    for history in histories:
        for frame in history.frames:
            for strip in frame.strips:
                found.setdefault((strip.process, strip.region, strip.pages), []).append(strip)
    return tuple(
        Heading(*column, scale(strips), max(strip.parts for strip in strips))
        for column, strips in found.items()
    )


def _alike(shown: Mapping[str, PolicyResult]) -> list[tuple[str, ...]]:
    """Policies whose histories and violations are the same, together."""
    groups: list[list[str]] = []
    for name, result in shown.items():
        for group in groups:
            first = shown[group[0]]
            if (first.history, first.violations) == (result.history, result.violations):
                group.append(name)
                break
        else:
            groups.append([name])
    return list(map(tuple, groups))


def _briefly(groups: Sequence[Group]) -> Iterator[Group]:
    """The groups, with what needs not be drawn again."""
    first, *others = groups
    yield first
    for group in others:
        most = len(group.rows) - 1 if group.gap is None else group.gap.after
        same = takewhile(bool, map(eq, group.rows[:most], first.rows))
        yield group._replace(alike=sum(same))


def _group(
    names: tuple[str, ...],
    result: PolicyResult,
    steps: Sequence[SceneStep],
    headings: Sequence[Heading],
    legend: Mapping[ViewState, Legend],
    shown: Mapping[object, int],
) -> Group:
    history = result.history
    assert history is not None
    where = {(step.path, step.line): at for at, step in enumerate(steps)}
    order = list(legend)
    states = {
        index: (order.index(state), legend[state].classes)
        for index, state in enumerate(history.states)
    }
    numbers = [shown[_key(each)] for each in history.transitions]
    rows = []
    for frame in history.frames:
        at = where[frame.step, frame.line]
        broken = tuple(each for each in result.violations if each.step == frame.step)
        cells = tuple(_cell(frame, each, broken, history, states, legend) for each in headings)
        taken = tuple(TakenTransition(numbers[number], pages) for number, pages in frame.taken)
        rows.append(SceneRow(at, steps[at], cells, taken, frame.counters, broken))
    return Group(names, tuple(rows), history.gap, history.repeated)


def _cell(
    frame: Frame,
    heading: Heading,
    broken: Sequence[Violation],
    history: History,
    states: Painted,
    legend: Mapping[ViewState, Legend],
) -> SceneCell | None:
    place = heading.process, heading.region
    letters = {number: legend[state].letter for number, state in enumerate(history.states)}
    for number, strip in enumerate(frame.strips):
        if (strip.process, strip.region) == place and strip.pages == heading.pages:
            marks = tuple(
                _mark(heading.scale, each, strip.pages)
                for each in broken
                if (each.process, each.region) == place
            )
            drawn = StripPicture(
                heading.scale.width, 10, paths(strip, heading.scale, states), marks
            )
            along = course(frame.course, number, states, letters)
            return SceneCell(drawn, code(strip, history.states), along)
    return None


def _mark(found: Scale, violation: Violation, pages: int) -> Mark:
    """The first page of it; where the others lie is not known."""
    page = min(violation.page, pages - 1)
    return Mark(found.at(page), found.at(page + 1))


def _views(views: Sequence[str], entries: Mapping[str, Legend]) -> tuple[ProcessView, ...]:
    """What each process sees. The words of several begin with the name of theirs, and those of a
    part of the pages with how many they are."""
    found = []
    for view in views:
        process, _, words = view.rpartition(": ")
        found.append(
            ProcessView("", entries[view])
            if view in entries
            else ProcessView(process, entries[words])
        )
    return tuple(found)


def _shown(source: Sequence[str]) -> Sequence[str]:
    """All but what is expected where that comes last: the tables say what there is."""
    keys = [at for at, text in enumerate(source) if text[:1].isalpha()]
    return source[: keys[-1]] if keys and source[keys[-1]].startswith("expect:") else source


def _source(source: Sequence[str], steps: Sequence[SceneStep]) -> Iterator[SourceLine]:
    about: dict[int, list[int]] = {}
    for at, step in enumerate(steps):
        about.setdefault(step.line, []).append(at)
    for number, text in enumerate(_shown(source), 1):
        yield SourceLine(number, text, tuple(about.get(number, ())))


def _start(groups: Sequence[Group], steps: int) -> int:
    """The first step that breaks a promise or, if none does, after which policies differ."""
    broken = [row.at for group in groups for row in group.rows if row.broken]
    if broken:
        return min(broken)
    first, *others = groups
    shown = {row.at: (row.cells, row.counters) for row in first.rows}
    differing = [
        row.at
        for group in others
        for row in group.rows
        if shown.get(row.at) != (row.cells, row.counters)
    ]
    return min(differing, default=steps - 1)
