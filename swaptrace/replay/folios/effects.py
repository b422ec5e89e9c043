"""What an event does to blocks, remembered: equal blocks are looked up.

Blocks that are equal may still get slots that lie differently. So what is remembered of an event is
a tree: it branches where slots were allocated, by how those lie to the ones that the block has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from swaptrace.counters import ViolationKind
from swaptrace.mm.block import Block, cached_alone
from swaptrace.mm.blockcolumn import columns
from swaptrace.mm.blockevent import BlockChange, BlockEvent
from swaptrace.mm.blocktransition import happen
from swaptrace.mm.blockvalue import BlockValue, Frozen, Rows, Runs, freeze, runs, thaw
from swaptrace.mm.column import Column
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.folios.around import Around, Asked, BeyondBlock, Pieces, in_rows
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.replay.runs.readahead import Pass, relative
from swaptrace.replay.space import ReadAhead
from swaptrace.replay.table import Table

Place: TypeAlias = tuple[int, int]
"""A slot: the number of its row among those of the blocks, and where in it."""

Released: TypeAlias = tuple[tuple[int, int, int], ...]
"""Rows of slots: as `Place`, and how many."""


MOST_THAWED: Final = 64
"""How many blocks are kept as they are looked at."""


class BlocksOutcome(NamedTuple):
    """What an event has made of blocks.

    `values` are the numbers of the blocks as they are now, `rows` the numbers of the rows of each.
    `counts` names counters by position; `violations` are kinds with process and page; `stops`,
    `isolated`, `scanned` and `changes` as in `Happened`; `prepared` is that the VMA must have an
    anon_vma; `readahead` is as seen from the first page, None if the event did not ask.
    """

    values: tuple[int, ...]
    rows: tuple[Rows, ...]
    counts: tuple[tuple[int, int], ...]
    violations: tuple[tuple[ViolationKind, int, int], ...]
    ends: bool
    stops: bool
    isolated: tuple[int, ...]
    scanned: KhugepagedScan | None
    prepared: bool
    changes: tuple[BlockChange, ...]
    readahead: ReadAhead | None
    released: Released


class Branch:
    """Slots are released, and then some of an order are allocated; what follows depends on where
    they are (None: nowhere)."""

    __slots__ = ("branches", "order", "released")

    def __init__(self, released: Released, order: int) -> None:
        self.released, self.order = released, order
        self.branches: dict[Hashable, Node | None] = {}


Node: TypeAlias = Branch | BlocksOutcome
Known: TypeAlias = dict[Hashable, Node | None]
"""What is known of an event; None is that it depends on other blocks."""


class PageSpan(NamedTuple):
    """Blocks side by side that an event concerns, the first page of the first being at an address,
    and what lies around them."""

    address: int
    blocks: tuple[int, ...]
    rows: tuple[Rows, ...]
    pieces: Pieces
    ahead: Pass | None
    check: Callable[[Block], None]


class Effects:
    """All blocks met under the policy of a table, numbered, and what events do to them.

    `size` is the number of pages of a block at most; `sizes` are those of each block, `row_counts`
    how many rows it has.
    """

    def __init__(self, table: Table, size: int) -> None:
        self.table, self.size = table, size
        self.blocks: list[BlockValue] = []
        self.sizes: list[int] = []
        self.row_counts: list[int] = []
        self._numbers: dict[BlockValue, int] = {}
        self._pages: dict[int, Runs[Column]] = {}
        self._alone: dict[int, bool] = {}
        self._thawed: dict[int, Block] = {}
        self._known: dict[tuple[type[BlockEvent], BlockEvent], Known] = {}

    def number(self, value: BlockValue) -> int:
        """The number of a block."""
        number = self._numbers.setdefault(value, len(self.blocks))
        if number == len(self.blocks):
            self.blocks.append(value)
            self.sizes.append(value.pages)
            ends = (slots.slot + slots.length for slots in value.slots)
            self.row_counts.append(-(-max(ends, default=0) // self.size))
        return number

    def pages(self, number: int) -> Runs[Column]:
        """The pages of a block by themselves."""
        if number not in self._pages:
            value = self.blocks[number]
            rows = tuple(range(self.row_counts[number]))
            self._pages[number] = runs(columns(thaw(value.phase, [(value, rows)], self.size)))
        return self._pages[number]

    def thawed(self, number: int) -> Block:
        """A block, not to be changed, of rows that are as it numbers them."""
        if number not in self._thawed:
            if len(self._thawed) == MOST_THAWED:
                self._thawed.clear()
            value, rows = self.blocks[number], tuple(range(self.row_counts[number]))
            self._thawed[number] = thaw(value.phase, [(value, rows)], self.size)
        return self._thawed[number]

    def cached_alone(self, number: int) -> bool:
        """Whether there is a folio in the swap cache that no swap PTE needs."""
        if number not in self._alone:
            rows = tuple(range(self.row_counts[number]))
            block = thaw(0, [(self.blocks[number], rows)], self.size)
            self._alone[number] = cached_alone(block)
        return self._alone[number]

    def known(self, event: BlockEvent) -> Known:
        """What is known of an event."""
        return self._known.setdefault((type(event), event), {})

    def take(
        self, known: Known | None, event: BlockEvent, span: PageSpan, pages: range, slots: SlotMap
    ) -> tuple[BlocksOutcome, list[int]] | None:
        """Let an event happen to pages of blocks: what comes of it, and the positions of rows.

        None if it depends on the blocks beside. Without `known` it is not remembered, nor recalled.
        """
        rows = list(dict.fromkeys(row for each in span.rows for row in each))
        given: list[int | None] = []
        if known is None:
            return self.evaluate({}, None, event, span, pages, slots, given)
        key = self.key(span, rows, pages)
        node = known.get(key)
        if node is None and key in known:
            return None
        while isinstance(node, Branch):
            self.release(node.released, rows, slots)
            given.append(slots.allocate(node.order))
            node = node.branches.get(self.place(given[-1], rows))
        if node is None:
            return self.evaluate(known, key, event, span, pages, slots, given)
        self.release(node.released, rows, slots)
        return node, rows

    def key(self, span: PageSpan, rows: list[int], pages: range) -> Hashable:
        """Equal where an event does the same, but for slots that it allocates."""
        if span.ahead is None:
            return span.blocks, pages, span.pieces
        layout = tuple(tuple(map(rows.index, each)) for each in span.rows)
        state = relative(span.ahead.readahead, span.address)
        near = span.ahead.own is not None or -1 <= state.last <= pages_of(span.pieces)
        nearby = state if near else state._replace(last=-2)
        cluster = span.ahead.world.machine.swap.page_cluster
        return span.blocks, pages, span.pieces, layout, nearby, cluster

    def place(self, slot: int | None, rows: list[int]) -> Place | None:
        """Where a slot is; its row is numbered."""
        if slot is None:
            return None
        row, at = divmod(slot, self.size)
        if row not in rows:
            rows.append(row)
        return rows.index(row), at

    def release(self, released: Released, rows: list[int], slots: SlotMap) -> None:
        """Release slots."""
        for row, at, count in released:
            slots.release(rows[row] * self.size + at, count)

    def evaluate(
        self,
        known: Known,
        key: Hashable,
        event: BlockEvent,
        span: PageSpan,
        pages: range,
        slots: SlotMap,
        given: list[int | None],
    ) -> tuple[BlocksOutcome, list[int]] | None:
        """What an event does, `given` the slots that it has been told of already."""
        self.table.evaluations += 1
        values = [self.blocks[number] for number in span.blocks]
        block = thaw(span.address, list(zip(values, span.rows, strict=True)), self.size)
        sees = partial(span.check, block)
        around = Around(span.address, event.facts, slots, span.pieces, given, span.ahead, sees)
        try:
            done = happen(block, event, pages, self.table.policy, around, self.table.tells)
        except BeyondBlock:
            known[key] = None
            return None
        released = around.flush()
        parts, start = list[Frozen](), 0
        for value in values:
            parts.append(freeze(block, range(start, start + value.pages), self.size))
            start += value.pages
        rows = list(dict.fromkeys(row for each in span.rows for row in each))
        for each in around.asked:
            self.place(each.found, rows)
        outcome = BlocksOutcome(
            values=tuple(self.number(part.value) for part in parts),
            rows=tuple(tuple(map(rows.index, part.rows)) for part in parts),
            counts=tuple((at, count) for at, count in enumerate(done.counts) if count),
            violations=tuple(done.violations),
            ends=done.ends,
            stops=done.stops,
            isolated=tuple(parts[0].folios[f] for f in done.isolated),
            scanned=done.scanned,
            prepared=around.prepared,
            changes=tuple(done.changes),
            readahead=None
            if span.ahead is None or not span.ahead.looked_up
            else relative(span.ahead.readahead, span.address),
            released=self.placed(released, rows),
        )
        own = list(dict.fromkeys(row for each in span.rows for row in each))
        self.remember(known, key, around.asked, own, outcome)
        return outcome, rows

    def remember(
        self,
        known: Known,
        key: Hashable,
        asked: list[Asked],
        rows: list[int],
        outcome: BlocksOutcome,
    ) -> None:
        """Write down what was asked of the swap device, and what came of it."""
        branches: dict[Hashable, Node | None] = known
        place = key
        for released, order, found in asked:
            node = branches.get(place)
            if node is None:
                node = branches[place] = Branch(self.placed(released, rows), order)
            assert isinstance(node, Branch), "the same has been asked so far"
            branches, place = node.branches, self.place(found, rows)
        branches[place] = outcome

    def placed(self, slots: tuple[int, ...], rows: list[int]) -> Released:
        """Slots as places."""
        found = []
        for slot, count in in_rows(slots, self.size):
            place = self.place(slot, rows)
            assert place is not None
            found.append((*place, count))
        return tuple(found)


def pages_of(pieces: Pieces) -> int:
    """How many pages the blocks have that VMAs lie in."""
    return max((each.end for part in pieces for each in part), default=0)
