"""A page table that is being visited."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from swaptrace.mm.blockvalue import Rows
from swaptrace.replay.folios.around import Piece, Pieces
from swaptrace.replay.folios.jump import Counted
from swaptrace.replay.folios.stretches import Stretch, single


@dataclass(slots=True)
class Opened:
    """A page table that is being visited: its blocks with the first page of each (the last of
    `starts` is the end), counted from `first` of the region, their rows, and the VMAs in it.
    `looked_up` is that read-ahead has noticed."""

    number: int
    first: int
    blocks: list[int]
    rows: list[Rows]
    starts: list[int]
    pieces: Pieces
    counted: Counted = field(default_factory=Counted)
    looked_up: bool = False

    @property
    def stretch(self) -> Stretch:
        """As it is now."""
        return single(tuple(self.blocks), tuple([row for rows in self.rows for row in rows]))

    def find(self, page: int) -> tuple[int, int]:
        """The block that a page of the region lies in, and where in it that is."""
        k = bisect_right(self.starts, page - self.first) - 1
        return k, page - self.first - self.starts[k]

    def parts(self, low: int, high: int) -> Pieces:
        """The VMAs in some of its pages."""
        return tuple(
            tuple(
                Piece(max(each.start, low) - low, min(each.end, high) - low, each.orders)
                for each in pieces
                if each.start < high and low < each.end
            )
            for pieces in self.pieces
        )

    def blocks_of(self, pages: range) -> list[tuple[int, range]]:
        """The blocks that pages lie in, in their order, with the pages of each counted from its
        first."""
        starts, inside = self.starts, shifted(pages, -self.first)
        low, high = (bisect_right(starts, each) - 1 for each in (min(inside), max(inside)))
        numbers = range(low, high + 1)
        found = [
            (k, shifted(within(inside, (starts[k], starts[k + 1])), -starts[k]))
            for k in (numbers if pages.step > 0 else numbers[::-1])
        ]
        return [(k, part) for k, part in found if part]


def within(pages: range, bounds: tuple[int, int]) -> range:
    """The pages, ascending or descending, that are between bounds."""
    if pages.step < 0:
        return within(pages[::-1], bounds)[::-1]
    low, high = bounds
    skipped = max(0, -(-(low - pages.start) // pages.step))
    return range(pages.start + skipped * pages.step, min(pages.stop, high), pages.step)


def shifted(pages: range, by: int) -> range:
    """The pages so much further on."""
    return range(pages.start + by, pages.stop + by, pages.step)
