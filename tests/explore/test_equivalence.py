"""Are two policies told apart by their automata as they are by their states side by side?"""

from __future__ import annotations

import multiprocessing
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.counters import COUNTERS
from swaptrace.errors import PolicyError, SwaptraceError
from swaptrace.exploration import explorer, refinement
from swaptrace.exploration.abstraction import MISREAD, ON_DATA, forgotten, kept_for
from swaptrace.exploration.automaton import Enumeration, Permutations, States
from swaptrace.exploration.equivalence import KINDS, Machinery, Settled, settle, told_apart
from swaptrace.exploration.explorer import Request, explore, operations
from swaptrace.exploration.graph import START, Graph, Limits, PageState, ShownEffect
from swaptrace.exploration.refinement import Kind, Refinement, letters_of, shows
from swaptrace.exploration.search import PAGE_MAP, FoundDifference, SearchBounds
from swaptrace.exploration.witness import witnesses
from swaptrace.exploration.workers import LocalWorker
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy
from swaptrace.policies import SERIES
from swaptrace.policies.final import Final
from swaptrace.scenario.hardware import Backend
from tests.effort import examples, exhaustive, some
from tests.explore.capricious import Capricious
from tests.explore.naive import Naive, permuted
from tests.explore.sequences import ALL, MACHINES
from tests.explore.unable import Picky, Wrong

ALONE = "read,write,pageout,free,clear_refs,uffd_wp,uffd_unwp"
LOCKS = "read,write,pageout,fork,exit,mlock,munlock"
LOSING = "read,write,pageout,free,fork,exit"

CASES: list[tuple[str, Backend, int, str]] = [
    ("rfc,final", "zram", 1, f"{ALONE},mprotect_r,mprotect_rw"),
    ("simple,rework", "disk", 1, f"{ALONE},willneed"),
    ("capricious,suggested", "zswap", 1, f"{ALONE},mlock"),
    ("rfc,final", "zram", 2, LOSING),
    ("rfc,suggested", "zswap", 2, "read,write,pageout,clear_refs,fork,exit"),
    ("prepatch,rfc", "disk", 2, LOCKS),
    ("capricious,final", "zram", 2, "read,write,pageout,fork"),
    ("rfc,final", "zram", 3, "read,write,pageout,fork,exit"),
]


def named(names: str) -> tuple[Policy, ...]:
    return tuple(
        Capricious() if name == "capricious" else policies.find(name) for name in names.split(",")
    )


def lengths(differences: tuple[FoundDifference, ...]) -> dict[Kind, int]:
    return {(each.kind, each.flag): len(each.steps) for each in differences}


@pytest.mark.parametrize(("names", "backend", "processes", "ops"), some(CASES, 1))
def test_automata_find_what_pairs_of_states_find(
    names: str, backend: Backend, processes: int, ops: str
) -> None:
    """The same kinds and lengths as a plain search over all pairs that does not stop at a loss?"""
    limits = Limits(tuple(ops.split(",")), processes)
    settled = settle(named(names), (MACHINES[backend],) * 2, limits, KINDS)
    limits = limits._replace(after_loss=True)
    naive = Naive([Graph(policy, MACHINES[backend], limits) for policy in named(names)])
    assert lengths(settled.differences) == naive.lengths
    assert naive.lengths
    assert settled.states > 0


@exhaustive
def test_a_search_that_meets_too_many_pairs_ends_with_a_proof() -> None:
    """Is the same found as among all pairs, does each sequence show its difference, and is it said
    what the proof is?"""
    limits = Limits(operations("read,write,pageout,willneed,clear_refs,fork,exit"), 2)
    request = Request(named("rfc,final"), MACHINES["zram"], limits, SearchBounds())
    every, few = explore(request), explore(request, pairs=12)
    assert lengths(few.differences) == lengths(every.differences)
    assert few.settled is not None
    assert every.settled is None
    found = len(few.found.differences)
    assert 0 < found < len(few.differences)
    assert [each.steps for each in few.found.differences] == [
        each.steps for each in every.differences[:found]
    ]
    assert len(witnesses(few)) == len(few.differences)
    assert few.complete
    assert few.states == 12 + few.settled.states
    assert "proof by minimal automata: there is nothing else; 12 pairs" in few.proof


def test_a_bound_of_the_user_is_kept_to() -> None:
    """Is nothing settled by other means where the search was to be cut off?"""
    limits = Limits(operations("read,write,pageout,mlock"), 1)
    for bounds in (SearchBounds(steps=3), SearchBounds(states=5)):
        found = explore(Request(named("rfc,final"), MACHINES["zram"], limits, bounds), pairs=1)
        assert found.settled is None
        assert not found.complete


@exhaustive
def test_policies_that_are_alike_have_the_same_automaton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is it a proof that nothing tells them apart, with what both lose?"""
    monkeypatch.setattr(explorer, "decided_alike", lambda *_: ())
    limits = Limits(operations(LOSING), 2)
    found = explore(
        Request((policies.find("final"), Picky()), MACHINES["zram"], limits, SearchBounds()),
        pairs=9,
    )
    assert (found.differences, found.complete) == ((), True)
    assert found.settled is not None


def settled(*found: Policy, ops: str, processes: int = 1) -> Settled:
    return settle(
        found, (MACHINES["disk"],) * len(found), Limits(operations(ops), processes), KINDS
    )


def test_a_policy_that_looks_at_the_registration_is_told_apart() -> None:
    """Are states not merged where a policy tells them apart?"""

    class Curious(Final):
        """Looks at the VMA where no PTE is protected."""

        name = "curious"

        def should_free_swap(
            self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool
        ) -> bool:
            plain = super().should_free_swap(folio, vma, write, swap_full)
            return folio.swapcache if vma.uffd_wp else plain

    limits = Limits(operations(ALONE), 1)
    found = settled(Curious(), Final(), ops=ALONE)
    naive = Naive([Graph(policy, MACHINES["disk"], limits) for policy in (Curious(), Final())])
    assert lengths(found.differences) == naive.lengths != {}
    assert found.states == sum(
        Naive([Graph(policy, MACHINES["disk"], limits._replace(after_loss=True))]).states
        for policy in (Curious(), Final())
    ) + sum_without_data((Curious(), Final()), limits)


def sum_without_data(found: tuple[Policy, ...], limits: Limits) -> int:
    """How many states there are where nothing depends on what a process expects to read."""
    kept = kept_for({kind for kind, _ in KINDS if kind not in ON_DATA})
    limits = limits._replace(after_loss=True)
    return sum(Naive([Graph(each, MACHINES["disk"], limits, kept)]).states for each in found)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_policy_that_fails_is_an_error(processes: int) -> None:
    """Is it that of the policy, from another process as well, and is none left over?"""
    with pytest.raises(PolicyError, match="policy 'wrong': swapin_pte\\(\\) raised"):
        settled(Final(), Wrong(), ops="read,write,pageout,fork", processes=processes)
    assert multiprocessing.active_children() == []


# What it rests on.


def enumerated(graph: Graph) -> Enumeration:
    found = Enumeration(graph, merging=False)
    while found.step():
        pass
    return found


def after_loss(names: str, ops: str, processes: int) -> list[Graph]:
    limits = Limits(operations(ops), processes, after_loss=True)
    return [Graph(policy, MACHINES["zram"], limits) for policy in named(names)]


@pytest.mark.parametrize(
    ("name", "ops", "processes"),
    some(
        [("simple", ALONE, 1), ("capricious", "read,write,pageout,fork", 3), ("final", LOSING, 2)],
        1,
    ),
)
def test_classes_are_those_of_a_plain_refinement(name: str, ops: str, processes: int) -> None:
    """Round by round, are as many states told apart as if each was compared with each?"""
    graph = after_loss(name, ops, processes)[0]
    kinds = {("lost_write", ""), ("minflt", ""), (PAGE_MAP, "D"), (PAGE_MAP, "X")}
    found = Refinement(enumerated(graph).states(), graph.limits, kinds)
    states = every_state(graph)
    classes: dict[PageState, object] = {
        state: number_of[shown]
        for number_of in [numbers(letters(graph, state, kinds) for state in states)]
        for state in states
        for shown in [letters(graph, state, kinds)]
    }
    counts = [found.classes]
    while True:
        assert len(set(classes.values())) == counts[-1]
        rows = {state: row(graph, state, classes, kinds) for state in states}
        number_of = numbers(rows.values())
        classes = {state: number_of[rows[state]] for state in states}
        _, done = found.step()
        counts.append(found.classes)
        if done:
            break
    assert len(set(classes.values())) == counts[-1]
    assert len(counts) > 3


def numbers(values: object) -> dict[object, int]:
    distinct = dict.fromkeys(values)  # type: ignore[call-overload]
    return {value: number for number, value in enumerate(distinct)}


def every_state(graph: Graph) -> list[PageState]:
    """All states, in all orders of their processes."""
    found = {START: None}
    states = [START]
    for state in states:
        orders = permutations(range(len(state.anon_vmas)))
        near = [permuted(state, order) for order in orders]
        near += [edge.state for edge in graph.edges(state)]
        for each in near:
            if each not in found:
                found[each] = None
                states.append(each)
    return states


def letters(graph: Graph, state: PageState, kinds: set[Kind]) -> object:
    return tuple(letters_of(kinds, each) for each in graph.flags(state))


def row(
    graph: Graph, state: PageState, classes: dict[PageState, object], kinds: set[Kind]
) -> object:
    """Its class, and what each operation shows and leads to; to itself if it does nothing."""
    table = {
        (operation, process): (repr({}), classes[state])
        for operation in range(len(graph.limits.operations))
        for process in range(graph.limits.processes)
    }
    for edge in graph.edges(state):
        shown = repr(shows(kinds, edge.effect))
        table[edge.operation, edge.process] = shown, classes[edge.state]
    return classes[state], tuple(table.items())


@pytest.mark.parametrize("kind", ["lost_write", "rewrites", "lost_soft_dirty", "lost_uffd_wp"])
@settings(max_examples=examples(15))
@given(
    name=st.sampled_from([*SERIES, "capricious"]),
    draws=st.lists(st.integers(0, 10_000), min_size=4, max_size=16),
)
def test_what_is_forgotten_does_not_matter(kind: str, name: str, draws: list[int]) -> None:
    """Along any sequence: the same page maps, counters and watched violation, and does what an
    operation makes of what is kept hold no more than what is kept?"""
    kept = kept_for({kind, "minflt"})
    limits = Limits(ALL, 2, after_loss=True)
    policy = named(name)[0]
    whole = Graph(policy, MACHINES["zram"], limits)
    part = Graph(policy, MACHINES["zram"], limits, kept)
    watched = {(kind, ""), *(each for each in KINDS if each[0] not in ("rewrites", *MISREAD))}
    watched -= {each for each in watched if each[0].startswith(("lost", "spurious_soft"))}
    watched.add((kind, ""))
    state, known = START, START
    for draw in draws:
        edges = [list(graph.edges(each)) for graph, each in ((whole, state), (part, known))]
        one, other = (each[draw % len(each)] for each in edges)
        assert [each[:2] for each in edges[0]] == [each[:2] for each in edges[1]]
        assert shows(watched, one.effect) == shows(watched, other.effect)
        state, known = one.state, other.state
        assert known == state._replace(column=forgotten(state.column, kept))
        assert whole.flags(state) == part.flags(known)


def test_less_is_known_where_less_matters() -> None:
    """Does each kind keep what it depends on, and nothing else?"""
    assert kept_for(["minflt", PAGE_MAP]) == (False, False, False, False)
    assert kept_for(["rewrites"]) == (False, True, False, False)
    assert kept_for(["cow_leak"]) == (True, True, False, False)
    assert kept_for(["spurious_soft_dirty"]) == (True, True, True, False)
    assert kept_for(["lost_uffd_wp", "majflt"]) == (False, False, False, True)


def test_hashes_that_collide_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is it an error, and no proof, if unlike states get the same hash?"""
    monkeypatch.setattr(refinement, "mixed", lambda hashes: hashes & np.uint64(3))
    sides = []
    for graph in after_loss("suggested,final", "read,write,pageout,clear_refs", 1):
        side = Machinery(graph, merging=False)
        while side.find_more()[2]:
            pass
        sides.append(LocalWorker(side))
    with pytest.raises(SwaptraceError, match="unlike states are in one class"):
        told_apart(list(sides), [("minflt", "")])


@settings(max_examples=examples(20))
@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=20))
def test_a_row_leads_where_the_graph_does(enumerations: Enumerations, draws: list[int]) -> None:
    """Along any sequence of slots: does each process have the page map that it has in the graph,
    whichever order a state is kept in?"""
    for graph, rounds in enumerations:
        states, turns = rounds.states, rounds.turns
        place, state = 0, START
        for draw in draws:
            slot = draw % len(states.targets)
            operation, process = divmod(slot, graph.limits.processes)
            taken = [
                edge.state
                for edge in graph.edges(state)
                if (edge.operation, edge.process) == (operation, process)
            ]
            state = taken[0] if taken else state
            place = rounds.row(place, 0).places[slot]
            number, turn = divmod(place, len(turns.every))
            maps = [states.page_maps[states.flags[who][number]] for who in turns.every[turn]]
            assert maps[: len(state.anon_vmas)] == list(graph.flags(state))
            assert set(maps[len(state.anon_vmas) :]) <= {None}


Enumerations = list[tuple[Graph, Refinement]]


@pytest.fixture(scope="module")
def enumerations() -> Enumerations:
    """Two and three processes, refined for nothing in particular."""
    graphs = [
        *after_loss("final", "read,write,pageout,fork,exit,mprotect_r", 2),
        *after_loss("final", "read,write,pageout,fork,exit", 3),
    ]
    return [
        (graph, Refinement(enumerated(graph).states(), graph.limits, [(PAGE_MAP, "P")]))
        for graph in graphs
    ]


def ring(targets: list[int], shown: list[int], minflt: int = 1, page_map: str = "P") -> object:
    """What is left of an automaton with one operation of one process."""
    counts = tuple(minflt * (name == "minflt") for name in COUNTERS)
    states = States(
        (np.array(targets, np.int32),),
        (np.array(shown, np.uint8),),
        (np.ones(len(targets), np.int16),),
        np.ones(len(targets), int),
        (None, ShownEffect(counts, ())),
        (None, page_map),
    )
    found = Refinement(states, Limits(("read",), 1), [("minflt", ""), (PAGE_MAP, "P")])
    while not found.step()[1]:
        pass
    return tuple((tuple(part.numbers.tolist()), part.values) for part in found.least())


def test_of_automata_that_show_the_same_the_same_is_left() -> None:
    """However many states say the same, in whatever order?"""
    assert ring([1, 2, 0], [0, 0, 1]) == ring([3, 0, 5, 1, 2, 4], [0, 1, 0, 0, 0, 0])
    assert ring([0], [0]) == ring([1, 1], [0, 0])


def test_of_automata_that_differ_something_else_is_left() -> None:
    """Does it matter where an operation leads, when it shows something, what, and of what state?"""
    left = {
        ring([1, 2, 0], [0, 0, 1]),
        ring([1, 2, 1], [0, 0, 1]),
        ring([1, 2, 0], [0, 1, 0]),
        ring([1, 2, 0], [0, 0, 1], minflt=2),
        ring([1, 2, 0], [0, 0, 1], page_map="S"),
    }
    assert len(left) == 5


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_orders_of_processes_follow_each_other(processes: int) -> None:
    """Is one order after another, and one without a process, what it is for a list?"""
    turns = Permutations.of(processes)
    assert turns.every[0] == tuple(range(processes))
    names = "abc"[:processes]
    for number, order in enumerate(turns.every):
        turned = [names[who] for who in order]
        for other, second in enumerate(turns.every):
            twice = [turned[who] for who in second]
            both = turns.every[turns.together[number, other]]
            assert twice == [names[who] for who in both]
        for process in range(processes):
            left = [*names.replace(turned[process], ""), "-"]
            after = turns.every[turns.after_exit[number, process]]
            assert [left[who] for who in after] == [
                *(each for each in turned if each != turned[process]),
                "-",
            ]
