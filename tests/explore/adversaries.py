"""Policies that break an assumption each, on which something in `explore` rests.

Those of `SOUND` are functions of what they are asked, as bad as they may be: whatever is proved of
them must hold. The others must be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final as Constant

from swaptrace.mm.column import Pte
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.policies.final import Final
from swaptrace.policies.rfc import Rfc
from tests.explore.capricious import Capricious

# Refused.


class Elsewhere(Final):
    """Maps a folio of its own choice: equal answers could have unequal effects."""

    name = "elsewhere"

    def __init__(self, folio: int) -> None:
        self.folio = folio

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        return answer._replace(pte=Pte(self.folio, *answer.pte[1:]))


class Fickle(Final):
    """Answers in another way each time that it was asked so often."""

    name = "fickle"

    def __init__(self, period: int) -> None:
        self.period, self.asked = period, 0

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        self.asked += 1
        if self.asked % self.period:
            return super().swapin_pte(fault)
        return SwapinPte(fault.carry_bits(fault.pte))


class Impressed(Final):
    """Does for good what it finds right at the first fault, and says so on its object."""

    name = "impressed"
    writes: bool | None = None

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        if self.known() is None:
            self.learn(fault.write)
        return answer._replace(pte=answer.pte.mkdirty()) if self.known() else answer

    def known(self) -> bool | None:
        return self.writes

    def learn(self, writes: bool) -> None:
        self.writes = writes


def infectious() -> Policy:
    """One that says so on its class, where other objects find it."""

    class Infectious(Impressed):
        name = "infectious"

        def learn(self, writes: bool) -> None:
            Infectious.writes = writes

    return Infectious()


def hasty() -> Policy:
    """A policy that remembers, in a closure, what it found of another folio mapped as often."""
    known: dict[int, bool] = {}

    class Hasty(Final):
        name = "hasty"

        def can_reuse_anon(self, folio: FolioRefs) -> bool:
            return known.setdefault(folio.mapcount, super().can_reuse_anon(folio))

    return Hasty()


# Sound.


class ByHand(Final):
    """Makes a PTE of its own, on which pte_mkwrite() is that of x86."""

    name = "by hand"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        return super().swapin_pte(fault._replace(pte=Pte(fault.pte.folio)))


class Taker(Final):
    """Takes every page for its own: processes see each other's data, and lose them."""

    name = "taker"

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return folio.mapcount > 0


class Afterwards(Taker):
    """As `taker`, but for a question that only comes when data are lost: a swap entry that is
    exclusive, of a folio that others refer to."""

    name = "afterwards"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        if fault.orig.exclusive and (fault.folio.mapcount or fault.folio.swap_count):
            return SwapinPte(fault.carry_bits(fault.pte))
        return super().swapin_pte(fault)


class Counter(Final):
    """Decides by how many processes map the folio, exactly."""

    name = "counter"

    def should_free_swap(self, folio: FolioRefs, *_: object) -> bool:
        return folio.swapcache and (folio.mapcount, folio.swap_count) in ((1, 0), (0, 1))

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return folio.mapcount == 2 and folio.swap_count == 0


class Registrar(Final):
    """Looks at the registration with a userfaultfd where no PTE is protected."""

    name = "registrar"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        looks = fault.vma.uffd_wp and not fault.orig.uffd_wp
        return answer._replace(pte=answer.pte.mkdirty()) if looks else answer


class Locksmith(Final):
    """Looks at who locks the folio: of what is another process's own, the one thing it is told."""

    name = "locksmith"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        return answer._replace(pte=answer.pte.mkdirty()) if fault.folio.mlocked else answer

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return not folio.mlocked and super().can_reuse_anon(folio)


class Protector(Rfc):
    """Keeps uffd-wp bits where there is none to keep, and drops those that there are."""

    name = "protector"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        pte = answer.pte.clear_uffd_wp() if fault.orig.uffd_wp else answer.pte
        if fault.vma.uffd_wp and not fault.orig.exclusive:
            return answer._replace(pte=pte.mkuffd_wp())
        return answer._replace(pte=pte)


class Forgetful(Final):
    """Drops soft-dirty bits, permits what the VMA does not, and calls shared pages exclusive."""

    name = "forgetful"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        pte = fault.pte.mkwrite() if fault.write or fault.reusable else fault.pte
        return SwapinPte(pte, write_handled=fault.write, exclusive=True)


class Cleaner(Final):
    """Writes nothing back that it can help: no dirty bit, and a write fault is never done."""

    name = "cleaner"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        return SwapinPte(fault.carry_bits(fault.pte), exclusive=fault.exclusive)

    def should_free_swap(self, *_: object) -> bool:
        return False


class Washer(Final):
    """Drops the soft-dirty bit of what is read in again, not of what is written."""

    name = "washer"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        if fault.write:
            return answer
        return answer._replace(pte=answer.pte.clear_soft_dirty())


SOUND: Constant[Mapping[str, Callable[[], Policy]]] = {
    kind.name: kind
    for kind in (
        ByHand,
        Taker,
        Afterwards,
        Counter,
        Registrar,
        Locksmith,
        Protector,
        Forgetful,
        Cleaner,
        Capricious,
        Washer,
    )
}
