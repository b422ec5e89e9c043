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
from typing import Final, NamedTuple, TypeAlias

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
    """

    readable: bool = True
    writable: bool = True
    locked: bool = False
    uffd_wp: bool = False
    soft_dirty: bool = True
    uffd_rwp: bool = False
    uffd: Uffd = PLAIN

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
    """A present page-table entry. The methods are the kernel's pte_*() helpers.

    `uffd_wp` is the uffd bit: in a VMA with VM_UFFD_RWP such a PTE is PROT_NONE as well, always.
    """

    folio: int
    write: bool = False
    dirty: bool = False
    soft_dirty: bool = False
    uffd_wp: bool = False

    def mkwrite(self) -> Pte:
        """pte_mkwrite()."""
        return self if self.write else self._replace(write=True)

    def wrprotect(self) -> Pte:
        """pte_wrprotect()."""
        return self._replace(write=False) if self.write else self

    def mkdirty(self) -> Pte:
        """pte_mkdirty(), which on x86 marks the PTE soft-dirty as well."""
        return self._replace(dirty=True, soft_dirty=True)

    def mkclean(self) -> Pte:
        """pte_mkclean(); the soft-dirty bit stays."""
        return self._replace(dirty=False) if self.dirty else self

    def mksoft_dirty(self) -> Pte:
        """pte_mksoft_dirty()."""
        return self._replace(soft_dirty=True)

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
    is set. The last four fields are not the kernel's: they are what the process may
    rely on, and only the checks read them. `data` is the token that the process last
    wrote or inherited; `freed` that MADV_FREE allows the page to read as zero instead;
    `written` that it was written since clear_refs; `armed` that a write must raise a
    userfaultfd event first.
    """

    vma: Vma | None
    pte: Entry = None
    data: int = ZERO
    freed: bool = False
    written: bool = False
    armed: bool = False


HOLE: Final = Mapping(None)


class Folio(NamedTuple):
    """An order-0 anonymous folio.

    `anon_exclusive` is PageAnonExclusive, `dirty` PG_dirty, `lazyfree` an anonymous folio
    without PG_swapbacked (MADV_FREE), `readahead` PG_readahead, `slot` the swap slot that
    it is cached for (None: not in the swap cache), `data` the token of its content. `ksm` is
    folio_test_ksm(); such a folio may be mapped `elsewhere`, by pages of other columns. `batched`
    is that it waits in the per-CPU batch of new folios (not folio_test_lru()), if that is kept.
    `pages` is folio_nr_pages(), which is one but where a page of a block is told of by itself.
    """

    data: int
    anon_exclusive: bool = False
    dirty: bool = False
    lazyfree: bool = False
    readahead: bool = False
    slot: int | None = None
    ksm: bool = False
    elsewhere: bool = False
    batched: bool = False
    pages: int = 1


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


class Column(NamedTuple):
    """One virtual page of one region: a mapping for each process that shares the region, and what
    pins have a reference to."""

    maps: tuple[Mapping, ...]
    folios: tuple[Folio, ...] = ()
    slots: tuple[SwapSlot, ...] = ()
    pins: tuple[Pinned, ...] = ()

    def mapcount(self, folio: int) -> int:
        """folio_mapcount(), where a KSM folio counts only once elsewhere."""
        return len(mappers(self.maps, folio)) + self.folios[folio].elsewhere

    def swap_count(self, slot: int) -> int:
        """__swap_count(): the swap PTEs that refer to the slot, the cache not counted."""
        return swap_count(self.maps, slot)


def mappers(maps: Iterable[Mapping], folio: int) -> list[Mapping]:
    """The mappings whose PTE maps the folio."""
    return [m for m in maps if type(m.pte) is Pte and m.pte.folio == folio]


def swap_count(maps: Iterable[Mapping], slot: int) -> int:
    """How many of the mappings are swap PTEs of the slot."""
    return sum(type(m.pte) is SwapPte and m.pte.slot == slot for m in maps)


_Numbers: TypeAlias = dict[int, int]
"""0, 1, 2, … for old numbers in the order in which they are first seen (`_number`)."""


def _number(numbers: _Numbers, old: int) -> int:
    return numbers.setdefault(old, len(numbers))


def _token(numbers: _Numbers, old: int) -> int:
    """The new number of a data token, with its byte."""
    return numbers.setdefault(old, len(numbers) | old & ~NUMBERS)


def byte_of(token: int) -> int | None:
    """The byte that was written; None where nobody keeps it."""
    return 0 if token == ZERO else token >> NUMBER_BITS & ~FILLED or None


def filled_with(token: int) -> int | None:
    """The byte that the page holds and nothing else; None where that is not known."""
    upper = token >> NUMBER_BITS
    return 0 if token == ZERO else upper & ~FILLED if upper & FILLED else None


def canonical(
    maps: Sequence[Mapping],
    folios: Sequence[Folio],
    slots: Sequence[SwapSlot],
    pins: Sequence[Pinned] = (),
) -> Column:
    """The one form of a state: unreachable and unobservable parts dropped, the rest renumbered.

    Reachable is what a PTE or a pin refers to, the folio cached for a reachable slot, and the
    slot that a reachable folio is cached for. Idempotent.
    """
    new_maps = [observable(m) for m in maps]
    folio_of, slot_of = _reachable(new_maps, folios, pins)
    token_of: _Numbers = {ZERO: ZERO}
    out_maps = [_renumber_mapping(m, folio_of, slot_of, token_of) for m in new_maps]
    out_folios = [_renumber_folio(folios[old], slot_of, token_of) for old in folio_of]
    out_slots = [_renumber_slot(slots[old], token_of) for old in slot_of]
    out_pins = [_renumber_pin(pin, folio_of, token_of) for pin in pins]
    return Column(tuple(out_maps), tuple(out_folios), tuple(out_slots), tuple(out_pins))


def observable(m: Mapping) -> Mapping:
    """Without what no later event can tell apart."""
    vma = m.vma
    if vma is None:
        return HOLE
    # While VM_SOFTDIRTY is set everything reads as soft-dirty, and clear_refs, which alone
    # clears it, forgets what was written.
    written = m.written and not vma.soft_dirty
    armed = m.armed and m.pte is not None
    freed = m.freed and m.data != ZERO
    if written != m.written or armed != m.armed or freed != m.freed:
        return m._replace(written=written, armed=armed, freed=freed)
    return m


def _reachable(
    maps: Sequence[Mapping], folios: Sequence[Folio], pins: Sequence[Pinned]
) -> tuple[_Numbers, _Numbers]:
    folio_of: _Numbers = {}
    slot_of: _Numbers = {}
    for m in maps:
        pte = m.pte
        if type(pte) is Pte:
            if pte.folio != ZERO_PAGE:
                _number(folio_of, pte.folio)
                cached = folios[pte.folio].slot
                if cached is not None:
                    _number(slot_of, cached)
        elif type(pte) is SwapPte:
            _number(slot_of, pte.slot)
            for number, folio in enumerate(folios):
                if folio.slot == pte.slot:
                    _number(folio_of, number)
    for pin in pins:
        _number(folio_of, pin.folio)
        cached = folios[pin.folio].slot
        if cached is not None:
            _number(slot_of, cached)
    return folio_of, slot_of


def numbering(
    maps: Sequence[Mapping], folios: Sequence[Folio], pins: Sequence[Pinned]
) -> tuple[_Numbers, _Numbers]:
    """The numbers that folios and slots have in the canonical form, by those that they have now."""
    return _reachable([observable(m) for m in maps], folios, pins)


def _renumber_mapping(
    m: Mapping, folio_of: _Numbers, slot_of: _Numbers, token_of: _Numbers
) -> Mapping:
    pte, data = m.pte, _token(token_of, m.data)
    if type(pte) is Pte:
        if pte.folio != ZERO_PAGE and folio_of[pte.folio] != pte.folio:
            pte = pte._replace(folio=folio_of[pte.folio])
    elif type(pte) is SwapPte and slot_of[pte.slot] != pte.slot:
        pte = pte._replace(slot=slot_of[pte.slot])
    if pte is m.pte and data == m.data:
        return m
    return Mapping(m.vma, pte, data, m.freed, m.written, m.armed)


def _renumber_pin(pin: Pinned, folio_of: _Numbers, token_of: _Numbers) -> Pinned:
    return pin._replace(folio=folio_of[pin.folio], data=_token(token_of, pin.data))


def _renumber_folio(folio: Folio, slot_of: _Numbers, token_of: _Numbers) -> Folio:
    data = _token(token_of, folio.data)
    slot = None if folio.slot is None else _number(slot_of, folio.slot)
    if data == folio.data and slot == folio.slot:
        return folio
    return folio._replace(data=data, slot=slot)


def _renumber_slot(slot: SwapSlot, token_of: _Numbers) -> SwapSlot:
    if slot.data is None:
        return slot
    data = _token(token_of, slot.data)
    return slot if data == slot.data else SwapSlot(data)
