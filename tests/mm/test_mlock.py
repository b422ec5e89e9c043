"""Is a folio mlocked when the kernel's functions would have marked it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.mm.column import Column, Folio, Pte, Vma
from swaptrace.mm.event import (
    Access,
    Activate,
    Dontneed,
    Event,
    Facts,
    Fork,
    Free,
    Merge,
    Migrate,
    Pageout,
    Populate,
    SetVma,
    SwapIn,
    Unmap,
)
from swaptrace.mm.moves import Moves, moves
from swaptrace.mm.transition import transition
from swaptrace.replay.world import static_facts
from swaptrace.scenario.hardware import Machine, Swap
from tests.effort import ALL
from tests.mm.walks import UNTOUCHED, possible

MERGED = policies.find("merged")
KERNELS = ("6.1", "6.10", "6.11", "6.12", "7.2", "7.3")


class Mark(NamedTuple):
    """PG_mlocked, with which PG_unevictable goes, and mlock_count; `anon` is that rmap knows the
    folio."""

    mlocked: bool = False
    times: int = 0
    anon: bool = False

    def lock(self) -> Mark:
        """__mlock_folio()."""
        return Mark(True, self.times + 1 if self.mlocked else 1, True)

    def unlock(self) -> Mark:
        """__munlock_folio()."""
        if self.mlocked and self.times > 1:
            return self._replace(times=self.times - 1)
        return Mark(False, 0, True)


class Marks:
    """Follows the marks of a page's folios from one column to the next, by which PTEs have come and
    gone; it never looks at those that the columns have."""

    def __init__(self, kernel: str) -> None:
        self.marks_swapped_in = kernel in ("6.1", "6.10")
        self.of: dict[int, Mark] = {}

    def follow(self, before: Column, event: Event, after: Column, way: Moves) -> None:
        """One event, of which `way` says where folios went."""
        old = {new: number for number, new in enumerate(way.folios)}
        marks = {number: self.of.get(old.get(number, -1), Mark()) for number in way_to(after)}
        if isinstance(event, SetVma):
            marks |= {f: self.changed(marks[f], lock) for f, lock in locked_now(before, event)}
        if isinstance(event, Migrate):
            alone = [
                each for each in mapped(before, event.process) if before.mapcount(each[0]) == 1
            ]
            marks |= {f: self.moved(marks[f], vma) for f, vma in alone}
        if isinstance(event, Activate):
            found = [each for p in range(len(before.maps)) for each in mapped(before, p)]
            locked = any(f == event.folio and vma.locked for f, vma in found)
            if locked and not marks[event.folio].mlocked:
                marks[event.folio] = marks[event.folio].lock()
        for p, q in stayed(before, event):
            gone, come = mapped(before, p), [] if q is None else mapped(after, q)
            gone = [(way.folios[f], vma) for f, vma in gone]
            for f, vma in gone:
                if f in marks and f not in dict(come) and vma.locked:
                    marks[f] = marks[f].unlock()
            for f, vma in come:
                if f not in dict(gone):
                    made = f in way.fresh and not (f == way.fresh[0] and way.read >= 0)
                    marks[f] = self.added(marks[f], vma, made)
        self.of = marks

    def changed(self, mark: Mark, lock: bool) -> Mark:
        """mlock_pte_range()."""
        return mark.lock() if lock else mark.unlock()

    def moved(self, mark: Mark, vma: Vma) -> Mark:
        """A new folio, which is on no list yet when it is mapped, unless the old one was marked."""
        return Mark(vma.locked, int(vma.locked and mark.mlocked), True)

    def added(self, mark: Mark, vma: Vma, made: bool) -> Mark:
        """A PTE more: of what was `made` for it, or of what was read."""
        if vma.locked and (made or mark.anon or self.marks_swapped_in):
            return mark.lock()
        return mark._replace(anon=True)


def way_to(column: Column) -> range:
    """The numbers of its folios."""
    return range(len(column.folios))


def mapped(column: Column, p: int) -> list[tuple[int, Vma]]:
    """The folio that a process maps, and by which VMA; none if there is none."""
    vma, pte, *_ = column.maps[p]
    if vma is None or not isinstance(pte, Pte) or pte.is_zero_page:
        return []
    return [(pte.folio, vma)]


def locked_now(before: Column, event: SetVma) -> Iterator[tuple[int, bool]]:
    """The folio whose VMA becomes a locked one, or is one no more."""
    for f, vma in mapped(before, event.process):
        if vma.locked != event.vma.locked:
            yield f, event.vma.locked


def stayed(before: Column, event: Event) -> Iterator[tuple[int, int | None]]:
    """The number of each process before, and after."""
    gone = event.process if isinstance(event, Unmap) and event.gone else None
    for p in range(len(before.maps)):
        left = None if p == gone else p - (gone is not None and p > gone)
        yield p, left


def machine_of(kernel: str, backend: str) -> Facts:
    """What a page knows of such a machine, on which memory is locked."""
    swap = Swap(backend=backend, page_cluster=0)
    return static_facts(Machine(kernel=kernel, swap=swap), locks=True)


def choices(column: Column, facts: Facts) -> list[Event]:
    """What can happen to a page, reclaim and migration included; accesses and locks most often."""
    found = [e for e in possible(column, facts) if not isinstance(e, Unmap) or e.gone]
    often = [e for e in found if isinstance(e, Access | SetVma | Fork)]
    more = [Migrate(p, facts) for p, m in enumerate(column.maps) if m.vma is not None]
    mapped_now = {f for p in range(len(column.maps)) for f, _ in mapped(column, p)}
    return [*found, *often, *often, *more, *(Activate(0, facts, f) for f in sorted(mapped_now))]


@settings(max_examples=1500 if ALL else 60, deadline=None)
@given(st.data(), st.sampled_from(KERNELS), st.sampled_from(("zram", "disk", "zswap")))
def test_folios_are_marked_as_by_the_functions_of_the_kernel(
    data: st.DataObject, kernel: str, backend: str
) -> None:
    """Do all histories of a page agree with what follows from the PTEs that come and go?"""
    facts, column, marks = machine_of(kernel, backend), UNTOUCHED, Marks(kernel)
    for _ in range(data.draw(st.integers(1, 40))):
        event = data.draw(st.sampled_from(choices(column, facts)))
        after = transition(MERGED, column, event).column
        marks.follow(column, event, after, moves(MERGED, column, event))
        column = after
        found = [(folio.mlocked, folio.mlock_count) for folio in column.folios]
        assert found == [(mark.mlocked, mark.times) for mark in marks.of.values()]


def shared_in_cache(facts: Facts) -> list[Event]:
    """A KSM folio that, on disk, a locked VMA maps out of the swap cache, and another may."""
    write, read = (Access(0, facts, not w, "fresh" if w else None) for w in (True, False))
    shared: list[Event] = [
        write,
        Merge(0, facts, kept=True),
        Pageout(0, facts),
        Fork(0, facts, copy=True),
    ]
    return [*shared, SetVma(0, facts, Vma(locked=True)), read]


OF_SHARED = (Access, Dontneed, Fork, Free, Migrate, Pageout, SetVma, Unmap)
"""What makes a KSM folio come and go."""


def merges(column: Column, facts: Facts) -> list[Event]:
    """What ksmd can do, as where all pages are equal: a KSM folio in the swap cache ends it."""
    shared = [folio for folio in column.folios if folio.ksm]
    if any(folio.slot is not None for folio in shared):
        return []
    found = ((p, mapped(column, p)) for p in range(len(column.maps)))
    at = [(p, column.folios[each[0][0]]) for p, each in found if each]
    plain = [(p, folio) for p, folio in at if not folio.ksm and not folio.lazyfree]
    kept = [p for p, folio in plain if folio.slot is None and not shared]
    return [
        *(Merge(p, facts, kept=True) for p in kept),
        *(Merge(p, facts, kept=False) for p, _ in plain if shared),
    ]


@settings(max_examples=1500 if ALL else 60, deadline=None)
@given(st.data(), st.sampled_from(KERNELS), st.sampled_from(("zram", "disk", "zswap")))
def test_a_ksm_folio_is_mlocked_while_a_locked_vma_maps_it_where_that_matters(
    data: st.DataObject, kernel: str, backend: str
) -> None:
    """In the swap cache, where a fault asks, and where nobody locks it, as MADV_FREE asks?"""
    facts, column, marks = machine_of(kernel, backend), UNTOUCHED, Marks(kernel)
    history = shared_in_cache(facts)[: data.draw(st.sampled_from((0, 2, 6)))]
    for step in range(len(history) + data.draw(st.integers(1, 40))):
        every = [e for e in choices(column, facts) if isinstance(e, OF_SHARED)]
        choice = st.sampled_from([*every, *merges(column, facts) * 3])
        event = history[step] if step < len(history) else data.draw(choice)
        after = transition(MERGED, column, event).column
        marks.follow(column, event, after, moves(MERGED, column, event))
        column = after
        for f, folio in enumerate(column.folios):
            each = [m for p in range(len(column.maps)) for m in mapped(column, p) if m[0] == f]
            locked = any(vma.locked for _, vma in each)
            if folio.ksm and (folio.slot is not None or not locked):
                assert marks.of[f].mlocked == locked


def test_where_no_memory_is_locked_nothing_is_kept() -> None:
    """Is a page that is read ahead, and nobody has mapped, in the same state as one that was?"""
    facts = static_facts(Machine(swap=Swap(page_cluster=0)))
    write = Access(0, facts, read=False, store="fresh")
    column = history_of(UNTOUCHED, write, Pageout(0, facts), Fork(0, facts, copy=True))
    ahead = history_of(column, SwapIn(0, facts, readahead=False))
    left = history_of(column, Access(0, facts, read=True, store=None), Dontneed(0, facts))
    assert not any(folio.fresh for folio in ahead.folios)
    assert left.folios[0]._replace(slot=None) == ahead.folios[0]._replace(slot=None)


ENTRIES = {
    "an unlock undoes the lock behind it": (Folio(1, mlocked=True, mlocks=("unlock", "lock")), 0),
    "a new one is counted once": (Folio(1, mlocked=True, mlocks=("new",)), 1),
    "two lock it": (Folio(1, mlocked=True, mlocks=("new", "lock")), 2),
    "one of two unlocks it": (Folio(1, mlocked=True, mlock_count=2, mlocks=("unlock",)), 1),
    "it is on no list": (Folio(1, mlocked=True, batched=True, mlocks=("lock",)), None),
}
"""What is in the batch, and what the count is then; None: 0 though it is mlocked."""


@pytest.mark.parametrize("what", ENTRIES)
def test_what_waits_is_counted_when_the_batch_is_emptied(what: str) -> None:
    """Does the order of entries count?"""
    folio, count = ENTRIES[what]
    done = folio.mlock_drained()
    assert (done.mlocked, done.mlock_count) == (count != 0, count or 0)
    assert done.mlocks == ()


@pytest.mark.parametrize(("kernel", "marked"), [("6.10", True), ("6.11", False)])
def test_what_a_locked_vma_swaps_in_is_marked_before_6_11(kernel: str, marked: bool) -> None:
    """And by reclaim where that finds it (folio_referenced_one()), and by munlock and mlock?"""
    facts, locked = machine_of(kernel, "zram"), Vma(locked=True)
    read, write = (Access(0, facts, not w, "fresh" if w else None) for w in (False, True))
    swapped = history_of(UNTOUCHED, write, Pageout(0, facts), SetVma(0, facts, locked), read)
    assert swapped.folios[0].mlocked is marked
    assert history_of(swapped, Activate(0, facts, 0)).folios[0].mlocked
    unlocked = history_of(swapped, SetVma(0, facts, Vma()))
    assert not unlocked.folios[0].mlocked
    assert history_of(unlocked, SetVma(0, facts, locked)).folios[0].mlocked


def test_reclaim_counts_one_of_two_locks() -> None:
    """Does folio_referenced() stop at the first, so that the first munlock clears the mark?"""
    facts, locked = machine_of("6.12", "zram"), Vma(locked=True)
    write, read = Access(0, facts, read=False, store="fresh"), Access(1, facts, True, None)
    locks = SetVma(0, facts, locked), SetVma(1, facts, locked)
    both = history_of(UNTOUCHED, write, Pageout(0, facts), Fork(0, facts, copy=True), *locks)
    both = history_of(both, SwapIn(0, facts, readahead=False), read)
    assert (both.folios[0].mlocked, both.mapcount(0)) == (False, 1)
    both = history_of(both, read._replace(process=0))
    assert both.folios[0].mlock_count == 1
    unmarked = both._replace(folios=(both.folios[0]._replace(mlocked=False, mlock_count=0),))
    found = history_of(unmarked, Activate(0, facts, 0))
    assert found.folios[0].mlock_count == 1
    assert not history_of(found, SetVma(1, facts, Vma())).folios[0].mlocked


def test_a_page_that_is_moved_is_marked_and_not_counted() -> None:
    """Is what takes the place of an unmarked folio on no list when a locked VMA maps it?"""
    facts, locked = machine_of("6.12", "zram"), Vma(locked=True)
    write, read = (Access(0, facts, not w, "fresh" if w else None) for w in (True, False))
    swapped = history_of(UNTOUCHED, write, Pageout(0, facts), SetVma(0, facts, locked), read)
    moved = history_of(swapped, Migrate(0, facts)).folios[0]
    assert (moved.mlocked, moved.mlock_count) == (True, 0)


def history_of(column: Column, *events: Event) -> Column:
    """What a page becomes."""
    for event in events:
        column = transition(MERGED, column, event).column
    return column


@pytest.mark.parametrize("longterm", [False, True])
def test_a_pinned_page_that_is_not_migrated_is_mlocked_and_no_more_counted(longterm: bool) -> None:
    """Does it come back to a list that counts anew, whether or not its PTE went meanwhile?"""
    facts, column = machine_of("6.18", "zram"), UNTOUCHED
    lock, write = SetVma(0, facts, Vma(locked=True)), Access(0, facts, read=False, store="fresh")
    pin = Populate(0, facts, write=longterm, pin=True)
    for event in (lock, write, pin, Migrate(0, facts)):
        column = transition(MERGED, column, event).column
    (folio,) = column.folios
    assert (folio.mlocked, folio.mlock_count) == (True, 0)
