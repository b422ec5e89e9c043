"""A page of a block by itself: its folios and slots, and its column."""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.mm.block import Block, BlockSlot
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import ZERO, Column, Entry, Folio, Pte, SwapPte, SwapSlot


class FoliosOf:
    """The folios of a block as those of one of its pages."""

    __slots__ = ("block", "i")

    def __init__(self, block: Block, i: int) -> None:
        self.block, self.i = block, i

    def __getitem__(self, f: int) -> Folio:
        folio = self.block.folios[f]
        at = self.i - folio.first
        slot = None if folio.slot is None else folio.slot + at
        bits = folio.dirty, folio.lazyfree, folio.readahead
        return Folio(
            folio.data[at],
            folio.exclusive[at],
            *bits,
            slot,
            folio.ksm,
            folio.elsewhere,
            mlocked=folio.mlocked,
            mlock_count=folio.mlock_count,
            fresh=folio.fresh,
            active=folio.active,
            marked=folio.marked,
        )


class SlotsOf:
    """The slots of a block as those of one of its pages."""

    __slots__ = ("block", "i")

    def __init__(self, block: Block, i: int) -> None:
        self.block, self.i = block, i

    def __getitem__(self, s: int) -> SwapSlot:
        return SwapSlot(self.block.slots[s].data)

    def __setitem__(self, s: int, slot: SwapSlot) -> None:
        self.block.slots[s] = BlockSlot(self.i, slot.data, slot.data == ZERO)
        self.block.altered.add(self.i)


def renumbered(pte: Entry, folios: list[int], slots: list[int]) -> Entry:
    """The entry with the places of its folio or slot in these lists."""
    if isinstance(pte, SwapPte):
        return pte._replace(slot=slots.index(pte.slot))
    if not isinstance(pte, Pte) or pte.is_zero_page:
        return pte
    return pte._replace(folio=folios.index(pte.folio))


def reached(block: Block, i: int) -> tuple[list[int], list[int]]:
    """The folios and the slots that the entries and the pins of a page lead to, in that order."""
    folios: list[int] = []
    slots: list[int] = []
    for mapping in block.maps[i]:
        pte = mapping.pte
        if isinstance(pte, SwapPte):
            slots.append(pte.slot)
            folios += [block.cached[s] for s in (pte.slot,) if s in block.cached]
        elif isinstance(pte, Pte) and not pte.is_zero_page:
            folios.append(pte.folio)
            slots += [s for s in (FoliosOf(block, i)[pte.folio].slot,) if s is not None]
    for pin in block.pins.get(i, ()):
        folios.append(pin.folio)
        slots += [s for s in (FoliosOf(block, i)[pin.folio].slot,) if s is not None]
    return list(dict.fromkeys(folios)), list(dict.fromkeys(slots))


def column_of(block: Block, i: int) -> Column:
    """A page of a block by itself, with its own data tokens."""
    folios, slots = reached(block, i)
    maps = tuple(m._replace(pte=renumbered(m.pte, folios, slots)) for m in block.maps[i])
    held = [FoliosOf(block, i)[f] for f in folios]
    cached = [f._replace(slot=None if f.slot is None else slots.index(f.slot)) for f in held]
    pins = [pin._replace(folio=folios.index(pin.folio)) for pin in block.pins.get(i, ())]
    held_slots = tuple(SlotsOf(block, i)[s] for s in slots)
    return Column(maps, tuple(cached), held_slots, tuple(pins))


def columns(block: Block) -> Iterator[Column]:
    """The pages of a block by themselves, in canonical form."""
    return (canonical(*column_of(block, i)) for i in range(len(block.maps)))
