"""Can each check fire, and does it fire for its own promise alone?

For each violation there is a policy that breaks exactly that promise.
"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.mm.column import Column, Pte
from swaptrace.mm.event import (
    Access,
    ClearRefs,
    Dontneed,
    Event,
    Facts,
    Fork,
    Free,
    Mprotect,
    Pageout,
    SetVma,
    Unmap,
    Writeprotect,
)
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.mm.transition import transition
from tests.mm.walks import UNTOUCHED

NOW = Facts()
READ = Access(0, NOW, read=True, store=None)
WRITE = Access(0, NOW, read=False, store="fresh")
PAGEOUT = Pageout(0, NOW)
CHILD_READ = READ._replace(process=1)
CHILD_WRITE = WRITE._replace(process=1)
FORK = Fork(0, NOW, copy=True)
CHILD_EXIT = Unmap(1, NOW, gone=True)


class ReusesSharedPages(Policy):
    """Takes every page for its own."""

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return folio.mapcount > 0


class ForgetsUffdWp(Policy):
    """Carries soft-dirty over and not uffd-wp."""

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        writable = fault.write and fault.vma.writable and answer.write_handled
        return answer._replace(pte=answer.pte._replace(uffd_wp=False, write=writable))


class ForgetsPermission(Policy):
    """Makes every reusable page writable, whatever the VMA says."""

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        if not fault.reusable or fault.vma.soft_dirty_enabled or fault.orig.uffd_wp:
            return answer
        return answer._replace(pte=answer.pte.mkwrite())


def uffd(column: Column) -> Event:
    """Register the page of the first process with a userfaultfd."""
    vma = column.maps[0].vma
    assert vma is not None
    return SetVma(0, NOW, vma._replace(uffd_wp=True))


REGISTER = uffd(UNTOUCHED)
PROTECT = Writeprotect(0, NOW, wp=True)

CASES: dict[str, tuple[Policy, list[Event]]] = {
    "lost_write": (ReusesSharedPages(), [WRITE, FORK, CHILD_WRITE, CHILD_EXIT, READ]),
    "cow_leak": (ReusesSharedPages(), [WRITE, FORK, WRITE, CHILD_READ]),
    "lost_soft_dirty": (
        policies.find("simple"),
        [WRITE, PAGEOUT, ClearRefs(0, NOW), READ, WRITE],
    ),
    "lost_uffd_wp": (ForgetsUffdWp(), [WRITE, REGISTER, PROTECT, PAGEOUT, WRITE]),
    "write_without_permission": (
        ForgetsPermission(),
        [WRITE, Mprotect(0, NOW, True, False), PAGEOUT, READ],
    ),
    "spurious_soft_dirty": (
        policies.find("rfc"),
        [WRITE, PAGEOUT, ClearRefs(0, NOW), READ],
    ),
}


def violations(policy: Policy, events: list[Event]) -> list[tuple[str, int]]:
    """All that the events broke, one after another."""
    column = UNTOUCHED
    found: list[tuple[str, int]] = []
    for event in events:
        outcome = transition(policy, column, event)
        found += outcome.violations
        column = outcome.column
    return found


@pytest.mark.parametrize("kind", CASES)
def test_a_policy_that_breaks_one_promise_is_told_so(kind: str) -> None:
    """Is exactly the broken promise reported, by the event that shows it?"""
    policy, events = CASES[kind]
    process = 1 if kind == "cow_leak" else 0
    assert violations(policy, events) == [(kind, process)]
    assert violations(policy, events[:-1]) == []


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("name", ["prepatch", "final", "merged"])
def test_what_linux_does_breaks_no_promise_there(kind: str, name: str) -> None:
    """Is the same history clean under what was and what is in the kernel?"""
    _, events = CASES[kind]
    assert violations(policies.find(name), events) == []


def test_madv_free_of_a_clean_shared_page_loses_the_data_of_the_other_process() -> None:
    """Is the loss that running kernels show (seen on 6.18) found in the model as well?"""
    history: list[Event] = [
        WRITE,
        PAGEOUT,
        READ,
        FORK,
        Free(1, NOW),
        CHILD_EXIT,
        PAGEOUT,
        READ,
    ]
    for name in policies.SERIES:
        expected = [] if name == "rfc" else [("lost_write", 0)]
        assert violations(policies.find(name), history) == expected


def test_a_page_given_up_by_madv_free_may_read_as_zero() -> None:
    """Is the loss that the process asked for no violation?"""
    history: list[Event] = [WRITE, Free(0, NOW), PAGEOUT, READ, WRITE, READ]
    assert violations(policies.find("final"), history) == []


def test_zeroes_in_the_place_of_data_are_lost_and_not_leaked() -> None:
    """Does a process that reads zeroes read nobody else's data, though another expects zeroes?"""
    free, dontneed = Free(0, NOW), Dontneed(0, NOW)
    child_pageout = Pageout(1, NOW)
    events: list[Event] = [WRITE, PAGEOUT, READ, FORK, free, dontneed, child_pageout, CHILD_READ]
    assert violations(policies.find("final"), events) == [("lost_write", 1)]


def test_a_process_that_exits_makes_no_page_dirty() -> None:
    """Is the next process, which takes its number, not mistaken for it?"""
    column = UNTOUCHED
    policy = policies.find("final")
    events: list[Event] = [FORK, Access(1, NOW, read=False, store="fresh")]
    for event in events:
        column = transition(policy, column, event).column
    gone = transition(policy, column, Unmap(0, NOW, gone=True))
    assert isinstance(gone.column.maps[0].pte, Pte)
    assert not any(gone.counts)
