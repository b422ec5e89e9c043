"""What a scenario states: what `expect:` and what `check` steps say that is.

A `check` says what pages are: page maps and data, as run-length codes. A code is runs with commas
between: how many pages, then what they are. A page map is written as `--pages` shows it (`8PX,8S`);
data as `8:0x11,8:zero`, or as one value for all pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from swaptrace.frozen import FrozenValue
from swaptrace.scenario.pagescan import ScanClaim

LETTERS: Final = "PSDXU"
"""P present, S swapped, D soft-dirty, X mapped once, U uffd-wp."""

SOFT_DIRTY: Final = "D"
NOT_SOFT_DIRTY: Final = "d"
NO_FLAGS: Final = "-"

UNCHANGED: Final = "unchanged"
ZEROES: Final = "zero"
UNMAPPED: Final = "-"


class PageRun(NamedTuple):
    """So many pages that have just these flags, in the order of `LETTERS`; `-` for none."""

    pages: int
    flags: str


class PageMap(NamedTuple):
    """A page map of a whole region, equal neighbours merged. `soft_dirty` is that it speaks of
    soft-dirty pages; if it does not, they are not looked at."""

    runs: tuple[PageRun, ...]
    soft_dirty: bool

    @property
    def pages(self) -> int:
        """Of how many pages."""
        return sum(run.pages for run in self.runs)

    def __str__(self) -> str:
        """As it is read: one in which no page is soft-dirty has a `d` to say so."""
        code = page_code(self.runs)
        if not self.soft_dirty or SOFT_DIRTY in code:
            return code
        return ",".join(f"{n}{f.replace(NO_FLAGS, '')}{NOT_SOFT_DIRTY}" for n, f in self.runs)


class DataRun(NamedTuple):
    """So many pages with this data: a byte, `UNCHANGED`, or `UNMAPPED`."""

    pages: int
    value: int | str


class Data(NamedTuple):
    """The data of a whole region; `everywhere` instead of runs where all pages have the same."""

    runs: tuple[DataRun, ...] = ()
    everywhere: int | str | None = None

    @property
    def pages(self) -> int | None:
        """Of how many pages it is; None: of as many as there are."""
        return None if self.everywhere is not None else sum(run.pages for run in self.runs)

    def over(self, pages: int) -> tuple[DataRun, ...]:
        """The runs of a region of so many pages."""
        return self.runs if self.everywhere is None else (DataRun(pages, self.everywhere),)

    def __str__(self) -> str:
        return data_code(self.runs) if self.everywhere is None else value_text(self.everywhere)


class Bounds(NamedTuple):
    """The VMAs of a whole region, and holes, as a code: how many pages each has (`4,2-,10`), a hole
    with a `-`. A `+` stands where a VMA begins before the region, or ends behind it."""

    code: str

    @property
    def pages(self) -> int:
        """Of how many pages."""
        return sum(int(part.strip("+-")) for part in self.code.split(","))

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expected(FrozenValue):
    """One expected value: `policy` may be an alias; `window` is a label or `total`."""

    window: str
    policy: str
    counter: str
    value: int
    line: int


class NamedPolicy(NamedTuple):
    """A policy that `expect:` or a `check` (see `where`) names, and where; counted from 1."""

    name: str
    line: int
    column: int
    where: str = "expect"


class Claims(NamedTuple):
    """All that a `check` step says; `violations` is None where it says nothing of them."""

    pages: tuple[tuple[str, PageMap], ...] = ()
    data: tuple[tuple[str, Data], ...] = ()
    violations: tuple[str, ...] | None = None
    policies: tuple[str, ...] = ()
    scan: ScanClaim | None = None
    vmas: tuple[tuple[str, Bounds], ...] = ()


def page_code(runs: tuple[PageRun, ...]) -> str:
    """The code of a page map."""
    return ",".join(f"{pages}{flags}" for pages, flags in runs)


def each_page(code: str) -> list[str]:
    """The flags of each page of a code."""
    runs = re.findall(r"(\d+)([^\d,]+)", code)
    return [flags for pages, flags in runs for _ in range(int(pages))]


def data_code(runs: tuple[DataRun, ...]) -> str:
    """The code of data."""
    return ",".join(f"{pages}:{value_text(value)}" for pages, value in runs)


def value_text(value: int | str) -> str:
    """A page's data as they are written."""
    if isinstance(value, str):
        return value
    return ZEROES if value == 0 else f"{value:#04x}"


def without_soft_dirty(runs: tuple[PageRun, ...]) -> tuple[PageRun, ...]:
    """The runs without that flag."""
    return merged(PageRun(n, f.replace(SOFT_DIRTY, "") or NO_FLAGS) for n, f in runs)


def merged(runs: Iterator[PageRun]) -> tuple[PageRun, ...]:
    """The runs, equal neighbours as one."""
    groups = groupby(runs, key=lambda run: run.flags)
    return tuple(PageRun(sum(run.pages for run in group), flags) for flags, group in groups)


def merged_data(runs: Iterator[DataRun]) -> tuple[DataRun, ...]:
    """The same of runs of data."""
    groups = groupby(runs, key=lambda run: run.value)
    return tuple(DataRun(sum(run.pages for run in group), value) for value, group in groups)
