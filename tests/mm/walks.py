"""Random histories of one page: every event that the kernel would let happen next."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from swaptrace.backends import BACKENDS
from swaptrace.mm.column import Column, Mapping, Vma
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
    Populate,
    SetVma,
    SwapIn,
    Unmap,
    Writeprotect,
)
from swaptrace.mm.outcome import Outcome
from swaptrace.mm.policy import Policy
from swaptrace.mm.transition import transition

UNTOUCHED = Column((Mapping(Vma()),))
"""A page that was just mapped, readable and writable."""

MAX_PROCESSES = 3


def facts() -> st.SearchStrategy[Facts]:
    """Any machine, with the swap device in any state."""
    flag = st.booleans()
    return st.builds(
        Facts,
        backend=st.sampled_from(list(BACKENDS.values())),
        zeromap=flag,
        per_vma_lock=flag,
        write_upgrade=flag,
        hw_dirty=flag,
        mkwrite_dirties=flag,
        swap_full=flag,
        slot_free=flag,
        readahead=flag,
    )


def possible(column: Column, now: Facts) -> list[Event]:
    """Every event that can happen to the page next."""
    return [
        event
        for p, mapping in enumerate(column.maps)
        if mapping.vma is not None
        for event in _events(p, mapping.vma, len(column.maps), now)
    ]


def _events(p: int, vma: Vma, processes: int, now: Facts) -> Iterator[Event]:
    yield Access(p, now, read=True, store=None)
    yield Access(p, now, read=True, store="same")
    yield Access(p, now, read=False, store="fresh")
    yield Access(p, now, read=False, store="zero")
    yield SwapIn(p, now, readahead=False)
    yield SwapIn(p, now, readahead=True)
    yield ClearRefs(p, now)
    yield SetVma(p, now, vma._replace(locked=not vma.locked))
    yield Unmap(p, now, gone=False)
    for readable, writable in ((True, True), (True, False), (False, False)):
        if (vma.readable, vma.writable) != (readable, writable):
            yield Mprotect(p, now, readable, writable)
    if vma.readable:
        yield Populate(p, now, vma.writable, tried=True)
        yield Populate(p, now, vma.writable, tried=False)
        yield Populate(p, now, vma.writable, may_retry=False)
    if not vma.locked:
        yield from (Pageout(p, now), Dontneed(p, now), Free(p, now))
    if vma.uffd_wp:
        yield from (Writeprotect(p, now, wp=True), Writeprotect(p, now, wp=False))
    else:
        yield SetVma(p, now, vma._replace(uffd_wp=True))
    if processes < MAX_PROCESSES:
        yield from (Fork(p, now, copy=True), Fork(p, now, copy=False))
    if processes > 1:
        yield Unmap(p, now, gone=True)


@st.composite
def histories(draw: st.DrawFn, policy: Policy, steps: int = 25) -> list[tuple[Event, Outcome]]:
    """A history of a page under a policy, on one machine."""
    machine = draw(facts())
    column, history = UNTOUCHED, []
    for _ in range(draw(st.integers(1, steps))):
        now = machine._replace(swap_full=draw(st.booleans()), slot_free=draw(st.integers(0, 5)) > 0)
        choices = possible(column, now)
        if not choices:
            break
        event = choices[draw(st.integers(0, len(choices) - 1))]
        outcome = transition(policy, column, event)
        history.append((event, outcome))
        column = outcome.column
    return history
