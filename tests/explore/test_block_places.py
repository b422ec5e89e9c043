"""Of where slots lie, is just that kept which something follows from?"""

from __future__ import annotations

from swaptrace.exploration.blockplaces import Placed, placed
from swaptrace.mm.block import Block, BlockSlot
from swaptrace.mm.blockvalue import freeze
from swaptrace.mm.column import Mapping, SwapPte, Vma

SIZE = 4
SWAPPED = Mapping(Vma(writable=True))


def block(*slots: int, next_slot: int, near: int = 0) -> Placed:
    """Pages 0, 1, ... that have these slots; those from `near` on share a cluster with the next."""
    own = Block(0, [[SWAPPED] for _ in range(SIZE)])
    for i, slot in enumerate(slots):
        own.maps[i] = [SWAPPED._replace(pte=SwapPte(slot))]
        own.slots[slot] = BlockSlot(i, 1)
    frozen = freeze(own, range(SIZE), SIZE)
    row, at = divmod(next_slot, SIZE)
    where = frozen.rows.index(row) if row in frozen.rows else None
    return placed(frozen.value, tuple(each * SIZE >= near for each in frozen.rows), SIZE, where, at)


def test_slots_that_never_fill_a_row_may_lie_anywhere() -> None:
    """Out of order, or apart, or in order behind which the next slot has gone on?"""
    apart = block(5, 10, 3, next_slot=16)
    assert apart == block(10, 4, 7, next_slot=16)
    assert apart == block(4, 5, 6, next_slot=16)


def test_a_full_row_and_one_that_may_be_filled_are_others() -> None:
    """Whether the next slot comes behind pages that are in order?"""
    full = block(4, 5, 6, 7, next_slot=8)
    assert full != block(5, 4, 7, 6, next_slot=8)
    assert full == block(12, 13, 14, 15, next_slot=17)
    begun = block(4, 5, next_slot=6)
    assert (begun.open, block(5, 4, next_slot=6).open) == (True, False)
    assert begun.value != block(4, 5, next_slot=9).value


def test_slots_in_the_cluster_of_the_next_one_are_others() -> None:
    """They keep it from beginning once more."""
    assert block(5, 20, next_slot=24, near=16) != block(5, 10, next_slot=24, near=16)
    assert block(5, 20, next_slot=24, near=16) == block(6, 23, next_slot=24, near=16)
