"""Regions as strips: where a page lies on the paper, and the runs of a strip as SVG paths."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from swaptrace.result.history import StateRun, Strip, ViewState

WIDTH: Final = 1000
"""Units from the left end of a strip to its right end, where a page is not one of them."""

FINEST: Final = 600
"""Up to so many stretches between places where anything changes, each is at least as wide as one
part of so many: a single page of a terabyte can be seen."""

LONGEST: Final = 60
"""How many characters of a page map a row shows."""


class Scale(NamedTuple):
    """Which page lies where: `places` are the distances of `cuts`, in between it is even."""

    cuts: tuple[int, ...]
    places: tuple[float, ...]

    def at(self, page: int) -> float:
        """The left end of a page."""
        index = min(bisect_right(self.cuts, page), len(self.cuts) - 1)
        (low, high), (left, right) = self.cuts[index - 1 : index + 1], self.places[index - 1 :][:2]
        return left + (right - left) * (page - low) / (high - low)

    @property
    def width(self) -> float:
        """Of the whole strip, in units."""
        return self.places[-1]

    @property
    def text(self) -> str:
        """For the script, which says which pages are pointed at: `page:place` for each cut."""
        pairs = zip(self.cuts, self.places, strict=True)
        return " ".join(f"{page}:{place:.6g}" for page, place in pairs)


def scale(strips: Sequence[Strip]) -> Scale:
    """One scale for strips of the same length, lest a page be here on one and there on another."""
    pages = strips[0].pages
    ends = (accumulate(run.pages for run in strip.runs) for strip in strips)
    cuts = sorted({0, pages}.union(*ends))
    if len(cuts) - 1 > FINEST:
        return _even(pages)
    widths = [max((high - low) / pages, 1 / FINEST) for low, high in pairwise(cuts)]
    whole = sum(widths)
    places = (0.0, *(WIDTH * each / whole for each in accumulate(widths)))
    return _simplest(tuple(cuts), places)


def _simplest(cuts: tuple[int, ...], places: tuple[float, ...]) -> Scale:
    """Without cuts that lie where they would be anyway."""
    pages = cuts[-1]
    pairs = zip(cuts, places, strict=True)
    if all(abs(place - WIDTH * cut / pages) < 0.01 for cut, place in pairs):
        return _even(pages)
    return Scale(cuts, places)


def _even(pages: int) -> Scale:
    """Every page as wide as any other: one unit, unless there are far too many."""
    return Scale((0, pages), (0, pages if pages <= 4 * WIDTH else WIDTH))


class Path(NamedTuple):
    """What one state (its number in the list) covers, as the `d` of an SVG path."""

    state: int
    classes: str
    d: str


class Mark(NamedTuple):
    """Where something is to be seen: from here on to there."""

    left: float
    right: float


class StripPicture(NamedTuple):
    """A picture as wide and as high as this, painted in this order; equal ones are on the page
    once."""

    width: float
    height: int
    paths: tuple[Path, ...]
    marks: tuple[Mark, ...] = ()


Painted = Mapping[int, tuple[int, str]]
"""The number and the classes on the page, by the number of a state in its history."""


def paths(strip: Strip, scale: Scale, states: Painted) -> tuple[Path, ...]:
    """A path for each state. The one with the most runs is painted first, from end to end: where
    there are others, they are above it."""
    counts = Counter(run.state for run in strip.runs)
    most = max(counts, key=counts.__getitem__)
    moves: dict[int, list[str]] = {}
    ends: dict[int, float] = {}
    at = 0
    for run in strip.runs:
        left, right = scale.at(at), scale.at(at + run.pages)
        at += run.pages
        if run.state == most:
            continue
        move = f"m{left - ends[run.state]:.5g} 0" if run.state in ends else f"M{left:.5g} 5"
        moves.setdefault(run.state, []).append(f"{move}h{right - left:.4g}")
        ends[run.state] = right
    whole = {most: [f"M0 5h{scale.width:.6g}"], **moves}
    return tuple(Path(*states[state], "".join(found)) for state, found in whole.items())


def code(strip: Strip, states: Sequence[ViewState]) -> str:
    """The page map of the whole strip, as `--pages` prints it, cut where it is long."""
    text = ",".join(f"{run.pages}{states[run.state].flags}" for run in flags(strip.runs, states))
    return text if len(text) <= LONGEST else summary(strip, states)


def flags(runs: Iterable[StateRun], states: Sequence[ViewState]) -> Iterator[StateRun]:
    """Neighbours with the same letters as one run."""
    last: StateRun | None = None
    for run in runs:
        if last is None:
            last = run
        elif states[run.state].flags == states[last.state].flags:
            last = StateRun(last.pages + run.pages, last.state)
        else:
            yield last
            last = run
    if last is not None:
        yield last


def summary(strip: Strip, states: Sequence[ViewState]) -> str:
    """How many pages have which letters, where they lie too mixed to say it in a line."""
    counts: dict[str, int] = {}
    for run in strip.runs:
        letters = states[run.state].flags
        counts[letters] = counts.get(letters, 0) + run.pages
    return "mixed: " + ", ".join(f"{pages}{letters}" for letters, pages in counts.items())
