"""The accesses of an `access` step, in chunks: the same ones whenever it is replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from swaptrace.scenario.schema import AccessPattern
from swaptrace.traces.chunk import CHUNK, Chunk
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

Picker = Callable[[Draws, int], "np.ndarray[tuple[int], np.dtype[np.uint32]]"]
"""The pages for some draws, the first of which is the one of that number."""


def accesses(step: AccessPattern, pages: int) -> Iterator[Chunk]:
    """What the step does to a range of so many pages, which are counted from its first."""
    pick = picker(step, pages)
    writes_below = np.uint64(threshold(step.write_share))
    for first in range(0, step.count, CHUNK):
        drawn = draws(step.seed, ACCESS_STREAM, first, min(CHUNK, step.count - first))
        write = (drawn & np.uint64(0xFFFFFFFF)) < writes_below
        yield Chunk(pick(drawn, first), write)


def picker(step: AccessPattern, pages: int) -> Picker:
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


def sequential(first: int, count: int, pages: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """One page after the other, over and over."""
    numbers = np.arange(first, first + count, dtype=np.uint64) % np.uint64(pages)
    return numbers.astype(np.uint32)


def zipf(step: AccessPattern, pages: int) -> Picker:
    """The page of rank k with a probability in proportion to k^-exponent; ranks in random order."""
    limits = zipf_limits(pages, step.exponent)
    of_rank = order(step.seed, pages).astype(np.uint32)

    def pick(drawn: Draws, _: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        ranks = np.searchsorted(limits, drawn >> np.uint64(11), side="right")
        return of_rank[np.minimum(ranks, pages - 1)]

    return pick


def hot(step: AccessPattern, pages: int) -> Picker:
    """A share of the accesses goes to the hot pages, which are chosen at random; the rest to the
    others."""
    shuffled = order(step.seed, pages).astype(np.uint32)
    hot_below, hot_pages = np.uint64(threshold(step.hot_share)), step.hot_pages

    def pick(drawn: Draws, first: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        goes_hot = upper(draws(step.seed, HOT_STREAM, first, len(drawn))) < hot_below
        among_hot = below(drawn, hot_pages)
        others = below(drawn, pages - hot_pages) + np.uint64(hot_pages)
        return shuffled[np.where(goes_hot, among_hot, others)]

    return pick
