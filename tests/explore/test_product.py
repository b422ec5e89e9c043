"""Does the search with keys and arrays find what a plain one finds, state by state?"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.exploration import product
from swaptrace.exploration.alphabet import OPERATIONS
from swaptrace.exploration.arrays import Distinguishable, Expander, orders
from swaptrace.exploration.explorer import Request, explore
from swaptrace.exploration.graph import Graph, Limits
from swaptrace.exploration.product import Numbering, back, numbers_of, to_front
from swaptrace.exploration.search import Found, SearchBounds, search
from swaptrace.exploration.workers import LocalWorker
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.policies import SERIES
from swaptrace.policies.final import Final
from swaptrace.scenario.hardware import Backend
from tests.effort import some
from tests.explore.capricious import Capricious
from tests.explore.naive import Naive
from tests.explore.sequences import ALL, MACHINES

ALONE = "read,write,pageout,free,clear_refs,uffd_wp,uffd_unwp"
LOCKS = "read,write,pageout,fork,exit,mlock,munlock"
TRACKED = "read,write,pageout,willneed,fork,clear_refs"
SHARED = "read,write,pageout,dontneed,free,fork,exit"

CASES: list[tuple[str, Backend, int, str, int | None]] = [
    ("final", "zram", 1, ",".join(ALL), None),
    ("capricious", "zswap", 1, f"{ALONE},mprotect_r,mprotect_rw", None),
    ("final", "disk", 2, LOCKS, None),
    ("capricious", "zswap", 2, LOCKS, None),
    ("rfc,final", "zswap", 2, SHARED, None),
    ("simple,prepatch", "zram", 2, TRACKED, 7),
    ("rfc,final", "zram", 2, ",".join(ALL), 3),
    ("capricious,suggested", "disk", 2, LOCKS, 6),
    ("final", "disk", 3, "read,write,pageout,fork,exit,dontneed", 6),
    ("rework,merged", "zswap", 3, "read,write,pageout,fork,clear_refs", 5),
]

WATCHED = "read,write,pageout,willneed,clear_refs,uffd_wp,uffd_unwp,fork,exit"

MERGED: list[tuple[str, Backend, int, str, int | None]] = [
    *((name, "zram", 1, ALONE, None) for name in SERIES),
    ("rfc,final", "zswap", 1, f"{ALONE},mlock,munlock", None),
    ("simple,suggested", "disk", 2, WATCHED, 5),
    ("final", "zswap", 2, "read,write,pageout,uffd_wp,uffd_unwp,fork,exit", None),
    ("prepatch", "disk", 3, WATCHED, 4),
]


def graphs(names: str, backend: Backend, limits: Limits) -> list[Graph]:
    found: list[Policy] = [
        Capricious() if name == "capricious" else policies.find(name) for name in names.split(",")
    ]
    return [Graph(policy, MACHINES[backend], limits) for policy in found]


def searched(
    names: str, backend: Backend, limits: Limits, steps: int | None, merging: bool = False
) -> Found:
    sides = [LocalWorker(Expander(graph, merging)) for graph in graphs(names, backend, limits)]
    return search(sides, limits, SearchBounds(steps))


@pytest.mark.parametrize(("names", "backend", "processes", "ops", "steps"), some(CASES, 1))
def test_the_search_finds_what_a_plain_one_finds(
    names: str, backend: Backend, processes: int, ops: str, steps: int | None
) -> None:
    """As many states and transitions, the same kinds and lengths?"""
    compare(names, backend, Limits(tuple(ops.split(",")), processes), steps, merging=False)


@pytest.mark.parametrize(("names", "backend", "processes", "ops", "steps"), some(MERGED, 3))
def test_states_that_nothing_tells_apart_are_one(
    names: str, backend: Backend, processes: int, ops: str, steps: int | None
) -> None:
    """Is the same found if states that differ in a registration alone are merged, and are there
    fewer?"""
    limits = Limits(tuple(ops.split(",")), processes)
    merged = compare(names, backend, limits, steps, merging=True)
    all_states = searched(names, backend, limits, steps)
    assert merged.states < all_states.states
    lengths = [
        [(each.kind, each.flag, len(each.steps)) for each in found.differences]
        for found in (merged, all_states)
    ]
    assert sorted(lengths[0]) == sorted(lengths[1])


@pytest.mark.parametrize("where", some(["swapin_pte", "should_free_swap"], 1))
def test_a_policy_that_looks_at_the_registration_is_asked(where: str) -> None:
    """Are states not merged where a policy tells them apart, in any of its answers?"""

    class Curious(Final):
        """Looks at the VMA where no PTE is protected."""

        name = "curious"

        def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
            answer = super().swapin_pte(fault)
            looks = where == "swapin_pte" and fault.vma.uffd_wp
            return answer._replace(pte=answer.pte.mkdirty()) if looks else answer

        def should_free_swap(
            self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool
        ) -> bool:
            looks = where == "should_free_swap" and vma.uffd_wp
            return (
                folio.swapcache if looks else super().should_free_swap(folio, vma, write, swap_full)
            )

    limits = Limits((*ALONE.split(","), "mlock"), 1)
    found = Graph(Curious(), MACHINES["disk"], limits)
    with pytest.raises(Distinguishable):
        search([LocalWorker(Expander(found, True))], limits, SearchBounds())
    request = Request((Curious(), Final()), MACHINES["disk"], limits, SearchBounds())
    states = explore(request).found.states
    graphs_of = [Graph(policy, MACHINES["disk"], limits) for policy in request.policies]
    assert states == Naive(graphs_of).states > Naive(graphs_of, merging=True).states


def compare(
    names: str, backend: Backend, limits: Limits, steps: int | None, merging: bool
) -> Found:
    """What the search finds, which has to be what the plain one does."""
    found = searched(names, backend, limits, steps, merging)
    naive = Naive(graphs(names, backend, limits), steps, merging)
    lengths = {(each.kind, each.flag): len(each.steps) for each in found.differences}
    assert lengths == naive.lengths
    assert (found.states, found.transitions) == (naive.states, naive.transitions)
    assert found.depth == naive.depth
    assert found.complete == (steps is None)
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_process_comes_to_the_front_and_goes_back(count: int) -> None:
    """Are the orders each other's inverse, are they all there, and is what is too much left?"""
    every = [orders(n, 3) for n in range(4)]
    front, behind = numbers_of(every, to_front), numbers_of(every, back)
    assert {order[:count] for order in every[count]} >= set(permutations(range(count)))
    for process in range(count):
        one, other = every[count][front[count, process]], every[count][behind[count, process]]
        assert one[0] == process
        assert [one[at] for at in other] == [0, 1, 2]
        assert other[count:] == tuple(range(count, 3))


def test_codes_keep_their_numbers() -> None:
    """Has each distinct code one number, from 0 on, also when others come?"""
    numbering = Numbering()
    first = numbering.of(np.array([[70, 5], [5, 9]]))
    again = numbering.of(np.array([1, 9, 5, 70]))
    assert sorted(set(first.ravel().tolist())) == [0, 1, 2]
    assert numbering.codes[first].tolist() == [[70, 5], [5, 9]]
    assert numbering.codes[again].tolist() == [1, 9, 5, 70]
    assert again[1:].tolist() == [first[1, 1], first[0, 1], first[0, 0]]


def test_too_many_states_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is it said if the keys do not suffice, before any is wrong?"""
    monkeypatch.setattr(product, "KEY_BITS", 2 * product.OWN_BITS + 3)
    with pytest.raises(SwaptraceError, match="more states than explore has numbers for"):
        searched("final", "zram", Limits(tuple(OPERATIONS), 2), None)


def test_nothing_is_tried_after_a_loss_where_reads_are_not() -> None:
    """Does an alphabet without reads come to its end where data are lost?"""
    limits = Limits(("write", "pageout", "free", "fork", "exit"), 2)
    found = searched("final", "zram", limits, None)
    naive = Naive(graphs("final", "zram", limits))
    assert found.complete
    assert (found.states, found.transitions) == (naive.states, naive.transitions)
