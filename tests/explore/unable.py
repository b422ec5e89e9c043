"""Policies that have no answer."""

from __future__ import annotations

from swaptrace.mm.policy import SwapinFault, SwapinPte
from swaptrace.policies.final import Final


class Picky(Final):
    """Has no answer where a page could not be read at all, which never happens."""

    name = "picky"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        if not fault.vma.readable:
            raise AssertionError("who faulted this in?")
        return super().swapin_pte(fault)


class Wrong(Final):
    """Fails where a state leads to."""

    name = "wrong"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        raise AssertionError(fault)


class Unregistered(Final):
    """Fails where a VMA is registered with a userfaultfd and no PTE is protected, which a state
    leads to."""

    name = "unregistered"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        if fault.vma.uffd_wp and not fault.orig.uffd_wp:
            raise AssertionError("who registered this?")
        return super().swapin_pte(fault)
