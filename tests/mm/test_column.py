"""What holds of every column, whatever happened to the page?"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.counters import COUNTERS
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import (
    Column,
    Folio,
    Mapping,
    Pte,
    SwapPte,
    SwapSlot,
    Vma,
)
from swaptrace.mm.event import Event
from swaptrace.mm.outcome import Outcome
from tests.effort import examples
from tests.mm.walks import histories

SHIPPED = [policies.find(name) for name in policies.SERIES]

History = list[tuple[Event, Outcome]]


def any_history() -> st.SearchStrategy[History]:
    """A history under any of the shipped policies."""
    return st.sampled_from(SHIPPED).flatmap(histories)


def columns(history: History) -> list[Column]:
    return [outcome.column for _, outcome in history]


@settings(max_examples=examples(300))
@given(any_history())
def test_canonical_form_is_idempotent(history: History) -> None:
    """Is the canonical form of a canonical column the column itself?"""
    for column in columns(history):
        assert canonical(column.maps, column.folios, column.slots) == column


@settings(max_examples=examples(300))
@given(any_history())
def test_references_are_consistent(history: History) -> None:
    """Is everything that is kept reachable, and every slot's data somewhere?"""
    for column in columns(history):
        for f, folio in enumerate(column.folios):
            assert column.mapcount(f) + (folio.slot is not None) >= 1
            if folio.slot is not None:
                assert folio.slot < len(column.slots)
                assert not folio.lazyfree
        for s, slot in enumerate(column.slots):
            cached = [f for f in column.folios if f.slot == s]
            assert len(cached) <= 1
            assert column.swap_count(s) + len(cached) >= 1
            assert slot.data is not None or cached
            if cached and not cached[0].dirty and column.swap_count(s):
                assert slot.data == cached[0].data or _dirty_pte(column, s)


def _dirty_pte(column: Column, slot: int) -> bool:
    """Whether a PTE knows that the cached folio differs from its slot."""
    return any(
        isinstance(m.pte, Pte)
        and not m.pte.is_zero_page
        and column.folios[m.pte.folio].slot == slot
        and m.pte.dirty
        for m in column.maps
    )


@settings(max_examples=examples(300))
@given(any_history())
def test_an_exclusive_folio_has_one_mapping(history: History) -> None:
    """Is a page marked exclusive mapped once, and a writable PTE's page exclusive?"""
    for column in columns(history):
        for f, folio in enumerate(column.folios):
            assert not folio.anon_exclusive or column.mapcount(f) == 1
        for mapping in column.maps:
            pte = mapping.pte
            if isinstance(pte, Pte) and pte.write:
                assert column.folios[pte.folio].anon_exclusive
            if isinstance(pte, SwapPte) and pte.exclusive:
                assert column.swap_count(pte.slot) == 1


@settings(max_examples=examples(200))
@given(any_history())
def test_counts_are_never_negative(history: History) -> None:
    """Does every event count something or nothing, under every name once?"""
    for _, outcome in history:
        assert len(outcome.counts) == len(COUNTERS)
        assert min(outcome.counts) >= 0


def test_canonical_form_numbers_by_appearance_and_drops_the_unreachable() -> None:
    """Do two ways to write the same state become one column?"""
    vma = Vma()
    first = canonical(
        [Mapping(vma, Pte(2), data=9), Mapping(vma, SwapPte(1), data=5)],
        [Folio(1), Folio(4), Folio(9), Folio(5, slot=1)],
        [SwapSlot(3), SwapSlot(5)],
    )
    second = canonical(
        [Mapping(vma, Pte(0), data=1), Mapping(vma, SwapPte(0), data=2)],
        [Folio(1), Folio(2, slot=0)],
        [SwapSlot(2)],
    )
    assert first == second
    assert len(first.folios) == 2
    assert len(first.slots) == 1


def test_what_was_written_is_forgotten_while_everything_is_soft_dirty() -> None:
    """Do columns that no event can tell apart become one?"""
    a = canonical([Mapping(Vma(soft_dirty=True), Pte(0), written=True)], [Folio(0)], [])
    b = canonical([Mapping(Vma(soft_dirty=True), Pte(0), written=False)], [Folio(0)], [])
    assert a == b
