"""What happens to a region of many runs, as arrays: where they start, and their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from swaptrace.replay.runs.lists import RunLists
from swaptrace.replay.runs.walk import Walk

Pages: TypeAlias = npt.NDArray[np.int64]
RunArrays: TypeAlias = tuple[Pages, Pages]


def as_arrays(runs: RunLists) -> RunArrays:
    """Few runs as many are kept."""
    return np.array(runs.starts, dtype=np.int64), np.array(runs.ids, dtype=np.int64)


def ascending(walk: Walk) -> Pages:
    """Every page of a walk."""
    return np.sort(walk._replace(seed=None).pages())


def segments(runs: RunArrays, pages: int, walk: Walk) -> tuple[Pages, Pages, Pages]:
    """Of every stretch of equal columns its index in the walk, visited pages and column."""
    walk = walk.ordered()
    if walk.scattered is not None:
        ids = columns_at(runs, walk.scattered)
        change = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1))
        return change, np.diff(change, append=len(ids)), ids[change]
    ids, count = visited(runs, pages, walk)
    if walk.backward:
        ids, count = ids[::-1], count[::-1]
    return np.cumsum(count) - count, count, ids


def visited(runs: RunArrays, pages: int, walk: Walk) -> tuple[Pages, Pages]:
    """The runs that a walk meets, ascending, and how many pages it visits of each."""
    starts, ids = runs
    low = int(starts.searchsorted(walk.first, side="right")) - 1
    high = int(starts.searchsorted(walk.end, side="left"))
    ends = np.minimum(np.concatenate([starts[1:], [pages]])[low:high], walk.end)
    starts = np.maximum(starts[low:high], walk.first)
    # Visited pages below x: those with first + i * stride < x.
    count = _ceil_div(ends - walk.first, walk.stride) - _ceil_div(starts - walk.first, walk.stride)
    met = count > 0
    return ids[low:high][met], count[met]


def histogram(runs: RunArrays, pages: int, walk: Walk) -> dict[int, int]:
    """How many of the visited pages hold each column, by ascending column."""
    _, counts, ids = segments(runs, pages, walk)
    columns, inverse = np.unique(ids, return_inverse=True)
    totals = np.zeros(len(columns), dtype=np.int64)
    np.add.at(totals, inverse, counts)
    return dict(zip(columns.tolist(), totals.tolist(), strict=True))


def uniform_around(runs: RunArrays, pages: int, page: int) -> tuple[int, int]:
    """The run that a page lies in: its first page, and one past its last."""
    starts, _ = runs
    after = int(starts.searchsorted(page, side="right"))
    return int(starts[after - 1]), int(starts[after]) if after < len(starts) else pages


def column_at(runs: RunArrays, page: int) -> int:
    """The column of a page."""
    starts, ids = runs
    return int(ids[int(starts.searchsorted(page, side="right")) - 1])


def columns_at(runs: RunArrays, pages: Pages) -> Pages:
    """The columns of single pages."""
    starts, ids = runs
    return ids[starts.searchsorted(pages, side="right") - 1]


def translated(ids: Pages, new: Mapping[int, int]) -> Pages:
    """What is `new` for each."""
    old = sorted(new)
    to = np.array([new[each] for each in old], dtype=np.int64)
    return to[np.array(old, dtype=np.int64).searchsorted(ids)]


def replaced(runs: RunArrays, pages: int, low: int, high: int, new: Mapping[int, int]) -> RunArrays:
    """With what is `new` for the columns of the pages `low` to `high`."""
    starts, ids = part(runs, low, high)
    return spliced(runs, pages, low, high, (starts + low, translated(ids, new)))


def part(runs: RunArrays, low: int, high: int) -> RunArrays:
    """The runs of the pages `low` to `high`, counted from `low`."""
    starts, ids = runs
    first = int(starts.searchsorted(low, side="right")) - 1
    last = int(starts.searchsorted(high, side="left"))
    return np.maximum(starts[first:last] - low, 0), ids[first:last]


def spliced(runs: RunArrays, pages: int, low: int, high: int, new: RunArrays) -> RunArrays:
    """With runs in place of the pages `low` to `high`; the first starts at `low`."""
    (starts, ids), (new_starts, new_ids) = runs, new
    first = int(starts.searchsorted(low, side="left"))
    last = int(starts.searchsorted(high, side="left"))
    if high < pages and (last == len(starts) or starts[last] > high):
        # The run that `high` lies in goes on behind the new ones.
        new_starts = np.concatenate([new_starts, [high]])
        new_ids = np.concatenate([new_ids, ids[last - 1 : last]])
    return (
        np.concatenate([starts[:first], new_starts, starts[last:]]),
        np.concatenate([ids[:first], new_ids, ids[last:]]),
    )


def assigned(runs: RunArrays, pages: int, single: Pages, values: Pages) -> RunArrays:
    """With the columns of single pages, ascending and distinct."""
    after = single + 1
    after = after[after < pages]
    starts = np.concatenate([runs[0], after, single])
    ids = np.concatenate([runs[1], columns_at(runs, after), values])
    # A stable sort: of equal starts the one assigned comes last, and wins.
    order = np.argsort(starts, kind="stable")
    starts, ids = starts[order], ids[order]
    last = np.append(starts[1:] != starts[:-1], True)
    return starts[last], ids[last]


def tiled(pieces: Sequence[tuple[int, RunLists, int, int]]) -> RunArrays:
    """Blocks of so many pages, each from a page on, with runs, and so many times in a row."""
    starts, ids = [], []
    for start, runs, pages, times in pieces:
        offsets = start + pages * np.arange(times, dtype=np.int64)
        within, columns = as_arrays(runs)
        starts.append((offsets[:, None] + within[None, :]).ravel())
        ids.append(np.tile(columns, times))
    return np.concatenate(starts), np.concatenate(ids)


def resized(runs: RunArrays, pages: int, to: int, column: int) -> RunArrays:
    """With pages cut off at the end, or more of a column."""
    starts, ids = runs
    if to > pages:
        return np.concatenate([starts, [pages]]), np.concatenate([ids, [column]])
    kept = starts < to
    return starts[kept], ids[kept]


def merged(runs: RunArrays) -> RunArrays:
    """With equal neighbouring runs merged."""
    starts, ids = runs
    keep = differs(ids)
    return starts[keep], ids[keep]


def differs(ids: Pages) -> npt.NDArray[np.bool_]:
    """Of each whether it is another one than that before; of the first, that it is."""
    found = np.empty(len(ids), np.bool_)
    found[:1] = True
    np.not_equal(ids[1:], ids[:-1], out=found[1:])
    return found


def spaced(first: int, count: int, stride: int) -> Pages:
    """So many numbers, from the first on."""
    return first + stride * np.arange(count, dtype=np.int64)


def cuts(pages: Pages, marks: Sequence[int]) -> list[int]:
    """Where pages in a row go to the other side of a mark, of ascending ones; 0 and their number
    too."""
    side = np.array(marks, dtype=np.int64).searchsorted(pages, side="right")
    return [0, *(np.flatnonzero(np.diff(side)) + 1).tolist(), len(pages)]


def stretches(numbers: Pages) -> Iterator[tuple[int, int, int]]:
    """Of each stretch of equal numbers the number, where it starts and where it ends."""
    starts = np.flatnonzero(differs(numbers)).tolist()
    for start, end in pairwise([*starts, len(numbers)]):
        yield int(numbers[start]), start, end


def _ceil_div(a: Pages, b: int) -> Pages:
    return -(-a // b)
