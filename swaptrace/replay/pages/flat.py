"""The transitions of a policy as flat arrays, for the inner loop of `swaptrace.reclaim`.

What the loop asks for and is not there yet is worked out by the `Table` and put in.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from math import prod
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from swaptrace.counters import POSITION, Counter
from swaptrace.mm.column import Column, Pte, Vma, mappers
from swaptrace.mm.event import (
    Access,
    Activate,
    Event,
    Facts,
    FreeSwap,
    Pageout,
    Populate,
    Reclaim,
    SetVma,
)
from swaptrace.mm.moves import Moves, moves
from swaptrace.reclaim import memory
from swaptrace.replay.table import Table, TransitionRow

Integers: TypeAlias = npt.NDArray[np.int64]

FAULTS: Final = POSITION[Counter.MINFLT], POSITION[Counter.MAJFLT]


class Shape(NamedTuple):
    """A table: how many it holds of what, the scalar that says where it begins, and what an empty
    place holds.

    C columns, E events, F regions, R ways for folios to move, W places of a page, 2 new folios.
    """

    dimensions: str
    place: int
    empty: int = 0


SHAPES: Final = {
    "new": Shape("EC", memory.NEW_COLUMN),
    "does": Shape("EC", memory.DOES),
    "allocates": Shape("EC", memory.ALLOCATES),
    "slots": Shape("EC", memory.SLOTS_DELTA),
    "moves": Shape("EC", memory.WAY),
    "taken": Shape("FEC", memory.TAKEN),
    "first": Shape("FEC", memory.FIRST_PAGE, -1),
    "order": Shape("FEC", memory.ORDER),
    "folio_to": Shape("RW", memory.FOLIO_TO, -1),
    "slot_to": Shape("RW", memory.SLOT_TO, -1),
    "stored": Shape("RW", memory.STORED, -1),
    "fresh": Shape("R2", memory.FRESH, memory.ABSENT),
    "read": Shape("R", memory.READ_FROM, -1),
    "mapped": Shape("CW", memory.MAPPED),
    "folio_of": Shape("CW", memory.FOLIO_OF, -1),
    "folios": Shape("C", memory.FOLIO_COUNT),
    "locked": Shape("C", memory.LOCKED_FOLIOS),
    "mlocked": Shape("C", memory.MLOCKED_FOLIOS),
    "lazy": Shape("C", memory.LAZY_FOLIOS),
    "member": Shape("E", memory.MEMBER),
    "touches": Shape("E", memory.TOUCHES),
    "scarce": Shape("E", memory.SCARCE),
    "evicts": Shape("W", memory.EVICTS),
    "activates": Shape("W", memory.ACTIVATES),
    "starts": Shape("F", memory.STARTS),
    "process": Shape("FW", memory.PROCESS_OF, -1),
    "address": Shape("F", memory.ADDRESS),
    "end": Shape("F", memory.REGION_END),
    "split": Shape("F", memory.SPLIT),
    "cached": Shape("C", memory.IN_SWAP_CACHE),
    "walkable": Shape("C", memory.WALKABLE),
    "unmaps": Shape("W", memory.UNMAPS),
    "added": Shape("R", memory.ADDED, -1),
    "frees": Shape("W", memory.FREES),
    "only_cached": Shape("C", memory.ONLY_CACHED),
}
"""By name, the tables of `swaptrace.reclaim.memory`."""

STAY: Final = Moves((), (), (), (), -1, False, False)
"""The way number 0, of transitions in which no folio moves."""


class CountedTransition(NamedTuple):
    """So many pages of a region took a transition, `first` the lowest that showed a violation."""

    shared: int
    event: Event
    column: int
    pages: int
    first: int


class FlatTable:
    """The arrays, for pages of up to `width` folios.

    `tracked` is whether folios are followed on lists, `generations` whether by the
    multi-generational LRU, `placed` whether slots are by their positions. `size` is how much there
    is room for; when it
    grows all `arrays` are new ones, within a new `buffer`.
    """

    def __init__(
        self,
        table: Table,
        facts: Facts,
        width: int,
        tracked: bool,
        generations: bool = False,
        placed: bool = False,
    ) -> None:
        self.table = table
        self.tracked = tracked
        self.generations = generations
        self.placed = placed
        self.size = {"C": 64, "E": 64, "F": 1, "R": 16, "W": width, "2": 2}
        self.buffer, self.arrays = self._allocate()
        self.events: list[Event] = []
        self.numbers: dict[tuple[type[Event], Event], int] = {}
        self.ways = {STAY: 0}
        self.learnt: set[int] = set()
        if tracked:
            for k in range(width):
                self.arrays["evicts"][k] = self.number(Reclaim(0, facts, k))
                self.arrays["unmaps"][k] = self.number(Reclaim(0, facts, k, held=True))
                self.arrays["activates"][k] = self.number(Activate(0, facts, k))
        if placed:
            for k in range(width):
                self.arrays["frees"][k] = self.number(FreeSwap(0, facts, k))

    def _allocate(self) -> tuple[Integers, dict[str, Integers]]:
        """One array for all tables, and each of them within it."""
        sizes = {name: [self.size[d] for d in shape.dimensions] for name, shape in SHAPES.items()}
        buffer = np.zeros(sum(prod(size) for size in sizes.values()), np.int64)
        arrays, at = {}, 0
        for name, size in sizes.items():
            arrays[name] = buffer[at : at + prod(size)].reshape(size)
            arrays[name][:] = SHAPES[name].empty
            at += prod(size)
        return buffer, arrays

    def places(self) -> dict[int, int]:
        """Where each table begins in the buffer, by the scalar that says so."""
        lengths = {shape.place: self.arrays[name].size for name, shape in SHAPES.items()}
        ends = accumulate(lengths.values())
        return {place: end - lengths[place] for place, end in zip(lengths, ends, strict=True)}

    def make_room(self, dimension: str, needed: int) -> None:
        """Grow until so many fit."""
        if needed <= self.size[dimension]:
            return
        self.size[dimension] = max(needed, 2 * self.size[dimension])
        old = self.arrays
        self.buffer, self.arrays = self._allocate()
        for name, table in old.items():
            self.arrays[name][tuple(slice(length) for length in table.shape)] = table

    def number(self, event: Event) -> int:
        """The number of an event, of a pair: the odd one after it is for a full swap device."""
        key = (type(event), event)
        number = self.numbers.get(key)
        if number is not None:
            return number
        number = self.numbers[key] = len(self.events)
        scarce = isinstance(event, Pageout | Reclaim)
        facts = event.facts
        full = facts._replace(slot_free=False) if scarce else facts._replace(swap_full=True)
        self.events += [event, event._replace(facts=full)]
        self.make_room("E", len(self.events))
        pair = slice(number, number + 2)
        self.arrays["member"][pair] = event.process
        self.arrays["touches"][pair] = touches(event)
        self.arrays["scarce"][pair] = scarce
        return number

    def fill(self, number: int, column: int) -> None:
        """Put one transition into the tables, and all that reclaim may do to its new column."""
        pending = [(number, column)]
        if self.placed and self.arrays["scarce"][number]:
            pending.append((number ^ 1, column))  # the allocator decides which of the two happens
        while pending:
            number, column = pending.pop()
            row = self._fill_one(number, column)
            for met in (column, row.new):
                if (self.tracked or self.placed) and met not in self.learnt:
                    self.learnt.add(met)
                    pending += self._learn(met)

    def _fill_one(self, number: int, column: int) -> TransitionRow:
        event = self.events[number]
        row = self.table.row(event, column)
        follow = self.tracked or self.placed
        way = moves(self.table.policy, self.table.columns[column], event) if follow else STAY
        moving = 0 if way.trivial else self._way(way)
        self.make_room("C", len(self.table.columns))
        arrays, at = self.arrays, (number, column)  # which stay the same from here on
        arrays["new"][at] = row.new
        arrays["slots"][at] = row.slots
        arrays["does"][at] = does(event, column, row, way)
        if locks(event, self.table.columns[column], self.table.columns[row.new], way):
            arrays["does"][at] |= memory.LOCKS
        arrays["allocates"][at] = len(way.fresh)
        arrays["moves"][at] = moving
        return row

    def _way(self, way: Moves) -> int:
        """The number of a way to move."""
        number = self.ways.setdefault(way, len(self.ways))
        self.make_room("R", len(self.ways))
        for name, values in (
            ("folio_to", way.folios),
            ("slot_to", way.slots),
            ("stored", way.stored),
            ("fresh", way.fresh),
        ):
            self.arrays[name][number, : len(values)] = values
        self.arrays["read"][number] = way.read
        self.arrays["added"][number] = way.added
        return number

    def _learn(self, number: int) -> Iterator[tuple[int, int]]:
        """What the loop asks of a column; yields what reclaim may do to it."""
        column, arrays = self.table.columns[number], self.arrays
        if self.placed:
            for k in range(len(column.slots)):
                if not column.swap_count(k):
                    arrays["only_cached"][number] |= 1 << k
                    yield int(arrays["frees"][k]), number
        if not self.tracked:
            return
        arrays["folios"][number] = len(column.folios)
        for process, mapping in enumerate(column.maps):
            if isinstance(mapping.pte, Pte) and not mapping.pte.is_zero_page:
                arrays["folio_of"][number, process] = mapping.pte.folio
                arrays["mapped"][number, mapping.pte.folio] |= 1 << process
            arrays["walkable"][number] |= walkable(mapping.vma) << process
        for k, folio in enumerate(column.folios):
            locked = any(m.vma is not None and m.vma.locked for m in mappers(column.maps, k))
            arrays["locked"][number] |= locked << k
            arrays["mlocked"][number] |= folio.mlocked << k
            arrays["lazy"][number] |= folio.lazyfree << k
            arrays["cached"][number] |= (folio.slot is not None) << k
            evicts, activates = int(arrays["evicts"][k]), int(arrays["activates"][k])
            yield from ((event, number) for event in (evicts, evicts + 1, activates + 1))
            if locked:
                yield activates, number
            if self.generations:
                unmaps = int(arrays["unmaps"][k])
                yield from ((event, number) for event in (unmaps, unmaps + 1))

    def met(self) -> Iterator[CountedTransition]:
        """Every transition that was taken since it was last asked, which is then forgotten; in the
        order in which they first were."""
        taken, first, order = (self.arrays[name] for name in ("taken", "first", "order"))
        for at in sorted(np.argwhere(taken).tolist(), key=lambda at: int(order[tuple(at)])):
            shared, event, column = at
            pages, page = int(taken[tuple(at)]), int(first[tuple(at)])
            taken[tuple(at)], first[tuple(at)] = 0, -1
            yield CountedTransition(shared, self.events[event], column, pages, page)


def walkable(vma: Vma | None) -> bool:
    """Whether a walk over page tables looks into a VMA: the opposite of should_skip_vma()."""
    return vma is not None and (vma.readable or vma.writable) and not vma.locked


def touches(event: Event) -> int:
    """1 for an access by a process, 2 for one by the kernel on its behalf."""
    return 1 if isinstance(event, Access) else 2 if isinstance(event, Populate) else 0


def locks(event: Event, before: Column, after: Column, way: Moves) -> bool:
    """Whether the process maps a folio that was there, and locks it once more."""
    if not isinstance(event, SetVma | Access | Populate):
        return False
    pte = after.maps[event.process].pte
    if not isinstance(pte, Pte) or pte.folio not in way.folios:
        return False
    old = before.folios[way.folios.index(pte.folio)]
    return after.folios[pte.folio].mlock_count > old.mlock_count


def does(event: Event, column: int, row: TransitionRow, way: Moves) -> int:
    """What a transition does, as the bits of `swaptrace.reclaim.memory`."""
    quiet = row.new == column and not any(row.counts) and not row.violations and not row.ends
    bits = {
        memory.KNOWN: True,
        memory.PLAIN: isinstance(event, Access) and quiet and row.lookup == "none",
        memory.CACHED: row.lookup != "none",
        memory.ENDS: row.ends,
        memory.BREAKS: bool(row.violations),
        memory.FAULTS: any(row.counts[at] for at in FAULTS),
        memory.DRAINS: way.drains,
        memory.WRITES: way.writes,
    }
    return sum(bit for bit, holds in bits.items() if holds)
