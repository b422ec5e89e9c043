"""The names of everything that is counted, in the order of the tables.

What counts and what breaks a promise is named by a member of an enumeration, never by a string:
one that does not exist is an error, of the type checker and of the program. Members are strings
as well, and results hold those.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Counter(StrEnum):
    """What a transition of a page counts."""

    MINFLT = "minflt"
    MAJFLT = "majflt"
    PSWPIN = "pswpin"
    PSWPOUT = "pswpout"
    SWAP_RA = "swap_ra"
    SWAP_RA_HIT = "swap_ra_hit"
    ZSWPIN = "zswpin"
    ZSWPOUT = "zswpout"
    SWPIN_ZERO = "swpin_zero"
    SWPOUT_ZERO = "swpout_zero"
    ZERO_FILL = "zero_fill"
    ZERO_PAGE = "zero_page"
    WP_REUSE = "wp_reuse"
    WP_COPY = "wp_copy"
    UFFD_WP = "uffd_wp"
    SIGSEGV = "sigsegv"
    SPURIOUS_DIRTY = "spurious_dirty"
    REWRITES = "rewrites"


class ReclaimCounter(StrEnum):
    """What reclaim under a memory limit counts besides."""

    PGSCAN = "pgscan"
    PGSTEAL = "pgsteal"
    PGACTIVATE = "pgactivate"
    PGDEACTIVATE = "pgdeactivate"
    WORKINGSET_REFAULT = "workingset_refault"
    WORKINGSET_ACTIVATE = "workingset_activate"


class ViolationKind(StrEnum):
    """The promises to user space, by what breaking one is called. The last is only a warning."""

    LOST_WRITE = "lost_write"
    COW_LEAK = "cow_leak"
    LOST_SOFT_DIRTY = "lost_soft_dirty"
    LOST_UFFD_WP = "lost_uffd_wp"
    WRITE_WITHOUT_PERMISSION = "write_without_permission"
    SPURIOUS_SOFT_DIRTY = "spurious_soft_dirty"


COUNTERS: Final = tuple(counter.value for counter in Counter)
"""The order in which a transition gives its counts."""

POSITION: Final = {counter: position for position, counter in enumerate(Counter)}
"""Where each stands in that order."""

VMSTAT: Final = (
    Counter.PSWPIN,
    Counter.PSWPOUT,
    Counter.SWAP_RA,
    Counter.SWAP_RA_HIT,
    Counter.ZSWPIN,
    Counter.ZSWPOUT,
    Counter.SWPIN_ZERO,
    Counter.SWPOUT_ZERO,
)
"""Those that /proc/vmstat shows, as far as a kernel has them (mm/vmstat.c, vmstat_text)."""

RECLAIM_COUNTERS: Final = tuple(counter.value for counter in ReclaimCounter)

ALL_COUNTERS: Final = (*COUNTERS, *RECLAIM_COUNTERS)

VIOLATIONS: Final = tuple(kind.value for kind in ViolationKind)

WARNINGS: Final = frozenset({ViolationKind.SPURIOUS_SOFT_DIRTY.value})
