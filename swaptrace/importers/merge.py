"""Leaving out accesses that cannot change anything."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from swaptrace.importers.accesses import Flags, Pages


class LastAccess(NamedTuple):
    """The page accessed last, and whether it was written since another one was."""

    page: int = -1
    written: bool = False


def merged(page: Pages, write: Flags, last: LastAccess) -> tuple[Pages, Flags, LastAccess]:
    """Of accesses to one page after another, the first, and the first write; and the last.

    With no other page's access and no system call between, the page is mapped, has the accessed
    bit, and after the first write is writable and dirty: no later access faults, reclaim does not
    come between them, and in an exact LRU the page is the most recent one already.
    """
    # The first pass leaves the first access to a page, and writes that follow a read; the second
    # one of these writes.
    for _ in range(2):
        page, write = _without_repeated(page, write, last)
    return page, write, LastAccess(int(page[-1]), bool(write[-1])) if len(page) else last


def _without_repeated(page: Pages, write: Flags, last: LastAccess) -> tuple[Pages, Flags]:
    """Without reads, and writes after a write, of the page that was accessed just before."""
    if not len(page):
        return page, write
    keep = np.empty(len(page), np.bool_)
    keep[0] = not last.written
    np.logical_not(write[:-1], out=keep[1:])
    keep &= write
    keep[1:] |= page[1:] != page[:-1]
    keep[0] |= int(page[0]) != last.page
    if keep.all():
        return page, write
    where = np.flatnonzero(keep)
    return page.take(where), write.take(where)
