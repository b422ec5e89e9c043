"""The author's first rework: dirty only on a write fault, trackers respected on a read fault.

A write fault still makes a uffd-wp page writable without a look at the bit; only the
write-protection that comes with carrying the bit over once more undoes it.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Rework(Policy):
    title = "Writable on a read fault unless soft-dirty or uffd-wp need the write"
    origin = "second draft, 31 May 2024"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.carry_bits(fault.pte), False
        if fault.reusable and fault.vma.writable:
            tracked = fault.vma.soft_dirty_enabled and not pte.soft_dirty
            if fault.write:
                pte = pte.mkdirty().mkwrite()
                handled = True
            elif not tracked and not fault.uffd_wp(pte):
                pte = pte.mkwrite()
        return SwapinPte(fault.carry_bits(pte), handled, exclusive=fault.reusable)
