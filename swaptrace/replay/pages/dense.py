"""A region whose columns lie in an array, one place for each page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from swaptrace.replay.runs.region import Region
from swaptrace.replay.runs.walk import Pages

if TYPE_CHECKING:
    from swaptrace.replay.processes import SharedRegion


class Columns(Protocol):
    """Who has the array, by page."""

    column: np.ndarray[Any, Any]


class Dense(Region):
    """A region whose columns lie in an arena, from page `first` on."""

    __slots__ = ("arena", "first")

    def __init__(self, arena: Columns, first: int, pages: int) -> None:
        self.arena = arena
        self.first = first
        self.pages = pages

    @property
    def columns(self) -> np.ndarray[Any, Any]:
        """The column of each page."""
        return self.arena.column[self.first : self.first + self.pages]

    @property
    def few(self) -> None:
        return None

    @property
    def arrays(self) -> tuple[Pages, Pages]:
        columns = self.columns
        starts = np.append(0, np.flatnonzero(columns[1:] != columns[:-1]) + 1)
        return starts, columns[starts].astype(np.int64)

    def column_at(self, page: int) -> int:
        return int(self.columns[page])

    def at(self, pages: Pages) -> Pages:
        return self.columns[pages].astype(np.int64)


def first_page(shared: SharedRegion) -> int:
    """Where the region lies in the arena."""
    assert isinstance(shared.region, Dense)
    return shared.region.first
