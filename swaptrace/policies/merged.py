"""What Linux has done since 6.11, after the follow-up that named the soft-dirty condition.

The same decision as `final`.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte, needs_soft_dirty_wp


class Merged(Policy):
    title = "As final, written with pte_needs_soft_dirty_wp()"
    origin = "Linux 6.11 and later"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.carry_bits(fault.pte), False
        if (
            fault.reusable
            and fault.vma.writable
            and not fault.uffd_wp(pte)
            and not needs_soft_dirty_wp(fault.vma, pte)
        ):
            pte = pte.mkwrite()
            if fault.write:
                pte = pte.mkdirty()
                handled = True
        return SwapinPte(pte, handled, exclusive=fault.reusable)
