"""Is what is left out of a view indeed nothing to the operations of its first process?

On it rests that a state's edges may be put together from those of its views.
"""

from __future__ import annotations

import sys
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.exploration.graph import Edge, Graph, PageState
from swaptrace.exploration.views import View, own, projected, shared, with_own
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import (
    Column,
    Mapping,
    Pte,
    SwapPte,
    Vma,
)
from swaptrace.mm.policy import Policy
from swaptrace.policies import SERIES
from swaptrace.scenario.hardware import Swap
from tests.effort import examples, some
from tests.explore.capricious import Capricious
from tests.explore.naive import permuted
from tests.explore.sequences import ALL, Follower, graph, states_of

BACKENDS = ("zram", "zswap", "disk")


def named(name: str) -> Policy:
    return Capricious() if name == "capricious" else policies.find(name)


def on(backend: str, policy: Policy, processes: int = 2) -> Graph:
    swap = Swap(backend=backend, page_cluster=0)
    return graph(policy, processes, swap=swap)


def turned(state: PageState, process: int) -> PageState:
    """The state in which the process is the first, and the others are in order."""
    return permuted(state, order(process, len(state.anon_vmas)))


def order(process: int, count: int) -> list[int]:
    return [process, *(n for n in range(count) if n != process)]


def together(found: Graph, state: PageState) -> set[object]:
    """The edges of a state, put together from those of its views."""
    edges: set[object] = set()
    count = len(state.anon_vmas)
    for process in range(count):
        ahead = turned(state, process)
        owns = [own(ahead, number) for number in range(count)]
        view = View(shared(ahead.column), owns[0])
        for edge in found.edges_of(view.state, 0):
            after, left = shared(edge.state.column), len(edge.state.anon_vmas)
            gone = left < count
            kept = owns[1:] if gone else [own(edge.state, 0), *owns[1:]]
            kept += [own(edge.state, -1)] if left > count else []
            maps = [with_own(*pair) for pair in zip(after.maps, kept, strict=True)]
            whole = PageState(
                Column(tuple(maps), after.folios, after.slots), tuple(o.anon_vma for o in kept)
            )
            if not gone:
                children = range(count, left)
                back = [order(process, count).index(n) for n in range(count)]
                whole = permuted(whole, [*back, *children])
            edges.add((edge.operation, process, whole, edge.effect))
    return edges


def in_one_piece(found: Graph, state: PageState) -> set[object]:
    """The edges of a state, worked out for the whole of it."""
    processes = range(len(state.anon_vmas))
    return {tuple(edge) for process in processes for edge in found.edges_of(state, process)}


@settings(max_examples=examples(30))
@given(
    name=st.sampled_from([*SERIES, "capricious"]),
    backend=st.sampled_from(BACKENDS),
    processes=st.integers(2, 3),
    draws=st.lists(st.integers(0, 10_000), min_size=4, max_size=20),
)
def test_the_edges_of_views_are_those_of_the_state(
    name: str, backend: str, processes: int, draws: list[int]
) -> None:
    """Along any sequence, with all operations: same states, same counters, same violations?"""
    follower = Follower(on(backend, named(name), processes))
    for draw in draws:
        assert together(follower.graph, follower.state) == in_one_piece(
            follower.graph, follower.state
        )
        follower.take(draw % len(follower.edges()))


@pytest.mark.parametrize("name", [*SERIES, "capricious"])
def test_the_edges_of_views_are_those_of_all_states_near_the_start(name: str) -> None:
    """Is it so for each state that few operations lead to?"""
    found = on("zswap", named(name))
    for state in states_of(found, 50):
        assert together(found, state) == in_one_piece(found, state)


class Hidden:
    """Stands for what is another process's own, of which nothing may be read.

    Only the canonical form, which puts each mapping in order by itself, looks at all of them.
    """

    def __bool__(self) -> bool:
        assert sys._getframe(1).f_code.co_name == "observable", "looked at what is another's own"
        return False

    def __eq__(self, other: object) -> bool:
        if self is not other:
            assert sys._getframe(1).f_code.co_name == "freeze", "compared what is another's own"
        return self is other

    __hash__ = object.__hash__


HIDDEN = Hidden()


def hiding(mapping: Mapping) -> Mapping:
    """A projected mapping whose own parts cannot be read."""
    vma, pte = mapping.vma, mapping.pte
    assert vma is not None
    hidden: object = HIDDEN
    bits = [hidden] * (0 if pte is None else len(pte) - 1)
    if pte is not None:
        pte = type(pte)(pte[0], *bits)  # type: ignore[arg-type]
    locked = vma.locked if isinstance(pte, Pte) and not pte.is_zero_page else hidden
    kept = Vma(hidden, hidden, locked, hidden, hidden)  # type: ignore[arg-type]
    return Mapping(kept, pte, mapping.data, hidden, hidden, hidden)  # type: ignore[arg-type]


def concealed(view: View) -> PageState:
    """The state of a view, in which nothing that is the others' own can be read."""
    state = view.state
    first, *others = state.column.maps
    maps = (first, *map(hiding, others))
    return state._replace(column=state.column._replace(maps=maps))


@pytest.mark.parametrize("backend", some(BACKENDS, 1))
def test_no_operation_looks_at_what_is_another_process_s_own(backend: str) -> None:
    """Is an attempt to read any bit of it found out, and is there none?"""
    found = on(backend, Capricious())
    kinds = set()
    for state in islice(states_of(found, 260), 60, None):
        for process in range(len(state.anon_vmas)):
            view = View(shared(turned(state, process).column), own(state, process))
            kinds |= {type(mapping.pte) for mapping in view.column.maps[1:]}
            plain, hidden = (
                list(found.edges_of(each, 0)) for each in (view.state, concealed(view))
            )
            assert [seen(edge, state) for edge in plain] == [seen(edge, state) for edge in hidden]
    assert kinds == {Pte, SwapPte, type(None)}


def seen(edge: Edge, before: PageState) -> tuple[object, ...]:
    """What comes of an edge: the column, what is the first process's own and its child's."""
    after, count = edge.state, len(before.anon_vmas)
    kept = {"exit": [], "fork": [0, -1]}.get(ALL[edge.operation], [0])
    assert len(after.anon_vmas) == count - 1 + len(kept)
    owns = [own(after, number) for number in kept]
    return edge.operation, edge.effect, shared_but_hidden(after.column), owns


def shared_but_hidden(column: Column) -> Column:
    """`shared`, where what is hidden counts as not there."""
    maps = [projected(unhidden(mapping)) for mapping in column.maps]
    return Column(tuple(maps), column.folios, column.slots)


def unhidden(mapping: Mapping) -> Mapping:
    vma = mapping.vma
    assert vma is not None
    if vma.locked is HIDDEN:  # type: ignore[comparison-overlap]
        return mapping._replace(vma=vma._replace(locked=False))
    return mapping


def test_a_hidden_part_is_found_out() -> None:
    """Can the test above fail?"""
    mapping = hiding(Mapping(Vma(), Pte(0)))
    assert isinstance(mapping.pte, Pte)
    with pytest.raises(AssertionError, match="looked at"):
        mapping.pte.mkwrite()
    with pytest.raises(AssertionError, match="compared"):
        assert mapping != Mapping(Vma(), Pte(0))


def test_a_ahead_one_process_is_the_state() -> None:
    """Is nothing left out where there is nobody else?"""
    for state in states_of(on("zram", named("final"), 1), 300):
        view = View(shared(state.column), own(state, 0))
        assert view.state == state
        assert canonical(*state.column) == state.column
