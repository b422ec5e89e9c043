"""\"Maybe just the simple code below should work?"

It does not: a page that was read back in is writable, the MMU sets only the dirty bit when it
is written, and soft-dirty tracking loses the write. uffd-wp survives because carrying
the bit over afterwards write-protects the PTE again.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Simple(Policy):
    title = "Writable, dirty on a write fault, without a look at the trackers"
    origin = "third draft, 31 May 2024"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.pte, False
        if fault.reusable and fault.vma.writable:
            pte = pte.mkwrite()
            if fault.write:
                pte = pte.mkdirty()
                handled = True
        return SwapinPte(fault.carry_bits(pte), handled, exclusive=fault.reusable)
