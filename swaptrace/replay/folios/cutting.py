"""Page tables that are cut out of others, as where a region moves or grows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from swaptrace.errors import NotModelled
from swaptrace.mm.block import Block, Pmd
from swaptrace.mm.blockvalue import Frozen, freeze

T = TypeVar("T")


def cut(block: Block, pages: range, size: int) -> Iterator[Frozen]:
    """Some pages as blocks that are naturally aligned, and larger only where a folio lies across,
    as where it was moved by a distance that is no multiple of its size."""
    start = pages.start
    for border in (*borders(block, pages, size), pages.stop):
        yield freeze(block, range(start, border), size)
        start = border


def borders(block: Block, pages: range, size: int) -> list[int]:
    """Between the first and the last of these pages, where no folio lies across."""
    if crossed(block, pages.start) or crossed(block, pages.stop):
        raise NotModelled(
            "mremap is not modelled where it moves a large folio (machine.thp) so that two page "
            "tables map it; move by a multiple of 2 MiB, or of the folio's size"
        )
    first = pages.start - (block.base + pages.start) % size + size
    return [at for at in range(first, pages.stop, size) if not crossed(block, at)]


def crossed(block: Block, at: int) -> bool:
    """Whether a folio lies across the beginning of a page."""
    return any(f.pages.start < at < f.pages.stop for f in block.folios.values())


def held_end(block: Block) -> int:
    """The end of the last page that a folio or a slot is for."""
    folios = [folio.pages.stop for folio in block.folios.values()]
    return max([0, *folios, *(slot.page + 1 for slot in block.slots.values())])


def established(pmds: Iterable[Iterable[Pmd]]) -> list[Pmd]:
    """The PMD entries of a page table that has what several others had: move_page_tables() goes
    over entries that are empty, and makes a page table for all else."""
    entries = zip(*pmds, strict=True)
    return [Pmd.NONE if {*each} == {Pmd.NONE} else Pmd.TABLE for each in entries]


def first_pages(runs: Iterable[tuple[int, T]], pages: int) -> Iterator[tuple[int, T]]:
    """So many pages of runs."""
    for count, what in runs:
        if pages <= 0:
            return
        yield min(count, pages), what
        pages -= count
