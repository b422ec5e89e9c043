"""Policies from C that a test writes, and what they answer."""

from __future__ import annotations

from collections.abc import Collection

from swaptrace.csource.cfile import blocks_of
from swaptrace.csource.policy import CPolicy, policy_of
from swaptrace.mm.column import Pte, SwapPte, Vma
from swaptrace.mm.policy import FolioRefs, SwapinFault, SwapinPte

ALONE = FolioRefs(mapcount=0, ref_count=1, swapcache=False, swap_count=0, mlocked=False)
"""A fresh folio that only the fault refers to."""


def read(text: str, defines: Collection[str] = ()) -> CPolicy:
    """The policy of a file with this text."""
    return policy_of("it.c", "", "", blocks_of("it.c", text, defines), defines)


def fault(
    vma: Vma | None = None,
    write: bool = True,
    orig: SwapPte | None = None,
    pte: Pte | None = None,
    exclusive: bool = True,
    folio: FolioRefs = ALONE,
) -> SwapinFault:
    """A write to a private page that nobody shares, unless told otherwise."""
    return SwapinFault(
        vma or Vma(), write, orig or SwapPte(0, exclusive), pte or Pte(0), exclusive, folio
    )


def swapin(text: str, of: SwapinFault | None = None, defines: Collection[str] = ()) -> SwapinPte:
    """What the statements make of a fault."""
    return read(text, defines).swapin_pte(of or fault())


def value(expression: str, of: SwapinFault | None = None) -> bool:
    """Whether an expression is true where do_swap_page() sets up the PTE."""
    return swapin(f"rmap_flags = {expression} ? RMAP_EXCLUSIVE : RMAP_NONE;", of).exclusive
