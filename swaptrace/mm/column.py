"""A page column: everything that a fault on one virtual page can depend on.

A *column* is one page of one region, seen through every process that maps the
region: the VMA attributes and the page-table entry of each, and the folios and swap
slots that those entries reach, swap cache included. It is a frozen value: the kernel
functions of this package take one and give another.

Columns are compared and interned, so each state has one form (`canonical`): folios,
slots and data tokens are numbered in order of appearance, and nothing that cannot be
reached or observed is kept. Reference and map counts are derived, never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from swaptrace.mm.uffd import PLAIN, Uffd

ZERO_PAGE: Final = -1
"""The `folio` of a PTE that maps the shared zero page (is_zero_pfn)."""

ENTRY_BYTES: Final = 8
"""The size of a page-table entry. A page table fills a page."""

ZERO: Final = 0
"""The data token of a page whose every byte is zero."""

NUMBER_BITS: Final = 16
NUMBERS: Final = (1 << NUMBER_BITS) - 1
"""The lower bits of a token number it within its column. Above them is the byte that was written,
with `FILLED` or without, where a scenario asks what the data are, and 0 where it does not."""

FILLED: Final = 1 << 8
"""With a byte: all of the page was written so, and holds nothing else."""


class Vma(NamedTuple):
    """What a fault needs of `vm_area_struct`.

    `readable` and `writable` are VM_READ and VM_WRITE, `locked` VM_LOCKED, `uffd_wp`
    VM_UFFD_WP (registered with a userfaultfd for write-protection), `soft_dirty`
    VM_SOFTDIRTY (set since mmap or the last clear_refs: every page reads as soft-dirty),
    `uffd_rwp` VM_UFFD_RWP (for read-write protection, and then not for write-protection).
    `shmem` is that it maps a shmem object, anonymous shared memory or a file of tmpfs, `shared`
    VM_SHARED, `hugetlb` VM_HUGETLB: where it is shared as well, `shmem` is a file of hugetlbfs.
    """

    readable: bool = True
    writable: bool = True
    locked: bool = False
    uffd_wp: bool = False
    soft_dirty: bool = True
    uffd_rwp: bool = False
    uffd: Uffd = PLAIN
    shmem: bool = False
    shared: bool = False
    hugetlb: bool = False

    @property
    def prot_writes(self) -> bool:
        """Whether vm_page_prot has the write bit: of shared memory of which nobody wants to see
        writes (vma_wants_writenotify())."""
        seen = self.soft_dirty_enabled or self.uffd_wp
        return self.shared and self.writable and not seen

    @property
    def uses_markers(self) -> bool:
        """userfaultfd_wp_use_markers() of a VMA with VM_UFFD_WP: whether a page that is not there
        is protected by a marker."""
        return self.uffd.unpopulated or self.shmem or self.hugetlb

    @property
    def uffd_armed(self) -> bool:
        """userfaultfd_armed()."""
        return self.uffd_wp or self.uffd_rwp or self.uffd.missing

    @property
    def wp_async(self) -> bool:
        """Whether a protected page only notes a write (userfaultfd_wp_async())."""
        return self.uffd_wp and self.uffd.wp_async

    def unregistered(self) -> Vma:
        """userfaultfd_reset_ctx()."""
        return self._replace(uffd_wp=False, uffd_rwp=False, uffd=PLAIN)

    @property
    def soft_dirty_enabled(self) -> bool:
        """vma_soft_dirty_enabled(): writes must be caught to set the soft-dirty bit.

        A kernel without CONFIG_MEM_SOFT_DIRTY is a machine on which VM_SOFTDIRTY is
        never cleared.
        """
        return not self.soft_dirty

    @property
    def accessible(self) -> bool:
        """vma_is_accessible()."""
        return self.readable or self.writable

    def allows(self, write: bool) -> bool:
        """access_error() of arch/x86/mm/fault.c, the other way round: what can be written can be
        read."""
        return self.writable if write else self.accessible


class Pte(NamedTuple):
    """A present page-table entry. The methods are the kernel's pte_*() helpers; the entry that they
    give is of the type of this one.

    `uffd_wp` is the uffd bit: in a VMA with VM_UFFD_RWP such a PTE is PROT_NONE as well, always.
    """

    folio: int
    write: bool = False
    dirty: bool = False
    soft_dirty: bool = False
    uffd_wp: bool = False

    def mkwrite(self) -> Pte:
        """pte_mkwrite()."""
        return self if self.write else type(self)(self.folio, True, *self[2:])

    def wrprotect(self) -> Pte:
        """pte_wrprotect()."""
        return type(self)(self.folio, False, *self[2:]) if self.write else self

    def mkdirty(self) -> Pte:
        """pte_mkdirty(), which on x86 marks the PTE soft-dirty as well."""
        return type(self)(self.folio, self.write, True, True, self.uffd_wp)

    def mkclean(self) -> Pte:
        """pte_mkclean(); the soft-dirty bit stays."""
        return self._replace(dirty=False) if self.dirty else self

    def mksoft_dirty(self) -> Pte:
        """pte_mksoft_dirty()."""
        return type(self)(self.folio, self.write, self.dirty, True, self.uffd_wp)

    def clear_soft_dirty(self) -> Pte:
        """pte_clear_soft_dirty()."""
        return self._replace(soft_dirty=False)

    def mkuffd_wp(self) -> Pte:
        """pte_mkuffd_wp(), which also write-protects."""
        return self._replace(uffd_wp=True, write=False)

    def clear_uffd_wp(self) -> Pte:
        """pte_clear_uffd_wp()."""
        return self._replace(uffd_wp=False)

    @property
    def is_zero_page(self) -> bool:
        """is_zero_pfn(pte_pfn(pte))."""
        return self.folio == ZERO_PAGE


class SwapPte(NamedTuple):
    """A swap entry in a page table (pte_swp_exclusive and its siblings)."""

    slot: int
    exclusive: bool = False
    soft_dirty: bool = False
    uffd_wp: bool = False


class Marker(NamedTuple):
    """A PTE marker, with nothing there: write-protected by userfaultfd (PTE_MARKER_UFFD_WP), or not
    to be accessed (PTE_MARKER_GUARD)."""

    uffd_wp: bool = True
    guard: bool = False

    @property
    def soft_dirty(self) -> bool:
        """A marker has no such bit."""
        return False


GUARD: Final = Marker(uffd_wp=False, guard=True)

Entry: TypeAlias = Pte | SwapPte | Marker | None
"""A page-table entry; None is pte_none()."""


class Mapping(NamedTuple):
    """One process's view of the page.

    `vma` is None over a hole (never mapped again, or unmapped), and then nothing else
    is set. The next four fields are not the kernel's: they are what the process may
    rely on, and only the checks read them. `data` is the token that the process last
    wrote or inherited; `freed` that MADV_FREE allows the page to read as zero instead;
    `written` that it was written since clear_refs; `armed` that a write must raise a
    userfaultfd event first. `protnone` is pte_protnone() of a PTE whose VMA permits more (up to
    6.2).
    """

    vma: Vma | None
    pte: Entry = None
    data: int = ZERO
    freed: bool = False
    written: bool = False
    armed: bool = False
    protnone: bool = False


HOLE: Final = Mapping(None)


MlockEntry = Literal["new", "lock", "unlock"]
"""What waits in the batch of mlock: a folio that joins a list with it, one that is locked once
more, or once less."""


class Folio(NamedTuple):
    """An order-0 anonymous folio.

    `anon_exclusive` is PageAnonExclusive, `dirty` PG_dirty, `lazyfree` an anonymous folio
    without PG_swapbacked (MADV_FREE), `readahead` PG_readahead, `slot` the swap slot that
    it is cached for (None: not in the swap cache), `data` the token of its content. `ksm` is
    folio_test_ksm(); such a folio may be mapped `elsewhere`, by pages of other columns. `mlocked`
    is PG_mlocked and `mlock_count` folio->mlock_count, 0 unless it is unevictable; they are not
    kept of KSM folios nor of an object's. `fresh` is that nobody has mapped it yet: rmap does not
    know it (not folio_test_anon()), known where memory is locked or the batches are kept. The last
    five are known where the batches are kept: `batched` is that it waits in the per-CPU batch of
    new folios (not folio_test_lru()), `queued` in that of MADV_FREE or MADV_COLD; each has a
    reference, and so has each of its entries in the batch of mlock, `mlocks`. `active` is
    PG_active. That and `queued` are None where they are not known, as of one that was `marked` as
    accessed or locked.
    """

    data: int
    anon_exclusive: bool = False
    dirty: bool = False
    lazyfree: bool = False
    readahead: bool = False
    slot: int | None = None
    ksm: bool = False
    elsewhere: bool = False
    mlocked: bool = False
    mlock_count: int = 0
    fresh: bool = False
    batched: bool = False
    queued: bool | None = False
    mlocks: tuple[MlockEntry, ...] = ()
    active: bool | None = False
    marked: bool = False

    def mlock_drained(self) -> Folio:
        """After mlock_folio_batch(): what its entries have come to.

        Nothing is counted while it is on no list. An entry that unlocks it goes by the count, so
        that it may undo one behind it (PG_mlocked was set at once).
        """
        mlocked, count = self.mlocked, self.mlock_count
        listed = not self.batched and "new" not in self.mlocks
        for entry in self.mlocks:
            if entry == "unlock":
                count = max(count - 1, 0)
                mlocked = mlocked and count > 0
            elif mlocked and (listed or entry == "new"):
                count += 1
            listed = listed or entry == "new"
        return self._replace(mlocked=mlocked, mlock_count=count, mlocks=())


FIELDS: Final = {name: position for position, name in enumerate(Folio._fields)}


def changed(folio: Folio, **changes: Any) -> Folio:
    """The folio with other values in some fields: `_replace()`, in half the time."""
    values: list[Any] = [*folio]
    for name, value in changes.items():
        values[FIELDS[name]] = value
    return Folio(*values)


class SwapSlot(NamedTuple):
    """A swap slot that a PTE or the swap cache holds.

    `data` is the token stored there; None where the store has no copy (not written
    yet, or erased by a load from zswap) and the cached folio is the only one.
    """

    data: int | None


class Pinned(NamedTuple):
    """A reference to folio number `folio` that process number `process` has taken besides its PTE.

    `longterm` is FOLL_PIN with FOLL_WRITE and FOLL_LONGTERM, else it is FOLL_GET. The last two
    are not the kernel's: `data` is the token that a read through it must give, and `detached` that
    the process has given the page up since, so that its own writes go elsewhere.
    """

    process: int
    folio: int
    longterm: bool
    data: int
    detached: bool = False


class Shmem(NamedTuple):
    """The page's entry in the page cache of a shmem object (i_pages): a folio, a swap slot, or
    neither."""

    folio: int | None = None
    slot: int | None = None


class Column(NamedTuple):
    """One virtual page of one region: a mapping for each process that shares the region, what
    pins have a reference to, and the page cache of the object that is mapped, if one is and its
    size (i_size) is not reached before."""

    maps: tuple[Mapping, ...]
    folios: tuple[Folio, ...] = ()
    slots: tuple[SwapSlot, ...] = ()
    pins: tuple[Pinned, ...] = ()
    shmem: Shmem | None = None

    def mapcount(self, folio: int) -> int:
        """folio_mapcount(), where a KSM folio counts only once elsewhere."""
        return len(mappers(self.maps, folio)) + self.folios[folio].elsewhere

    def swap_count(self, slot: int) -> int:
        """__swap_count(): the swap PTEs that refer to the slot, and the entry of a shmem object;
        the swap cache is not counted."""
        return swap_count(self.maps, slot, self.shmem)


def object_data(
    shmem: Shmem | None, folios: Sequence[Folio], slots: Sequence[SwapSlot]
) -> int | None:
    """The data token that a shmem object has for the page, zeroes in a hole or beyond its end; None
    if it is lost."""
    if shmem is None or shmem == Shmem():
        return ZERO
    if shmem.folio is not None:
        return folios[shmem.folio].data
    cached = (folio.data for folio in folios if folio.slot == shmem.slot)
    return next(cached, slots[shmem.slot or 0].data)


def mappers(maps: Iterable[Mapping], folio: int) -> list[Mapping]:
    """The mappings whose PTE maps the folio."""
    return [m for m in maps if type(m.pte) is Pte and m.pte.folio == folio]


def swap_count(maps: Iterable[Mapping], slot: int, shmem: Shmem | None = None) -> int:
    """How many of the mappings are swap PTEs of the slot, one more if the object has it."""
    held = shmem is not None and shmem.slot == slot
    return held + sum(type(m.pte) is SwapPte and m.pte.slot == slot for m in maps)


def byte_of(token: int) -> int | None:
    """The byte that was written; None where nobody keeps it."""
    return 0 if token == ZERO else token >> NUMBER_BITS & ~FILLED or None


def filled_with(token: int) -> int | None:
    """The byte that the page holds and nothing else; None where that is not known."""
    upper = token >> NUMBER_BITS
    return 0 if token == ZERO else upper & ~FILLED if upper & FILLED else None
