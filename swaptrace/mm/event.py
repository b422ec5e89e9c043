"""What can happen to one page, one frozen class per event.

An event names the process by its index in `Column.maps` and carries the machine-wide
facts that it needs as a plain value, so that a transition depends on nothing else.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from swaptrace.backends import BACKENDS, Backend
from swaptrace.mm.column import Vma


class Facts(NamedTuple):
    """What a page's fate depends on besides the page itself.

    `mprotect_upgrades` is one half of `write_upgrade`, where that is off (6.2). `wp_unreadable` is
    that write-protecting leaves of PROT_WRITE nothing (up to 6.2). `backend` is the
    swap device; `zeromap`, `per_vma_lock`, `write_upgrade`, `hw_dirty`, `mkwrite_dirties`,
    `zswap_never_enabled` and, for large folios, `soft_dirty` are the machine features of the
    scenario format, and so is `discards_pmd` up to 7.2;
    `sync_through_cache`, `maps_before_freeing`, `exclusive_alone`, `lazyfree_stays`, those of large
    folios from `collapses_read_only` on, `swapin_unmlocked`, `shmem_sync` and `uffd_rwp` the rules
    of these names of the kernel (`swaptrace.kernels`). `swap_full` is mem_cgroup_swap_full() (more
    than half of the slots used), `slot_free` that folio_alloc_swap() finds a slot; these two change
    during a replay. `readahead` is that a swap-in through the cache reads more than one page, after
    which the per-CPU batches let go of folios (swap_vma_readahead(), up to 7.2), `read_listed` that
    they have of what the fault reads before it is mapped (since), `found_waiting` that they
    have not of the folio that it finds, as it has read it. `batch_left` is how many more fill that
    of new folios, up to `MOST_ADDED`, `mlock_left` that of mlock; 0: both are empty. `keeps_fresh`
    is that `Folio.fresh` matters.
    """

    backend: Backend = BACKENDS["zram"]
    zeromap: bool = True
    per_vma_lock: bool = True
    write_upgrade: bool = True
    mprotect_upgrades: bool = False
    wp_unreadable: bool = False
    hw_dirty: bool = True
    mkwrite_dirties: bool = False
    sync_through_cache: bool = False
    maps_before_freeing: bool = False
    exclusive_alone: bool = False
    lazyfree_stays: bool = False
    pins_break_cow: bool = True
    collapses_read_only: bool = False
    reuses_large: bool = False
    zswap_never_enabled: bool = True
    soft_dirty: bool = True
    mm_ids: bool = False
    splits_backward: bool = False
    requeues_migrated: bool = False
    batches_protection: bool = False
    batches_lazyfree: bool = False
    unmaps_wp_singly: bool = False
    unmaps_wp_together: bool = False
    copies_last: bool = True
    splits_unmapped_first: bool = True
    swaps_out_whole: bool = True
    advice_takes_whole: bool = True
    frees_whole: bool = True
    sharers_by_mapcount: bool = True
    counts_huge_splits: bool = True
    maps_cached_whole: bool = True
    frees_large_swap: bool = True
    swaps_in_whole: bool = True
    drops_zeroes: bool = True
    counts_refused_swapin: bool = False
    discards_pmd: bool = True
    keeps_written_pmd: bool = False
    replaces_huge_zero: bool = False
    frees_page_tables: bool = False
    swap_full: bool = False
    slot_free: bool = True
    readahead: bool = True
    batch_left: int = 0
    mlock_left: int = 0
    swapin_unmlocked: bool = False
    keeps_fresh: bool = False
    shmem_sync: bool = False
    uffd_rwp: bool = False
    read_listed: bool = False
    found_waiting: bool = False


MOST_ADDED: Final = 4
"""More folios than an event adds to the per-CPU batch."""

Store = Literal["fresh", "zero", "same"] | int
"""What a write leaves: data never seen before, a page of zeroes, or (writing back what was
read) zeroes where there were zeroes and fresh data elsewhere. A number is fresh data of that byte,
which is not zero (with `FILLED`: of that byte alone): where a scenario asks what the data are."""


class Access(NamedTuple):
    """A load (`read`), a store (`store` not None), or a load and then a store."""

    process: int
    facts: Facts
    read: bool
    store: Store | None


class Populate(NamedTuple):
    """The kernel faults the page in for the process (mlock, MADV_POPULATE_*; mm/gup.c).

    `tried` is that a retried fault carries FAULT_FLAG_TRIED, as it does for
    MADV_POPULATE_* (__get_user_pages_locked) and not for mlock. `may_retry` is FOLL_UNLOCKABLE:
    without it (mprotect of a locked VMA) a fault cannot wait for a userfaultfd. `pin` is that a
    reference is taken: for a longterm pin, to write, or with FOLL_GET, to read; with `unshare` for
    a longterm pin to read, for which the page must be exclusive (FAULT_FLAG_UNSHARE); `slow` that a
    page before this one was not as the pin needs it (gup_fast_fallback()). `store` is what a
    debugger writes to the page then (FOLL_FORCE).
    """

    process: int
    facts: Facts
    write: bool
    tried: bool = False
    may_retry: bool = True
    pin: bool = False
    unshare: bool = False
    slow: bool = False
    store: Store | None = None


class Migrate(NamedTuple):
    """The page is moved to another page frame."""

    process: int
    facts: Facts


class HugetlbFault(NamedTuple):
    """What the process faults to read, or `write`, some page of a huge page of hugetlbfs. All its
    pages are sent one, and what it counts is counted for the `head`."""

    process: int
    facts: Facts
    write: bool
    head: bool


class Unpin(NamedTuple):
    """The process gives the references of its pin back (unpin_user_page(), put_page())."""

    process: int
    facts: Facts


class Pageout(NamedTuple):
    """MADV_PAGEOUT of this page, in a VMA that is not locked."""

    process: int
    facts: Facts


class Reclaim(NamedTuple):
    """Reclaim comes to folio number `folio` of the column, which was not used lately.

    The facts are those of `Pageout`. `process` is nobody's. `held` is that a per-CPU batch
    (lru_activate) has a reference to the folio, which can then be unmapped but not freed.
    """

    process: int
    facts: Facts
    folio: int
    held: bool = False


class Activate(NamedTuple):
    """Reclaim comes to folio number `folio` and spares it, as it was used."""

    process: int
    facts: Facts
    folio: int


class FreeSwap(NamedTuple):
    """The allocator takes slot number `slot` back, which only the swap cache holds
    (__try_to_reclaim_swap()). `process` is nobody's."""

    process: int
    facts: Facts
    slot: int


class Dontneed(NamedTuple):
    """MADV_DONTNEED, in a VMA that is not locked, or MADV_DONTNEED_LOCKED."""

    process: int
    facts: Facts
    locked: bool = False


class Guard(NamedTuple):
    """MADV_GUARD_INSTALL, in a VMA that is not locked, or MADV_GUARD_REMOVE."""

    process: int
    facts: Facts
    install: bool


class Free(NamedTuple):
    """MADV_FREE, in a VMA that is not locked."""

    process: int
    facts: Facts


class Cold(NamedTuple):
    """MADV_COLD, in a VMA that is not locked, where the per-CPU batches are kept."""

    process: int
    facts: Facts


class SwapIn(NamedTuple):
    """The page is read into the swap cache without being mapped: for a neighbour's fault
    (`readahead`, swap_vma_readahead()), or on advice (MADV_WILLNEED)."""

    process: int
    facts: Facts
    readahead: bool


class SetVma(NamedTuple):
    """The VMA becomes another one: a mapping made (from a hole), registration with a userfaultfd,
    mlock, munlock."""

    process: int
    facts: Facts
    vma: Vma


class Move(NamedTuple):
    """mremap() moves the page-table entry: one by one, which marks it soft-dirty, or (not `marks`)
    with its page table. A huge PMD entry is split (`splits`), or moves as one, which marks it
    unless it moves with the table that it is in (`upper`). `unregisters` is that the new VMA is not
    registered with the userfaultfd any more, `clears` that the entry loses its protection
    (0cef0bb836e3)."""

    process: int
    facts: Facts
    marks: bool
    splits: bool
    upper: bool
    unregisters: bool
    clears: bool


class Mprotect(NamedTuple):
    """mprotect to a protection that differs from that before."""

    process: int
    facts: Facts
    readable: bool
    writable: bool


class Writeprotect(NamedTuple):
    """UFFDIO_WRITEPROTECT, on (`wp`) or off, in a VMA that is registered; with `rwp`
    UFFDIO_RWPROTECT, in one that is registered for that. `scans` is that PAGEMAP_SCAN does it."""

    process: int
    facts: Facts
    wp: bool
    rwp: bool = False
    scans: bool = False


class UffdCopy(NamedTuple):
    """UFFDIO_COPY of a page full of `byte` to where there is none, write-protected if `wp`."""

    process: int
    facts: Facts
    byte: int
    wp: bool


class UffdZeropage(NamedTuple):
    """UFFDIO_ZEROPAGE, where there is no page."""

    process: int
    facts: Facts


class ClearRefs(NamedTuple):
    """`echo 4 > /proc/PID/clear_refs`."""

    process: int
    facts: Facts


Inherited = Literal["same", "wiped", "none"]


class Fork(NamedTuple):
    """The process forks; the child becomes the last mapping. `copy` is vma_needs_copy(): whether
    the VMA's page table is copied at all. `child` is what the child gets of the VMA (dup_mmap()):
    the same, one with nothing in it (VM_WIPEONFORK), or none (VM_DONTCOPY)."""

    process: int
    facts: Facts
    copy: bool
    child: Inherited = "same"


class MapPages(NamedTuple):
    """A neighbour's read fault maps the page, if it is in the page cache (filemap_map_pages())."""

    process: int
    facts: Facts


class Remove(NamedTuple):
    """The object loses the page, by MADV_REMOVE or with its last VMA (shmem_truncate_range())."""

    process: int
    facts: Facts


class Merge(NamedTuple):
    """ksmd merges the page that the process maps with an equal one: it becomes the KSM folio that
    both map (`kept`), or is replaced by that, or by the zero page (`zero`)."""

    process: int
    facts: Facts
    kept: bool
    zero: bool = False


class Unmerge(NamedTuple):
    """MADV_UNMERGEABLE: the process gets a page of its own in the place of a KSM folio, by a write
    fault, or with FAULT_FLAG_UNSHARE (`unshare`). Or `by_ksmd`, to which no equal page came."""

    process: int
    facts: Facts
    unshare: bool
    by_ksmd: bool = False


class Unmap(NamedTuple):
    """munmap (`gone` False: a hole remains) or exit (`gone`: so does not even the process)."""

    process: int
    facts: Facts
    gone: bool


ReclaimEvent: TypeAlias = Reclaim | Activate | FreeSwap
"""What reclaim does, in the name of no process."""

UffdEvent: TypeAlias = Writeprotect | UffdCopy | UffdZeropage
"""The ioctls of a userfaultfd."""

KsmEvent: TypeAlias = Merge | Unmerge

RareEvent: TypeAlias = Populate | Unpin | Migrate | HugetlbFault | Move | KsmEvent
"""What few scenarios have."""

Event: TypeAlias = (
    Access
    | RareEvent
    | Pageout
    | ReclaimEvent
    | Dontneed
    | Guard
    | Free
    | Cold
    | SwapIn
    | SetVma
    | Mprotect
    | UffdEvent
    | ClearRefs
    | Fork
    | MapPages
    | Remove
    | Unmap
)
