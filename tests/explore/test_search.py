"""Does the search find every difference, the shortest sequence for each, and nothing else?"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from swaptrace import policies
from swaptrace.counters import COUNTERS
from swaptrace.errors import PolicyError
from swaptrace.exploration.alphabet import OPERATIONS
from swaptrace.exploration.decisions import questions
from swaptrace.exploration.explorer import Exploration, Request, explore, operations
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.exploration.witness import short, witnesses
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import FolioRefs, SwapinFault, SwapinPte
from swaptrace.policies import SERIES
from swaptrace.policies.final import Final
from swaptrace.replay.engine import replay
from swaptrace.replay.scenarios import expectations
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_text
from tests.effort import ALL, exhaustive, part, some
from tests.explore.sequences import MACHINES, every, graph, scenario_of, states_of
from tests.explore.unable import Picky, Wrong
from tests.replay.naive import naive_replay

ZRAM = Machine(swap=Swap(page_cluster=0))
FREE = SearchBounds()

UNLOCKED = ",".join(name for name in OPERATIONS if name not in ("mlock", "munlock"))
"""All but mlock, with which there are eight times as many states."""


@cache
def explored(
    *names: str,
    processes: int = 1,
    ops: str | None = None,
    machine: Machine = ZRAM,
    bounds: SearchBounds = FREE,
) -> Exploration:
    found = tuple(policies.find(name) for name in names)
    return explore(Request(found, machine, Limits(operations(ops), processes), bounds))


def sequences(exploration: Exploration) -> dict[str, str]:
    """The shortest sequence by kind."""
    return {
        f"{each.kind} {each.flag}".strip(): short(each.steps) for each in exploration.differences
    }


# What the discussion found by thinking.


@exhaustive
def test_it_finds_the_page_dirtied_on_a_read() -> None:
    """Is the first objection to the RFC found, and what it costs?"""
    found = sequences(explored("rfc", "final", ops=UNLOCKED))
    assert found["spurious_dirty"] == "write, pageout, read"
    assert found["rewrites"] == "write, pageout, willneed, read, pageout"
    assert found["page_map D"] == "write, pageout, clear_refs, read"


@exhaustive
def test_it_finds_the_soft_dirty_write_that_is_lost() -> None:
    """Is the mistake of the third draft found, by itself and beside the final version?"""
    lost = "write, pageout, clear_refs, read, write"
    assert sequences(explored("simple"))["lost_soft_dirty"] == lost
    assert sequences(explored("simple", "final", ops=UNLOCKED))["lost_soft_dirty"] == lost


def test_it_finds_what_the_reviewer_said_of_uffd_wp() -> None:
    """Does every earlier draft take a fault more on a write-protected page?"""
    for name in some(("rfc", "rework", "simple"), 2):
        found = sequences(explored(name, "final", ops=UNLOCKED))
        assert found["minflt"] == "write, pageout, uffd_wp, write"


def test_it_finds_what_separates_the_suggestion_from_the_final_version() -> None:
    """Is it the fault for a page that is soft-dirty already, and nothing the user can see?"""
    found = sequences(explored("suggested", "final", ops=None if ALL else UNLOCKED))
    assert found["minflt"] == "clear_refs, write, pageout, read, write"
    assert found["wp_reuse"] == "clear_refs, write, pageout, write"
    assert not [kind for kind in found if kind.startswith(("page_map", "lost"))]


@exhaustive
def test_the_final_version_breaks_no_promise_in_one_process() -> None:
    """Is it a proof, whatever the back end?"""
    for machine in some(MACHINES.values(), 2):
        exploration = explored("final", machine=machine)
        assert exploration.complete
        assert set(sequences(exploration)) <= {"spurious_soft_dirty"}


@exhaustive
def test_final_and_merged_cannot_be_told_apart() -> None:
    """Is that proved by their decisions, for processes that share the page as well? (By default
    `test_cli_explore.py` asks that.)"""
    exploration = explored("final", "merged", processes=2 if ALL else 1)
    assert (exploration.differences, exploration.complete) == ((), True)
    assert exploration.questions > 10_000
    assert "proof by equal decisions" in exploration.proof


# That it is right.


KINDS = (*COUNTERS, "lost_soft_dirty", "spurious_soft_dirty", "lost_uffd_wp")


def shows(one: PolicyResult, other: PolicyResult) -> Iterator[str]:
    """The kinds by which two replays differ."""
    for name in COUNTERS:
        if one.total.get(name, 0) != other.total.get(name, 0):
            yield name
    kinds = [[violation.kind for violation in result.violations] for result in (one, other)]
    yield from (kind for kind in KINDS if kinds[0].count(kind) != kinds[1].count(kind))
    maps = [result.pages["main"]["page"] for result in (one, other) if result.pages]
    yield from (f"page_map {flag}" for flag in "PSDXU" if (flag in maps[0]) != (flag in maps[1]))


@pytest.mark.parametrize(
    ("first", "second", "length"),
    some(
        [
            ("rfc", "final", 4 if ALL else 3),
            ("suggested", "final", 3),
            ("simple", "prepatch", 3),
        ],
        1,
    ),
)
def test_no_shorter_sequence_shows_a_difference(first: str, second: str, length: int) -> None:
    """Does brute force over all sequences, replayed by the engine, find the same lengths?"""
    few = "read,write,pageout,clear_refs,uffd_wp"
    ops = few if first == "rfc" else f"{few},willneed,free,mprotect_r,mlock"
    found = explored(first, second, ops=ops)
    one, two = policies.find(first), policies.find(second)
    lengths: dict[str, int] = {}
    for taken in every(graph(one, ops=operations(ops)), length):
        scenario = scenario_of(taken, ZRAM)
        results = [replay(scenario, policy, pages=True) for policy in (one, two)]
        for kind in shows(*results):
            lengths.setdefault(kind, len(taken))
    expected = {
        f"{each.kind} {each.flag}".strip(): len(each.steps)
        for each in found.differences
        if len(each.steps) <= length
    }
    assert lengths == expected


@pytest.mark.parametrize("pair", part(pairwise(SERIES), 3, first=1), ids="-".join)
def test_every_sequence_shows_its_difference_when_it_is_replayed(pair: tuple[str, str]) -> None:
    """For each step of the series: by runs and page by page, with what the file expects?"""
    for witness in witnesses(explored(*pair, ops=UNLOCKED)):
        assert len(set(witness.values.values())) == 2
        scenario = load_text(witness.text.encode(), "found.yaml")
        for name in pair:
            policy = policies.find(name)
            result = replay(scenario, policy, steps=True, pages=True)
            assert naive_replay(scenario, policy) == result
            held = list(expectations(scenario, {name: result}))
            assert len(held) >= 2
            assert all(each.ok for each in held)


@exhaustive
def test_two_processes_find_what_one_finds() -> None:
    """Is nothing lost where the page is shared, and is what sharing adds longer?"""
    ops = "read,write,pageout,willneed,fork,exit,clear_refs"
    alone, shared = (explored("rfc", "final", processes=count, ops=ops) for count in (1, 2))
    assert shared.complete
    lengths = {each.kind: len(each.steps) for each in shared.differences}
    for each in alone.differences:
        assert lengths[each.kind] == len(each.steps)


@exhaustive
def test_who_is_who_does_not_matter() -> None:
    """Do three processes have far fewer states than without the symmetry: a page never written
    and then shared by three is one state, not six?"""
    found = explored("final", processes=3, ops="read,fork,exit")
    assert found.complete
    assert found.found.states == 9


# Policies of one's own.


def test_a_policy_may_refuse_what_cannot_be() -> None:
    """Is it explored all the same, by enumeration, and found to be the same?"""
    limits = Limits(operations("read,write,pageout,clear_refs,fork"), 2)
    request = Request((policies.find("final"), Picky()), ZRAM, limits, FREE)
    exploration = explore(request)
    assert (exploration.questions, exploration.differences) == (0, ())
    assert "proof by enumeration" in exploration.proof


@pytest.mark.parametrize("processes", [1, 2])
def test_a_policy_that_fails_is_an_error(processes: int) -> None:
    """Is it that of the policy, from another process as well, and is none left over?"""
    limits = Limits(operations("read,write,pageout,fork"), processes)
    with pytest.raises(PolicyError, match="policy 'wrong': swapin_pte\\(\\) raised"):
        explore(Request((policies.find("final"), Wrong()), ZRAM, limits, FREE))
    assert multiprocessing.active_children() == []


@exhaustive
def test_every_question_of_a_search_is_among_those_of_the_proof() -> None:
    """Do the questions that are counted out contain all that many states lead to? (By default
    `test_decisions.py` asks that of fewer, on several machines.)"""
    asked: set[tuple[object, ...]] = set()

    class Curious(Final):
        """Notes what it is asked."""

        name = "curious"

        def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
            asked.add(("swapin_pte", fault))
            return super().swapin_pte(fault)

        def should_free_swap(self, *question: Any) -> bool:
            asked.add(("should_free_swap", *question))
            return super().should_free_swap(*question)

        def can_reuse_anon(self, folio: FolioRefs) -> bool:
            asked.add(("can_reuse_anon", folio))
            return super().can_reuse_anon(folio)

    found = graph(Curious(), processes=2)
    states_of(found, 1000)
    known = {(each.method, *each.arguments) for each in questions(2, Facts())}
    assert len(asked) > 100
    assert asked <= known


# Bounds.


def test_a_search_that_is_cut_off_is_no_proof() -> None:
    """Does each bound say so, and does it keep to it?"""
    for bounds in (SearchBounds(steps=2), SearchBounds(states=20)):
        exploration = explored("rfc", "final", bounds=bounds)
        assert not exploration.complete
        assert "not a proof" in exploration.proof
        assert exploration.found.states <= 60
    short_ones = explored("rfc", "final", bounds=SearchBounds(steps=3))
    assert [len(each.steps) for each in short_ones.differences] == [3]


def test_a_bound_that_is_not_reached_changes_nothing() -> None:
    """Is the search complete if it ends by itself?"""
    free = explored("final", ops=UNLOCKED)
    bounded = explored("final", ops=UNLOCKED, bounds=SearchBounds(100, 10_000))
    assert free.found == bounded.found
