"""Regions as page tables, and equal page tables side by side as stretches.

Page tables are equal if their blocks are, and the rows of slots that these have are as far apart
from one page table to the next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

PageRows: TypeAlias = tuple[int, ...]
"""The rows of slots of all blocks of a page table, one after the other."""


class Stretch(NamedTuple):
    """`tables` page tables, the first of which has these blocks and rows; the rows of each next one
    are `strides` further on."""

    tables: int
    blocks: tuple[int, ...]
    rows: PageRows
    strides: PageRows

    def rows_at(self, index: int) -> PageRows:
        """The rows of one of them."""
        if not index:
            return self.rows
        return tuple(
            [row + index * stride for row, stride in zip(self.rows, self.strides, strict=True)]
        )

    def part(self, start: int, count: int) -> Stretch:
        """Some of them, from one on."""
        return Stretch(count, self.blocks, self.rows_at(start), self.strides)

    def joined(self, other: Stretch) -> Stretch | None:
        """With those that follow, if all are equal."""
        if self.blocks != other.blocks:
            return None
        strides = self.strides
        if self.tables == 1:
            strides = tuple([b - a for a, b in zip(self.rows, other.rows, strict=True)])
        elif other.rows != self.rows_at(self.tables):
            return None
        if other.tables > 1 and other.strides != strides:
            return None
        return Stretch(self.tables + other.tables, self.blocks, self.rows, strides)


def single(blocks: tuple[int, ...], rows: PageRows) -> Stretch:
    """One page table."""
    return Stretch(1, blocks, rows, (0,) * len(rows))


class StretchTables:
    """The page tables of a region, numbered from `first` on."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.starts: list[int] = []
        self.stretches: list[Stretch] = []

    def append(self, new: Stretch) -> None:
        """Put page tables at the end."""
        last = self.stretches[-1].joined(new) if self.stretches else None
        if last is not None:
            self.stretches[-1] = last
            return
        self.starts.append(self.end)
        self.stretches.append(new)

    @property
    def end(self) -> int:
        """One past the last."""
        return self.starts[-1] + self.stretches[-1].tables if self.stretches else self.first

    def find(self, number: int) -> tuple[int, int]:
        """The stretch that a page table lies in, and which of that it is."""
        index = bisect_right(self.starts, number) - 1
        return index, number - self.starts[index]

    def numbered(self) -> Iterator[tuple[int, Stretch]]:
        """Each stretch with the number of its first page table."""
        return zip(self.starts, self.stretches, strict=True)

    def cut_off(self, end: int) -> None:
        """Only the page tables before this one are left."""
        index, inside = self.find(end)
        if inside:
            self.stretches[index] = self.stretches[index].part(0, inside)
        del self.starts[index + (inside > 0) :]
        del self.stretches[index + (inside > 0) :]

    def replace(self, number: int, new: list[Stretch]) -> None:
        """Put page tables in the place of as many, from one on."""
        end = number + sum(each.tables for each in new)
        low, before = self.find(number)
        high, inside = self.find(end - 1)
        after = self.stretches[high].tables - inside - 1
        parts = [self.stretches[low].part(0, before)] if before else []
        parts += new
        if after:
            parts.append(self.stretches[high].part(inside + 1, after))
        # Those beside may go on alike.
        low, high = max(low - 1, 0), min(high + 1, len(self.stretches) - 1)
        outer_low = self.stretches[low : self.find(number)[0]]
        outer_high = self.stretches[self.find(end - 1)[0] + 1 : high + 1]
        merged = StretchTables(self.starts[low])
        for each in (*outer_low, *parts, *outer_high):
            merged.append(each)
        self.starts[low : high + 1] = merged.starts
        self.stretches[low : high + 1] = merged.stretches
