"""The accesses of an `access` step, in chunks: the same ones whenever it is replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from swaptrace.scenario.schema import AccessPatternStep
from swaptrace.traces.chunk import CHUNK, Chunk, Pages
from swaptrace.traces.generator import (
    ACCESS_STREAM,
    HOT_STREAM,
    Draws,
    below,
    draws,
    order,
    threshold,
    upper,
    zipf_limits,
)

Picker = Callable[[Draws, int], Pages]
"""The pages for some draws, the first of which is the one of that number."""


RANK_BITS: Final = 53
"""So many upper bits of a draw say the rank: as many as a double holds."""

BITS_MORE: Final = 4
MOST_BITS: Final = 22
"""The table of `zipf` has 16 entries for a page, and no more than 4 million."""


def accesses(step: AccessPatternStep, pages: int) -> Iterator[Chunk]:
    """What the step does to a range of so many pages, which are counted from its first."""
    pick = picker(step, pages)
    writes_below = np.uint64(threshold(step.write_share))
    for first in range(0, step.count, CHUNK):
        drawn = draws(step.seed, ACCESS_STREAM, first, min(CHUNK, step.count - first))
        write = (drawn & np.uint64(0xFFFFFFFF)) < writes_below
        yield Chunk(pick(drawn, first), write)


def picker(step: AccessPatternStep, pages: int) -> Picker:
    """How the pattern chooses pages."""
    match step.pattern:
        case "sequential":
            return lambda drawn, first: sequential(first, len(drawn), pages)
        case "uniform":
            return lambda drawn, _: below(drawn, pages).astype(np.uint32)
        case "zipf":
            return zipf(step, pages)
        case "hot":
            return hot(step, pages)


def sequential(first: int, count: int, pages: int) -> Pages:
    """One page after the other, over and over."""
    numbers = np.arange(first, first + count, dtype=np.uint64) % np.uint64(pages)
    return numbers.astype(np.uint32)


def zipf(step: AccessPatternStep, pages: int) -> Picker:
    """The page of rank k with a probability in proportion to k^-exponent; ranks in random order.

    Most draws can be told by their upper bits: `ranks` is by these, -1 where more than one rank
    begins with them.
    """
    limits = zipf_limits(pages, step.exponent)
    of_rank = order(step.seed, pages).astype(np.uint32)
    bits = min((pages - 1).bit_length() + BITS_MORE, MOST_BITS)
    edges = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(RANK_BITS - bits)
    first = np.searchsorted(limits, edges[:-1], side="right")
    last = np.searchsorted(limits, edges[1:] - np.uint64(1), side="right")
    ranks = np.where(first == last, last, -1).astype(np.int32)

    def pick(drawn: Draws, _: int) -> Pages:
        found = ranks[drawn >> np.uint64(64 - bits)]
        left = np.flatnonzero(found < 0)
        found[left] = np.searchsorted(
            limits, drawn[left] >> np.uint64(64 - RANK_BITS), side="right"
        )
        page: Pages = of_rank[found]
        return page

    return pick


def hot(step: AccessPatternStep, pages: int) -> Picker:
    """A share of the accesses goes to the hot pages, which are chosen at random; the rest to the
    others."""
    shuffled = order(step.seed, pages).astype(np.uint32)
    hot_below, hot_pages = np.uint64(threshold(step.hot_share)), step.hot_pages

    def pick(drawn: Draws, first: int) -> Pages:
        goes_hot = upper(draws(step.seed, HOT_STREAM, first, len(drawn))) < hot_below
        among_hot = below(drawn, hot_pages)
        others = below(drawn, pages - hot_pages) + np.uint64(hot_pages)
        return shuffled[np.where(goes_hot, among_hot, others)]

    return pick
