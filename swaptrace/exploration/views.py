"""What of a state is one process's own, and what all of them share.

No operation of a process looks at, or changes, what is another's own: how its VMA may be used and
is tracked, the bits of its PTE, what it may rely on. It does depend on which folio or swap slot the
other refers to (map counts, swap counts), and on the data that it expects, by which a leak is told
from a loss. So a state falls into a column that holds only that, and an `Own` for each process; and
what an operation does is a matter of the column and of one `Own`, however many states they are a
part of.
"""

from __future__ import annotations

from typing import NamedTuple

from swaptrace.exploration.graph import PageState
from swaptrace.mm.column import Column, Mapping, Pte, SwapPte, Vma


class Own(NamedTuple):
    """What only the operations of one process depend on: its VMA, the bits of its PTE or swap PTE,
    what it may rely on, and whether it has an anon_vma."""

    vma: Vma = Vma()
    bits: tuple[bool, ...] = ()
    freed: bool = False
    written: bool = False
    armed: bool = False
    anon_vma: bool = False

    @property
    def protected(self) -> bool:
        """Whether the PTE or swap PTE has a uffd-wp bit."""
        return bool(self.bits) and self.bits[-1]

    def registered(self, yes: bool) -> Own:
        """With a VMA that is registered with a userfaultfd, or is not."""
        return self._replace(vma=self.vma._replace(uffd_wp=yes))


class View(NamedTuple):
    """A state as far as it matters to the operations of its first process: the column without
    anything that is a process's own, and what is this one's."""

    column: Column
    own: Own

    @property
    def state(self) -> PageState:
        """A state in which the others have nothing of their own."""
        first, *others = self.column.maps
        maps = (with_own(first, self.own), *others)
        anon_vmas = (self.own.anon_vma, *[False] * len(others))
        return PageState(Column(maps, self.column.folios, self.column.slots), anon_vmas)


def shared(column: Column) -> Column:
    """The column without anything that is a process's own."""
    return Column(tuple(map(projected, column.maps)), column.folios, column.slots)


def own(state: PageState, process: int) -> Own:
    """What is one process's own."""
    vma, pte, _, freed, written, armed, _ = state.column.maps[process]
    assert vma is not None
    bits = () if pte is None else pte[1:]
    return Own(vma, bits, freed, written, armed, state.anon_vmas[process])


def projected(mapping: Mapping) -> Mapping:
    """A mapping without anything that is its process's own."""
    _, pte, data, *_ = mapping
    if isinstance(pte, Pte):
        return Mapping(Vma(), Pte(pte.folio), data)
    return Mapping(Vma(), SwapPte(pte.slot) if isinstance(pte, SwapPte) else None, data)


def with_own(mapping: Mapping, own: Own) -> Mapping:
    """A projected mapping with what is its process's own."""
    pte = mapping.pte
    if isinstance(pte, Pte):
        pte = Pte(pte.folio, *own.bits)
    elif isinstance(pte, SwapPte):
        pte = SwapPte(pte.slot, *own.bits)
    return Mapping(own.vma, pte, mapping.data, own.freed, own.written, own.armed)
