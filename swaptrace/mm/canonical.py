"""The one form of a column: numbered in order of appearance, without what nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from swaptrace.mm.column import (
    HOLE,
    NUMBERS,
    ZERO,
    ZERO_PAGE,
    Column,
    Folio,
    Mapping,
    Pinned,
    Pte,
    Shmem,
    SwapPte,
    SwapSlot,
    changed,
)

_Numbers: TypeAlias = dict[int, int]
"""0, 1, 2, … for old numbers in the order in which they are first seen (`_number`)."""


def _number(numbers: _Numbers, old: int) -> int:
    return numbers.setdefault(old, len(numbers))


def _token(numbers: _Numbers, old: int) -> int:
    """The new number of a data token, with its byte."""
    return numbers.setdefault(old, len(numbers) | old & ~NUMBERS)


def canonical(
    maps: Sequence[Mapping],
    folios: Sequence[Folio],
    slots: Sequence[SwapSlot],
    pins: Sequence[Pinned] = (),
    shmem: Shmem | None = None,
) -> Column:
    """The one form of a state: unreachable and unobservable parts dropped, the rest renumbered.

    Reachable is what a PTE, a pin or the page cache refers to, the folio cached for a reachable
    slot, and the slot that a reachable folio is cached for. Idempotent.
    """
    new_maps = [observable(m) for m in maps]
    folio_of, slot_of = _reachable(new_maps, folios, pins, shmem)
    token_of: _Numbers = {ZERO: ZERO}
    out_maps = [_renumber_mapping(m, folio_of, slot_of, token_of) for m in new_maps]
    out_folios = [_renumber_folio(folios[old], slot_of, token_of) for old in folio_of]
    out_slots = [_renumber_slot(slots[old], token_of) for old in slot_of]
    out_pins = tuple([_renumber_pin(pin, folio_of, token_of) for pin in pins]) if pins else ()
    out_shmem = None if shmem is None else _renumber_shmem(shmem, folio_of, slot_of)
    return Column(tuple(out_maps), tuple(out_folios), tuple(out_slots), out_pins, out_shmem)


def observable(m: Mapping) -> Mapping:
    """Without what no later event can tell apart."""
    vma = m.vma
    if vma is None:
        return HOLE
    # While VM_SOFTDIRTY is set everything reads as soft-dirty, and clear_refs, which alone
    # clears it, forgets what was written.
    written = m.written and not vma.soft_dirty
    armed = m.armed and m.pte is not None
    freed = m.freed and m.data != ZERO
    if written != m.written or armed != m.armed or freed != m.freed:
        return Mapping(vma, m.pte, m.data, freed, written, armed, m.protnone)
    return m


def _reachable(
    maps: Sequence[Mapping], folios: Sequence[Folio], pins: Sequence[Pinned], shmem: Shmem | None
) -> tuple[_Numbers, _Numbers]:
    folio_of: _Numbers = {}
    slot_of: _Numbers = {}
    for m in maps:
        pte = m.pte
        if type(pte) is Pte:
            if pte.folio != ZERO_PAGE:
                _number(folio_of, pte.folio)
                cached = folios[pte.folio].slot
                if cached is not None:
                    _number(slot_of, cached)
        elif type(pte) is SwapPte:
            _number(slot_of, pte.slot)
            for number, folio in enumerate(folios):
                if folio.slot == pte.slot:
                    _number(folio_of, number)
    for pin in pins:
        _number(folio_of, pin.folio)
        cached = folios[pin.folio].slot
        if cached is not None:
            _number(slot_of, cached)
    if shmem is not None and shmem.folio is not None:
        _number(folio_of, shmem.folio)
    if shmem is not None and shmem.slot is not None:
        _number(slot_of, shmem.slot)
        for number, folio in enumerate(folios):
            if folio.slot == shmem.slot:
                _number(folio_of, number)
    return folio_of, slot_of


def numbering(
    maps: Sequence[Mapping],
    folios: Sequence[Folio],
    pins: Sequence[Pinned],
    shmem: Shmem | None = None,
) -> tuple[_Numbers, _Numbers]:
    """The numbers that folios and slots have in the canonical form, by those that they have now."""
    return _reachable([observable(m) for m in maps], folios, pins, shmem)


def _renumber_shmem(shmem: Shmem, folio_of: _Numbers, slot_of: _Numbers) -> Shmem:
    folio = None if shmem.folio is None else folio_of[shmem.folio]
    return Shmem(folio, None if shmem.slot is None else slot_of[shmem.slot])


def _renumber_mapping(
    m: Mapping, folio_of: _Numbers, slot_of: _Numbers, token_of: _Numbers
) -> Mapping:
    pte, data = m.pte, _token(token_of, m.data)
    if type(pte) is Pte:
        if pte.folio != ZERO_PAGE and folio_of[pte.folio] != pte.folio:
            pte = pte._replace(folio=folio_of[pte.folio])
    elif type(pte) is SwapPte and slot_of[pte.slot] != pte.slot:
        pte = pte._replace(slot=slot_of[pte.slot])
    if pte is m.pte and data == m.data:
        return m
    return Mapping(m.vma, pte, data, m.freed, m.written, m.armed, m.protnone)


def _renumber_pin(pin: Pinned, folio_of: _Numbers, token_of: _Numbers) -> Pinned:
    return pin._replace(folio=folio_of[pin.folio], data=_token(token_of, pin.data))


def _renumber_folio(folio: Folio, slot_of: _Numbers, token_of: _Numbers) -> Folio:
    data = _token(token_of, folio.data)
    slot = None if folio.slot is None else _number(slot_of, folio.slot)
    if data == folio.data and slot == folio.slot:
        return folio
    return changed(folio, data=data, slot=slot)


def _renumber_slot(slot: SwapSlot, token_of: _Numbers) -> SwapSlot:
    if slot.data is None:
        return slot
    data = _token(token_of, slot.data)
    return slot if data == slot.data else SwapSlot(data)
