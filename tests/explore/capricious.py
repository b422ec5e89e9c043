"""A policy whose answers depend on everything that it can be asked, by no rule."""

from __future__ import annotations

from zlib import crc32

from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte


class Capricious(Policy):
    """No patch is as bad: whoever forgets to tell it something is found out."""

    name = "capricious"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        chance = whim(fault)
        pte = fault.carry_bits(fault.pte)
        handled = bool(chance & 1) and fault.write and fault.vma.writable and fault.reusable
        if handled or (chance & 2 and fault.vma.writable and fault.reusable):
            pte = pte.mkwrite()
        if handled or chance & 4:
            pte = pte.mkdirty()
        return SwapinPte(pte, handled, exclusive=fault.reusable and not chance & 8)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        return bool(whim((folio, vma, write, swap_full)) & 1)

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return super().can_reuse_anon(folio) and bool(whim(folio) & 1)


def whim(asked: object) -> int:
    """A number that depends on all of it, the same each time."""
    return crc32(repr(asked).encode())
