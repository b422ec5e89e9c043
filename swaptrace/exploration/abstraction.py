"""What need not be known of a page where only some kinds of difference are looked for.

The kernel functions never look at what a process may rely on (`mm.checks`), nor at whose data a
page holds: only whether they are zeroes. So a kind that does not depend on something has the same
differences without it, and there are fewer states.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from swaptrace.mm.column import ZERO, Column, Mapping

MISREAD: Final = ("lost_write", "cow_leak")
"""The violations in which a process sees other data than its own."""

ON_WRITTEN: Final = ("lost_soft_dirty", "spurious_soft_dirty")
"""The violations that depend on what was written; MADV_FREE makes that depend on the data."""

ON_DATA: Final = frozenset({*MISREAD, *ON_WRITTEN})
"""The violations that depend on what each process may expect to read."""


class Kept(NamedTuple):
    """What is known beside the kernel's own state.

    `expected` is what each process expects to read, `contents` whose data folios and slots hold,
    `written` what was written since clear_refs, `armed` which writes must raise an event first.
    """

    expected: bool = True
    contents: bool = True
    written: bool = True
    armed: bool = True


EVERYTHING: Final = Kept()


def kept_for(kinds: Collection[str]) -> Kept:
    """What some kinds of difference (counters, violations, `page_map`) depend on."""
    expected = not ON_DATA.isdisjoint(kinds)
    return Kept(
        expected=expected,
        contents=expected or "rewrites" in kinds,
        written=not ON_DATA.isdisjoint({*kinds} - {*MISREAD}),
        armed="lost_uffd_wp" in kinds,
    )


def forgotten(column: Column, kept: Kept) -> Column:
    """The column without what is not kept, in its canonical form."""
    if kept == EVERYTHING:
        return column
    maps = tuple(_mapping(mapping, kept) for mapping in column.maps)
    folios, slots = column.folios, column.slots
    if not kept.expected:
        tokens = _tokens(column) if kept.contents else dict[int, int]()
        folios = tuple(folio._replace(data=_token(folio.data, tokens)) for folio in folios)
        slots = tuple(
            slot if slot.data is None else slot._replace(data=_token(slot.data, tokens))
            for slot in slots
        )
    return Column(maps, folios, slots)


def _mapping(mapping: Mapping, kept: Kept) -> Mapping:
    return Mapping(
        mapping.vma,
        mapping.pte,
        mapping.data if kept.expected else ZERO,
        mapping.freed and kept.expected,
        mapping.written and kept.written,
        mapping.armed and kept.armed,
        mapping.protnone,
    )


def _tokens(column: Column) -> dict[int, int]:
    """Numbers for the data of folios and slots, in order of appearance."""
    held = [folio.data for folio in column.folios]
    held += [slot.data for slot in column.slots if slot.data is not None]
    return {data: number for number, data in enumerate(dict.fromkeys([ZERO, *held]))}


def _token(data: int, tokens: dict[int, int]) -> int:
    """Its number, or without numbers whether it is anything but zeroes."""
    return tokens.get(data, min(data, 1))
