"""Where the slots of a block lie, as far as anything follows from it.

A fault asks whether the pages of a whole folio lie in an aligned row of slots, in order. So the
place of a slot matters where its row is full of them, or may become so: that is the row of the next
slot for one page, if the pages before have theirs there. Slots behind it are not handed out again,
as long as they are handed out in order; but they are from the first on once their cluster is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swaptrace.mm.block import Block
from swaptrace.mm.blockvalue import BlockValue, freeze, thaw
from swaptrace.mm.column import SwapPte


class Placed(NamedTuple):
    """A block with its slots in places that say no more than what follows; `near` are the rows that
    share a cluster with the next slot for one page, `open` is that it lies in one of them whose
    slots have kept their places."""

    value: BlockValue
    near: tuple[bool, ...]
    open: bool


def placed(
    value: BlockValue, near: tuple[bool, ...], size: int, row: int | None, at: int
) -> Placed:
    """A block of `size` pages that has slots in rows, which are `near` or not. The next slot for
    one page is slot `at` of one of them (`row`), or of another (None)."""
    rows = len(near)
    block = thaw(0, [(value, tuple(range(rows)))], size)
    opened = row is not None and may_fill(block, size, row, at)
    kept = {each for each in range(rows) if is_in_order(block, size, each, size)}
    kept |= {row} if row is not None and opened else set()
    moved: dict[int, int] = {}
    for slot in sorted(block.slots, key=lambda slot: (block.slots[slot].page, slot)):
        if slot // size not in kept:  # to a row of its own, where its page is out of order
            moved[slot] = (rows + len(moved)) * size + (block.slots[slot].page + 1) % size
    move(block, lambda slot: moved.get(slot, slot))
    of = {new // size: slot // size for slot, new in moved.items()}
    frozen = freeze(block, range(size), size)
    return Placed(frozen.value, tuple(near[of.get(each, each)] for each in frozen.rows), opened)


def may_fill(block: Block, size: int, row: int, at: int) -> bool:
    """Whether the row of the next slot has all before that in order, or others behind it."""
    behind = any(slot // size == row and slot % size >= at for slot in block.slots)
    return behind or is_in_order(block, size, row, at)


def is_in_order(block: Block, size: int, row: int, count: int) -> bool:
    """Whether the first slots of a row hold the first pages."""
    slots = (block.slots.get(row * size + at) for at in range(count))
    return all(slot is not None and slot.page == at for at, slot in enumerate(slots))


def move(block: Block, to: Callable[[int], int]) -> None:
    """Give slots other places."""
    for maps in block.maps:
        for p, mapping in enumerate(maps):
            if isinstance(mapping.pte, SwapPte):
                maps[p] = mapping._replace(pte=mapping.pte._replace(slot=to(mapping.pte.slot)))
    block.slots = {to(slot): held for slot, held in block.slots.items()}
    block.cached = {to(slot): f for slot, f in block.cached.items()}
    for folio in block.folios.values():
        if folio.slot is not None:
            folio.slot = to(folio.slot)
