"""Page maps of the model and of the kernel, one below the other, and where they differ."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Final, NamedTuple

from swaptrace.report.html.bars import BarChart, Pair, bar_chart
from swaptrace.report.html.colors import classes
from swaptrace.report.html.strips import StripPicture, paths, scale
from swaptrace.report.verify import cut
from swaptrace.result.history import StateKind, StateRun, Strip
from swaptrace.result.verdict import Difference, KernelRun, ShownSide, Verdict

NO_FLAGS: Final = "-"
ABSENT: Final = "not mapped"

LETTER_WORDS: Final[Mapping[str, str]] = {
    "P": "present",
    "S": "swapped",
    "D": "soft-dirty",
    "X": "mapped once",
    "U": "userfaultfd write-protected",
}


RUN: Final = re.compile(f"(\\d+)([{''.join(LETTER_WORDS)}]+|{NO_FLAGS})")

Runs = tuple[tuple[int, str], ...]
"""How many pages have which letters."""


class FlagsLegend(NamedTuple):
    """The classes and the letters of pages that look alike, and what the letters mean."""

    classes: str
    flags: str
    words: str


class MapRow(NamedTuple):
    """A strip: whose it is, and as text."""

    name: str
    drawing: StripPicture
    code: str


class KernelMap(NamedTuple):
    """A region at the first difference: of the model, of the kernel, and where they differ."""

    title: str
    pages: int
    rows: tuple[MapRow, ...]
    legend: tuple[FlagsLegend, ...]


class FirstDifference(NamedTuple):
    """What is drawn of the first difference of a scenario on a kernel."""

    title: str
    maps: tuple[KernelMap, ...]
    counters: BarChart | None

    @property
    def drawings(self) -> Iterator[StripPicture]:
        """What is drawn of the regions, in the order of the page."""
        return (row.drawing for each in self.maps for row in each.rows)


def first_differences(runs: Sequence[KernelRun]) -> Iterator[FirstDifference]:
    """That of each scenario whose page maps differ; not of one that differs in the same way as
    another."""
    for run in runs:
        for verdict in run.verdicts:
            difference = verdict.first_difference
            if difference is None or verdict.same_as is not None:
                continue
            found = _drawn(_title(run, verdict, difference), difference)
            if found.maps:
                yield found


def _title(run: KernelRun, verdict: Verdict, difference: Difference) -> str:
    on = run.kernel or run.place
    step = f"step {difference.step}, {difference.op} by {difference.process}"
    return f"{verdict.name} on {on}: {step}"


def _drawn(title: str, difference: Difference) -> FirstDifference:
    sides = {"model": difference.model, "kernel": difference.kernel}
    places = dict.fromkeys(
        (process, region)
        for side in sides.values()
        for process, regions in side.pages.items()
        for region in regions
    )
    maps = [_map(place, sides) for place in places]
    counters = difference.model.counters
    pairs = [Pair(name, "", n, difference.kernel.counters[name]) for name, n in counters.items()]
    chart = bar_chart(f"Counters of {title}", ("model", "kernel"), pairs)
    return FirstDifference(title, tuple(each for each in maps if each is not None), chart)


def _map(place: tuple[str, str], sides: Mapping[str, ShownSide]) -> KernelMap | None:
    """None where a page map is none that can be drawn."""
    process, region = place
    codes = {name: side.pages.get(process, {}).get(region) for name, side in sides.items()}
    runs = {name: _runs(code) for name, code in codes.items() if code is not None}
    pages = max((sum(n for n, _ in each) for each in runs.values()), default=0)
    if not pages or () in runs.values():
        return None
    whole = {name: _filled(runs.get(name, ()), pages) for name in sides}
    legend = _legend([flags for each in whole.values() for _, flags in each])
    painted = {number: (number, each.classes) for number, each in enumerate(legend)}
    numbers = {each.flags: number for number, each in enumerate(legend)}
    strips = {
        name: Strip(process, region, tuple(StateRun(n, numbers[flags]) for n, flags in each))
        for name, each in whole.items()
    }
    apart = Strip("", "", tuple(_apart(*strips.values())))
    one = scale([*strips.values(), apart])
    rows = [
        MapRow(name, StripPicture(one.width, 10, paths(strip, one, painted)), codes[name] or ABSENT)
        for name, strip in strips.items()
    ]
    where = StripPicture(one.width, 10, paths(apart, one, {0: (0, "H"), 1: (1, "X")}))
    rows.append(MapRow("differ", where, _where(apart)))
    cut_rows = tuple(row._replace(code=cut(row.code)) for row in rows)
    return KernelMap(f"{process}: {region}", pages, cut_rows, legend)


def _runs(code: str) -> Runs:
    """The runs of a code; none of what is no code."""
    found = [RUN.fullmatch(each) for each in code.split(",")]
    return tuple((int(each[1]), each[2]) for each in found if each) if all(found) else ()


def _filled(runs: Runs, pages: int) -> Runs:
    """The runs, and after them what the other side has more."""
    more = pages - sum(n for n, _ in runs)
    return (*runs, (more, ABSENT)) if more else runs


def _legend(flags: Sequence[str]) -> tuple[FlagsLegend, ...]:
    """Present pages in the shades of one colour, swapped ones in those of another."""
    shades: dict[StateKind, int] = {}
    found = []
    for each in dict.fromkeys(flags):
        kind = _kind(each)
        shade = shades[kind] = shades.get(kind, -1) + 1
        found.append(FlagsLegend(classes(kind, shade), each, _meaning(each)))
    return tuple(found)


def _kind(flags: str) -> StateKind:
    if flags == ABSENT:
        return StateKind.HOLE
    if "P" in flags:
        return StateKind.DIRTY
    return StateKind.EXCLUSIVE if "S" in flags else StateKind.NONE


def _meaning(flags: str) -> str:
    if flags in (ABSENT, NO_FLAGS):
        return "" if flags == ABSENT else "no page"
    return ", ".join(LETTER_WORDS[letter] for letter in flags)


def _apart(one: Strip, other: Strip) -> Iterator[StateRun]:
    """Where two strips are the same (0) and where not (1)."""
    ends = [list(accumulate(run.pages for run in strip.runs)) for strip in (one, other)]
    cuts = sorted({0, *ends[0], *ends[1]})

    def differs(part: tuple[int, int]) -> int:
        mine, others = (bisect_right(each, part[0]) for each in ends)
        return int(one.runs[mine].state != other.runs[others].state)

    for state, parts in groupby(pairwise(cuts), key=differs):
        yield StateRun(sum(high - low for low, high in parts), state)


def _where(apart: Strip) -> str:
    """Which pages, in words."""
    ends = accumulate(run.pages for run in apart.runs)
    found = [
        f"pages {end - run.pages} to {end - 1}" if run.pages > 1 else f"page {end - 1}"
        for end, run in zip(ends, apart.runs, strict=True)
        if run.state
    ]
    return ", ".join(found)
