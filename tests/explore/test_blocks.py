"""Does the search of a block of four pages find what replays of all sequences find, and is a proof
one?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import pytest

from swaptrace.counters import COUNTERS
from swaptrace.exploration import explorer
from swaptrace.exploration.alphabet import DEFAULT, REGION, on_targets, step_of
from swaptrace.exploration.blocksearch import BlockSearch
from swaptrace.exploration.blockside import BlockSide, BlockState, Key, scenario_of
from swaptrace.exploration.explorer import Exploration, explore, operations, request_of
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import PAGE_MAP, SearchBounds
from swaptrace.exploration.witness import witnesses
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import Policy
from swaptrace.policies import SERIES, find
from swaptrace.policies.final import Final
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.claims import each_page
from swaptrace.scenario.hardware import Backend, Machine, Swap
from swaptrace.scenario.thp import Thp
from tests.effort import ALL as everything
from tests.effort import part, some
from tests.replay.blocks import page_by_page

ALWAYS = Machine(swap=Swap(page_cluster=0), thp=(Thp("16KiB", "always"),))
LARGE = {"machine.thp": "16KiB"}
FREE = SearchBounds()
ALL = tuple(letter for name in DEFAULT for letter in on_targets(name))


def searched(names: str, ops: str, bounds: SearchBounds = FREE) -> Exploration:
    """An exploration of a block of one process."""
    policies = [find(name) for name in names.split(",")]
    return explore(request_of(policies, LARGE, Limits(operations(ops), 1), bounds))


class Smaller(Final):
    """Swaps in page by page."""

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:  # noqa: ARG002
        return 0


def shown(result: PolicyResult) -> dict[tuple[str, str, int], object]:
    """What a replay shows after all: totals, violations and the flags of each page."""
    found: dict[tuple[str, str, int], object] = {
        (name, "", 0): count for name, count in result.total.items() if count
    }
    for violation in result.violations:
        key = violation.kind, "", 0
        before = found.get(key, 0)
        assert isinstance(before, int)
        found[key] = before + violation.pages
    for p, regions in enumerate((result.pages or {}).values()):
        for page, flags in enumerate(each_page(regions[REGION])):
            found |= {(PAGE_MAP, flag, 10 * p + page): True for flag in flags if flag != "-"}
    return found


def lengths(
    policies: tuple[Policy, Policy], letters: tuple[str, ...], longest: int
) -> dict[tuple[str, str], int]:
    """The length of a shortest sequence for each kind, by replays of all from the start, of which
    the pages are looked at one by one."""
    tables = [Table(policy) for policy in policies]
    found: dict[tuple[str, str], int] = {}
    mapped = {"mmap": REGION, "size": "16KiB"}
    with page_by_page():
        for length in range(1, longest + 1):
            for taken in product(letters, repeat=length):
                scenario = scenario_of(mapped, *(step_of(each, "main", "") for each in taken))
                scenario = replace(scenario, machine=ALWAYS)
                one, other = (shown(replay(scenario, table, pages=True)) for table in tables)
                for key in one.keys() | other.keys():
                    if one.get(key) != other.get(key):
                        found.setdefault(key[:2], length)
    return found


@pytest.mark.parametrize(
    ("names", "letters"),
    some(
        [
            (("prepatch", "final"), "write@all,write@0,pageout@all,read@all"),
            (("rfc", "final"), "write@all,pageout@1,pageout@all,read@0,clear_refs"),
            (("prepatch", "rework"), "write@all,pageout@all,read@0,uffd_wp@1,write@0"),
            (("smaller", "final"), "write@all,pageout@all,pageout@0,read@1"),
        ],
        1,
    ),
)
def test_are_the_sequences_the_shortest_ones(names: tuple[str, str], letters: str) -> None:
    """Does a replay of every sequence, page by page, come to the same kinds and lengths?"""
    policies = tuple(Smaller() if name == "smaller" else find(name) for name in names)
    policies[0].name = names[0]
    limits = Limits(operations(letters), 1)
    request = request_of(policies, LARGE, limits, SearchBounds(steps=4))
    found = explore(request).differences
    expected = lengths((policies[0], policies[1]), limits.operations, 4)
    assert {(each.kind, each.flag): len(each.steps) for each in found} == expected
    assert expected


def walked(side: BlockSide, rng: random.Random, steps: int) -> Iterator[tuple[BlockState, Key]]:
    """The states of a random walk."""
    state = side.state()
    for _ in range(steps):
        number = rng.randrange(len(state.processes))
        move = side.move(state, rng.choice(side.limits.operations), number)
        if move is not None:
            state = move.state
            yield state, move.key


@pytest.mark.parametrize(
    ("kernel", "backend", "ops", "processes"),
    some(
        [
            ("6.12", "zram", "write,pageout,read,dontneed", 1),
            ("6.18", "zram", "write,pageout,read,dontneed", 1),
            ("6.18", "zswap", "write,pageout,read,dontneed,clear_refs", 1),
            ("6.18", "zram", "write,pageout@0,pageout@all,read@1,fork,exit", 2),
            ("7.2", "zram", "write,pageout,free@all,willneed", 1),
            ("7.3", "disk", "write,pageout,read,willneed,dontneed@1,fork,exit", 2),
            ("6.12", "zram", "write@all,pageout@all,pageout@1,mprotect_r@0,mprotect_rw@all", 1),
        ],
        2,
    ),
)
def test_does_the_same_follow_states_of_one_key(
    kernel: str, backend: Backend, ops: str, processes: int
) -> None:
    """Where two walks come to one key, with slots elsewhere, does every operation show the same and
    lead to one key again?"""
    limits = Limits(operations(ops), processes)
    letters = tuple(letter for name in limits.operations for letter in on_targets(name))
    limits = limits._replace(operations=letters)
    machine = replace(ALWAYS, kernel=kernel, swap=Swap(backend, page_cluster=0))
    side = BlockSide(find("final"), machine, limits)
    rng, known, compared = random.Random(kernel + ops), dict[Key, BlockState](), 0
    start = side.state()
    for _ in part(range(12), 3):
        side.put(start)
        for state, key in walked(side, rng, 90):
            other = known.setdefault(key, state)
            if (other.block, other.rows) == (state.block, state.rows):
                continue
            compared += 1
            for letter, number in product(letters, range(len(state.processes))):
                one, two = (side.move(each, letter, number) for each in (state, other))
                assert (one is None) == (two is None)
                if one is not None and two is not None:
                    assert (one.key, one.effect) == (two.key, two.effect)
            assert side.flags(state) == side.flags(other)
    assert compared


class Walk(NamedTuple):
    """Operations that come first, those that follow in every order, and how many of them; on a
    device whose first and last clusters, which are cut short, are full or not."""

    before: tuple[str, ...]
    letters: tuple[str, ...]
    steps: int
    used: bool


ROWS = Walk(
    # The header of the swap device has the first slot: then the next slot is the first of a row.
    ("write@all", *(("pageout@0", "read@all") * 3)),
    ("write@all", "pageout@0", "pageout@1", "pageout@all", "read@all", "dontneed@all"),
    4,
    used=False,
)
"""Pages are swapped out one by one, in order or not, or together."""
CLUSTERS = Walk(
    ("write@all",),
    ("write@0", "pageout@0", "pageout@all", "dontneed@0"),
    6,
    used=True,  # that of the header never becomes empty
)
"""A slot is the last of its cluster, or others keep it."""


@pytest.mark.parametrize(
    ("walk", "kernel"), [(CLUSTERS, "6.18"), *some([(ROWS, "7.3"), (ROWS, "6.18")], 1)]
)
def test_does_the_same_follow_all_states_of_a_few_steps(walk: Walk, kernel: str) -> None:
    """Of all sequences of so many operations, is a key that two come to one of which the same
    follows: where slots that lie in order are about to be a row, or a cluster is about to be
    empty?"""
    machine = replace(ALWAYS, kernel=kernel, swap=Swap("zram", page_cluster=0))
    side = BlockSide(find("final"), machine, Limits(walk.letters, 1))
    follows: dict[Key, Sequence[object]] = {}
    begun = side.state()
    while walk.used and begun.slots.partial:
        begun.slots.allocate(0)
    for letter in walk.before:
        move = side.move(begun, letter, 0)
        assert move is not None
        begun = move.state
    states, merged = [begun], 0
    for _ in range(walk.steps + 2 * everything):
        moved = dict[str, BlockState]()
        for state in states:
            moves = [side.move(state, letter, 0) for letter in walk.letters]
            shown = [None if move is None else (move.key, move.effect) for move in moves]
            key = side.key(state)
            merged += key in follows
            assert follows.setdefault(key, shown) == shown
            moved |= {repr(move.state): move.state for move in moves if move is not None}
        states = list(moved.values())
    assert merged


@pytest.mark.parametrize("policy", some(SERIES, 3))
def test_can_each_policy_be_explored(policy: str) -> None:
    """Is every state visited, and does a replay show each difference?"""
    ops = "read@all,write@all,write@0,pageout@all,clear_refs"
    exploration = searched(policy, ops)
    assert exploration.complete
    assert exploration.states > 50
    kinds = {each.difference.kind for each in witnesses(exploration)}
    assert ("lost_soft_dirty" in kinds) == (policy == "simple")


@pytest.fixture
def _enumerates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that decide alike are explored as others are."""
    monkeypatch.setattr(explorer, "decided_alike", lambda *_: ())


@pytest.mark.usefixtures("_enumerates")
def test_is_a_proof_of_all_states() -> None:
    """Do two policies that decide alike come to one state for each of one alone, in an order that
    does not matter?"""
    ops = "read@0,write@all,write@0,pageout@all,pageout@0"
    one, both = searched("final", ops), searched("merged,final", ops)
    assert both.complete
    assert not both.differences
    assert both.states == one.states
    assert both.proof.startswith("proof by enumeration: there is nothing else")
    assert (
        "for one block of four pages that 1 process maps, with the operations read@0, "
        "write@all/0, pageout@all/0, on a machine with machine.thp.16KiB=always without"
    ) in both.proof


@pytest.mark.usefixtures("_enumerates")
def test_is_a_search_that_ends_early_no_proof() -> None:
    """Of states, of steps, and where it is too long by itself?"""
    ops = "read@0,write,pageout@all"
    assert not searched("final,merged", ops, bounds=SearchBounds(steps=3)).complete
    bounded = searched("final,merged", ops, bounds=SearchBounds(states=5))
    assert (bounded.complete, bounded.states) == (False, 5)
    assert "not a proof: the search was cut off" in bounded.proof
    side = BlockSide(find("final"), ALWAYS, Limits(("write@all", "pageout@0"), 1))
    search = BlockSearch([side], side.limits, SearchBounds())
    search.steps = 2
    assert not search.run(lambda _states: None).complete


def test_are_pages_without_large_folios_single_pages() -> None:
    """Does a policy beside itself show what it does on a machine without large folios?"""
    letters = tuple(letter for letter in ALL if letter not in ("fork", "exit"))
    limits, rng, table = Limits(letters, 1), random.Random(4), Table(find("final"))
    request = request_of([find("final")], LARGE, limits, SearchBounds(), single_pages=True)
    assert [policy.name for policy in request.policies] == ["final", "final@4KiB"]
    side = BlockSide(request.policies[1], request.machines[1], limits)
    start = side.state()
    for _ in part(range(60), 12):
        state, steps, counts = start, [{"mmap": REGION, "size": "16KiB"}], [0] * len(COUNTERS)
        for letter in rng.choices(letters, k=12):
            move = side.move(state, letter, 0)
            if move is not None:
                steps.append(step_of(letter, "main", ""))
                counts = [a + b for a, b in zip(counts, move.effect.counts, strict=True)]
                state = move.state
        scenario = replace(scenario_of(*steps), machine=replace(ALWAYS, thp=()))
        result = replay(scenario, table, pages=True)
        expected = {name: count for name, count in result.total.items() if count}
        assert {n: c for n, c in zip(COUNTERS, counts, strict=True) if c} == expected
        assert result.pages is not None
        assert side.flags(state) == (result.pages["main"][REGION],)
