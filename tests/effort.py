"""How much is tried: a part by default, all of it with SWAPTRACE_TEST_ALL=1 in the environment.

The default run asks of every scenario, but not under each policy of each kernel, of the first of
many like cases, and of fewer random examples. It leaves out what takes long and has a shorter
relative: whole explorations, other signals, other hosts of CI. `.ci/run` sets the variable: there
all are asked. Random examples are the same every time, unless SWAPTRACE_TEST_RANDOM is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

ALL: Final = bool(os.environ.get("SWAPTRACE_TEST_ALL"))

exhaustive = pytest.mark.skipif(not ALL, reason="only with SWAPTRACE_TEST_ALL, as in .ci/run")
"""For a test that goes through all there is, or that takes long and has a shorter relative."""


def examples(count: int) -> int:
    """How many random examples are tried where `count` are all."""
    return count if ALL else max(3, count // 12)


def some(cases: Iterable[T], count: int) -> list[T]:
    """So many of the cases, spread evenly over them, the first and the last included; or all."""
    found = list(cases)
    if ALL or count >= len(found):
        return found
    return [found[number * (len(found) - 1) // max(1, count - 1)] for number in range(count)]


def part(cases: Iterable[T], one_in: int, first: int = 0) -> list[T]:
    """One in so many of the cases, at least one if there is any; or all.

    `first` says with which to begin, so that several parts have different ones.
    """
    found = list(cases)
    if ALL or not found:
        return found
    return found[first % min(one_in, len(found)) :: one_in]
