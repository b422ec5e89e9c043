"""Pins in a block: a large folio has a reference for each of its pages that is pinned (mm/gup.c,
folio_maybe_dma_pinned() of <linux/mm.h>)."""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.mm.block import Block
from swaptrace.mm.column import Pinned
from swaptrace.mm.page import Page


class PinnedPage(Page):
    """Page `i` of a block: a pin of any page of a folio is one of all.

    `reasons` say why large folios are not made, not split or not written; `spared` are those that
    pins have kept as they are.
    """

    __slots__ = ("block", "i", "reasons", "spared")

    block: Block
    i: int
    reasons: list[str]
    spared: list[int]

    def pin_count(self, f: int) -> int:
        return len(self.block.pinned(f)) if self.block.pins else 0

    def maybe_dma_pinned(self, f: int) -> bool:
        return bool(self.block.pins) and any(pin.longterm for pin in self.block.pinned(f))

    def maybe_dma_pinned_by(self, p: int, f: int) -> bool:
        if not self.block.pins:
            return False
        return any(pin.longterm and pin.process == p for pin in self.block.pinned(f))

    def add_pin(self, pin: Pinned) -> None:
        super().add_pin(pin)
        self.block.pins[self.i] = self.pins

    def drop_pins(self, p: int) -> None:
        self.block.loose.update(pin.folio for pin in self.pins if pin.process == p)
        super().drop_pins(p)
        if not self.pins:
            self.block.pins.pop(self.i, None)

    def can_split_folio(self, f: int) -> bool:
        """Whether nothing but page tables and the swap cache refers to a folio."""
        if not self.pin_count(f):
            return True
        self.spare(f, "split")
        return False

    def spare(self, f: int, what: str) -> None:
        """Note that a pin keeps a folio from what would happen to it."""
        pages = self.nr_pages(f)
        of = f"the folio of {pages} pages" if pages > 1 else "the folio"
        self.reasons.append(f"{of} is not {what}: it is pinned")
        self.spared.append(f)


def broken_pins(block: Block) -> set[tuple[int, int]]:
    """The pages with the processes through whose pin not that is read which must be."""
    return {(i, pin.process) for i in block.pins for pin in broken_at(block, i)}


def broken_at(block: Block, i: int) -> Iterator[Pinned]:
    """The pins of a page that are so."""
    for pin in block.pins.get(i, ()):
        folio = block.folios[pin.folio]
        if folio.data[i - folio.first] != pin.data:
            yield pin
