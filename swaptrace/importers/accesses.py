"""Accesses as every importer gives them: pages of the address space, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
"""Of every import: the machine of its scenario has the default."""

FIRST_PAGE: Final = (64 << 10) >> PAGE_SHIFT
LAST_PAGE: Final = (1 << 47 >> PAGE_SHIFT) - 1
"""The pages that a scenario can map: see mmap_min_addr, and the end of the address space."""

MOST_PAGES: Final = 1 << 26
"""Of all regions together, as many as a replay can list one by one."""

Pages = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


class OtherLine(NamedTuple):
    """A line that is no access: its number, and how many accesses come before it."""

    number: int
    text: bytes
    position: int


class Accesses(NamedTuple):
    """Accesses one after another: the page's number, whether it is a store. `others` are the
    lines between them, in order."""

    page: Pages
    write: Flags
    others: Sequence[OtherLine] = ()


def touched(address: Pages, size: Pages, write: Flags) -> tuple[Pages, Flags, npt.NDArray[np.intp]]:
    """The pages that accesses to so many bytes touch, ascending for each.

    The third are the indices of those that touch more than one, once for each page more.
    """
    shift = np.uint64(PAGE_SHIFT)
    first = address >> shift
    last = address + size
    last -= np.uint64(1)
    last >>= shift
    crossing = np.flatnonzero(first != last)
    if not len(crossing):
        return first, write, crossing
    more = (last - first)[crossing].astype(np.intp)
    ends = np.cumsum(more)
    nth = np.arange(1, ends[-1] + 1) - np.repeat(ends - more, more)
    crossing = np.repeat(crossing, more)
    page = first[crossing] + nth.astype(np.uint64)
    at = crossing + 1
    return np.insert(first, at, page), np.insert(write, at, write[crossing]), crossing
