"""Counters side by side: a pair of bars for each that differs, one scale for each counter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

MOST: Final = 40
"""So many pairs are drawn, those that differ most."""

LONGEST: Final = 500
"""Units that the largest value of a counter is long."""

WIDTH: Final = 640
LABEL: Final = 18
BAR: Final = 13
GAP: Final = 7
CHARACTERS: Final = 88
"""Of a label; the tables have all of it."""

COLORS: Final = ("N", "E")
"""The classes of the first and the second of a pair."""


class Pair(NamedTuple):
    """Two counts of one counter, and where they were counted."""

    counter: str
    place: str
    first: int
    second: int


class ChartText(NamedTuple):
    """A line of text; a heading or not. The rest of what is drawn is below it."""

    y: int
    text: str
    is_heading: bool


class ChartBar(NamedTuple):
    """A bar in the colour of a class, with its count beside it."""

    y: int
    width: float
    color: str
    text: str


class BarChart(NamedTuple):
    """Pairs of bars; `names` are what the two are, `words` the same as text, `left_out` how many
    pairs there are beyond those drawn."""

    title: str
    names: tuple[str, str]
    width: int
    height: int
    texts: tuple[ChartText, ...]
    bars: tuple[ChartBar, ...]
    words: str
    left_out: int


def bar_chart(title: str, names: tuple[str, str], pairs: Iterable[Pair]) -> BarChart | None:
    """The chart of these pairs; None where none differs."""
    differing = [pair for pair in pairs if pair.first != pair.second]
    if not differing:
        return None
    most = sorted(differing, key=lambda pair: -abs(pair.second - pair.first))[:MOST]
    drawn = [pair for pair in differing if pair in most]
    texts: list[ChartText] = []
    bars: list[ChartBar] = []
    y = 0
    for counter in dict.fromkeys(pair.counter for pair in drawn):
        own = [pair for pair in drawn if pair.counter == counter]
        texts.append(ChartText(y + 14, counter, True))
        y += LABEL
        for pair in own:
            if pair.place:
                texts.append(ChartText(y + 13, _cut(pair.place), False))
                y += LABEL
            bars += _bars(y, pair, own)
            y += 2 * BAR + GAP
    words = "; ".join(_words(names, drawn))
    left_out = len(differing) - len(drawn)
    return BarChart(title, names, WIDTH, y, tuple(texts), tuple(bars), words, left_out)


def _bars(y: int, pair: Pair, own: Sequence[Pair]) -> Iterator[ChartBar]:
    whole = max(max(each.first, each.second) for each in own)
    for number, count in enumerate((pair.first, pair.second)):
        # What is not 0 can be seen.
        width = max(LONGEST * count / whole, 1) if count else 0
        yield ChartBar(y + number * BAR, width, COLORS[number], str(count))


def _words(names: tuple[str, str], pairs: Iterable[Pair]) -> Iterator[str]:
    for pair in pairs:
        place = f" of {pair.place}" if pair.place else ""
        yield f"{pair.counter}{place}: {names[0]} {pair.first}, {names[1]} {pair.second}"


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 1]}…"
