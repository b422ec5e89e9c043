"""The page while an event happens to it: a column taken apart, and what has been counted.

The kernel functions of this package work on a `Page`, which lives only within one
transition; `freeze` makes the new column of it.
"""

from __future__ import annotations

from typing import Any, Final

from swaptrace.counters import POSITION, Counter, ViolationKind
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import (
    NUMBER_BITS,
    NUMBERS,
    ZERO,
    Column,
    Entry,
    Folio,
    Mapping,
    Pte,
    SwapPte,
    SwapSlot,
    Vma,
    changed,
    mappers,
    object_data,
    swap_count,
)
from swaptrace.mm.event import Facts
from swaptrace.mm.outcome import Batched, FaultResult, Lookup
from swaptrace.mm.policy import FolioRefs, Held, Policy

UNBATCHED: Final = Batched()
"""Where no batch is kept."""


class Page:
    """Mutable working copy of a column, with the policy and the facts in force.

    `path` explains and decides nothing. What others need to know of the way that was taken stands
    by itself: `lookup`, `written` (swap_writepage() was called), `wp_fault` (do_wp_page() was),
    `given` (the process that got the page by UFFDIO_COPY), `maps_around`
    (do_read_fault() was called). `marked` is that the fault under way
    found a PTE marker.
    """

    __slots__ = (
        "batch",
        "batched",
        "broken",
        "column",
        "counts",
        "ends",
        "facts",
        "folios",
        "fresh",
        "given",
        "lookup",
        "maps",
        "maps_around",
        "marked",
        "may_retry",
        "mlock_new",
        "mlocks",
        "path",
        "pins",
        "policy",
        "queued",
        "shmem",
        "slots",
        "wp_fault",
        "written",
    )

    def __init__(self, column: Column, policy: Policy, facts: Facts) -> None:
        self.column = column
        self.maps = list(column.maps)
        self.folios = list(column.folios)
        self.slots = list(column.slots)
        self.pins = list(column.pins)
        self.shmem = column.shmem
        self.maps_around = False
        self.policy = policy
        self.facts = facts
        self.counts = [0] * len(POSITION)
        self.broken: list[tuple[ViolationKind, int]] = []
        self.lookup: Lookup = "none"
        self.path: list[str] = []
        self.written = False
        self.wp_fault = False
        self.may_retry = True
        self.marked = False
        self.given: int | None = None
        self.ends = False
        self.batch: set[int] = set()
        self.queued: set[int] = set()
        self.mlocks: dict[int, int] = {}
        self.mlock_new: set[int] = set()
        self.fresh: set[int] = set()
        self.batched = UNBATCHED
        if facts.batch_left:
            self.find_waiting()

    def find_waiting(self) -> None:
        """Which folios wait in the per-CPU batches."""
        for f, folio in enumerate(self.column.folios):
            if folio.batched:
                self.batch.add(f)
            if folio.queued:
                self.queued.add(f)
            if folio.mlocks:
                self.mlocks[f] = folio.mlocks
            if folio.mlock_new:
                self.mlock_new.add(f)
            if folio.fresh:
                self.fresh.add(f)

    def freeze(self) -> Column:
        """The column that the page has become, in canonical form."""
        if self.facts.batch_left:
            self.folios = [
                folio._replace(
                    batched=f in self.batch,
                    queued=f in self.queued,
                    mlocks=self.mlocks.get(f, 0),
                    mlock_new=f in self.mlock_new,
                    fresh=f in self.fresh,
                )
                for f, folio in enumerate(self.folios)
            ]
        pages = tuple(self.maps), tuple(self.folios), tuple(self.slots)
        parts = *pages, tuple(self.pins), self.shmem
        return self.column if parts == self.column else canonical(*parts)

    def enter(self, function: str) -> None:
        """Note the kernel function that decides what happens next."""
        self.path.append(function)

    def count(self, counter: Counter, times: int = 1) -> None:
        """Count something, `times` over."""
        self.counts[POSITION[counter]] += times

    def vma(self, p: int) -> Vma:
        """The VMA of process `p`, where there is one."""
        vma = self.maps[p].vma
        assert vma is not None, "no VMA here: the engine checks before it sends the event"
        return vma

    def protnone(self, p: int) -> bool:
        """pte_protnone() of a PTE that is read-write protected (userfaultfd_pte_rwp())."""
        pte, vma = self.maps[p].pte, self.maps[p].vma
        return type(pte) is Pte and pte.uffd_wp and vma is not None and vma.uffd_rwp

    def set_map(self, p: int, **changes: Any) -> None:
        """Change fields of the mapping of process `p`."""
        self.maps[p] = self.maps[p]._replace(**changes)

    def set_pte(self, p: int, pte: Entry) -> None:
        """set_pte_at()."""
        old = self.maps[p]
        self.maps[p] = Mapping(old.vma, pte, old.data, old.freed, old.written, old.armed)

    def set_folio(self, f: int, **changes: Any) -> None:
        """Change fields of folio `f`."""
        self.folios[f] = changed(self.folios[f], **changes)

    def new_folio(self, data: int, **fields: Any) -> int:
        """Allocate a folio; its number."""
        self.folios.append(Folio(data, **fields))
        return len(self.folios) - 1

    def lru_add(self, f: int) -> None:
        """folio_add_lru(): into the per-CPU batch, which holds a reference, and is drained when it
        is full."""
        self.batch.add(f)
        if not self.facts.batch_left:
            return
        self.batched = self.batched._replace(added=self.batched.added + 1)
        empty = self.batched.drained or self.batched.filled
        if not empty and self.batched.added == self.facts.batch_left:
            self.batch.clear()
            self.batched = self.batched._replace(filled=True, added=0)

    def lru_add_vma(self, f: int, p: int) -> None:
        """folio_add_lru_vma(): where the VMA is locked into the batch of mlock, not onto an LRU
        list (mlock_new_folio())."""
        if self.facts.mlock_left and self.vma(p).locked:
            self.mlock_new.add(f)
            self.queue_mlock(f)
        else:
            self.lru_add(f)

    def mlock_vma_folio(self, f: int, p: int) -> None:
        """mlock_vma_folio() and munlock_vma_folio(): an entry in the batch of mlock, if the VMA is
        locked."""
        if self.facts.mlock_left and self.vma(p).locked:
            self.queue_mlock(f)

    def queue_mlock(self, f: int) -> None:
        """An entry, which has a reference; the last that fits empties the batch."""
        self.mlocks[f] = self.mlocks.get(f, 0) + 1
        self.batched = self.batched._replace(mlocked=self.batched.mlocked + 1)
        empty = self.batched.drained or self.batched.mlock_filled
        if not empty and self.batched.mlocked == self.facts.mlock_left:
            self.mlocks.clear()
            self.mlock_new.clear()
            self.batched = self.batched._replace(mlock_filled=True, mlocked=0)

    def off_lru(self, f: int) -> bool:
        """Whether a folio is on no list yet (not folio_test_lru()), as it waits in a batch."""
        return f in self.batch or f in self.mlock_new

    def queue_inactive(self, f: int) -> None:
        """folio_mark_lazyfree(), folio_deactivate(): into a batch of its own, which holds a
        reference; the folio stays on its list, and is not active once that is emptied."""
        self.queued.add(f)
        self.set_active(f, False)
        self.batched = self.batched._replace(queued=self.batched.queued + 1)

    def set_active(self, f: int, yes: bool | None) -> None:
        """PG_active, where the batches are kept; None: it depends on what is not modelled."""
        if self.facts.batch_left:
            self.set_folio(f, active=yes, marked=False)

    def lru_add_drain(self) -> None:
        """lru_add_drain() in a fault: the batches let go of their folios."""
        if self.facts.batch_left:
            self.count(Counter.LRU_DRAINS)
        self.batch.clear()
        self.queued.clear()
        self.mlocks.clear()
        self.mlock_new.clear()
        self.batched = Batched(drained=True)

    def new_slot(self) -> int:
        """Allocate a swap slot with nothing in it; its number."""
        self.slots.append(SwapSlot(None))
        return len(self.slots) - 1

    def new_token(self, byte: int = 0) -> int:
        """A data token that is nowhere in use, of a byte if that is kept."""
        used = [m.data & NUMBERS for m in self.maps]
        used += [folio.data & NUMBERS for folio in self.folios]
        used += [slot.data & NUMBERS for slot in self.slots if slot.data is not None]
        if self.pins:
            used += [pin.data & NUMBERS for pin in self.pins]
        return max(used, default=ZERO) + 1 | byte << NUMBER_BITS

    def mapcount(self, f: int) -> int:
        """folio_mapcount(), as `Column.mapcount` has it."""
        return len(mappers(self.maps, f)) + self.folios[f].elsewhere

    def swap_count(self, s: int) -> int:
        """__swap_count(): swap PTEs of the slot, and a shmem object's entry."""
        return swap_count(self.maps, s, self.shmem)

    def in_page_cache(self, f: int) -> bool:
        """Whether folio `f` is that of the object that is mapped, and no anonymous one."""
        return self.shmem is not None and self.shmem.folio == f

    def cached_folio(self, s: int) -> int | None:
        """The folio in the swap cache for slot `s`."""
        for number, folio in enumerate(self.folios):
            if folio.slot == s:
                return number
        return None

    def swap_cache_get_folio(self, s: int) -> int | None:
        """What the look-up of a fault finds; if the fault itself has read it, it may wait in the
        batch, which has a reference."""
        cached = self.cached_folio(s)
        if cached is not None and self.facts.found_waiting:
            self.lru_add(cached)
        return cached

    def is_huge(self, _p: int) -> bool:
        """Whether a PMD entry maps the page."""
        return False

    def nr_pages(self, _f: int) -> int:
        """folio_nr_pages()."""
        return 1

    def folio_swapped(self, f: int) -> bool:
        """folio_swapped(): whether a swap PTE needs a slot of the folio, which is cached."""
        slot = self.folios[f].slot
        return slot is not None and self.swap_count(slot) > 0

    def handle_pmd_fault(self, _p: int, _write: bool) -> FaultResult | None:
        """What __handle_mm_fault() does by the PMD entry alone: None where the PTE decides."""
        return None

    def mmu_dirties(self, p: int) -> None:
        """The MMU has set the dirty bit of the entry that process `p` stored through."""

    def alloc_anon_folio(self, _p: int) -> int:
        """A folio of zeroes for a first write: of one page."""
        return self.new_folio(ZERO, anon_exclusive=True)

    def alloc_swap_folio(self, _p: int, _orig: SwapPte) -> int:
        """A folio for a swap-in that bypasses the swap cache: of one page."""
        return self.new_folio(ZERO)

    def load(self, s: int, f: int) -> bool:
        """Give folio `f` what its slot `s` holds; whether the slot is marked as one of zeroes."""
        stored = self.slots[s].data
        assert stored is not None, "a slot without a copy has its folio in the swap cache"
        self.set_folio(f, data=stored)
        return stored == ZERO

    def store(self, f: int) -> bool:
        """Give the slot of folio `f` what that holds; whether it is marked as one of zeroes."""
        s, data = self.folios[f].slot, self.folios[f].data
        assert s is not None
        self.count(Counter.REWRITES, self.slots[s].data == data)
        self.slots[s] = SwapSlot(data)
        return data == ZERO

    def count_swpout(self, f: int) -> None:
        """count_swpout_vm_event(), of what is counted for large folios alone."""

    def maps_whole(self, _p: int, _f: int, _orig: SwapPte) -> bool:
        """Whether a fault maps all pages of a folio, of which there is but one."""
        return False

    def set_ptes(self, p: int, pte: Pte | None, _f: int | None = None) -> None:
        """set_ptes(): of all pages of a folio, here of the one that there is."""
        self.set_pte(p, pte)

    def set_exclusive(self, f: int, _whole: bool) -> None:
        """RMAP_EXCLUSIVE: of this page of the folio, or of all."""
        self.set_folio(f, anon_exclusive=True)

    def wp_can_reuse_large_anon_folio(self, _f: int) -> bool:
        """__wp_can_reuse_large_anon_folio(); no folio is large here."""
        return False

    def swapin_readahead(self, p: int) -> None:
        """swap_vma_readahead() around a fault that reads: the replay's business."""

    def note_lookup(self, p: int, f: int) -> None:
        """What a hit in the swap cache is to read-ahead: the replay's business."""

    def mlocked(self, f: int) -> bool:
        """folio_test_mlocked(): mapped by a locked VMA."""
        return any(m.vma is not None and m.vma.locked for m in mappers(self.maps, f))

    def refs(self, f: int, held: Held = 0) -> FolioRefs:
        """What a policy may know of folio `f`, of which the caller holds `held` references, and the
        per-CPU batches perhaps some."""
        slot = self.folios[f].slot
        swap_count = None if slot is None else self.swap_count(slot)
        mapcount, nr_pages = self.mapcount(f), self.nr_pages(f)
        references = held + (f in self.batch) + (f in self.queued) + self.mlocks.get(f, 0)
        refs = FolioRefs.of(mapcount, swap_count, self.mlocked(f), references, nr_pages)
        if self.folios[f].ksm:
            refs = refs._replace(ksm=True)
        pins = self.pin_count(f) if self.pins else 0
        return refs._replace(ref_count=refs.ref_count + pins, pins=pins) if pins else refs

    def forget_process(self, p: int) -> None:
        """The process has gone; those after it move up."""
        del self.maps[p]
        self.pins = [
            pin._replace(process=pin.process - 1) if pin.process > p else pin for pin in self.pins
        ]

    def pin_count(self, f: int) -> int:
        """How many references to folio `f` pins hold."""
        return sum(pin.folio == f for pin in self.pins)

    def maybe_dma_pinned(self, f: int) -> bool:
        """folio_maybe_dma_pinned()."""
        return any(pin.longterm and pin.folio == f for pin in self.pins)

    def content(self, p: int) -> int:
        """The data token that process `p` sees through its present PTE."""
        pte = self.maps[p].pte
        assert isinstance(pte, Pte)
        return ZERO if pte.is_zero_page else self.folios[pte.folio].data


def drop_data(page: Page, p: int) -> None:
    """The process gave its page up: it now relies on nothing but zeroes, or on what shared memory
    or a file holds, and its pin on no more than what it has."""
    vma, data = page.maps[p].vma, page.maps[p].data
    if vma is None or not vma.shared:
        of = page.shmem if vma is not None and vma.shmem else None
        data = object_data(of, page.folios, page.slots) or ZERO
    page.maps[p] = Mapping(vma, data=data)
    page.pins = [pin._replace(detached=True) if pin.process == p else pin for pin in page.pins]
