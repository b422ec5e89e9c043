"""The machine that a scenario runs on, as frozen values; `machine` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from swaptrace.frozen import FrozenValue
from swaptrace.kernels import KERNELS, Rule, follows, implied
from swaptrace.scenario.thp import Thp

KiB = 1024
MiB = 1024 * KiB

Backend: TypeAlias = str
"""A name of `swaptrace.backends`."""

Reclaim = Literal["classic", "mglru", "lru"]

MGLRU_KERNEL = "6.12"
"""The kernel whose multi-generational LRU `reclaim: mglru` is."""


class NoModel(NamedTuple):
    """What of a machine there is no model of, what would be right, and the settings that cause it,
    by path or section, the foremost first."""

    what: str
    right: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.what}; {self.right}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Swap(FrozenValue):
    """The swap device: `size` in bytes (all of it usable; 0: there is none), `page_cluster` as the
    sysctl."""

    backend: Backend = "zram"
    size: int = 256 * MiB
    page_cluster: int = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Machine(FrozenValue):
    """The machine that a scenario runs on; see `KERNEL_DEFAULTS` for what `kernel` implies."""

    kernel: str = "6.12"
    page_size: int = 4 * KiB
    soft_dirty: bool = True
    hw_dirty: bool = True
    mkwrite_dirties: bool = False
    per_vma_lock: bool = True
    zeromap: bool = True
    write_upgrade: bool = True
    lru_batch: bool = False
    """The per-CPU batch of new folios is kept from one fault to the next, its drains counted."""
    swap: Swap = Swap()
    swap_max: int | None = None
    """How many bytes of it all processes together may use (memory.swap.max of their cgroup). None:
    all."""
    thp: tuple[Thp, ...] = ()
    """The sizes of large folios, smallest first."""
    memlock: int | None = None
    """How many bytes a process may lock (RLIMIT_MEMLOCK without CAP_IPC_LOCK). None: all."""
    hugepages: int = 0
    """How many huge pages of 2 MiB hugetlbfs has (vm.nr_hugepages), and no surplus."""
    zswap_never_enabled: bool = True
    """Where zswap was ever on, no large folio comes back whole."""
    discards_pmd: bool = True
    """Whether reclaim frees 2 MiB under MADV_FREE whole, up to 7.2: without "mm/rmap: don't discard
    lazyfree THPs at PMD level", which stable kernels have."""
    memory: int | None = None
    """What the pages of all processes may occupy, in bytes (memory.max of their cgroup without the
    kernel's own pages). None: there is no limit."""
    reclaim: Reclaim = "classic"
    """What reclaims under it: the kernel's active and inactive lists, its multi-generational LRU,
    or an exact LRU."""
    stat_flush: int = 0
    """After how many accesses the cgroup's statistics are flushed; 0: never."""
    lru_drain: int = 0
    """After how many accesses the per-CPU batch of new folios is drained; 0: when it is full."""

    @property
    def unmodelled(self) -> NoModel | None:
        """What of it no model is there for; None if nothing."""
        if self.swap_max is not None and not follows(self.kernel, Rule.NO_SLOT_CACHE):
            return NoModel(
                f"swap_max is modelled from Linux 6.15 on, not in {self.kernel}, where slots in "
                "per-CPU caches are charged as well",
                "give 'kernel: 6.18'",
                ("swap_max", "kernel"),
            )
        if self.reclaim != "mglru" or self.kernel == MGLRU_KERNEL:
            return None
        return NoModel(
            f"reclaim: mglru is modelled as in Linux {MGLRU_KERNEL}, not as in {self.kernel}",
            f"give 'kernel: {MGLRU_KERNEL}', or another way to reclaim",
            ("reclaim", "kernel"),
        )

    @property
    def unfit_for_huge_pages(self) -> tuple[str, ...]:
        """The settings that huge pages of hugetlbfs are not modelled with."""
        unfit = {
            "page_size": self.page_size != 4 * KiB,
            "hw_dirty": not self.hw_dirty,
            "lru_batch": self.lru_batch,
            "thp": self.thp,
            "memory": self.memory,
        }
        return tuple(key for key, is_so in unfit.items() if is_so)

    @property
    def approximate(self) -> str:
        """What of it is not known to be as a kernel does it; empty if nothing."""
        if self.memory is None or self.reclaim != "mglru":
            return ""
        return (
            "machine.reclaim: mglru is approximate: whether a walk of the page tables leaves a "
            "process out depends on when the kernel switched to it last"
        )


LIMITED = ("memory", "reclaim", "stat_flush", "lru_drain")
"""The keys that mean something only under a memory limit."""

KERNEL_DEFAULTS: Mapping[str, Mapping[str, bool]] = {kernel: implied(kernel) for kernel in KERNELS}
"""What a kernel version sets where the scenario does not say."""
