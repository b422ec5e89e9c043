"""What the C of one decision runs on: the facts that the policy is told, and its variables."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from swaptrace.csource.kinds import WRITE
from swaptrace.errors import PolicyError
from swaptrace.mm.column import Pte, Vma
from swaptrace.mm.policy import FolioRefs, SwapinFault

NOBODY = Vma(readable=False)
"""Stands for the VMA where a decision is not told of it; no C that asks for it compiles."""


class Cited(NamedTuple):
    """A line of C that took part in a decision.

    `text` is the statement, or the condition of an `if`; `taken` then says whether it held, and
    is None for every other statement.
    """

    file: str
    line: int
    text: str
    taken: bool | None = None


class Citing(Protocol):
    """Takes the lines that are executed, in order."""

    def append(self, line: Cited, /) -> None: ...


class Evaluation:
    """One question while it is answered.

    `values` are the variables, by their names or, of a local one, by name and number.
    `write` is whether the fault is a write, `made` what mk_pte() gives, `published` what set_pte()
    was given, `mapped` whether rmap was told that the page is exclusive; None before. `batched`
    are the references of per-CPU batches that lru_add_drain() drops; `freed` says that the swap
    cache is gone. `others` are flags of the VMA that the model has not. `trace` collects what is
    executed, if anybody wants to know.
    """

    __slots__ = (
        "batched",
        "freed",
        "ksm",
        "made",
        "mapcount",
        "mapped",
        "mlocked",
        "nr_pages",
        "others",
        "published",
        "ref_count",
        "swap_count",
        "swap_full",
        "swapcache",
        "trace",
        "values",
        "vma",
        "write",
    )

    def __init__(self, folio: FolioRefs, vma: Vma, values: dict[str, Any], held: int) -> None:
        self.mapcount, self.ref_count, self.swapcache, self.swap_count, self.mlocked = folio[:5]
        self.ksm, self.nr_pages = folio.ksm, folio.nr_pages
        known = self.expected() + held + folio.pins
        self.batched = max(0, folio.ref_count - known)
        self.vma, self.values = vma, values
        self.swap_full = self.write = self.freed = False
        self.others = 0
        self.made: Pte | None = None
        self.published: Pte | None = None
        self.mapped: bool | None = None
        self.trace: Citing | None = None

    def free_swap(self) -> int:
        """folio_free_swap(): the swap cache goes if no swap PTE needs the slot."""
        if not self.swapcache or self.swap_count:
            return 0
        self.swapcache, self.freed = False, True
        self.ref_count -= self.nr_pages
        return 1

    def expected(self) -> int:
        """The references of page tables and of the swap cache."""
        return self.mapcount + self.swapcache * self.nr_pages

    def drain(self) -> None:
        """lru_add_drain(): the per-CPU batch lets go of the folio."""
        self.ref_count -= self.batched
        self.batched = 0


UNTOLD: Final = frozenset({"nr_pages", "page_idx"})
"""How many pages of a large folio a fault maps, and which of them it is about."""


class Told(dict[str, Any]):
    """The variables, of which a decision about a large folio is not told all."""

    def __missing__(self, name: str) -> Any:
        raise PolicyError(
            f"{name} has no value where memory comes in large folios: a policy of a few statements "
            "is not told how much of a folio a fault maps; give a kernel tree"
        )


def swapin_frame(fault: SwapinFault) -> Evaluation:
    """do_swap_page() behind mk_pte(), with the reference that the fault holds.

    A fresh folio that the swap cache does not know makes `exclusive` true although the entry
    may not say so: then `swapcache` is NULL.
    """
    fresh = fault.exclusive and not fault.orig.exclusive
    values = {
        "pte": fault.pte,
        "exclusive": int(fault.exclusive),
        "rmap_flags": 0,
        "ret": 0,
        "nr_pages": 1,
        "page_idx": 0,
        "vmf->flags": WRITE if fault.write else 0,
        "vmf->orig_pte": fault.orig,
        "vmf": 1,
        "vma": 1,
        "folio": 1,
        "page": 1,
        "swapcache": int(not fresh),
        "address": None,
        "entry": None,
        "ptep": None,
    }
    if fault.folio.nr_pages > 1:
        values = Told({name: value for name, value in values.items() if name not in UNTOLD})
    frame = Evaluation(fault.folio, fault.vma, values, held=1)
    frame.made, frame.write = fault.pte, fault.write
    return frame


def free_swap_frame(
    values: dict[str, Any], folio: FolioRefs, vma: Vma, swap_full: bool
) -> Evaluation:
    """should_try_to_free_swap(), with the reference that the fault holds."""
    frame = Evaluation(folio, vma, values, held=1)
    frame.swap_full = swap_full
    return frame


def reuse_frame(values: dict[str, Any], folio: FolioRefs) -> Evaluation:
    """wp_can_reuse_anon_folio(): the folio is on the LRU list, and in no batch."""
    frame = Evaluation(folio, NOBODY, values, held=0)
    frame.batched = 0
    return frame
