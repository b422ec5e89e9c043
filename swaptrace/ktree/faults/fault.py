"""A fault while the C of it runs: the page of the model, and what the kernel holds meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from swaptrace.csource.frame import Cited
from swaptrace.ktree.faults.values import VMA, NonePte, Pointer, SwapEntry
from swaptrace.mm import column
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.page import Page

MAX_WORK: Final = 20_000
"""Statements of one fault: no fault has so many, and a loop without end has more."""


class Unmodelled(Exception):
    """What the C does to the page, and the model cannot."""


class Fault:
    """What one process's fault on a page has come to.

    `shown` is the page-table entry as the kernel would read it. The page of the model says which
    folios are mapped and how often a slot is referred to; the rest is kept here. `held` are
    references to folios beside those of mappings and swap cache, `batched` folios that are in a
    per-CPU batch which holds one more, `fresh` those that were read or allocated by this fault,
    `mapping` those that rmap has been told of but no PTE maps yet, `kept` references to slots
    beside those of PTEs. `fields` are those of struct vm_fault, `entries` what folio->swap was set
    to. `enter` notes that a function of C is entered. `anonymous` answers what the model does not
    keep, and `asked` says that it was asked for.
    """

    __slots__ = (
        "anonymous",
        "asked",
        "enter",
        "entries",
        "fields",
        "fresh",
        "held",
        "kept",
        "mapping",
        "p",
        "page",
        "shown",
        "trace",
        "work",
    )

    def __init__(self, page: Page, p: int, flags: int, anonymous: bool = True) -> None:
        self.page, self.p, self.anonymous = page, p, anonymous
        self.asked = False
        self.shown: column.Entry = shown(page, p, page.maps[p].pte)
        self.held: defaultdict[int, int] = defaultdict(int)
        self.mapping: defaultdict[int, int] = defaultdict(int)
        self.kept: defaultdict[int, int] = defaultdict(int)
        self.fresh: set[int] = set()
        self.entries: dict[int, SwapEntry] = {}
        self.fields: dict[str, Any] = {
            "flags": flags,
            "orig_pte": self.shown,
            "vma": VMA,
            "page": 0,
            "pte": 0,
        }
        self.trace: list[Cited] | None = None
        self.work = 0
        self.enter: Callable[[str], None] = page.enter

    @property
    def numbers_slots(self) -> bool:
        """Whether C may compute with the numbers of slots."""
        return False

    def write_protected(self) -> None:
        """do_wp_page() is entered."""
        self.page.wp_fault = True

    def store_at(self, _pointer: Any, _value: Any) -> bool:
        """`*pointer = …`; False if nothing can be stored there."""
        return False

    def store_field(self, _struct: Any, _name: str, _value: Any) -> bool:
        """`struct->name = …`, of a struct of its own; False if that cannot be set."""
        return False

    @property
    def slot(self) -> int | None:
        """That of the swap entry that faulted, as long as the kernel has not dropped it."""
        orig = self.shown
        return orig.slot if isinstance(orig, SwapPte) else None

    def mapcount(self, f: int) -> int:
        """folio_mapcount()."""
        return self.page.mapcount(f) + self.mapping[f]

    def state(self) -> object:
        """All that two faults come to alike, or begin with."""
        page = self.page
        waiting = sorted(page.batch), sorted(page.queued), sorted(page.mlocks.items())
        return page.maps, page.folios, page.slots, page.pins, *waiting, page.facts

    @property
    def kind(self) -> object:
        """What is done to the page, and how."""
        return self.p, self.fields["flags"], self.page.may_retry, self.anonymous

    def is_mapped(self, f: int) -> bool:
        """folio_mapped()."""
        return self.mapcount(f) != 0

    def ref_count(self, f: int) -> int:
        """folio_ref_count(): one for each page that is mapped or cached, pins and batches. rmap
        takes no reference: that of the fault becomes the mapping's."""
        page = self.page
        cached = page.nr_pages(f) * (page.folios[f].slot is not None)
        return (
            page.mapcount(f) + self.held[f] + page.pin_count(f) + cached + page.batch_references(f)
        )

    def swap_count(self, s: int) -> int:
        """__swap_count()."""
        return self.page.swap_count(s) + self.kept[s]

    def is_anonymous(self, f: int) -> bool:
        """folio_test_anon(). Whether a cached folio that nobody maps was mapped before is known
        where it matters; else both must come to the same."""
        if self.is_mapped(f):
            return True
        if f in self.fresh:
            return False
        if self.page.facts.keeps_fresh:
            return not self.page.is_fresh(f)
        self.asked = True
        return self.anonymous

    def set_pte(self, pte: Pte | SwapPte | None) -> None:
        """set_pte_at(): a folio that it maps takes over the reference of the fault; a slot whose
        swap PTE goes keeps its reference until swap_free()."""
        old = self.page.maps[self.p].pte
        maps = pte.folio if isinstance(pte, Pte) and not pte.is_zero_page else None
        mapped = False
        if type(old) is SwapPte:
            self.kept[old.slot] += 1
        elif isinstance(old, Pte):
            mapped = old.folio == maps
            if not mapped and not old.is_zero_page:
                raise Unmodelled("the PTE of a mapped folio is replaced by another one")
        if maps is not None and not mapped:
            self.held[maps] -= 1
            self.mapping[maps] -= 1
        self.page.set_pte(self.p, self._kept(pte))
        self.shown = shown(self.page, self.p, self.page.maps[self.p].pte)

    def _kept(self, pte: Pte | SwapPte | None) -> Pte | SwapPte | None:
        """As the model keeps it: of a VMA with VM_UFFD_RWP the uffd bit says PAGE_NONE."""
        if not isinstance(pte, Pte):
            return pte
        if isinstance(pte, NonePte) != (pte.uffd_wp and self.page.vma(self.p).uffd_rwp):
            raise Unmodelled(
                "a PTE is PAGE_NONE where, and only where, it has the uffd bit in a VMA with "
                "VM_UFFD_RWP; this one is otherwise"
            )
        return pte if type(pte) is Pte else Pte(*pte)

    def free_slot(self, s: int) -> None:
        """swap_free(): one reference less. The PTE that held it is shown until it is set anew."""
        if self.kept[s]:
            self.kept[s] -= 1
        elif self.page.maps[self.p].pte == self.shown and self.slot == s:
            self.page.set_pte(self.p, None)
        else:
            raise Unmodelled("a reference to a swap slot is dropped that the fault does not hold")

    def left(self) -> str | None:
        """What is wrong when the fault is over; None if nothing is."""
        if any(self.held.values()):
            return "references to a folio are left or dropped twice"
        if any(self.mapping.values()):
            return "rmap is told of another page than is mapped"
        if any(self.kept.values()):
            return "the reference to the swap slot is not dropped"
        if self.page.maps[self.p].pte != self.shown:
            return "the swap slot is freed, and no PTE is set"
        return None


def shown(page: Page, p: int, pte: column.Entry) -> column.Entry:
    """A page-table entry of a process as C reads it."""
    if isinstance(pte, Pte) and pte.uffd_wp and page.vma(p).uffd_rwp:
        return NonePte(*pte)
    return pte


@cache
def folio(number: int) -> Pointer:
    """A pointer to a folio of the page."""
    return Pointer("folio", number)
