"""The page while an event happens to it: a column taken apart, and what has been counted.

The kernel functions of this package work on a `Page`, which lives only within one
transition; `freeze` makes the new column of it.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    Pinned,
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
from swaptrace.mm.policy import FolioRefs, Held, Policy, ask
from swaptrace.mm.waiting import Waiting

UNBATCHED: Final = Batched()
"""Where no batch is kept."""


class Page(Waiting):
    """Mutable working copy of a column, with the policy and the facts in force.

    `path` explains and decides nothing. What others need to know of the way that was taken stands
    by itself: `lookup`, `written` (swap_writepage() was called), `wp_fault` (do_wp_page() was),
    `given` (the process that got the page by UFFDIO_COPY), `maps_around`
    (do_read_fault() was called). `marked` is that the fault under way
    found a PTE marker.
    """

    __slots__ = (
        "broken",
        "counts",
        "ends",
        "given",
        "lookup",
        "maps_around",
        "marked",
        "may_retry",
        "path",
        "pins",
        "policy",
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
        self.batch = set()
        self.queued = set()
        self.doubtful = set()
        self.mlocks = {}
        self.fresh = set()
        self.batched = UNBATCHED
        if facts.batch_left or facts.keeps_fresh:
            self.find_waiting()

    def freeze(self) -> Column:
        """The column that the page has become, in canonical form."""
        if self.facts.batch_left:
            self.folios = [
                folio._replace(
                    batched=f in self.batch,
                    queued=None if f in self.doubtful else f in self.queued,
                    mlocks=self.mlocks.get(f, ()),
                )
                for f, folio in enumerate(self.folios)
            ]
        elif self.mlocks:
            self.batch.clear()
            self.mlock_drain()
        if self.facts.keeps_fresh:
            for f, folio in enumerate(self.folios):
                if folio.fresh != (f in self.fresh):
                    self.set_folio(f, fresh=not folio.fresh)
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

    def rwp(self, p: int) -> bool:
        """Whether the PTE is read-write protected (userfaultfd_pte_rwp()), and so PROT_NONE."""
        pte, vma = self.maps[p].pte, self.maps[p].vma
        return type(pte) is Pte and pte.uffd_wp and vma is not None and vma.uffd_rwp

    def traps(self, p: int) -> bool:
        """Whether a fault on it is one of that protection: where the VMA itself permits nothing,
        only FOLL_FORCE gets here, and goes on as if there were none (gup_can_follow_protnone())."""
        return self.rwp(p) and self.vma(p).accessible

    def set_map(self, p: int, **changes: Any) -> None:
        """Change fields of the mapping of process `p`."""
        self.maps[p] = self.maps[p]._replace(**changes)

    def set_pte(self, p: int, pte: Entry) -> None:
        """set_pte_at() of one that has the protection of the VMA, PROT_NONE only if that is."""
        old = self.maps[p]
        self.maps[p] = Mapping(old.vma, pte, old.data, old.freed, old.written, old.armed)

    def set_folio(self, f: int, **changes: Any) -> None:
        """Change fields of folio `f`."""
        self.folios[f] = changed(self.folios[f], **changes)

    def new_folio(self, data: int, **fields: Any) -> int:
        """Allocate a folio; its number."""
        self.folios.append(Folio(data, **fields))
        return len(self.folios) - 1

    def new_slot(self) -> int:
        """Allocate a swap slot with nothing in it; its number."""
        self.slots.append(SwapSlot(None))
        return len(self.slots) - 1

    def new_token(self, byte: int = 0) -> int:
        """A data token that is nowhere in use, of a byte if that is kept."""
        used = [m.data & NUMBERS for m in self.maps]
        used += [folio.data & NUMBERS for folio in self.folios]
        used += [slot.data & NUMBERS for slot in self.slots if slot.data is not None]
        used += [pin.data & NUMBERS for pin in self.pins]
        return max(used, default=ZERO) + 1 | byte << NUMBER_BITS

    def mapcount(self, f: int) -> int:
        """folio_mapcount(), as `Column.mapcount` has it."""
        return len(mappers(self.maps, f)) + self.folios[f].elsewhere

    def maybe_mapped_shared(self, f: int) -> bool:
        """folio_maybe_mapped_shared()."""
        return len(mappers(self.maps, f)) > 1

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

    def handle_pmd_fault(self, _p: int, _write: bool, _unshare: bool = False) -> FaultResult | None:
        """What __handle_mm_fault() does by the PMD entry alone: None where the PTE decides."""
        return None

    def mmu_dirties(self, p: int) -> None:
        """The MMU has set the dirty bit of the entry that process `p` stored through."""

    def folios_here(self) -> Iterable[int]:
        """The numbers of the folios that the page may be mapped to."""
        return range(len(self.folios))

    def split_huge_page(self, _p: int) -> bool:
        """split_huge_page() of the folio that a process maps; whether it maps the page still."""
        return True

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

    def set_fresh(self, f: int, fresh: bool) -> None:
        """Whether folio `f` is one that nobody has mapped yet."""
        (self.fresh.add if fresh else self.fresh.discard)(f)

    def is_fresh(self, f: int) -> bool:
        """Whether it is (not folio_test_anon())."""
        return f in self.fresh

    def mlocked(self, f: int) -> bool:
        """folio_test_mlocked(); where that is not kept, whether a locked VMA maps the folio."""
        if self.keeps_mlocked(f):
            return self.folios[f].mlocked
        return any(m.vma is not None and m.vma.locked for m in mappers(self.maps, f))

    def keeps_mlocked(self, f: int) -> bool:
        """Whether PG_mlocked is a state of folio `f`."""
        return not (self.folios[f].ksm or self.in_page_cache(f))

    def refs(self, f: int, held: Held = 0, doubtful: int | None = None) -> FolioRefs:
        """What a policy may know of folio `f`, of which the caller holds `held` references, and the
        per-CPU batches perhaps some, with so many that are `doubtful`."""
        slot = self.folios[f].slot
        swap_count = None if slot is None else self.swap_count(slot)
        mapcount, nr_pages = self.mapcount(f), self.nr_pages(f)
        sure = self.batch_references(f) if doubtful is None else self.sure_references(f)
        references = held + sure + (doubtful or 0)
        refs = FolioRefs.of(mapcount, swap_count, self.mlocked(f), references, nr_pages)
        if self.folios[f].ksm:
            refs = refs._replace(ksm=True)
        pins = self.pin_count(f)
        return refs._replace(ref_count=refs.ref_count + pins, pins=pins) if pins else refs

    def can_reuse_anon(self, f: int) -> bool:
        """What the policy says, which may be the same whether or not a batch has the folio."""
        answers: set[bool] = set()
        if self.in_doubt(f):
            either = [self.refs(f, doubtful=more) for more in (0, 1)]
            answers = {ask(self.policy, "can_reuse_anon", bool, refs) for refs in either}
        if len(answers) != 1:
            answers = {ask(self.policy, "can_reuse_anon", bool, self.refs(f))}
        return answers.pop()

    def add_process(self, mapping: Mapping) -> None:
        """A child has the page, mapped like this."""
        self.maps.append(mapping)

    def forget_process(self, p: int) -> None:
        """The process has gone; those after it move up."""
        del self.maps[p]
        renumber(self.pins, p)

    def add_pin(self, pin: Pinned) -> None:
        """Another reference to a folio."""
        self.pins.append(pin)

    def drop_pins(self, p: int) -> None:
        """The process gives back its references."""
        self.pins[:] = [pin for pin in self.pins if pin.process != p]

    def pin_count(self, f: int) -> int:
        """How many references to folio `f` pins hold."""
        return sum(pin.folio == f for pin in self.pins) if self.pins else 0

    def maybe_dma_pinned(self, f: int) -> bool:
        """folio_maybe_dma_pinned()."""
        return bool(self.pins) and any(pin.longterm and pin.folio == f for pin in self.pins)

    def maybe_dma_pinned_by(self, p: int, f: int) -> bool:
        """The same where the process has pinned pages (MMF_HAS_PINNED)."""
        return self.maybe_dma_pinned(f) and any(
            pin.process == p and pin.longterm for pin in self.pins
        )

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
    for number, pin in enumerate(page.pins):
        if pin.process == p:
            page.pins[number] = pin._replace(detached=True)


def renumber(pins: list[Pinned], gone: int) -> None:
    """A process without pins has gone; those after it move up."""
    pins[:] = [pin._replace(process=pin.process - (pin.process > gone)) for pin in pins]
