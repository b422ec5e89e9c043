"""The first posting: whatever the fault, a reusable page becomes writable and dirty.

It saves the minor fault, but a page that was only read is now dirty: it must be written to
swap again although its slot still holds the same data, and it reads as soft-dirty.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Rfc(Policy):
    title = "Writable and dirty, on read faults as well"
    origin = "RFC of 31 May 2024"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.pte, False
        if fault.reusable and fault.vma.writable:
            pte = pte.mkdirty().mkwrite()
            handled = fault.write
        return SwapinPte(fault.carry_bits(pte), handled, exclusive=fault.reusable)
