"""What happens to a region of few runs, as lists."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from swaptrace.replay.runs.walk import Walk


class RunLists(NamedTuple):
    """Where runs start, ascending from 0, and which column they hold. Never changed."""

    starts: list[int]
    ids: list[int]


def segments(runs: RunLists, pages: int, walk: Walk) -> Iterator[tuple[int, int, int]]:
    """(index in the walk, visited pages, column) of every stretch, in the order of a walk that is
    regular."""
    met = list(visited(runs, pages, walk))
    at = 0
    for count, column in reversed(met) if walk.backward else met:
        yield at, count, column
        at += count


def visited(runs: RunLists, pages: int, walk: Walk) -> Iterator[tuple[int, int]]:
    """The runs that a walk meets, ascending: how many pages it visits, and their column."""
    starts, ids = runs
    first, end, stride = walk.first, walk.end, walk.stride
    if not walk.count:
        return
    before = 0  # visited pages below x: those with first + i * stride < x
    for index in range(bisect_right(starts, first) - 1, len(starts)):
        if starts[index] >= end:
            return
        until = min(starts[index + 1] if index + 1 < len(starts) else pages, end)
        below = -((first - until) // stride)
        if below > before:
            yield below - before, ids[index]
        before = below


def histogram(runs: RunLists, pages: int, walk: Walk) -> dict[int, int]:
    """How many of the pages of a regular walk hold each column, by ascending column."""
    if len(runs.ids) == 1:
        return {runs.ids[0]: walk.count}
    found: dict[int, int] = {}
    for count, column in visited(runs, pages, walk):
        found[column] = found.get(column, 0) + count
    return dict(sorted(found.items()))


def uniform_around(runs: RunLists, pages: int, page: int) -> tuple[int, int]:
    """The run that a page lies in: its first page, and one past its last."""
    after = bisect_right(runs.starts, page)
    return runs.starts[after - 1], runs.starts[after] if after < len(runs.starts) else pages


def column_at(runs: RunLists, page: int) -> int:
    """The column of a page."""
    return runs.ids[bisect_right(runs.starts, page) - 1]


def replaced(runs: RunLists, pages: int, low: int, high: int, new: Mapping[int, int]) -> RunLists:
    """With what is `new` for the columns of the pages `low` to `high`."""
    if len(runs.ids) == 1 and high - low == pages:
        return RunLists(runs.starts, [new[runs.ids[0]]])
    inside = part(runs, low, high)
    starts = [start + low for start in inside.starts]
    return spliced(runs, pages, low, high, RunLists(starts, [new[each] for each in inside.ids]))


def part(runs: RunLists, low: int, high: int) -> RunLists:
    """The runs of the pages `low` to `high`, counted from `low`."""
    first, last = bisect_right(runs.starts, low) - 1, bisect_left(runs.starts, high)
    starts = [max(start - low, 0) for start in runs.starts[first:last]]
    return RunLists(starts, runs.ids[first:last])


def spliced(runs: RunLists, pages: int, low: int, high: int, new: RunLists) -> RunLists:
    """With runs in place of the pages `low` to `high`; the first starts at `low`."""
    starts, ids = runs
    first, last = bisect_left(starts, low), bisect_left(starts, high)
    behind = RunLists(starts[last:], ids[last:])
    if high < pages and (last == len(starts) or starts[last] > high):
        # The run that `high` lies in goes on behind the new ones.
        behind = RunLists([high, *behind.starts], [ids[last - 1], *behind.ids])
    return RunLists(
        [*starts[:first], *new.starts, *behind.starts], [*ids[:first], *new.ids, *behind.ids]
    )


def resized(runs: RunLists, pages: int, to: int, column: int) -> RunLists:
    """With pages cut off at the end, or more of a column."""
    if to > pages:
        return RunLists([*runs.starts, pages], [*runs.ids, column])
    kept = bisect_left(runs.starts, to)
    return RunLists(runs.starts[:kept], runs.ids[:kept])


def merged(runs: RunLists) -> RunLists:
    """With equal neighbouring runs merged."""
    if len(runs.ids) == 1:
        return runs
    starts: list[int] = []
    ids: list[int] = []
    for start, column in zip(*runs, strict=True):
        if not ids or ids[-1] != column:
            starts.append(start)
            ids.append(column)
    return RunLists(starts, ids)
