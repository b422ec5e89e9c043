"""The states of a block of pages as a graph, for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.blockside import BlockSide, BlockState, Key
from swaptrace.exploration.drawing import Drawing, drawing_of, label
from swaptrace.exploration.graph import ShownEffect
from swaptrace.mm.block import Block
from swaptrace.mm.blockcolumn import column_of
from swaptrace.mm.blockvalue import thaw
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import Pte, SwapPte

DRAWN: Final = 20_000
"""States of a graph: with more, nobody can look at it, not even with tools."""


def draw_blocks(side: BlockSide) -> Drawing:
    """Every state of one block under one policy. Raises `SwaptraceError` where there are more than
    anybody can look at."""
    known: set[Key] = set()

    def edges(state: BlockState) -> Iterator[tuple[str, ShownEffect, BlockState, Key]]:
        for letter in side.limits.operations:
            move = side.move(state, letter, 0)
            if move is not None:
                known.add(move.key)
                yield letter, move.effect, move.state, move.key
        if len(known) > DRAWN:
            raise SwaptraceError(
                f"these operations reach more than {DRAWN:,} states of a block of pages: choose "
                "fewer, as in --ops write@all,pageout"
            )

    start = side.state()
    return drawing_of("block", (start, side.key(start)), edges, lambda s: labels(side, s))


def labels(side: BlockSide, state: BlockState) -> str:
    """A state in a few words: the pages that are alike together."""
    placed, _ = side.places(state)
    rows, size = tuple(range(len(placed.near))), side.regions.effects.size
    block = thaw(0, [(placed.value, rows)], size)
    texts = [label(canonical(*column_of(block, i))) for i in range(len(block.maps))]
    pages = [f"{text}{where(block, i)}" for i, text in enumerate(texts)]
    at, parts = 0, []
    for text, alike in groupby(pages):
        last = at + len(list(alike)) - 1
        parts.append(f"{f'{at}-{last}' if last > at else at}: {text}")
        at = last + 1
    return "\n".join(parts)


def where(block: Block, i: int) -> str:
    """Of how many pages the folio of a page is, and whether its slot lies as in a folio that was
    swapped out whole."""
    pte = block.maps[i][0].pte
    words = []
    if isinstance(pte, SwapPte):
        words.append("slot elsewhere" if (pte.slot - i) % len(block.maps) else "slot in order")
    elif isinstance(pte, Pte) and not pte.is_zero_page and block.folios[pte.folio].nr_pages > 1:
        words.append(f"folio of {block.folios[pte.folio].nr_pages} pages")
    return "".join(f"\n{word}" for word in words)
