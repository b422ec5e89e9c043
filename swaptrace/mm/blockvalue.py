"""A block as a frozen value, equal for blocks to which the same happens.

Folios, data tokens and slots are numbered in the order in which they are met. Of a slot's position
only what decides is kept: which slots share a naturally aligned stretch of as many slots as a block
has pages, a *row*, and where in it each is. Which row that is stands beside the value. Neighbouring
pages that are alike are kept as runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Map
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeVar

from swaptrace.mm.block import PMD_ORDER, Block, BlockFolio, BlockSlot, Pmd
from swaptrace.mm.canonical import observable
from swaptrace.mm.column import (
    NUMBERS,
    ZERO,
    Mapping,
    Pinned,
    Pte,
    SwapPte,
    filled_with,
)
from swaptrace.mm.mmids import known_to_map

T = TypeVar("T")
Runs: TypeAlias = tuple[tuple[int, T], ...]
"""How many times in a row, and what."""

Rows: TypeAlias = tuple[int, ...]
"""The positions of the rows that a value numbers."""


BITS = (
    "dirty",
    "lazyfree",
    "readahead",
    "partially_mapped",
    "mlocked",
    "fresh",
    "ksm",
    "elsewhere",
)
KSM, ELSEWHERE = BITS.index("ksm"), BITS.index("elsewhere")


class FolioValue(NamedTuple):
    """As `BlockFolio`; `bits` are its flags in the order of `BITS`, `mm_ids` the processes that it
    knows, in order."""

    first: int
    data: Runs[int]
    exclusive: Runs[bool]
    bits: tuple[bool, ...]
    slot: int | None
    mlock_count: int
    mm_ids: tuple[tuple[int, int], ...] | None

    @property
    def ksm(self) -> bool:
        """folio_test_ksm()."""
        return self.bits[KSM]

    def known_elsewhere(self, known: bool) -> FolioValue:
        """With whether pages of other blocks map it."""
        bits = (*self.bits[:ELSEWHERE], known, *self.bits[ELSEWHERE + 1 :])
        return self._replace(bits=bits)


class SlotsValue(NamedTuple):
    """`length` slots in a row from `slot` on, which hold the pages from `page` on, alike."""

    slot: int
    page: int
    length: int
    data: int | None
    zeroes: bool


class BlockValue(NamedTuple):
    """A block; in `maps` the slot of a swap PTE less the number of its page, so that PTEs of slots
    in order are alike. `phase` is where in the naturally aligned block its first page lies; `pmds`
    are the PMD entries, where a block is as large as one maps, `pins` the pins of each page, if any
    has one."""

    phase: int
    pmds: tuple[Pmd, ...]
    maps: Runs[tuple[Mapping, ...]]
    folios: tuple[FolioValue, ...]
    slots: tuple[SlotsValue, ...]
    pins: Runs[tuple[Pinned, ...]] = ()

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return sum(count for count, _ in self.maps)

    @property
    def holds_any(self) -> bool:
        """Whether it has folios or slots."""
        return bool(self.folios or self.slots)


class Frozen(NamedTuple):
    """The value of a block, its rows, and the numbers of its folios in the value."""

    value: BlockValue
    rows: Rows
    folios: dict[int, int]


def runs(items: Iterable[T]) -> Runs[T]:
    """Equal neighbours together."""
    return tuple((len(list(group)), item) for item, group in groupby(items))


def spread(of: Runs[T]) -> Iterator[T]:
    """One by one again."""
    return (item for count, item in of for _ in range(count))


class Freezing:
    """Numbering what the pages `pages` of a block refer to; `size` is the length of a row."""

    def __init__(self, block: Block, pages: range, size: int) -> None:
        self.block, self.pages, self.size = block, pages, size
        self.rows: dict[int, int] = {}
        self.folios: dict[int, int] = {}
        for i in pages:
            for mapping in block.maps[i]:
                self.meet(mapping)
        for pin in (pin for i in pages for pin in block.pins.get(i, ())):
            self.number(pin.folio)
        left = [f for f in block.folios if f not in self.folios]
        for f in sorted(left, key=lambda f: (block.folios[f].first, f)):
            if block.folios[f].first in pages:
                self.number(f)
        held = (slot for slot, held in block.slots.items() if held.page in pages)
        self.slots = sorted((self.local(slot), slot) for slot in sorted(held))
        self.tokens = [dict[int, int]({ZERO: ZERO}) for _ in pages]

    def local(self, slot: int) -> int:
        """A slot, of numbered rows."""
        row, at = divmod(slot, self.size)
        return self.rows.setdefault(row, len(self.rows)) * self.size + at

    def number(self, f: int) -> int:
        """The number of a folio."""
        if f not in self.folios:
            self.folios[f] = len(self.folios)
            slot = self.block.folios[f].slot
            if slot is not None:
                self.local(slot)
        return self.folios[f]

    def meet(self, mapping: Mapping) -> None:
        """Number what an entry leads to."""
        pte = mapping.pte
        if isinstance(pte, SwapPte):
            self.local(pte.slot)
            if pte.slot in self.block.cached:
                self.number(self.block.cached[pte.slot])
        elif isinstance(pte, Pte) and not pte.is_zero_page:
            self.number(pte.folio)

    def token(self, i: int, old: int) -> int:
        """A data token of a page, which no other page shares."""
        numbers = self.tokens[i - self.pages.start]
        return numbers.setdefault(old, len(numbers) | old & ~NUMBERS)

    def mapping(self, i: int, mapping: Mapping) -> Mapping:
        """A mapping of page `i` in the value."""
        mapping = observable(mapping)
        pte = mapping.pte
        if isinstance(pte, SwapPte):
            pte = pte._replace(slot=self.local(pte.slot) - (i - self.pages.start))
        elif isinstance(pte, Pte) and not pte.is_zero_page:
            pte = pte._replace(folio=self.folios[pte.folio])
        return mapping._replace(pte=pte, data=self.token(i, mapping.data))

    def pins(self) -> Runs[tuple[Pinned, ...]]:
        """The pins in the value."""
        of = self.block.pins
        if not any(i in of for i in self.pages):
            return ()
        return runs(tuple(self.pin(i, pin) for pin in of.get(i, ())) for i in self.pages)

    def pin(self, i: int, pin: Pinned) -> Pinned:
        """A pin of page `i` in the value."""
        return pin._replace(folio=self.folios[pin.folio], data=self.token(i, pin.data))

    def folio(self, f: int) -> FolioValue:
        """A folio in the value."""
        folio = self.block.folios[f]
        return FolioValue(
            folio.first - self.pages.start,
            runs(self.token(i, data) for i, data in zip(folio.pages, folio.data, strict=True)),
            runs(folio.exclusive),
            tuple(getattr(folio, bit) for bit in BITS),
            None if folio.slot is None else self.local(folio.slot),
            folio.mlock_count,
            known_to_map(self.block, f),
        )

    def slot_runs(self) -> Iterator[SlotsValue]:
        """The slots in the value."""
        last: SlotsValue | None = None
        for local, slot in self.slots:
            page, data, zeroes = self.block.slots[slot]
            token = None if data is None else self.token(page, data)
            new = SlotsValue(local, page - self.pages.start, 1, token, zeroes)
            if last is not None and new == last._replace(
                slot=last.slot + last.length, page=last.page + last.length, length=1
            ):
                last = last._replace(length=last.length + 1)
                continue
            if last is not None:
                yield last
            last = new
        if last is not None:
            yield last

    def value(self) -> BlockValue:
        """All of it; tokens are numbered by mappings first."""
        maps = [tuple(self.mapping(i, m) for m in self.block.maps[i]) for i in self.pages]
        folios = tuple(self.folio(f) for f in self.folios)
        phase = (self.block.base + self.pages.start) % self.size
        pmds = tuple(self.block.pmds) if has_pmds(self.size) else ()
        slots = tuple(self.slot_runs())
        return BlockValue(phase, pmds, runs(maps), folios, slots, self.pins())


def has_pmds(size: int) -> bool:
    """Whether a block is as large as what one PMD entry maps; in smaller ones all are tables."""
    return size == 1 << PMD_ORDER


def empty(phase: int, pages: int, maps: tuple[Mapping, ...], size: int) -> BlockValue:
    """Pages that are all mapped so, with no folios."""
    pmds = (Pmd.NONE,) * len(maps) if has_pmds(size) else ()
    return BlockValue(phase, pmds, ((pages, maps),), (), ())


def recounted(value: BlockValue, total: Map[int | None, int]) -> BlockValue:
    """With what is known of the KSM folios, of which so many PTEs map that of each byte."""
    maps = list(spread(value.maps)) if any(folio.ksm for folio in value.folios) else []
    folios = []
    for number, folio in enumerate(value.folios):
        if folio.ksm:
            here = sum(type(m.pte) is Pte and m.pte.folio == number for m in maps[folio.first])
            more = total[filled_with(folio.data[0][1])] > here and folio.slot is None
            folio = folio.known_elsewhere(more)
        folios.append(folio)
    return value._replace(folios=tuple(folios))


def freeze(block: Block, pages: range, size: int) -> Frozen:
    """The value of a part of a block that no folio crosses; `size` as in `Freezing`."""
    freezing = Freezing(block, pages, size)
    value = freezing.value()
    return Frozen(value, tuple(freezing.rows), freezing.folios)


def thaw(base: int, parts: Sequence[tuple[BlockValue, Rows]], size: int) -> Block:
    """Blocks side by side as one, the first page of which is at address `base` (in pages)."""
    block = Block(base, [])
    for value, rows in parts:
        add(block, value, rows, size)
        block.pmds = [*value.pmds] or [Pmd.TABLE] * len(block.maps[0])
    return block


def add(block: Block, value: BlockValue, rows: Rows, size: int) -> None:
    """Put a value behind the pages that a block has."""
    start, number = len(block.maps), block.next_folio

    def position(slot: int) -> int:
        return rows[slot // size] * size + slot % size

    def entry(mapping: Mapping, i: int) -> Mapping:
        pte = mapping.pte
        if isinstance(pte, SwapPte):
            return mapping._replace(pte=pte._replace(slot=position(pte.slot + i)))
        if isinstance(pte, Pte) and not pte.is_zero_page and number:
            return mapping._replace(pte=pte._replace(folio=pte.folio + number))
        return mapping

    for i, maps in enumerate(spread(value.maps)):
        block.maps.append([entry(mapping, i) for mapping in maps])
    for i, pins in enumerate(spread(value.pins), start):
        if pins:
            block.pins[i] = [pin._replace(folio=pin.folio + number) for pin in pins]
    for slots in value.slots:
        for at in range(slots.length):
            held = BlockSlot(start + slots.page + at, slots.data, slots.zeroes)
            block.slots[position(slots.slot + at)] = held
    for folio in value.folios:
        new = BlockFolio(start + folio.first, [*spread(folio.data)], [*spread(folio.exclusive)])
        for bit, is_set in zip(BITS, folio.bits, strict=True):
            setattr(new, bit, is_set)
        new.mlock_count = folio.mlock_count
        new.mm_ids = None if folio.mm_ids is None else dict(folio.mm_ids)
        block.folios[block.next_folio] = new
        block.next_folio += 1
        if folio.slot is not None:
            new.slot = position(folio.slot)
            block.cached |= dict.fromkeys(
                range(new.slot, new.slot + new.nr_pages), block.next_folio - 1
            )
