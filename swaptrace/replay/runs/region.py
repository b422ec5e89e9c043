"""A region's pages as runs of equal columns: the only file that knows arrays.

`Region` keeps two arrays, where runs start and which column they hold; equal neighbours
are always merged, so a uniform terabyte is one run. `Walk` says which pages a step visits,
in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swaptrace.errors import TooManyPages
from swaptrace.traces.generator import order

Pages = npt.NDArray[np.int64]

MAX_LISTED = 1 << 26
"""How many pages are listed one by one at most: half a gigabyte of page numbers."""


class Walk(NamedTuple):
    """The pages `first`, `first + stride`, … (`count` of them), unless `scattered` lists them.

    `backward` visits the last one first; `seed` shuffles the order; `scattered` is in
    visiting order and distinct.
    """

    first: int
    count: int  # type: ignore[assignment]
    stride: int = 1
    backward: bool = False
    seed: int | None = None
    scattered: Pages | None = None

    @property
    def contiguous(self) -> bool:
        return self.scattered is None and (self.stride == 1 or self.count <= 1)

    @property
    def end(self) -> int:
        """One past the last page, of a walk that is not scattered."""
        return self.first + (self.count - 1) * self.stride + 1 if self.count else self.first

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest page, and one past the highest."""
        if self.scattered is None or not self.count:
            return self.first, self.end
        return int(self.scattered.min()), int(self.scattered.max()) + 1

    def pages(self) -> Pages:
        """Every page, in visiting order. Raises `SwaptraceError` where there are too many."""
        if self.scattered is not None:
            return self.scattered
        check_listable(self.count)
        pages = self.first + self.stride * np.arange(self.count, dtype=np.int64)
        if self.seed is not None:
            return pages[order(self.seed, self.count)]
        return pages[::-1] if self.backward else pages

    def ordered(self) -> Walk:
        """The same walk in a form whose parts can be taken."""
        return self if self.seed is None else listed(self.pages())

    def part(self, skip: int, count: int) -> Walk:
        """`count` pages of the walk, after its first `skip`."""
        if self.seed is not None:
            return self.ordered().part(skip, count)
        if self.scattered is not None:
            return listed(self.scattered[skip : skip + count])
        before = self.count - skip - count if self.backward else skip
        return Walk(self.first + before * self.stride, count, self.stride, self.backward)


def listed(pages: Pages) -> Walk:
    """A walk over these pages in this order."""
    return Walk(0, len(pages), scattered=pages)


def check_listable(pages: int) -> None:
    """What has to be listed page by page is refused where memory would not do."""
    if pages > MAX_LISTED:
        raise TooManyPages(
            f"{pages} pages would have to be listed one by one, for their stride or order, for a "
            f"pattern of accesses or a trace, or under a memory limit; at most {MAX_LISTED} can be"
        )


class Region:
    """`pages` pages, each with the number of a column."""

    __slots__ = ("ids", "pages", "starts")

    def __init__(self, pages: int, column: int) -> None:
        self.pages = pages
        self.starts: Pages = np.zeros(1, dtype=np.int64)
        self.ids: Pages = np.array([column], dtype=np.int64)

    def resize(self, pages: int, column: int) -> None:
        """Cut pages off at the end, or append some of a column."""
        if pages < self.pages:
            kept = self.starts < pages
            self.starts, self.ids = self.starts[kept], self.ids[kept]
        elif pages > self.pages:
            self._merge(
                np.concatenate([self.starts, [self.pages]]), np.concatenate([self.ids, [column]])
            )
        self.pages = pages

    def copy(self) -> Region:
        """Another one with the same columns."""
        other = Region(self.pages, 0)
        other.starts, other.ids = self.starts, self.ids
        return other

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """(first page, pages, column) of every run."""
        yield from self.segments(Walk(0, self.pages))

    def _ends(self) -> Pages:
        return np.concatenate([self.starts[1:], [self.pages]])

    def segments(self, walk: Walk) -> Iterator[tuple[int, int, int]]:
        """(index in the walk, visited pages, column) of every stretch of equal columns."""
        at, count, column = self._segments(walk)
        yield from zip(at.tolist(), count.tolist(), column.tolist(), strict=True)

    def _segments(self, walk: Walk) -> tuple[Pages, Pages, Pages]:
        walk = walk.ordered()
        if walk.contiguous and len(self.ids) == 1:
            return np.zeros(1, np.int64), np.array([walk.count]), self.ids
        if walk.scattered is not None:
            ids = self.at(walk.scattered)
            change = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1))
            return change, np.diff(change, append=len(ids)), ids[change]
        ids, count = self._visited(walk)
        if walk.backward:
            ids, count = ids[::-1], count[::-1]
        return np.cumsum(count) - count, count, ids

    def _visited(self, walk: Walk) -> tuple[Pages, Pages]:
        """The runs that a walk meets, ascending, and how many pages it visits of each."""
        low = int(self.starts.searchsorted(walk.first, side="right")) - 1
        high = int(self.starts.searchsorted(walk.end, side="left"))
        starts = np.maximum(self.starts[low:high], walk.first)
        ends = np.minimum(self._ends()[low:high], walk.end)
        # Visited pages below x: those with first + i * stride < x.
        count = _ceil_div(ends - walk.first, walk.stride) - _ceil_div(
            starts - walk.first, walk.stride
        )
        met = count > 0
        return self.ids[low:high][met], count[met]

    def histogram(self, walk: Walk) -> dict[int, int]:
        """How many of the visited pages hold each column."""
        if walk.count == 0:
            return {}
        if len(self.ids) == 1:
            return {int(self.ids[0]): walk.count}
        _, counts, ids = self._segments(walk if walk.seed is None else walk._replace(seed=None))
        if len(ids) == 1:
            return {int(ids[0]): int(counts[0])}
        columns, inverse = np.unique(ids, return_inverse=True)
        totals = np.zeros(len(columns), dtype=np.int64)
        np.add.at(totals, inverse, counts)
        return dict(zip(columns.tolist(), totals.tolist(), strict=True))

    def first_page(self, walk: Walk, column: int) -> int:
        """The lowest page of the walk that holds `column`."""
        if walk.scattered is not None:
            return int(walk.scattered[self.at(walk.scattered) == column].min())
        upward = walk._replace(backward=False, seed=None)
        index = next(at for at, _, found in self.segments(upward) if found == column)
        return walk.first + index * walk.stride

    def uniform_around(self, page: int) -> tuple[int, int]:
        """The run that a page lies in: its first page, and one past its last."""
        run = int(self.starts.searchsorted(page, side="right")) - 1
        end = self.starts[run + 1] if run + 1 < len(self.starts) else self.pages
        return int(self.starts[run]), int(end)

    def at(self, pages: Pages) -> Pages:
        """The columns of single pages."""
        return self.ids[self.starts.searchsorted(pages, side="right") - 1]

    def replace(self, walk: Walk, new: Callable[[Pages], Pages]) -> None:
        """Give every visited page the column that `new` makes of its old one."""
        if walk.count == 0:
            return
        if walk.contiguous:
            self._replace_range(walk.first, walk.first + walk.count, new)
        else:
            pages = np.sort(walk._replace(seed=None).pages())
            self.assign(pages, new(self.at(pages)))

    def change(self, walk: Walk, new: Callable[[int], int]) -> None:
        """The same by what `new` makes of each column that there is."""

        def of_all(ids: Pages) -> Pages:
            found, where = np.unique(ids, return_inverse=True)
            return np.array([new(each) for each in found.tolist()], dtype=np.int64)[where]

        self.replace(walk, of_all)

    def _replace_range(self, low: int, high: int, new: Callable[[Pages], Pages]) -> None:
        first = int(self.starts.searchsorted(low, side="right")) - 1
        last = int(self.starts.searchsorted(high, side="left"))
        starts, ids = self.starts[first:last].copy(), new(self.ids[first:last])
        first += int(starts[0] < low)
        starts[0] = low
        self._put(first, last, high, starts, ids)

    def splice(self, low: int, high: int, starts: Pages, ids: Pages) -> None:
        """Put runs in place of the pages `low` to `high`; the first starts at `low`."""
        first = int(self.starts.searchsorted(low, side="left"))
        self._put(first, int(self.starts.searchsorted(high, side="left")), high, starts, ids)

    def _put(self, first: int, last: int, high: int, starts: Pages, ids: Pages) -> None:
        """Put runs, up to the page `high`, in place of those that start there, `first` to
        `last`."""
        if high < self.pages and (last == len(self.starts) or self.starts[last] > high):
            # The run that `high` lies in goes on behind the new ones.
            starts = np.concatenate([starts, [high]])
            ids = np.concatenate([ids, self.ids[last - 1 : last]])
        self._merge(
            np.concatenate([self.starts[:first], starts, self.starts[last:]]),
            np.concatenate([self.ids[:first], ids, self.ids[last:]]),
        )

    def assign(self, pages: Pages, ids: Pages) -> None:
        """Set single pages, ascending and distinct."""
        after = pages + 1
        after = after[after < self.pages]
        starts = np.concatenate([self.starts, after, pages])
        values = np.concatenate([self.ids, self.at(after), ids])
        # A stable sort: of equal starts the one assigned comes last, and wins.
        order = np.argsort(starts, kind="stable")
        starts, values = starts[order], values[order]
        last = np.append(starts[1:] != starts[:-1], True)
        self._merge(starts[last], values[last])

    def _merge(self, starts: Pages, ids: Pages) -> None:
        """Merge equal neighbouring runs."""
        keep = differs(ids)
        self.starts, self.ids = starts[keep], ids[keep]

    def key(self) -> bytes:
        """What tells this state of the region from any other."""
        return self.starts.tobytes() + b"|" + self.ids.tobytes()


class RegionPart(Region):
    """`pages` pages of another region, from its page `first` on: what is changed here is changed
    there."""

    __slots__ = ("first", "whole")

    def __init__(self, whole: Region, first: int, pages: int) -> None:
        self.whole = whole
        self.first = first
        self.pages = pages

    def _runs(self) -> tuple[Pages, Pages]:
        """Where runs start here, and which column they hold."""
        starts, end = self.whole.starts, self.first + self.pages
        low = int(starts.searchsorted(self.first, side="right")) - 1
        high = int(starts.searchsorted(end, side="left"))
        return np.maximum(starts[low:high] - self.first, 0), self.whole.ids[low:high]

    @property
    def starts(self) -> Pages:  # type: ignore[override]
        return self._runs()[0]

    @property
    def ids(self) -> Pages:  # type: ignore[override]
        return self._runs()[1]

    def _merge(self, starts: Pages, ids: Pages) -> None:
        """Put runs in place of all pages."""
        self.whole.splice(self.first, self.first + self.pages, starts + self.first, ids)


def differs(ids: Pages) -> npt.NDArray[np.bool_]:
    """Of each whether it is another one than that before; of the first, that it is."""
    found = np.empty(len(ids), np.bool_)
    found[0] = True
    np.not_equal(ids[1:], ids[:-1], out=found[1:])
    return found


def _ceil_div(a: Pages, b: int) -> Pages:
    return -(-a // b)
