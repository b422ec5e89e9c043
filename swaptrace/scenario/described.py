"""What each key of a scenario means, in the words that an editor shows while one writes it.

Steps are described by the docstrings of their classes in `schema`; here stand the keys. A
key that the loader takes and that has no text here is a `KeyError` when the JSON Schema is
made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from swaptrace.backends import WORDS as BACKENDS
from swaptrace.scenario.thp import ThpSize

SECTIONS: Final[Mapping[str, str]] = {
    "name": "What results call the scenario. Default: the file's name without .yaml.",
    "description": "What the scenario does, in a sentence.",
    "machine": "The machine that it runs on. Every key may be left out.",
    "steps": "What the processes do, in this order.",
    "expect": "What each policy is expected to count: WINDOW: {POLICY: {COUNTER: VALUE}}; for "
    "total also how many pages show a violation.",
}

MACHINE: Final[Mapping[str, str]] = {
    "kernel": "The kernel that is modelled. It sets the defaults of per_vma_lock, zeromap and "
    "write_upgrade.",
    "page_size": "The size of a page.",
    "soft_dirty": "CONFIG_MEM_SOFT_DIRTY: the kernel tracks which pages were written.",
    "hw_dirty": "The MMU sets the dirty bit of a PTE (x86; arm64 with DBM).",
    "mkwrite_dirties": "pte_mkwrite() also makes the PTE dirty (arm64 before 143937ca51cc).",
    "per_vma_lock": "CONFIG_PER_VMA_LOCK (on SMP): how a fault that is retried is counted.",
    "zeromap": "Pages of zeros go to a bitmap and not to the swap device (since 6.12).",
    "write_upgrade": "mprotect() and userfaultfd make PTEs writable at once where they may "
    "(since 6.3), so that the next write takes no fault.",
    "lru_batch": "The per-CPU batch of new pages is kept from one fault to the next, as on a CPU "
    "that runs nothing else; lru_drains counts how often faults drain it. Else it is empty "
    "whenever an access begins.",
    "swap": "The swap device.",
    "swap.backend": f"{BACKENDS}.",
    "swap.size": "How many bytes of it can be used.",
    "swap.page_cluster": "/proc/sys/vm/page-cluster: read-ahead is up to 2 to the power of it "
    "pages.",
    "swap_max": "How many bytes of it all processes together may use: memory.swap.max of their "
    "cgroup. Default: there is no limit.",
    "thp": "The sizes of large folios that anonymous memory may have. Default: none.",
    "thp.enabled": "What `inherit` stands for (transparent_hugepage/enabled).",
    **{
        f"thp.{size}": f"hugepages-{size}/enabled: where folios of {size} are used."
        for size in get_args(ThpSize)
    },
    "memlock": "How many bytes a process may lock: RLIMIT_MEMLOCK of one that may not exceed it "
    "(CAP_IPC_LOCK). Default: there is no limit.",
    "hugepages": "How many huge pages of 2 MiB hugetlbfs has (vm.nr_hugepages). Default: none.",
    "zswap_never_enabled": "Whether zswap was off since the machine was booted: else no large "
    "folio comes back whole.",
    "discards_pmd": "Whether reclaim frees 2 MiB under MADV_FREE whole, up to 7.2: 6.12.117, "
    "6.18.44 and later stable kernels do not.",
    "memory": "What the pages of all processes may occupy: memory.max of their cgroup, less what "
    "the kernel itself is charged for. Default: there is no limit.",
    "reclaim": "What reclaims under the limit: classic, the kernel's active and inactive lists "
    "with workingset detection; mglru, its multi-generational LRU; or lru, an exact LRU for "
    "comparison.",
    "stat_flush": "After how many accesses the cgroup's statistics are flushed.",
    "lru_drain": "After how many accesses the per-CPU batch of new pages is drained; it always is "
    "when it is full.",
}

ARGUMENTS: Final[Mapping[str, str]] = {
    "mmap": "The name of the new region.",
    "fork": "The name of the new process.",
    "exit": "The process that exits.",
    "clear_refs": "What is cleared: the soft-dirty bits.",
    "check": "What must be true: of pages, of data, of promises.",
    "mlockall": "What is locked: what is mapped, what will be; and whether pages come by faults. A "
    "number is for a flag that there is not.",
    "munlockall": "Only true.",
    "ksm_scan": "Only true.",
    "memory_merge": "Whether ksmd looks at the process.",
    "measure": "The label of the window. One that is repeated adds up.",
    "repeat": "How often.",
    "trace": "The file, relative to the scenario's.",
}
"""The value beside the operation, where it is not the region that the step works on."""

CLAIMS: Final[Mapping[str, str]] = {
    "pages": "The page map of each region, as --pages shows it: 8PX,8S. Soft-dirty is looked "
    "at only where some run has a D, or a d for not soft-dirty.",
    "data": "What each region holds: a byte (0x11), zero, unchanged (what the process wrote last, "
    "or inherited), or - where nothing is mapped; or runs of these: 8:0x11,8:zero.",
    "vmas": "The VMAs of each region: how many pages each has, a hole with a -, as 4,2-,10; a + "
    "where one begins before the region or ends behind it.",
    "violations": "The kinds of violations so far, [] for none.",
    "scan": "What the last pagemap_scan or mincore of the process found.",
    "policies": "Under which policies it must be true. Default: under all.",
}
"""The keys within the argument of a `check`."""

SCAN: Final[Mapping[str, str]] = {
    "regions": "How many regions the call returned.",
    "walk_end": "Where it ended, in bytes from the start of its range.",
    "pages": "The pages of its range: how many, then A (WPALLOWED), W (WRITTEN), F (FILE), P "
    "(PRESENT), S (SWAPPED), Z (PFNZERO), H (HUGE), D (SOFT_DIRTY), as far as they were asked for, "
    ". for none of them, - for pages that were not found: 8WP,8-.",
}
"""The keys of what a `check` says of a scan."""

FILE: Final[Mapping[str, str]] = {
    "name": "The name of the file: a new one, or one that an mmap before has made.",
    "size": "The size of a new file in bytes. Default: it ends with the mapping. An access to a "
    "page beyond it is a SIGBUS.",
    "offset": "The byte of the file that the mapping begins with. Default: 0.",
}
"""The parts of a file."""

REGION: Final = "The region."

ACCESSES: Final[Mapping[str, str]] = {
    "read": "Read one byte at each stride.",
    "write": "Write one byte at each stride.",
    "read_write": "At each stride read the byte and write it back, before going on to the next.",
}
"""The steps that share a class."""

KEYS: Final[Mapping[str, str]] = {
    "process": "Who executes the step. Default: the process of the step around it, or main.",
    "errno": "The system call is refused with this errno; without it, it must succeed.",
    "offset": "Where the range begins, in bytes from the start of the region. Default: 0.",
    "length": "The length of the range in bytes. Default: to the end of the region. Where an errno "
    "is stated, the range may be one that the kernel refuses.",
    "size": "The size of the mapping, rounded up to whole pages.",
    "prot": "The protection: what of reading, writing and executing is permitted.",
    "shared": "MAP_SHARED: children share the memory, which is swapped as that of tmpfs.",
    "file": "A new file of tmpfs. In short only its name: `file: f`.",
    "at": "The address, a multiple of the page size. Default: the next free 2 MiB boundary.",
    "value": "The byte that is written. A page of zeros is stored differently (see zeromap).",
    "stride": "The distance of the bytes that are touched. Default: the page size.",
    "count": "How many accesses.",
    "pattern": "Which pages are accessed.",
    "exponent": "zipf: how much more often the more popular pages are accessed. Default: 1.",
    "hot_pages": "hot: how many pages are hot.",
    "hot_share": "hot: the share of the accesses that goes to them. Default: 0.9.",
    "write_share": "The share of the accesses that are stores. Default: 0.",
    "region": "Where the trace's pages lie, if the file does not name regions.",
    "order": "The order in which they are touched.",
    "seed": "What the random numbers begin with. Default: 0.",
    "advice": "The advice; MADV_ may be left out. A number is for one that there is not.",
    "to": "The new address, with MREMAP_FIXED.",
    "as": "What the pages are called that leave an empty mapping behind (MREMAP_DONTUNMAP).",
    "target": "The process whose memory the advice is about: process_madvise().",
    "flags": "Flags of the system call; a single one need not be a list.",
    "mode": "Of a pin: longterm, to write, as an io_uring registers a buffer (FOLL_LONGTERM); "
    "longterm_read, to read; or get, to read, as vmsplice() takes it (FOLL_GET). Of a "
    "userfaultfd: wp, against writes; rwp, against reads as well (Linux 7.3); missing, for pages "
    "that are not there.",
    "features": "What the userfaultfd is opened with; UFFD_FEATURE_ may be left out.",
    "fill": "The byte of the pages that the handler copies to where one is missing. Default: 0.",
    "zero_pages": "use_zero_pages: pages of zeroes become the zero page.",
    "wp": "Protect; false takes the protection away. Of uffd_copy: copy as protected. Of "
    "pagemap_scan: PM_SCAN_WP_MATCHING and PM_SCAN_CHECK_WPASYNC.",
    "category": "category_mask: what a page must be; PAGE_IS_ may be left out.",
    "anyof": "category_anyof_mask: of what a page must be one.",
    "inverted": "category_inverted: what counts as its opposite.",
    "return": "return_mask: what is told of pages that are found. Default: all of category and "
    "anyof.",
    "max_pages": "How many pages are found at most. Default: 0, all.",
    "vec": "Whether there is a buffer for the answer.",
    "vec_len": "How many regions it has room for. Default: as many as the range has pages.",
    "steps": "The inner steps.",
}
