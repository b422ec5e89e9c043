"""What Linux changed in which version: one table, a line a rule, and all else takes from it.

A kernel is called by its version, as "6.12" or "7.3". Where a rule changed, the model asks
`follows(kernel, rule)`; what `machine.kernel` implies, which model stands for a kernel that is
run, and the table in the documentation are made of the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Final, NamedTuple, TypeAlias

Version: TypeAlias = tuple[int, int]


class KernelChange(NamedTuple):
    """A rule's first version, the commit that brought it, and what it says. `stable` are older
    versions whose stable releases have it, too."""

    since: Version
    commit: str
    effect: str
    stable: tuple[Version, ...] = ()


class Rule(Enum):
    """Every rule that is not as old as 6.1, oldest first."""

    __hash__ = object.__hash__  # each replay asks for many rules, and Enum's own is slow

    MPROTECT_UPGRADES_CLEAN = KernelChange(
        (6, 2),
        "d84887739d5c",
        "mprotect() to writable makes PTEs of exclusive pages writable; before, only dirty ones",
    )
    UNSHARES_KSM = KernelChange(
        (6, 2),
        "6cce3314b928",
        "MADV_UNMERGEABLE copies KSM pages by read faults (FAULT_FLAG_UNSHARE)",
    )
    PINS_BREAK_COW = KernelChange((6, 2), "84209e87c696", "a `longterm_read` pin copies zero pages")
    WRITE_UPGRADE = KernelChange(
        (6, 3),
        "931298e103c2",
        "removing userfaultfd write-protection makes PTEs of exclusive pages writable too; adding "
        "it leaves what only PROT_WRITE permits readable",
    )
    PER_VMA_LOCK = KernelChange(
        (6, 4),
        "0bff0aaea03e",
        "a retried fault that waited for userfaultfd is minor, unless its first attempt swapped in",
    )
    UFFD_WP_SPANS_VMAS = KernelChange(
        (6, 4),
        "a1b92a3f1498",
        "UFFDIO_WRITEPROTECT takes a range over several VMAs",
    )
    REALIGNS_MOVES = KernelChange(
        (6, 7),
        "af8ca1c14906",
        "mremap() moves a mapping's first page table whole if nothing else is in it, and "
        "keeps soft-dirty bits",
    )
    POPULATE_RETRIES = KernelChange(
        (6, 9),
        "631426ba1d45",
        "MADV_POPULATE_* retries faults itself, and stops at a hole",
    )
    EXCLUSIVE_LOADS = KernelChange(
        (6, 9), "c2e2ba770200", "a zswap load always frees the compressed copy"
    )
    BATCHES_OF_31 = KernelChange(
        (6, 9),
        "9cecde80aae0",
        "per-CPU batches (`lru_batch`) hold 31 folios; before, 15",
    )
    COPIES_LAST = KernelChange(
        (6, 9),
        "cd197c3a2040",
        "a write copies the last mapped page of a large folio; before, reused",
    )
    SPLITS_UNMAPPED_FIRST = KernelChange(
        (6, 9),
        "cc864ebba5f6",
        "MADV_PAGEOUT and MADV_COLD split a folio whose first page is unmapped; before, stopped",
    )
    PINS_WAIT = KernelChange(
        (6, 10), "1943f96b3816", "a `longterm` pin waits for userfaultfd; before, EFAULT"
    )
    MPROTECT_UNACCOUNTS = KernelChange(
        (6, 10),
        "",
        "mprotect() to read-only drops VM_ACCOUNT where nothing was written",
    )
    SWAPS_OUT_WHOLE = KernelChange(
        (6, 10),
        "5ed890ce5147",
        "large folios go to swap whole; before, those that PTEs map were split",
    )
    ADVICE_TAKES_WHOLE = KernelChange(
        (6, 10),
        "3931b871c493",
        "MADV_PAGEOUT and MADV_COLD take them whole; before, split them, or stopped at a shared "
        "one",
    )
    FREES_WHOLE = KernelChange((6, 10), "dce7d10be4bb", "so does MADV_FREE")
    SHARERS_BY_MAPCOUNT = KernelChange(
        (6, 10),
        "eefb9b2725e3",
        "two map counts say whether a large folio is shared; before, its first page's",
    )
    COUNTS_HUGE_SPLITS = KernelChange(
        (6, 10), "835c3a25aa37", "`thp_split_page` counts 2 MiB alone"
    )
    MAPS_CACHED_WHOLE = KernelChange(
        (6, 11), "508758960b8d", "a fault maps a large folio in the swap cache whole"
    )
    FREES_LARGE_SWAP = KernelChange((6, 11), "4c3f96643687", "a write fault frees its slots")
    PAGEMAP_BY_PAGE = KernelChange(
        (6, 11),
        "2c1f057e5be6",
        "pagemap shows each page of a PMD entry as exclusive; before, all as the first",
    )
    WRITABLE_AFTER_READ = KernelChange(
        (6, 11),
        "c18160dba5ff",
        "a read swap-in maps the page writable if nobody needs to see the write: `merged`, "
        "before `prepatch`",
    )
    SWAPIN_UNMLOCKED = KernelChange(
        (6, 11),
        "9ae2feacedde",
        "a folio just read from swap is not mlocked where a locked VMA maps it",
    )
    KSM_CHECKSUM_FIRST = KernelChange(
        (6, 11), "d58a361b0350", "ksmd merges nothing that has changed since its last scan"
    )
    DISCARDS_PMD = KernelChange(
        (6, 11),
        "735ecdfaf4e8",
        "reclaim frees 2 MiB under MADV_FREE whole (`discards_pmd`)",
    )
    ZEROMAP = KernelChange(
        (6, 12),
        "0ca0c24e3211",
        "zero-filled pages go to a bitmap and are not written",
    )
    CLEARS_MOVED_WP = KernelChange(
        (6, 12),
        "0cef0bb836e3",
        "mremap() out of a userfaultfd VMA clears write-protection (6.1.192 too)",
        stable=((6, 1),),
    )
    RECLAIMS_CACHED_SLOTS = KernelChange(
        (6, 12),
        "2cacbdfdee65",
        "on a device over half full the allocator takes back slots that only the swap cache holds",
    )
    SWAPS_IN_WHOLE = KernelChange((6, 12), "242d12c98174", "zram brings large folios back whole")
    DROPS_ZEROES = KernelChange(
        (6, 12),
        "b1f202060afe",
        "a split replaces pages of zeroes with the shared zero page",
    )
    NONFULL_CLUSTERS = KernelChange(
        (6, 12),
        "d07a46a4ac18",
        "a large folio finds slots in clusters in use, too",
    )
    MADVISES_ITSELF = KernelChange(
        (6, 13),
        "",
        "process_madvise() of oneself takes any advice; before, only what it takes of others",
    )
    REPLACES_HUGE_ZERO = KernelChange(
        (6, 13),
        "",
        "a write to the huge zero page brings in 2 MiB, not a page",
    )
    FREES_PAGE_TABLES = KernelChange(
        (6, 14),
        "6375e95f381e",
        "MADV_DONTNEED of all that a page table maps frees the table",
    )
    SHMEM_SYNC = KernelChange(
        (6, 14),
        "1dd44c0af4fc",
        "shared memory on a synchronous device bypasses the swap cache and read-ahead",
    )
    COUNTS_REFUSED_SWAPIN = KernelChange(
        (6, 14),
        "",
        "mthp_swpin_fallback counts the sizes that a memory limit has no room for",
    )
    NO_SLOT_CACHE = KernelChange(
        (6, 15),
        "0ff67f990bd4",
        "no per-CPU cache of 64 swap slots (which count as used)",
    )
    REUSES_LARGE = KernelChange(
        (6, 15),
        "1da190f4d0a6",
        "a non-exclusive page of a large folio is reused if one process has all references; "
        "before, copied",
    )
    MM_IDS = KernelChange(
        (6, 15),
        "6af8cb80d3a9",
        "a large folio knows two processes that map it; before, it guesses",
    )
    SPLITS_BACKWARD = KernelChange(
        (6, 15),
        "",
        "reclaim takes the pages of a folio that it has split last to first; before, upwards",
    )
    BATCHES_LAZYFREE = KernelChange(
        (6, 15),
        "354dffd29575",
        "PTEs of a large folio under MADV_FREE go together; before, one by one until one is dirty",
    )
    MERGES_UNFAULTED = KernelChange(
        (6, 16),
        "879bca0a2c4f",
        "a never-written VMA merges with a neighbour that becomes like it and has pages; "
        "before, only if the one extended has them",
    )
    LAZYFREE_STAYS = KernelChange(
        (6, 16),
        "",
        "a clean MADV_FREE page stays lazyfree if reclaim finds another reference",
    )
    PAGEMAP_BY_HEAD = KernelChange(
        (6, 16),
        "",
        "pagemap shows all pages of a PMD entry as exclusive if the first is",
    )
    KEEPS_WRITTEN_PMD = KernelChange((6, 16), "", "2 MiB written since MADV_FREE are not split")
    MOVES_SEVERAL = KernelChange(
        (6, 17),
        "",
        "mremap() that only moves takes several VMAs (not modelled)",
    )
    BATCHES_PROTECTION = KernelChange(
        (6, 17),
        "cac1db8c3aad",
        "a change of protection levels the dirty bits of a large folio's like PTEs",
    )
    NONFULL_CLUSTERS_FIRST = KernelChange(
        (6, 18),
        "22a2126b703f",
        "the slot allocator prefers clusters in use to free ones",
    )
    REQUEUES_MIGRATED = KernelChange(
        (6, 18),
        "",
        "a migrated large folio that PTEs map is split by reclaim or the next migration "
        "(6.18.44, 6.12.117; not 6.18.15)",
        stable=((6, 12),),
    )
    COLLAPSES_READ_ONLY = KernelChange(
        (6, 18),
        "",
        "MADV_COLLAPSE takes pages of which none is writable too",
    )
    SOFT_DIRTY_STICKS = KernelChange(
        (6, 19),
        "6707915e030a",
        "VMAs merge into a soft-dirty one if one was",
    )
    SYNC_THROUGH_CACHE = KernelChange(
        (7, 0),
        "f1879e8a0c60",
        "a synchronous device (zram) swaps in through the swap cache, which it frees, without "
        "read-ahead; before, only what several PTEs have, with read-ahead",
    )
    MAPS_BEFORE_FREEING = KernelChange(
        (7, 0),
        "4b34f1d82c65",
        "the swap cache is freed after the PTE is set, and counts as a reference until then",
    )
    LAZY_PREEMPTION = KernelChange(
        (7, 0),
        "",
        "the work of a swap device that becomes full runs after the system call; before, "
        "between two pages (6.18 and 6.19: either)",
    )
    UNMAPS_UNDRAINED = KernelChange(
        (7, 0),
        "",
        "unmapping and exit do not drain the per-CPU batches (6.12 does)",
    )
    SCANS_GUARDS = KernelChange(
        (7, 0),
        "",
        "PAGEMAP_SCAN knows PAGE_IS_GUARD and PAGE_IS_ACCESSED (not modelled)",
    )
    COLLAPSES_NOTHING = KernelChange(
        (7, 2),
        "",
        "MADV_COLLAPSE of a range within 2 MiB succeeds and does nothing; before, EINVAL",
    )
    UNMAPS_WP_SINGLY = KernelChange((7, 2), "", "lazyfree PTEs under uffd-wp go one by one")
    UNMAPS_WP_TOGETHER = KernelChange((7, 3), "", "and together again")
    WRITTEN_WHERE_REGISTERED = KernelChange(
        (7, 3),
        "",
        "PAGEMAP_SCAN finds PAGE_IS_WRITTEN only in VMAs registered for write-protection",
    )
    SPLITS_LAZYFREE = KernelChange((7, 3), "", "reclaim splits 2 MiB under MADV_FREE again")
    EXCLUSIVE_ALONE = KernelChange(
        (7, 3),
        "",
        "a swap-in goes by the entry's exclusive marker, not the reference count; a write fault "
        "may then free the swap cache, and goes on to do_wp_page() unless the PTE is writable",
    )
    UFFD_RWP = KernelChange(
        (7, 3), "", "userfaultfd can protect against reads too (UFFDIO_RWPROTECT)"
    )
    KSM_FORGETS_CHECKSUM = KernelChange((7, 3), "", "a page that ksmd merged counts as changed")
    READS_AHEAD_UNDRAINED = KernelChange(
        (7, 3),
        "",
        "swap_vma_readahead() does not drain the per-CPU batches",
    )

    @property
    def since(self) -> Version:
        """The first version."""
        return self.value.since


LAST: Final[dict[int, int]] = {6: 19, 7: 3}
"""The last minor version of each major one that is modelled."""

OLDEST: Final[Version] = (6, 1)
NEWEST: Final[Version] = (max(LAST), LAST[max(LAST)])

KERNELS: Final[tuple[str, ...]] = tuple(
    f"{major}.{minor}"
    for major, last in LAST.items()
    for minor in range(last + 1)
    if (major, minor) >= OLDEST
)
"""The kernels that are modelled."""


BATCHES_READ: Final = ("6.1", "6.12", "7.2", "7.3")
"""Those of which it is known what drains the per-CPU batches (`lru_batch`)."""


def ranges() -> Iterator[str]:
    """The kernels without a gap between them, as "6.1 to 6.19"."""
    runs: list[list[str]] = []
    for kernel in KERNELS:
        major, minor = version(kernel)
        follows_on = runs and version(runs[-1][-1]) == (major, minor - 1)
        if follows_on:
            runs[-1].append(kernel)
        else:
            runs.append([kernel])
    return (run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def version(kernel: str) -> Version:
    """The numbers of a version."""
    major, minor = kernel.split(".")
    return int(major), int(minor)


RANGES: Final = ", ".join(ranges())
"""The same, to be read."""


@cache
def follows(kernel: str, rule: Rule) -> bool:
    """Whether a kernel has a rule, of which each replay asks many."""
    return version(kernel) >= rule.since or version(kernel) in rule.value.stable


def implied(kernel: str) -> dict[str, bool]:
    """What a kernel sets of a scenario's machine where that does not say."""
    return {
        "per_vma_lock": follows(kernel, Rule.PER_VMA_LOCK),
        "zeromap": follows(kernel, Rule.ZEROMAP),
        "write_upgrade": follows(kernel, Rule.WRITE_UPGRADE),
    }


def modelled(running: Version) -> str:
    """The kernel that stands for one that runs: the latest modelled one that is not newer, or the
    oldest."""
    known = [kernel for kernel in KERNELS if version(kernel) <= running]
    return known[-1] if known else KERNELS[0]


def policy_of(kernel: str) -> str:
    """The policy that a kernel has as it stands."""
    return "merged" if follows(kernel, Rule.WRITABLE_AFTER_READ) else "prepatch"
