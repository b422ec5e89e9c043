"""What of an address space is anonymous, and which page of the model each page of it is.

Ranges are page numbers, the end exclusive. A scenario cannot move a page to another address, as
mremap() does; so what was moved keeps the address that it has in the scenario, and `shift` says
how far that is from where the program sees it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from swaptrace.importers.accesses import Pages

Kind = Literal["anonymous", "file", "shared"]

ELSEWHERE: Final = 0x4000_0000_0000 >> 12
"""Where a range is put whose own pages are in use by one that was moved away from there."""


class MappedArea(NamedTuple):
    """A mapping: its pages, what it maps, and how much to add to a page for that of the model."""

    start: int
    end: int
    kind: Kind
    shift: int = 0

    def clip(self, start: int, end: int) -> MappedArea:
        """The part of it within a range."""
        return self._replace(start=max(start, self.start), end=min(end, self.end))

    @property
    def model(self) -> tuple[int, int]:
        """The range of the model's pages."""
        return self.start + self.shift, self.end + self.shift


FEW: Final = 8
"""So many pages for each of as many mappings are looked for one by one: what programs log is one
call and one access in turn, and no access may cost as much as there are mappings."""


class Space:
    """The mappings that there are, ascending and disjoint."""

    def __init__(self, areas: Iterable[MappedArea] = ()) -> None:
        self.areas = sorted(areas)
        self.next_elsewhere = ELSEWHERE
        self.moved = Ranges()  # the model's pages of mappings that were moved
        for area in self.areas:
            if area.shift:
                self.moved.add(*area.model)
        self._bounds: tuple[Pages, Pages] | None = None

    def within(self, start: int, end: int) -> list[MappedArea]:
        """The parts of mappings that lie in a range."""
        first = bisect_right(self.areas, start, key=lambda area: area.end)
        last = bisect_left(self.areas, end, key=lambda area: area.start)
        return [area.clip(start, end) for area in self.areas[first:last]]

    def unmap(self, start: int, end: int) -> list[MappedArea]:
        """Leave a hole; what was there."""
        if start >= end:
            return []
        first = bisect_right(self.areas, start, key=lambda area: area.end)
        last = bisect_left(self.areas, end, key=lambda area: area.start)
        there = self.areas[first:last]
        left = [area._replace(end=start) for area in there[:1] if area.start < start]
        right = [area._replace(start=end) for area in there[-1:] if area.end > end]
        self.areas[first:last] = left + right
        self._bounds = None
        removed = [area.clip(start, end) for area in there]
        for area in removed:
            if area.shift:
                self.moved.remove(*area.model)
        return removed

    def put(self, area: MappedArea) -> MappedArea:
        """Add a mapping to a hole; it as it was added."""
        if area.kind == "anonymous" and area.shift == 0 and self.moved.within(*area.model):
            area = area._replace(shift=self.next_elsewhere - area.start)
            self.next_elsewhere += area.end - area.start + 1
        self.areas.insert(bisect_left(self.areas, area), area)
        self._bounds = None
        if area.shift:
            self.moved.add(*area.model)
        return area

    def locate(self, pages: Pages) -> npt.NDArray[np.intp]:
        """For each page the index of its mapping among `areas`, or -1."""
        if self._bounds is None and len(pages) * FEW < len(self.areas):
            return np.array([self._index(page) for page in pages.tolist()], np.intp)
        if self._bounds is None:
            bounds = np.array([(area.start, area.end) for area in self.areas], np.uint64)
            starts, ends = bounds.reshape(-1, 2).T
            self._bounds = np.ascontiguousarray(starts), np.ascontiguousarray(ends)
        starts, ends = self._bounds
        index = np.searchsorted(starts, pages, side="right") - 1
        if self.areas:
            index[(index >= 0) & (pages >= ends[index])] = -1
        return index

    def _index(self, page: int) -> int:
        """The index of the mapping of one page, or -1."""
        index = bisect_right(self.areas, page, key=lambda area: area.start) - 1
        return index if index >= 0 and page < self.areas[index].end else -1


class Ranges:
    """A set of pages, as ranges."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.parts)

    def within(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts that lie in a range."""
        first = bisect_right(self.parts, start, key=lambda part: part[1])
        last = bisect_left(self.parts, end, key=lambda part: part[0])
        return [(max(start, a), min(end, b)) for a, b in self.parts[first:last]]

    def add(self, start: int, end: int) -> None:
        """Take a range in; parts that touch become one."""
        first = bisect_left(self.parts, start, key=lambda part: part[1])
        last = bisect_right(self.parts, end, key=lambda part: part[0])
        there = self.parts[first:last]
        self.parts[first:last] = [
            (min([start, *(a for a, _ in there)]), max([end, *(b for _, b in there)]))
        ]

    def remove(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take a range out; what of it was in."""
        there = self.within(start, end)
        for a, b in there:
            first = bisect_right(self.parts, a, key=lambda part: part[1])
            low, high = self.parts[first]
            kept = [(low, a)] * (low < a) + [(b, high)] * (b < high)
            self.parts[first : first + 1] = kept
        return there
