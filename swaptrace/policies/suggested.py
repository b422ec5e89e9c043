"""The reviewer's suggestion: respect both trackers, whatever the fault.

Where soft-dirty tracking is on, the write goes to do_wp_page() even if the page is
soft-dirty already, which costs a fault that nobody needs.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte


class Suggested(Policy):
    title = "Writable unless uffd-wp or any soft-dirty tracking; dirty on a write fault"
    origin = "the reviewer's suggestion, posted as v2, first applied as c18160dba5ff"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte, handled = fault.carry_bits(fault.pte), False
        if (
            fault.reusable
            and fault.vma.writable
            and not fault.uffd_wp(pte)
            and not fault.vma.soft_dirty_enabled
        ):
            pte = pte.mkwrite()
            if fault.write:
                pte = pte.mkdirty()
                handled = True
        return SwapinPte(pte, handled, exclusive=fault.reusable)
