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
    """A rule's first version, the commit that brought it, and what it says."""

    since: Version
    commit: str
    effect: str


class Rule(Enum):
    """Every rule that is not as old as 6.1, oldest first."""

    MPROTECT_UPGRADES_CLEAN = KernelChange(
        (6, 2),
        "d84887739d5c",
        "mprotect() to writable makes PTEs of exclusive pages writable at once; before it those of "
        "dirty ones",
    )
    UNSHARES_KSM = KernelChange(
        (6, 2),
        "6cce3314b928",
        "MADV_UNMERGEABLE copies KSM pages by faults that are no writes (FAULT_FLAG_UNSHARE)",
    )
    WRITE_UPGRADE = KernelChange(
        (6, 3),
        "931298e103c2",
        "un-protecting by userfaultfd makes PTEs of exclusive pages writable at once as well",
    )
    PER_VMA_LOCK = KernelChange(
        (6, 4),
        "0bff0aaea03e",
        "a fault that waited for userfaultfd counts as minor when it is retried, unless the first "
        "attempt swapped in",
    )
    UFFD_WP_SPANS_VMAS = KernelChange(
        (6, 4), "a1b92a3f1498", "UFFDIO_WRITEPROTECT takes a range over several VMAs"
    )
    REALIGNS_MOVES = KernelChange(
        (6, 7),
        "af8ca1c14906",
        "mremap() moves the page table in which a mapping begins as a whole where nothing else is "
        "in it, and soft-dirty bits stay as they are",
    )
    POPULATE_RETRIES = KernelChange(
        (6, 9),
        "631426ba1d45",
        "MADV_POPULATE_* handles a retried fault itself, and stops at a hole",
    )
    EXCLUSIVE_LOADS = KernelChange(
        (6, 9),
        "c2e2ba770200",
        "zswap gives its copy up when it is loaded (before it only if asked to)",
    )
    MPROTECT_UNACCOUNTS = KernelChange(
        (6, 10),
        "",
        "mprotect() to read-only gives VM_ACCOUNT up where nothing was written",
    )
    WRITABLE_AFTER_READ = KernelChange(
        (6, 11),
        "c18160dba5ff",
        "a page that is swapped in for reading is mapped writable where nobody needs to see the "
        "write: the policy `merged`, `prepatch` before it",
    )
    ZEROMAP = KernelChange(
        (6, 12), "0ca0c24e3211", "zero-filled pages are noted in a bitmap and not written"
    )
    CLEARS_MOVED_WP = KernelChange(
        (6, 12),
        "0cef0bb836e3",
        "what mremap() moves out of a VMA that is registered with a userfaultfd is no longer "
        "write-protected (also in stable kernels before)",
    )
    RECLAIMS_CACHED_SLOTS = KernelChange(
        (6, 12),
        "2cacbdfdee65",
        "where more than half of the swap device is in use, the allocator takes slots back that "
        "only the swap cache holds, and finds them cluster by cluster",
    )
    MADVISES_ITSELF = KernelChange(
        (6, 13),
        "",
        "process_madvise() of the process itself takes any advice; before it only the hints that "
        "it takes of another",
    )
    REPLACES_HUGE_ZERO = KernelChange(
        (6, 13),
        "",
        "a write to the huge zero page brings in 2 MiB; before it splits the entry and brings in "
        "one page",
    )
    FREES_PAGE_TABLES = KernelChange(
        (6, 14),
        "6375e95f381e",
        "MADV_DONTNEED of all that a page table maps frees the table, so that the next fault may "
        "bring in 2 MiB",
    )
    SHMEM_SYNC = KernelChange(
        (6, 14),
        "1dd44c0af4fc",
        "shared memory on a synchronous device is swapped in without the swap cache and read-ahead",
    )
    NO_SLOT_CACHE = KernelChange(
        (6, 15),
        "0ff67f990bd4",
        "no per-CPU cache of 64 swap slots, which counts as used, lies before the allocator",
    )
    REUSES_LARGE = KernelChange(
        (6, 15),
        "1da190f4d0a6",
        "a page of a large folio that is not known to be exclusive is reused where all references "
        "to the folio are of one process; before it is copied",
    )
    EXACT_SHARERS = KernelChange(
        (6, 15),
        "6af8cb80d3a9",
        "whether several processes map a large folio is known; before it is guessed from the map "
        "counts of the folio and of its first page",
    )
    BATCHES_LAZYFREE = KernelChange(
        (6, 15),
        "354dffd29575",
        "PTEs of a large folio that was given up with MADV_FREE go together; before one by one, "
        "until one is dirty",
    )
    MERGES_UNFAULTED = KernelChange(
        (6, 16),
        "879bca0a2c4f",
        "a VMA into which nothing was ever written merges with a neighbour that becomes like it "
        "and has pages; before it is the VMA that is extended which must have them",
    )
    LAZYFREE_STAYS = KernelChange(
        (6, 16),
        "",
        "a clean page that was given up with MADV_FREE stays that if reclaim finds another "
        "reference to it; before it becomes an ordinary one again",
    )
    NONFULL_CLUSTERS_FIRST = KernelChange(
        (6, 18),
        "22a2126b703f",
        "a cluster of slots that is in use goes before a free one",
    )
    COLLAPSES_READ_ONLY = KernelChange(
        (6, 18),
        "",
        "MADV_COLLAPSE takes pages of which none is writable as well",
    )
    SYNC_THROUGH_CACHE = KernelChange(
        (7, 0),
        "f1879e8a0c60",
        "a synchronous device (zram) swaps in through the swap cache, never reads ahead, and the "
        "swap cache is always let go; before it is bypassed where one PTE has the slot, and read "
        "ahead where several have",
    )
    MAPS_BEFORE_FREEING = KernelChange(
        (7, 0),
        "4b34f1d82c65",
        "the swap cache is let go after the PTE is set: its reference counts where it is asked "
        "whether the page has one owner",
    )
    LAZY_PREEMPTION = KernelChange(
        (7, 0),
        "",
        "preemption is lazy: the work that a swap device schedules when it becomes full runs after "
        "the system call, before it already between two of its pages (6.18 and 6.19 can be built "
        "either way; taken to be as before)",
    )
    COLLAPSES_NOTHING = KernelChange(
        (7, 2),
        "",
        "MADV_COLLAPSE of less than 2 MiB, of whose ends both lie in the same 2 MiB, succeeds and "
        "does nothing; before EINVAL",
    )
    WRITTEN_WHERE_REGISTERED = KernelChange(
        (7, 3),
        "",
        "PAGEMAP_SCAN finds PAGE_IS_WRITTEN only where a VMA is registered for write-protection; "
        "before everywhere",
    )
    EXCLUSIVE_ALONE = KernelChange(
        (7, 3),
        "",
        "a swap-in asks only whether the entry is exclusive, no reference count; a write fault "
        "lets the swap cache go where it is, and goes on to do_wp_page() where the PTE is not "
        "writable",
    )
    UFFD_RWP = KernelChange(
        (7, 3),
        "",
        "a userfaultfd can protect pages against reads as well (UFFDIO_RWPROTECT)",
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
    return version(kernel) >= rule.since


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
