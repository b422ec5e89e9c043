"""Where the discussion ended.

The bits are carried over first, so that the decision can rely on them: writable if nobody
needs to see the write, and dirty only if there is one. A page that is soft-dirty already
needs no further tracking.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Final(Policy):
    title = "Writable unless uffd-wp or soft-dirty need the write; dirty on a write fault"
    origin = "the conclusion of the discussion, 1 June 2024"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.carry_bits(fault.pte), False
        tracked = fault.vma.soft_dirty_enabled and not pte.soft_dirty
        if fault.reusable and fault.vma.writable and not fault.uffd_wp(pte) and not tracked:
            pte = pte.mkwrite()
            if fault.write:
                pte = pte.mkdirty()
                handled = True
        return SwapinPte(pte, handled, exclusive=fault.reusable)
