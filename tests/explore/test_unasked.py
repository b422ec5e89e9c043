"""What an exploration does not work out again because no policy had a say in it."""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.exploration import unasked
from swaptrace.exploration.explorer import Request, explore
from swaptrace.exploration.graph import START, Graph, Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.exploration.unasked import Unasked
from swaptrace.mm.column import Column, Mapping, SwapPte, SwapSlot, Vma
from swaptrace.mm.event import Access, Event, Facts, Free, Pageout
from swaptrace.mm.memory import do_anonymous_page
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import transition
from tests.effort import some
from tests.explore.capricious import Capricious
from tests.explore.sequences import ALL, MACHINES, states_of

LIMITS = Limits(ALL, 2)
NO_BOUNDS = SearchBounds()
FRESH = START.column
SWAPPED_OUT = Column((Mapping(Vma(), SwapPte(0), 1),), slots=(SwapSlot(1),))


@pytest.mark.parametrize("backend", some(MACHINES, 1))
def test_what_policies_have_in_common_changes_no_edge(backend: str) -> None:
    """Is an edge the same as of a graph that knows nothing yet, whatever other policies did?"""
    common = Unasked()
    each = [Capricious(), *map(policies.find, policies.SERIES)]
    for policy in each:
        found = Graph(policy, MACHINES[backend], LIMITS, unasked=common)
        for state in states_of(found, 60):
            alone = Graph(policy, MACHINES[backend], LIMITS)
            assert list(found.edges(state)) == list(alone.edges(state))


def test_events_of_two_kinds_are_told_apart() -> None:
    """Do two that are equal as tuples have numbers of their own, and equal ones of a kind one?"""
    known = Unasked()
    events: list[Event] = [Pageout(0, Facts()), Free(0, Facts()), Pageout(0, Facts())]
    assert events[0] == events[1]
    numbers = [known.numbered(event).number for event in events]
    assert numbers[0] == numbers[2] != numbers[1]


class Replacing(Policy):
    """Has a function of the kernel whole, which nobody sees asked."""

    name = "replacing"

    def __init__(self) -> None:
        self.functions = {"do_anonymous_page": do_anonymous_page}


@pytest.mark.parametrize(
    ("policy", "column", "kept"),
    [(Policy(), FRESH, True), (Policy(), SWAPPED_OUT, False), (Replacing(), FRESH, False)],
    ids=["no question", "a question", "a function of its own"],
)
def test_only_what_no_policy_decides_is_kept(policy: Policy, column: Column, kept: bool) -> None:
    """Is a first touch known for the next policy, but not a swap-in, nor what a policy does in the
    kernel's place?"""
    common = Unasked()
    known = common.of(column)
    taken = common.numbered(Access(0, Facts(), read=True, store=None))
    done = common.happens(Steady(policy), column, taken, known)
    assert done.column == transition(policy, column, taken.event).column
    assert known == ({taken.number: done} if kept else {})


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is all found again when it is forgotten over and over?"""
    found = tuple(map(policies.find, ("rfc", "final")))
    request = Request(found, MACHINES["zram"], Limits(("read", "write", "pageout"), 1), NO_BOUNDS)
    expected = explore(request)
    monkeypatch.setattr(unasked, "MOST_KNOWN", 3)
    assert explore(request) == expected
    common = Unasked()
    states_of(Graph(found[0], MACHINES["zram"], LIMITS, unasked=common), 9)
    assert sum(map(len, common.columns.values())) <= common.count <= 3
