"""The state of a replay: processes, their regions, and the swap device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from swaptrace.backends import BACKENDS, Backend
from swaptrace.kernels import Rule, follows
from swaptrace.mm.column import Column, Mapping, Shmem, Vma
from swaptrace.mm.event import Facts
from swaptrace.replay.pages.protocol import BatchedPages, KeptBatch, SinglePages
from swaptrace.replay.processes import Process, SharedRegion, ShmemObject
from swaptrace.replay.runs.region import Region
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.table import Table
from swaptrace.scenario.addresses import first_fit
from swaptrace.scenario.hardware import Machine


@dataclass(slots=True)
class SwapDevice:
    """How many slots may be in use and how many are, swap cache included; with so many as
    `full_from` swap counts as full."""

    total: int
    full_from: int
    used: int = 0

    @property
    def full(self) -> bool:
        """mem_cgroup_swap_full()."""
        return self.used >= self.full_from

    @property
    def slot_free(self) -> bool:
        return self.used < self.total

    def pages_alike(self, delta: int) -> int | None:
        """How many pages, each changing `used` by `delta`, see the facts as they are now.

        None: all that may come.
        """
        marks = (self.full_from, self.total)
        if delta > 0:
            ahead = [mark for mark in marks if mark > self.used]
            return -(-(min(ahead) - self.used) // delta) if ahead else None
        if delta < 0:
            below = [mark for mark in marks if mark <= self.used]
            return (self.used - max(below)) // -delta + 1 if below else None
        return None


def swap_device(machine: Machine) -> SwapDevice:
    """The device, of which more than half is to be in use (vm_swap_full()), or what of it the
    cgroup may use, of which half is enough."""
    if machine.swap_max is None:
        total = machine.swap.size // machine.page_size
        return SwapDevice(total, total // 2 + 1)
    total = machine.swap_max // machine.page_size
    return SwapDevice(total, -(-total // 2))


class World:
    """Everything that changes during a replay, and the table of the policy it runs under.

    Under a memory limit, and with large folios, `arena` holds the pages of all regions. `batch` is
    that of new folios, where it is kept; `batched` are the pages, if none of the folios is large.
    `keeps_bytes` is that a scenario asks what the data of pages are. `mergeable` are the processes
    that ksmd looks at, in its order, `shares` whether it has merged pages. `locks` is that memory
    may be locked, `grows` that there
    was a mapping that grows down. `files` are those of tmpfs by name, mapped or not.
    """

    def __init__(self, machine: Machine, table: Table, locks: bool = False) -> None:
        self.machine = machine
        self.table = table
        self.device = swap_device(machine)
        self.processes: dict[str, Process] = {"main": Process("main", AddressSpace())}
        self.facts = static_facts(machine, locks)
        self._anon_vmas = 0
        self._areas: dict[VmArea, int] = {}
        self.arena: SinglePages | None = None
        self.batch: KeptBatch | None = None
        self.batched: BatchedPages | None = None
        self.keeps_bytes = False
        self.mergeable: list[str] = []
        self.shares = False
        self.grows = False
        self.files: dict[str, ShmemObject] = {}

    def follows(self, rule: Rule) -> bool:
        """Whether the machine's kernel has a rule."""
        return follows(self.machine.kernel, rule)

    def pages(self, size: int) -> int:
        """Bytes, rounded up to pages."""
        return -(-size // self.machine.page_size)

    def new_anon_vma(self) -> int:
        """A number for an anon_vma."""
        self._anon_vmas += 1
        return self._anon_vmas

    def shared_regions(self) -> Iterator[SharedRegion]:
        """Every region there is, once; all of an object that regions map."""
        seen: set[int] = set()
        for process in self.processes.values():
            for shared in process.shared_regions():
                key = id(shared.region) if shared.of is None else id(shared.of)
                if key not in seen:
                    seen.add(key)
                    yield shared.whole

    @property
    def moved_apart(self) -> bool:
        """Whether one of the processes that share a region has moved it to another address."""
        bases: dict[int, int] = {}
        views = (f for p in self.processes.values() for f in p.shared_regions() if f.of is None)
        return any(bases.setdefault(id(view.region), view.base) != view.base for view in views)

    def facts_now(self, pageout: bool) -> Facts:
        """The facts for the next page: reclaim asks for a free slot, the rest whether swap is full.

        Naming only what the event can depend on keeps the table small.
        """
        facts = self.facts
        if self.batch is not None:
            left = self.batch.left, self.batch.mlock_left
            facts = facts._replace(batch_left=left[0], mlock_left=left[1])
        if pageout:
            return facts if self.device.slot_free else facts._replace(slot_free=False)
        return facts._replace(swap_full=True) if self.device.full else facts

    def place(self, process: Process, pages: int, at: int | None) -> int:
        """The address, in pages, of a new region: `at` bytes, or where it fits."""
        size = self.machine.page_size
        taken = ((shared.base * size, shared.end * size) for shared in process.shared_regions())
        return (first_fit(taken, pages * size, size) if at is None else at) // size

    def add_region(
        self,
        process: Process,
        name: str,
        pages: int,
        base: int,
        vma: Vma,
    ) -> None:
        """The pages of a new mapping, of an object of its own if it is of one."""
        shmem = Shmem() if vma.shmem else None
        column = self.table.intern(Column((Mapping(vma),), shmem=shmem))
        shared = process.regions[name] = SharedRegion(
            name, base, Region(pages, column), [process.name]
        )
        if self.arena is not None:
            self.arena.place(shared, pages, column)

    def number_of(self, area: VmArea) -> int:
        """A number for a VMA, the same for those that are equal: repr() of it is slow."""
        return self._areas.setdefault(area, len(self._areas))

    def state_key(self) -> tuple[object, ...]:
        """Equal for two moments exactly when nothing that follows can tell them apart."""
        anon_vmas: dict[int, int] = {}
        return (
            self.device.used,
            (*self.mergeable, self.shares),
            None if self.arena is None else self.arena.key(),
            None if self.batch is None else self.batch.key(),
            tuple(
                (
                    name,
                    [self.number_of(area) for area in process.space.key(anon_vmas)],
                    tuple(
                        (region, shared.base, shared.first, shared.region.pages)
                        for region, shared in process.regions.items()
                    ),
                    tuple(sorted(process.registered.items())),
                    process.future.name,
                    process.scanned,
                    process.merges,
                    tuple(sorted(process.checksums.items())),
                )
                for name, process in self.processes.items()
            ),
            tuple(
                (shared.labels, None if shared.of is None else shared.of.inode, shared.region.key())
                for shared in self.shared_regions()
            ),
            tuple((f.name, f.pages.key()) for f in self.files.values() if not f.members),
        )


def upgrades_clean(machine: Machine) -> bool:
    """Whether mprotect() does by itself what `write_upgrade` turns on from 6.3 on."""
    alone = not follows(machine.kernel, Rule.WRITE_UPGRADE)
    return alone and follows(machine.kernel, Rule.MPROTECT_UPGRADES_CLEAN)


def discards_pmd(machine: Machine) -> bool:
    """Whether reclaim frees 2 MiB under MADV_FREE whole (unmap_huge_pmd_locked())."""
    knows = follows(machine.kernel, Rule.DISCARDS_PMD)
    return machine.discards_pmd and knows and not follows(machine.kernel, Rule.SPLITS_LAZYFREE)


def backend_of(machine: Machine) -> Backend:
    """The back end, as the kernel makes use of it."""
    backend = BACKENDS[machine.swap.backend]
    erases = backend.load_erases and follows(machine.kernel, Rule.EXCLUSIVE_LOADS)
    return backend._replace(load_erases=erases)


@cache
def static_facts(machine: Machine, locks: bool = False) -> Facts:
    """What the machine of a scenario means for a single page; `locks` as of `World`."""
    return Facts(
        backend=backend_of(machine),
        zeromap=machine.zeromap,
        per_vma_lock=machine.per_vma_lock,
        write_upgrade=machine.write_upgrade,
        mprotect_upgrades=upgrades_clean(machine),
        wp_unreadable=not follows(machine.kernel, Rule.WRITE_UPGRADE),
        hw_dirty=machine.hw_dirty,
        mkwrite_dirties=machine.mkwrite_dirties,
        sync_through_cache=follows(machine.kernel, Rule.SYNC_THROUGH_CACHE),
        maps_before_freeing=follows(machine.kernel, Rule.MAPS_BEFORE_FREEING),
        exclusive_alone=follows(machine.kernel, Rule.EXCLUSIVE_ALONE),
        collapses_read_only=follows(machine.kernel, Rule.COLLAPSES_READ_ONLY),
        lazyfree_stays=follows(machine.kernel, Rule.LAZYFREE_STAYS),
        pins_break_cow=follows(machine.kernel, Rule.PINS_BREAK_COW),
        reuses_large=follows(machine.kernel, Rule.REUSES_LARGE),
        zswap_never_enabled=machine.zswap_never_enabled,
        soft_dirty=machine.soft_dirty,
        mm_ids=follows(machine.kernel, Rule.MM_IDS),
        splits_backward=follows(machine.kernel, Rule.SPLITS_BACKWARD),
        requeues_migrated=follows(machine.kernel, Rule.REQUEUES_MIGRATED),
        batches_protection=follows(machine.kernel, Rule.BATCHES_PROTECTION),
        batches_lazyfree=follows(machine.kernel, Rule.BATCHES_LAZYFREE),
        unmaps_wp_singly=follows(machine.kernel, Rule.UNMAPS_WP_SINGLY),
        unmaps_wp_together=follows(machine.kernel, Rule.UNMAPS_WP_TOGETHER),
        copies_last=follows(machine.kernel, Rule.COPIES_LAST),
        splits_unmapped_first=follows(machine.kernel, Rule.SPLITS_UNMAPPED_FIRST),
        swaps_out_whole=follows(machine.kernel, Rule.SWAPS_OUT_WHOLE),
        advice_takes_whole=follows(machine.kernel, Rule.ADVICE_TAKES_WHOLE),
        frees_whole=follows(machine.kernel, Rule.FREES_WHOLE),
        sharers_by_mapcount=follows(machine.kernel, Rule.SHARERS_BY_MAPCOUNT),
        counts_huge_splits=follows(machine.kernel, Rule.COUNTS_HUGE_SPLITS),
        maps_cached_whole=follows(machine.kernel, Rule.MAPS_CACHED_WHOLE),
        frees_large_swap=follows(machine.kernel, Rule.FREES_LARGE_SWAP),
        swaps_in_whole=follows(machine.kernel, Rule.SWAPS_IN_WHOLE),
        drops_zeroes=follows(machine.kernel, Rule.DROPS_ZEROES),
        counts_refused_swapin=follows(machine.kernel, Rule.COUNTS_REFUSED_SWAPIN),
        discards_pmd=discards_pmd(machine),
        keeps_written_pmd=follows(machine.kernel, Rule.KEEPS_WRITTEN_PMD),
        replaces_huge_zero=follows(machine.kernel, Rule.REPLACES_HUGE_ZERO),
        frees_page_tables=follows(machine.kernel, Rule.FREES_PAGE_TABLES),
        readahead=machine.swap.page_cluster > 0,
        swapin_unmlocked=follows(machine.kernel, Rule.SWAPIN_UNMLOCKED),
        keeps_fresh=machine.lru_batch or (locks and follows(machine.kernel, Rule.SWAPIN_UNMLOCKED)),
        shmem_sync=follows(machine.kernel, Rule.SHMEM_SYNC),
        uffd_rwp=follows(machine.kernel, Rule.UFFD_RWP),
    )
