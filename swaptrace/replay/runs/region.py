"""A region's pages as runs of equal columns.

`Region` keeps where runs start and which column they hold; equal neighbours are always merged, so a
uniform terabyte is one run. Few runs are lists (`runs.lists`), many are arrays (`runs.arrays`): to
import numpy takes longer than a small replay.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from swaptrace.replay.runs import lists
from swaptrace.replay.runs.lists import RunLists
from swaptrace.replay.runs.walk import Pages, Walk

FEW: Final = 64
"""So many runs at most are kept in lists. Beyond that arrays are faster."""


class Region:
    """`pages` pages, each with the number of a column."""

    __slots__ = ("_held", "pages")

    def __init__(self, pages: int, column: int) -> None:
        self.pages = pages
        self._held: RunLists | tuple[Pages, Pages] = RunLists([0], [column])

    @property
    def few(self) -> RunLists | None:
        """The runs as lists, if that is what they are kept in."""
        return self._held if isinstance(self._held, RunLists) else None

    @property
    def arrays(self) -> tuple[Pages, Pages]:
        """Where runs start, and which column they hold."""
        if not isinstance(self._held, RunLists):
            return self._held
        from swaptrace.replay.runs.arrays import as_arrays

        return as_arrays(self._held)

    def lists(self) -> RunLists:
        """The same, however many there are."""
        few = self.few
        return RunLists(*(each.tolist() for each in self.arrays)) if few is None else few

    def resize(self, pages: int, column: int) -> None:
        """Cut pages off at the end, or append some of a column."""
        few = self.few
        if few is not None:
            self.keep(lists.resized(few, self.pages, pages, column))
        else:
            from swaptrace.replay.runs.arrays import resized

            self.keep_arrays(resized(self.arrays, self.pages, pages, column))
        self.pages = pages

    def copy(self) -> Region:
        """Another one with the same columns."""
        other = Region(self.pages, 0)
        other._held = self.few or self.arrays
        return other

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """(first page, pages, column) of every run."""
        yield from self.segments(Walk(0, self.pages))

    def numbers(self) -> list[int]:
        """The columns that there are, ascending."""
        return sorted(self.histogram(Walk(0, self.pages)))

    def segments(self, walk: Walk) -> Iterator[tuple[int, int, int]]:
        """(index in the walk, visited pages, column) of every stretch of equal columns."""
        few = self.few
        if few is not None and walk.regular:
            yield from lists.segments(few, self.pages, walk)
            return
        from swaptrace.replay.runs.arrays import segments

        at, count, column = segments(self.arrays, self.pages, walk)
        yield from zip(at.tolist(), count.tolist(), column.tolist(), strict=True)

    def histogram(self, walk: Walk) -> dict[int, int]:
        """How many of the visited pages hold each column, by ascending column."""
        if walk.count == 0:
            return {}
        walk = walk if walk.seed is None else walk._replace(seed=None)
        few = self.few
        if few is not None and walk.regular:
            return lists.histogram(few, self.pages, walk)
        from swaptrace.replay.runs.arrays import histogram

        return histogram(self.arrays, self.pages, walk)

    def first_page(self, walk: Walk, column: int) -> int:
        """The lowest page of the walk that holds `column`."""
        if walk.scattered is not None:
            return int(walk.scattered[self.at(walk.scattered) == column].min())
        upward = walk._replace(backward=False, seed=None)
        index = next(at for at, _, found in self.segments(upward) if found == column)
        return walk.first + index * walk.stride

    def uniform_around(self, page: int) -> tuple[int, int]:
        """The run that a page lies in: its first page, and one past its last."""
        few = self.few
        if few is not None:
            return lists.uniform_around(few, self.pages, page)
        from swaptrace.replay.runs.arrays import uniform_around

        return uniform_around(self.arrays, self.pages, page)

    def column_at(self, page: int) -> int:
        """The column of a page."""
        few = self.few
        if few is not None:
            return lists.column_at(few, page)
        from swaptrace.replay.runs.arrays import column_at

        return column_at(self.arrays, page)

    def listed(self, low: int, high: int) -> list[int]:
        """The columns of the pages `low` to `high`."""
        found: list[int] = []
        for _, pages, column in self.segments(Walk(low, high - low)):
            found += [column] * pages
        return found

    def at(self, pages: Pages) -> Pages:
        """The columns of single pages."""
        from swaptrace.replay.runs.arrays import columns_at

        return columns_at(self.arrays, pages)

    def change(self, walk: Walk, new: Callable[[int], int]) -> None:
        """Give every visited page the column that `new` makes of its old one."""
        self.replace(walk, {column: new(column) for column in self.histogram(walk)})

    def replace(self, walk: Walk, new: Mapping[int, int]) -> None:
        """The same, of the column that is `new` for it. All that pages have must be there."""
        if walk.count == 0:
            return
        few = self.few
        if not walk.contiguous:
            from swaptrace.replay.runs.arrays import ascending, translated

            pages = ascending(walk)
            self.assign(pages, translated(self.at(pages), new))
        elif few is not None:
            self.keep(lists.replaced(few, self.pages, walk.first, walk.first + walk.count, new))
        else:
            from swaptrace.replay.runs.arrays import replaced

            end = walk.first + walk.count
            self.keep_arrays(replaced(self.arrays, self.pages, walk.first, end, new))

    def splice(self, low: int, high: int, starts: Pages, ids: Pages) -> None:
        """Put runs in place of the pages `low` to `high`; the first starts at `low`."""
        from swaptrace.replay.runs.arrays import spliced

        self.keep_arrays(spliced(self.arrays, self.pages, low, high, (starts, ids)))

    def splice_lists(self, low: int, high: int, new: RunLists) -> None:
        """The same of few runs."""
        few = self.few
        if few is not None:
            self.keep(lists.spliced(few, self.pages, low, high, new))
        else:
            from swaptrace.replay.runs.arrays import as_arrays

            self.splice(low, high, *as_arrays(new))

    def assign(self, pages: Pages, ids: Pages) -> None:
        """Set single pages, ascending and distinct."""
        from swaptrace.replay.runs.arrays import assigned

        self.keep_arrays(assigned(self.arrays, self.pages, pages, ids))

    def keep(self, new: RunLists) -> None:
        """Merge equal neighbouring runs, and keep them."""
        merged = lists.merged(new)
        if len(merged.starts) <= FEW:
            self._held = merged
        else:
            from swaptrace.replay.runs.arrays import as_arrays

            self._held = as_arrays(merged)

    def keep_arrays(self, new: tuple[Pages, Pages]) -> None:
        """The same of many runs."""
        from swaptrace.replay.runs.arrays import merged

        starts, ids = merged(new)
        few = len(starts) <= FEW
        self._held = RunLists(starts.tolist(), ids.tolist()) if few else (starts, ids)

    def key(self) -> bytes:
        """What tells this state of the region from any other."""
        few = self.few
        starts, ids = (array("q", each) for each in few) if few is not None else self.arrays
        return starts.tobytes() + b"|" + ids.tobytes()


class RegionPart(Region):
    """`pages` pages of another region, from its page `first` on: what is changed here is changed
    there."""

    __slots__ = ("first", "whole")

    def __init__(self, whole: Region, first: int, pages: int) -> None:
        self.whole = whole
        self.first = first
        self.pages = pages

    @property
    def few(self) -> RunLists | None:
        whole = self.whole.few
        return whole and lists.part(whole, self.first, self.first + self.pages)

    @property
    def arrays(self) -> tuple[Pages, Pages]:
        from swaptrace.replay.runs.arrays import part

        return part(self.whole.arrays, self.first, self.first + self.pages)

    def keep(self, new: RunLists) -> None:
        """Put runs in place of all pages."""
        moved = RunLists([start + self.first for start in new.starts], new.ids)
        self.whole.splice_lists(self.first, self.first + self.pages, moved)

    def keep_arrays(self, new: tuple[Pages, Pages]) -> None:
        """The same of many."""
        starts, ids = new
        self.whole.splice(self.first, self.first + self.pages, starts + self.first, ids)
