"""The axes of a grid: what `--over KEY=VALUES` means.

`machine.reclaim=classic,lru` lists values, `machine.memory=4MiB..64MiB/8` is eight at equal
distances, both ends included, `machine.memory=4MiB..64MiB*5` five at equal ratios. Sizes may be
shares of the working set: `machine.memory=25%..100%/4`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import log2, prod
from typing import Final, NamedTuple

from swaptrace.errors import SwaptraceError, did_you_mean, printable, quote
from swaptrace.scenario.machine import PREFIX, READERS
from swaptrace.scenario.values import Invalid, human

SIZED: Final = ("memory", "swap.size")
"""The settings in bytes that may be a share of the working set."""

NUMBERED: Final = ("swap.page_cluster", "stat_flush", "lru_drain")
"""The settings that are whole numbers."""

RANGE: Final = re.compile(
    r"(?P<low>[^.]+(\.\d+%)?)\.\.(?P<high>[^/*]+)((?P<kind>[/*])(?P<count>.*))?"
)
SHARE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)%", re.ASCII)
COUNT: Final = re.compile(r"[1-9]\d{0,5}", re.ASCII)

LEAST: Final = 64 << 10
"""What sizes within a range are a multiple of, where both ends are: the largest page there is."""

MOST_CELLS: Final = 100_000
"""How many cells a grid has at most."""


class Share(NamedTuple):
    """A share of the working set, in per cent."""

    percent: Fraction

    def __str__(self) -> str:
        return f"{float(self.percent):.10g}%"

    def of(self, working_set: int, page_size: int) -> int:
        """So many bytes of it, in whole pages, at least one."""
        return max(1, int(self.percent * working_set / 100) // page_size) * page_size


Value = str | Share
"""A value as the command line would say it, or a share of what is not known yet."""


class Axis(NamedTuple):
    """A setting of the machine, by its path below `machine`, and its values in order.

    `ratios` is that they lie at equal ratios.
    """

    path: str
    values: tuple[Value, ...]
    ratios: bool = False

    @property
    def key(self) -> str:
        """The setting as the command line calls it."""
        return PREFIX + self.path

    @property
    def is_number(self) -> bool:
        """Whether its values lie on a line."""
        return self.path in (*SIZED, *NUMBERED, "page_size")

    @property
    def is_size(self) -> bool:
        return self.path in (*SIZED, "page_size")


def axes_of(given: Iterable[str], overrides: Mapping[str, str]) -> tuple[Axis, ...]:
    """The axes of all `--over`, in order; `overrides` are the settings of `--set`.

    Raises `SwaptraceError`.
    """
    axes: list[Axis] = []
    for text in given:
        axis = axis_of(text)
        if axis.path in (other.path for other in axes):
            raise _wrong(text, f"{axis.key} is an axis already; name all its values at once")
        if axis.key in overrides:
            raise _wrong(text, f"--set gives {axis.key} a value as well; leave one out")
        axes.append(axis)
    size = size_of(axes)
    if size > MOST_CELLS:
        raise SwaptraceError(f"--over: a grid of {size:,} machines; at most {MOST_CELLS:,} can be")
    return tuple(axes)


def size_of(axes: Iterable[Axis]) -> int:
    """How many machines the grid has."""
    return prod(len(axis.values) for axis in axes)


def axis_of(text: str) -> Axis:
    """The axis of one `--over`. Raises `SwaptraceError` that says what is wrong with it."""
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise _wrong(text, "is not KEY=VALUES, as in machine.memory=4MiB..64MiB/8")
    path = "swap.backend" if key == f"{PREFIX}swap" else key.removeprefix(PREFIX)
    if path == key or path not in READERS:
        raise _wrong(text, f"unknown key {quote(key)}; {_hint(path)}")
    try:
        spread = RANGE.fullmatch(values)
        if spread is not None:
            found = tuple(_spread(path, spread))
        else:
            found = tuple(_value(path, value.strip()) for value in values.split(","))
    except Invalid as invalid:
        raise _wrong(text, str(invalid)) from None
    twice = next((value for number, value in enumerate(found) if value in found[:number]), None)
    if twice is not None:
        raise _wrong(text, f"the value {str(twice)!r} is there twice")
    return Axis(path, found, spread is not None and spread["kind"] == "*")


def _wrong(text: str, message: str) -> SwaptraceError:
    return SwaptraceError(f"--over {printable(text)}: {message}")


def _hint(path: str) -> str:
    return did_you_mean(PREFIX + path, [PREFIX + known for known in READERS])


def _value(path: str, text: str) -> Value:
    """One value of a list, which its reader takes, or a share."""
    if not text:
        raise Invalid("a value is missing beside a comma")
    share = SHARE.fullmatch(text)
    if share is not None:
        return _share(path, text, Fraction(share[1]))
    READERS[path](text)
    return text


def _share(path: str, text: str, percent: Fraction) -> Share:
    if path not in SIZED:
        keys = " and ".join(PREFIX + each for each in SIZED)
        raise Invalid(f"{quote(text)} is a share of the working set, which only {keys} can be")
    if not 0 < percent <= 10_000:
        raise Invalid(f"{quote(text)} is not between 0 and 10000%")
    return Share(percent)


def _spread(path: str, spread: re.Match[str]) -> Iterator[Value]:
    """The values of a range."""
    if path not in (*SIZED, *NUMBERED):
        raise Invalid(f"{PREFIX}{path} has no ranges; list its values, with commas between")
    low, high = (_value(path, spread[end].strip()) for end in ("low", "high"))
    if isinstance(low, Share) != isinstance(high, Share):
        raise Invalid("one end of the range is a share and the other is not")
    if isinstance(low, Share) and isinstance(high, Share):
        ends = low.percent, high.percent
        return (Share(point) for point in _points(*ends, Fraction(1, 100), spread))
    first, last = (Fraction(READERS[path](str(end))) for end in (low, high))
    if path in NUMBERED:
        return (str(int(point)) for point in _points(first, last, Fraction(1), spread))
    grain = next(each for each in (LEAST, 4096, 1) if first % each == last % each == 0)
    return (human(int(point)) for point in _points(first, last, Fraction(grain), spread))


def _points(
    first: Fraction, last: Fraction, grain: Fraction, spread: re.Match[str]
) -> list[Fraction]:
    """So many points from one end to the other, those between as multiples of the grain."""
    count = _count(first, last, grain, spread)
    if not first < last:
        raise Invalid("the range does not go upwards")
    if spread["kind"] == "*" and first <= 0:
        raise Invalid("equal ratios begin above 0; write /N for equal distances")
    points = [first]
    for number in range(1, count - 1):
        share = Fraction(number, count - 1)
        if spread["kind"] == "*":
            point = Fraction(2 ** (log2(first) + (log2(last) - log2(first)) * float(share)))
        else:
            point = first + (last - first) * share
        points.append(round(point / grain) * grain)
    points.append(last)
    if len(set(points)) < count:
        raise Invalid(f"there are no {count} different values in the range")
    return points


def _count(first: Fraction, last: Fraction, grain: Fraction, spread: re.Match[str]) -> int:
    """How many points a range has."""
    text = spread["count"]
    if text is None and grain == 1 and last - first < MOST_CELLS:
        return int(last - first) + 1  # every whole number
    if text is None or not COUNT.fullmatch(text.strip()) or int(text) < 2:
        raise Invalid("a range says how many values it has, at least 2, as in 4MiB..64MiB/8")
    return int(text)
