"""What lies around a block while an event happens to it, and what the block asks of it.

The answers are what an event depends on besides the block; those of the swap device are written
down, since only they differ from one block to another that is equal to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from swaptrace.mm.event import Facts
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.replay.runs.readahead import Pass


class Piece(NamedTuple):
    """A part of a block that lies in one VMA, and the orders of large folios that it may have,
    largest first."""

    start: int
    end: int
    orders: tuple[int, ...]


Pieces: TypeAlias = tuple[tuple[Piece, ...], ...]
"""Of each process that shares the region."""


class BeyondBlock(Exception):
    """What happens depends on the blocks beside this one."""


class Asked(NamedTuple):
    """Slots that were released, and then some of an order that were allocated: the first."""

    released: tuple[int, ...]
    order: int
    found: int | None


class Around:
    """Surroundings of a block, or of all blocks of a page table, with the read-ahead of a VMA.

    `given` are slots that have been allocated already by what is now evaluated. `check` is called
    before others are.
    """

    def __init__(
        self,
        address: int,
        facts: Facts,
        slots: SlotMap,
        pieces: Pieces,
        given: list[int | None],
        ahead: Pass | None,
        check: Callable[[], None],
    ) -> None:
        self.address, self.static, self.slots, self.pieces = address, facts, slots, pieces
        self.given, self.ahead, self.check = given, ahead, check
        self.released: list[int] = []
        self.asked: list[Asked] = []
        self.prepared = False

    @property
    def facts(self) -> Facts:
        """As they are now."""
        used = self.slots.used - len(self.released)
        full = (self.slots.total - used) * 2 < self.slots.total
        return self.static._replace(swap_full=True) if full else self.static

    def piece(self, p: int, i: int) -> Piece:
        """The VMA of page `i`."""
        return next(each for each in self.pieces[p] if each.start <= i < each.end)

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        """thp_vma_allowable_orders()."""
        return self.piece(p, i).orders

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        """The part of the block that the VMA covers."""
        return self.piece(p, i)[:2]

    def anon_vma_prepare(self, _p: int, _i: int) -> None:
        """__anon_vma_prepare(), which shows in nothing that a block depends on."""
        self.prepared = True

    def charge(self, _p: int | None, _pages: range) -> bool:
        """Nothing limits what is charged."""
        return True

    def allocate(self, order: int) -> int | None:
        """folio_alloc_swap()."""
        released = self.flush()
        if len(self.asked) < len(self.given):
            found = self.given[len(self.asked)]
        else:
            self.check()
            found = self.slots.allocate(order)
        self.asked.append(Asked(released, order, found))
        return found

    def flush(self) -> tuple[int, ...]:
        """Release what is waiting for that."""
        released = tuple(self.released)
        if len(self.asked) >= len(self.given):
            for slot, count in in_rows(released, self.slots.size):
                self.slots.release(slot, count)
        self.released.clear()
        return released

    def release(self, slot: int) -> None:
        """swap_range_free(), which shows in nothing before slots are allocated."""
        self.released.append(slot)

    def window(self, _p: int, i: int) -> range:
        """swap_vma_ra_win(); one page where the machine does not read ahead."""
        if not self.static.readahead:
            return range(i, i + 1)
        if self.ahead is None:
            raise BeyondBlock
        start, end = self.ahead.window(self.address + i)
        moved = self.ahead.shared.base - self.address
        return range(start + moved, end + moved)

    def hit(self, _p: int, i: int, ahead: bool) -> None:
        """swap_cache_get_folio()."""
        if self.static.readahead:
            if self.ahead is None:
                raise BeyondBlock
            self.ahead.note_hit(self.address + i, ahead)


def in_rows(slots: tuple[int, ...], size: int) -> list[tuple[int, int]]:
    """Slots as neighbours within rows of a size: the first, and how many."""
    rows: list[tuple[int, int]] = []
    for slot in slots:
        if rows and sum(rows[-1]) == slot and slot % size:
            rows[-1] = rows[-1][0], rows[-1][1] + 1
        else:
            rows.append((slot, 1))
    return rows
