"""The names of everything that is counted, in the order of the tables."""

from __future__ import annotations

from typing import Final

COUNTERS: Final = (
    "minflt",
    "majflt",
    "pswpin",
    "pswpout",
    "swap_ra",
    "swap_ra_hit",
    "zswpin",
    "zswpout",
    "swpin_zero",
    "swpout_zero",
    "zero_fill",
    "zero_page",
    "wp_reuse",
    "wp_copy",
    "uffd_wp",
    "sigsegv",
    "spurious_dirty",
    "rewrites",
)
"""What a transition of a page counts."""

RECLAIM_COUNTERS: Final = (
    "pgscan",
    "pgsteal",
    "pgactivate",
    "pgdeactivate",
    "workingset_refault",
    "workingset_activate",
)
"""What reclaim under a memory limit counts besides."""

ALL_COUNTERS: Final = (*COUNTERS, *RECLAIM_COUNTERS)

VIOLATIONS: Final = (
    "lost_write",
    "cow_leak",
    "lost_soft_dirty",
    "lost_uffd_wp",
    "write_without_permission",
    "spurious_soft_dirty",
)
"""The promises to user space, by what breaking one is called. The last is only a warning."""

WARNINGS: Final = frozenset({"spurious_soft_dirty"})
