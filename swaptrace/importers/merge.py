"""Leaving out accesses that cannot change anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swaptrace.importers.accesses import Flags, Pages


class Last(NamedTuple):
    """The page accessed last, and whether it was written since another one was."""

    page: int = -1
    written: bool = False


def merged(page: Pages, write: Flags, last: Last) -> tuple[Pages, Flags, Last]:
    """Of accesses to one page after another, the first, and the first write; and the last.

    With no other page's access and no system call between, the page is mapped, has the accessed
    bit, and after the first write is writable and dirty: no later access faults, reclaim does not
    come between them, and in an exact LRU the page is the most recent one already.
    """
    if not len(page):
        return page, write, last
    first = np.empty(len(page), np.bool_)
    first[0] = int(page[0]) != last.page
    np.not_equal(page[1:], page[:-1], out=first[1:])
    keep = first | _first_writes(first, write, last)
    where = np.flatnonzero(keep)
    return page[where], write[where], _after(page, write, first, last)


def _first_writes(first: Flags, write: Flags, last: Last) -> Flags:
    """The writes before which there is none since another page was accessed."""
    number = np.cumsum(write)
    before: npt.NDArray[np.intp] = number - write
    begin = np.flatnonzero(first)
    base = np.zeros(len(write), number.dtype)
    base[begin] = before[begin]
    base = np.maximum.accumulate(base)
    continued = len(write) if not len(begin) else int(begin[0])
    result: Flags = write & (before == base)
    if last.written:
        result[:continued] = False
    return result


def _after(page: Pages, write: Flags, first: Flags, last: Last) -> Last:
    """What was accessed last."""
    begin = np.flatnonzero(first)
    since = int(begin[-1]) if len(begin) else 0
    written = bool(write[since:].any())
    return Last(int(page[-1]), written or (last.written and not len(begin)))
