"""The names of everything that is counted, in the order of the tables.

What counts and what breaks a promise is named by a member of an enumeration, never by a string:
one that does not exist is an error, of the type checker and of the program. Members are strings
as well, and results hold those.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self


class Named(StrEnum):
    """A name that explains itself: `meaning`, the kernel `function` that it comes from, and where a
    kernel shows it (`shown`; empty: nowhere, the model alone knows)."""

    meaning: str
    function: str
    shown: str

    def __new__(cls, name: str, meaning: str, function: str, shown: str = "") -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.function, member.shown = meaning, function, shown
        return member


class Counter(Named):
    """What a transition of a page counts."""

    MINFLT = (
        "minflt",
        "Minor faults of the process that executes the step; mlock and MADV_POPULATE fault on "
        "behalf of their caller.",
        "mm_account_fault",
        "getrusage(2), ru_minflt",
    )
    MAJFLT = (
        "majflt",
        "Major faults of the process that executes the step: the page had to be read.",
        "mm_account_fault",
        "getrusage(2), ru_majflt",
    )
    PSWPIN = ("pswpin", "Pages read from the swap device.", "swap_read_folio", "/proc/vmstat")
    PSWPOUT = ("pswpout", "Pages written to the swap device.", "__swap_writepage", "/proc/vmstat")
    SWAP_RA = ("swap_ra", "Pages read ahead.", "swap_vma_readahead", "/proc/vmstat")
    SWAP_RA_HIT = (
        "swap_ra_hit",
        "Pages read ahead that a fault then found in the swap cache.",
        "swap_cache_get_folio",
        "/proc/vmstat",
    )
    ZSWPIN = ("zswpin", "Pages loaded from zswap.", "zswap_load", "/proc/vmstat")
    ZSWPOUT = ("zswpout", "Pages stored in zswap.", "zswap_store", "/proc/vmstat")
    SWPIN_ZERO = (
        "swpin_zero",
        "Pages of zeros that the zeromap gave back without a read.",
        "swap_read_folio_zeromap",
        "/proc/vmstat since 6.12",
    )
    SWPOUT_ZERO = (
        "swpout_zero",
        "Pages of zeros that the zeromap took without a write.",
        "swap_writepage",
        "/proc/vmstat since 6.12",
    )
    ZERO_FILL = (
        "zero_fill",
        "First accesses that were served with a fresh page.",
        "do_anonymous_page",
    )
    ZERO_PAGE = (
        "zero_page",
        "First accesses that were served with the shared zero page.",
        "do_anonymous_page",
    )
    WP_REUSE = (
        "wp_reuse",
        "Write-protect faults that reused the page, those within a swap-in fault as well.",
        "wp_page_reuse",
    )
    WP_COPY = (
        "wp_copy",
        "Write-protect faults that copied the page, those within a swap-in fault as well.",
        "wp_page_copy",
    )
    COW_FAULT = (
        "cow_fault",
        "First writes to a page of a private file that were served with a copy.",
        "do_cow_fault",
    )
    FAULT_AROUND = (
        "fault_around",
        "Pages of shared memory and files that a read fault of a neighbour mapped.",
        "filemap_map_pages",
    )
    UFFD_WP = (
        "uffd_wp",
        "Write-protect events delivered to the userfaultfd.",
        "handle_userfault",
        "read(2) from the userfaultfd",
    )
    UFFD_RWP = (
        "uffd_rwp",
        "Read-write-protect events delivered to the userfaultfd.",
        "do_uffd_rwp",
        "read(2) from the userfaultfd since 7.3",
    )
    UFFD_MISSING = (
        "uffd_missing",
        "Missing-page events delivered to the userfaultfd.",
        "handle_userfault",
        "read(2) from the userfaultfd",
    )
    SIGSEGV = (
        "sigsegv",
        "Access steps that ended at a forbidden access.",
        "do_user_addr_fault",
        "the signal",
    )
    SIGBUS = (
        "sigbus",
        "Access steps that ended beyond the end of a file.",
        "do_sigbus",
        "the signal",
    )
    SPURIOUS_DIRTY = (
        "spurious_dirty",
        "PTEs made dirty although nothing was written through them.",
        "do_swap_page",
    )
    LRU_DRAINS = (
        "lru_drains",
        "Calls of lru_add_drain() by faults, counted where machine.lru_batch is kept.",
        "lru_add_drain",
    )
    MTHP_FAULT_ALLOC = (
        "mthp_fault_alloc",
        "Large folios that first writes were served with.",
        "do_anonymous_page",
        "hugepages-*/stats/anon_fault_alloc since 6.10, 2 MiB included",
    )
    MTHP_SWPIN = (
        "mthp_swpin",
        "Large folios read from the swap device whole.",
        "swap_read_folio",
        "hugepages-*/stats/swpin since 6.13",
    )
    MTHP_SWPIN_FALLBACK = (
        "mthp_swpin_fallback",
        "Sizes that a swap-in through the swap cache tried in vain.",
        "swap_cache_alloc_folio",
        "hugepages-*/stats/swpin_fallback",
    )
    MTHP_SWPOUT = (
        "mthp_swpout",
        "Large folios written to the swap device whole.",
        "count_swpout_vm_event",
        "hugepages-*/stats/swpout since 6.10",
    )
    MTHP_SWPOUT_FALLBACK = (
        "mthp_swpout_fallback",
        "Large folios that were split as they found no room in a row on the swap device.",
        "shrink_folio_list",
        "hugepages-*/stats/swpout_fallback since 6.10",
    )
    MTHP_SPLIT = (
        "mthp_split",
        "Large folios that were split.",
        "split_huge_page_to_list_to_order",
        "hugepages-*/stats/split since 6.11",
    )
    THP_FAULT_ALLOC = (
        "thp_fault_alloc",
        "Folios of 2 MiB that first writes were served with; `mthp_fault_alloc` has them as well.",
        "vma_alloc_anon_folio_pmd",
        "/proc/vmstat",
    )
    THP_SWPOUT = (
        "thp_swpout",
        "Folios of 2 MiB written to the swap device whole; `mthp_swpout` has them as well.",
        "count_swpout_vm_event",
        "/proc/vmstat",
    )
    THP_SPLIT_PAGE = (
        "thp_split_page",
        "Folios of 2 MiB that were split, up to 6.9 of any size; `mthp_split` has them as well.",
        "split_huge_page_to_list_to_order",
        "/proc/vmstat",
    )
    REWRITES = (
        "rewrites",
        "Pages written to swap although their slot already held the same data.",
        "swap_writepage",
    )


class ReclaimCounter(Named):
    """What reclaim under a memory limit counts besides."""

    PGSCAN = (
        "pgscan",
        "Pages that reclaim took off inactive lists, or the oldest generation, to look at them.",
        "shrink_inactive_list",
        "/proc/vmstat and memory.stat",
    )
    PGSTEAL = (
        "pgsteal",
        "Pages that reclaim freed.",
        "shrink_inactive_list",
        "/proc/vmstat and memory.stat",
    )
    PGACTIVATE = (
        "pgactivate",
        "Pages that reclaim found in use and moved to the active list.",
        "shrink_folio_list",
        "/proc/vmstat and memory.stat",
    )
    PGDEACTIVATE = (
        "pgdeactivate",
        "Active pages moved to the inactive list.",
        "shrink_active_list",
        "/proc/vmstat and memory.stat",
    )
    WORKINGSET_REFAULT = (
        "workingset_refault",
        "Faults on pages that had been reclaimed.",
        "workingset_refault",
        "/proc/vmstat and memory.stat, workingset_refault_anon",
    )
    WORKINGSET_ACTIVATE = (
        "workingset_activate",
        "Faults on pages that came back so soon that they were made active at once.",
        "workingset_refault",
        "/proc/vmstat and memory.stat, workingset_activate_anon",
    )
    WORKINGSET_RESTORE = (
        "workingset_restore",
        "Of those the ones that had been known to be in use; under mglru, all by faults.",
        "workingset_refault",
        "/proc/vmstat and memory.stat, workingset_restore_anon",
    )


class ViolationKind(StrEnum):
    """The promises to user space, by what breaking one is called.

    `promise` is what is broken; a broken promise that costs time, but no data, is a warning only.
    """

    promise: str
    warning: bool

    def __new__(cls, name: str, promise: str, warning: bool = False) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.promise, member.warning = promise, warning
        return member

    LOST_WRITE = ("lost_write", "A read returns what the process last wrote there.")
    COW_LEAK = ("cow_leak", "A process never sees what another wrote to a private page.")
    LOST_SOFT_DIRTY = (
        "lost_soft_dirty",
        "A page that was written since clear_refs reads as soft-dirty.",
    )
    LOST_UFFD_WP = ("lost_uffd_wp", "No write lands on a write-protected page without an event.")
    PIN_BROKEN = (
        "pin_broken",
        "What is read through a pin is what the process that took it last wrote, and never what "
        "another one did.",
    )
    WRITE_WITHOUT_PERMISSION = (
        "write_without_permission",
        "No PTE is writable in a mapping without PROT_WRITE.",
    )
    SPURIOUS_SOFT_DIRTY = (
        "spurious_soft_dirty",
        "A page that was not written since clear_refs does not read as soft-dirty.",
        True,
    )


COUNTERS: Final = tuple(counter.value for counter in Counter)
"""The order in which a transition gives its counts."""

POSITION: Final = {counter: position for position, counter in enumerate(Counter)}
"""Where each stands in that order."""

MTHP: Final = tuple(counter for counter in Counter if counter.startswith(("mthp_", "thp_")))
"""Those of large folios: hugepages-*/stats show them for each size, /proc/vmstat those of 2 MiB."""

VMSTAT: Final = tuple(
    each for each in Counter if each.shown.startswith("/proc/vmstat") and each not in MTHP
)
"""The others that /proc/vmstat shows, as far as a kernel has them (mm/vmstat.c, vmstat_text)."""

RECLAIM_COUNTERS: Final = tuple(counter.value for counter in ReclaimCounter)

ALL_COUNTERS: Final = (*COUNTERS, *RECLAIM_COUNTERS)

NAMED: Final[tuple[Named, ...]] = (*Counter, *ReclaimCounter)
"""Every counter with what there is to say of it."""

VIOLATIONS: Final = tuple(kind.value for kind in ViolationKind)

WARNINGS: Final = frozenset(kind.value for kind in ViolationKind if kind.warning)
