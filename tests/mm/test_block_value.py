"""Does the value of a block know all that the kernel would go by?

Exploration takes blocks with equal values for one state. What a value forgot would be proved equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from swaptrace.mm.block import PMD_ORDER, Block, BlockFolio, BlockSlot, Pmd
from swaptrace.mm.blockvalue import Frozen, freeze, thaw
from swaptrace.mm.column import Mapping, Marker, Pinned, Pte, SwapPte, Vma

SIZE = 1 << PMD_ORDER
CACHED, MAPPED = 0, 1
SLOTS = range(8, 12)
PINNED = Pinned(0, MAPPED, longterm=False, data=2)


def made() -> Block:
    """A page table of two processes: a large folio that both map, one that is in the swap cache,
    which one of them maps, a marker and a pin."""
    vma = Vma(soft_dirty=False)
    block = Block(SIZE, [[Mapping(vma), Mapping(vma)] for _ in range(SIZE)])
    block.pmds = [Pmd.TABLE, Pmd.TABLE]
    assert block.add_folio(range(4), 1) == CACHED
    assert block.add_folio(range(8, 12), 2) == MAPPED
    for i in range(4):
        block.maps[i][0] = Mapping(vma, Pte(CACHED), data=1)
        block.maps[i][1] = Mapping(vma, SwapPte(SLOTS[i]), data=1)
        block.cached[SLOTS[i]] = CACHED
        block.slots[SLOTS[i]] = BlockSlot(i, 1)
    block.folios[CACHED].slot = SLOTS[0]
    for i in range(8, 12):
        block.maps[i] = [Mapping(vma, Pte(MAPPED), data=2), Mapping(vma, Pte(MAPPED), data=2)]
    block.maps[20][0] = Mapping(vma, Marker())
    block.pins[9] = [PINNED]
    return block


def frozen(block: Block) -> Frozen:
    """The value of all of it."""
    return freeze(block, range(SIZE), SIZE)


def flip(bit: str) -> Change:
    """Another value of a flag of a folio."""

    def change(block: Block) -> None:
        folio = block.folios[MAPPED]
        setattr(folio, bit, not getattr(folio, bit))

    return change


def entry(change: Callable[[Mapping], Mapping], page: int = 8) -> Change:
    """Another entry of a page."""

    def changed(block: Block) -> None:
        before = block.maps[page][0]
        block.maps[page][0] = change(before)
        assert block.maps[page][0] != before

    return changed


def pte(bit: str) -> Change:
    """Another bit of a PTE."""
    return entry(lambda m: m._replace(pte=m.pte._replace(**{bit: not getattr(m.pte, bit)})))  # type: ignore[union-attr]


def swap_entry(bit: str) -> Change:
    """Another bit of a swap entry."""

    def changed(block: Block) -> None:
        m = block.maps[1][1]
        assert isinstance(m.pte, SwapPte)
        block.maps[1][1] = m._replace(pte=m.pte._replace(**{bit: not getattr(m.pte, bit)}))

    return changed


def uncached(block: Block) -> None:
    """The folio has left the swap cache."""
    block.folios[CACHED].slot = None
    block.cached.clear()


def held(**other: object) -> Change:
    """A slot holds something else."""

    def change(block: Block) -> None:
        block.slots[SLOTS[1]] = block.slots[SLOTS[1]]._replace(**other)  # type: ignore[arg-type]

    return change


def pin(**other: object) -> Change:
    """Another pin."""

    def change(block: Block) -> None:
        block.pins[9] = [PINNED._replace(**other)]  # type: ignore[arg-type]

    return change


def moved(block: Block) -> None:
    """The same slots elsewhere in their row."""
    by = 4
    block.slots = {slot + by: what for slot, what in block.slots.items()}
    block.cached = {slot + by: f for slot, f in block.cached.items()}
    block.folios[CACHED].slot = SLOTS[0] + by
    for i in range(4):
        block.maps[i][1] = Mapping(Vma(soft_dirty=False), SwapPte(SLOTS[i] + by), data=1)


Change = Callable[[Block], object]

FOLIO: dict[str, Change | None] = {
    "data": lambda block: block.folios[MAPPED].data.__setitem__(1, 3),
    "exclusive": lambda block: block.folios[MAPPED].exclusive.__setitem__(1, True),
    "dirty": flip("dirty"),
    "lazyfree": flip("lazyfree"),
    "readahead": flip("readahead"),
    "slot": uncached,
    "partially_mapped": flip("partially_mapped"),
    "mlocked": flip("mlocked"),
    "mlock_count": lambda block: setattr(block.folios[MAPPED], "mlock_count", 1),
    "fresh": flip("fresh"),
    "ksm": flip("ksm"),
    "elsewhere": flip("elsewhere"),
    "mm_ids": lambda block: setattr(block.folios[MAPPED], "mm_ids", {1: 4}),
    # Where it lies, which its pages say.
    "first": None,
    # Only of machines that keep the per-CPU batches, two moments of which are never the same.
    **dict.fromkeys(("active", "marked")),
}

BLOCK: dict[str, Change | None] = {
    "maps": entry(lambda _: Mapping(None)),
    "pmds": lambda block: block.pmds.__setitem__(1, Pmd.NONE),
    "pins": lambda block: block.pins.clear(),
    "slots": lambda block: block.slots.pop(SLOTS[3]),
    "folios": lambda block: block.add_folio(range(30, 31), 1),
    "cached": moved,
    # Where it is, which the region says; the next number of a folio.
    **dict.fromkeys(("base", "next_folio")),
    # Of the event that is under way.
    **dict.fromkeys(("stale", "loose", "touched", "altered")),
}

SLOT: dict[str, Change | None] = {
    "page": held(page=2),
    "data": held(data=7),
    "zeroes": held(zeroes=True),
}

PTE: dict[str, Change | None] = {
    **{bit: pte(bit) for bit in Pte._fields if bit != "folio"},
    "folio": entry(lambda m: m._replace(pte=Pte(-1))),
}

SWAP: dict[str, Change | None] = {
    **{bit: swap_entry(bit) for bit in SwapPte._fields if bit != "slot"},
    "slot": None,  # As the cache.
}

MAPPING: dict[str, Change | None] = {
    "data": entry(lambda m: m._replace(data=5)),
    "freed": entry(lambda m: m._replace(freed=True)),
    "written": entry(lambda m: m._replace(written=True)),
    "armed": entry(lambda m: m._replace(armed=True)),
    "protnone": entry(lambda m: m._replace(protnone=True)),
    "vma": entry(lambda m: m._replace(vma=Vma(writable=False))),
    "pte": entry(lambda m: m._replace(pte=None)),
}

MARKER: dict[str, Change | None] = {
    "uffd_wp": entry(lambda m: m._replace(pte=None), page=20),
    "guard": entry(lambda m: m._replace(pte=Marker(guard=True)), page=20),
}

PIN: dict[str, Change | None] = {
    "process": pin(process=1),
    "folio": pin(folio=CACHED),
    "longterm": pin(longterm=True),
    "data": pin(data=3),
    "detached": pin(detached=True),
}

CHANGES = {
    f"{of} {name}": change
    for of, table in (
        ("folio", FOLIO),
        ("block", BLOCK),
        ("slot", SLOT),
        ("PTE", PTE),
        ("swap entry", SWAP),
        ("mapping", MAPPING),
        ("marker", MARKER),
        ("pin", PIN),
    )
    for name, change in table.items()
    if change is not None
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_kernel_goes_by_is_part_of_the_value(name: str) -> None:
    """Are two blocks that differ in this alone two, and is each found again in its value?"""
    block = made()
    before = frozen(block)
    assert frozen(made()) == before
    CHANGES[name](block)
    after = frozen(block)
    assert after.value != before.value
    again = thaw(block.base, [(after.value, after.rows)], SIZE)
    assert frozen(again) == after


def test_nothing_is_kept_that_is_not_asked_about() -> None:
    """Does a new attribute have to be decided upon here?"""
    assert {field.name for field in fields(BlockFolio)} == {*FOLIO}
    assert {*Block.__slots__} == {*BLOCK}
    assert {*BlockSlot._fields} == {*SLOT}
    assert {*Pte._fields} == {*PTE}
    assert {*SwapPte._fields} == {*SWAP}
    assert {*Mapping._fields} == {*MAPPING}
    assert {*Marker._fields} == {*MARKER}
    assert {*Pinned._fields} == {*PIN}
