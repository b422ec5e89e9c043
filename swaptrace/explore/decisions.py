"""Whether two policies decide alike, whatever they are asked about one page.

If they do, no sequence of operations can tell them apart, and nothing needs to be enumerated:
the kernel's state depends on a policy through its answers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from swaptrace.mm.column import Pte, SwapPte, Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte, ask

EITHER = (False, True)

HELD = 2
"""The most references to a folio besides its mappings and the swap cache's: those of the fault
and of the per-CPU batch that a folio has just been put into."""


class Question(NamedTuple):
    """A call of one of the policy's methods, and the type of what it answers."""

    method: str
    kind: type
    arguments: tuple[Any, ...]


def differing(one: Policy, other: Policy, processes: int) -> tuple[int, Question | None]:
    """How many questions there are, and the first that is answered differently.

    None: both answer alike to every question about a page that up to so many processes map.
    Raises `PolicyError` where a policy fails on one.
    """
    asked = 0
    for question in questions(processes):
        method = question.method
        if getattr(type(one), method) is getattr(type(other), method) is getattr(Policy, method):
            continue
        asked += 1
        answer: object = ask(one, method, question.kind, *question.arguments)
        if answer != ask(other, method, question.kind, *question.arguments):
            return asked, question
    return asked, None


def questions(processes: int) -> Iterator[Question]:
    """Every question about one page, also those that no state can lead to.

    Only do_wp_page() asks whether to reuse a folio, and never one that nobody maps.
    """
    folios = list(references(processes))
    yield from (Question("can_reuse_anon", bool, (folio,)) for folio in folios if folio.mapcount)
    for folio, vma, write, full in product(folios, vmas(), EITHER, EITHER):
        yield Question("should_free_swap", bool, (folio, vma, write, full))
    entries = [SwapPte(0, *bits) for bits in product(EITHER, repeat=3)]
    for vma, write, orig, exclusive, folio in product(vmas(), EITHER, entries, EITHER, folios):
        fault = SwapinFault(vma, write, orig, Pte(0), exclusive, folio)
        yield Question("swapin_pte", SwapinPte, (fault,))


def vmas() -> list[Vma]:
    """Every VMA."""
    return [Vma(*bits) for bits in product(EITHER, repeat=5)]


def references(processes: int) -> Iterator[FolioRefs]:
    """Everything that a policy can be told of a folio."""
    for mapcount, held, swapcache, mlocked in product(
        range(processes + 1), range(HELD + 1), EITHER, EITHER
    ):
        for swap_count in range(processes + 1) if swapcache else (0,):
            ref_count = mapcount + swapcache + held
            yield FolioRefs(mapcount, ref_count, swapcache, swap_count, mlocked)
