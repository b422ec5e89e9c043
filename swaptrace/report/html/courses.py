"""What happens within a long step: a column for each of its parts, the states one on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import Final, NamedTuple

from swaptrace.report.html.strips import Painted, Path
from swaptrace.result.history import Moment

HEIGHT: Final = 100
"""Units from the bottom of a column to its top, which stands for all pages of the region."""


class Course(NamedTuple):
    """The columns of a region, painted in this order, and the same in words: for each column after
    how many accesses how many pages were in which state."""

    columns: int
    paths: tuple[Path, ...]
    accesses: int
    words: str


def course(
    moments: Sequence[Moment], strip: int, states: Painted, letters: Mapping[int, str]
) -> Course | None:
    """That of the strip with this number; None where it is the same all the time."""
    columns = [{run.state: run.pages for run in moment.pages[strip]} for moment in moments]
    if not columns or all(column == columns[0] for column in columns):
        return None
    order = sorted({state for column in columns for state in column}, key=states.__getitem__)
    levels = [list(accumulate(column.get(state, 0) for state in order)) for column in columns]
    paths = [
        Path(*states[state], _steps([HEIGHT * (1 - level[at] / level[-1]) for level in levels]))
        for at, state in enumerate(order)
    ]
    words = (
        f"{moment.accesses}: {', '.join(_words(column, order, letters))}"
        for moment, column in zip(moments, columns, strict=True)
    )
    return Course(len(columns), tuple(reversed(paths)), moments[-1].accesses, "; ".join(words))


def _steps(tops: Sequence[float]) -> str:
    """The area under these tops, a column each."""
    runs = ((top, sum(1 for _ in same)) for top, same in groupby(f"{top:.4g}" for top in tops))
    return f"M0 {HEIGHT}{''.join(f'V{top}h{width}' for top, width in runs)}V{HEIGHT}z"


def _words(
    column: Mapping[int, int], order: Sequence[int], letters: Mapping[int, str]
) -> Iterator[str]:
    return (f"{column[state]} {letters[state]}" for state in order if state in column)
