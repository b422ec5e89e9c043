"""Do all shortcuts find what a plain enumeration finds, of policies made to mislead them?

The plain one goes state by state through `Graph.edges`: it takes no two states for one, forgets
nothing, splits nothing up into views and compares nothing by hashes.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from swaptrace.explore.explorer import Exploration, Request, explore
from swaptrace.explore.graph import Graph, Limits
from swaptrace.explore.remaining import KINDS, settle
from swaptrace.explore.search import Bounds, Difference
from swaptrace.mm.policy import Policy
from swaptrace.policies.final import Final
from swaptrace.scenario.schema import Machine, Swap
from tests.explore.adversaries import SOUND
from tests.explore.naive import Naive

Kind = tuple[str, str]

MACHINES = {
    "zram": Machine(swap=Swap(page_cluster=0)),
    "arm64": Machine(swap=Swap(page_cluster=0), mkwrite_dirties=True, hw_dirty=False),
    "disk": Machine(swap=Swap(backend="disk", page_cluster=0), soft_dirty=False),
    "zswap": Machine(swap=Swap(backend="zswap", page_cluster=0), zeromap=False, hw_dirty=False),
    "6.1": Machine(swap=Swap(backend="zswap", page_cluster=0), kernel="6.1", mkwrite_dirties=True),
}

ALPHABETS = {
    "tracked": ("read,write,pageout,clear_refs,mprotect_r,mprotect_rw", 1),
    "watched": ("read,write,pageout,willneed,uffd_wp,uffd_unwp", 1),
    "advised": ("read,write,pageout,dontneed,free,mlock,munlock", 1),
    "shared": ("read,write,pageout,fork,exit", 2),
    "locked": ("write,read,pageout,fork,mlock", 2),
}

PLACES = [
    (machine, alphabet)
    for number, machine in enumerate(MACHINES)
    for place, alphabet in enumerate(ALPHABETS)
    if (number + place) % 5 in (0, 2)
]
"""Each alphabet on two machines, each machine with two alphabets."""


def limits_of(alphabet: str) -> Limits:
    names, processes = ALPHABETS[alphabet]
    return Limits(tuple(names.split(",")), processes)


def plain(policies: tuple[Policy, ...], machine: str, limits: Limits) -> dict[Kind, int]:
    """The lengths by kind."""
    graphs = [Graph(policy, MACHINES[machine], limits) for policy in policies]
    return Naive(graphs, symmetric=False).lengths


def lengths(differences: tuple[Difference, ...]) -> dict[Kind, int]:
    return {(each.kind, each.flag): len(each.steps) for each in differences}


def explored(policies: tuple[Policy, ...], machine: str, limits: Limits) -> Exploration:
    return explore(Request(policies, MACHINES[machine], limits, Bounds()))


@pytest.mark.parametrize(("machine", "alphabet"), PLACES)
@pytest.mark.parametrize("name", SOUND)
def test_a_search_finds_what_is_there(name: str, machine: str, alphabet: str) -> None:
    """Beside `final`, by whatever argument: the same kinds and lengths?"""
    policies, limits = (SOUND[name](), Final()), limits_of(alphabet)
    found = explored(policies, machine, limits)
    if not found.differences:
        limits = limits._replace(after_loss=True)
    assert lengths(found.differences) == plain(policies, machine, limits)


@pytest.mark.parametrize(("machine", "alphabet"), PLACES)
@pytest.mark.parametrize("name", SOUND)
def test_automata_find_what_is_there(name: str, machine: str, alphabet: str) -> None:
    """Beside `final`, kind by kind, with as much forgotten as can be: the same lengths?"""
    policies, limits = (SOUND[name](), Final()), limits_of(alphabet)
    found = settle(policies, MACHINES[machine], limits, KINDS)
    expected = plain(policies, machine, limits._replace(after_loss=True))
    assert lengths(found.differences) == expected


@pytest.mark.parametrize("pair", list(combinations(SOUND, 2)), ids="-".join)
def test_two_of_them_are_told_apart_as_they_are(pair: tuple[str, str]) -> None:
    """Also where both lose data?"""
    one, other = (SOUND[name]() for name in pair)
    limits = limits_of("shared")
    found = explored((one, other), "arm64", limits)
    if not found.differences:
        limits = limits._replace(after_loss=True)
    assert lengths(found.differences) == plain((one, other), "arm64", limits)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_policy_alone_breaks_what_it_breaks(name: str, machine: str) -> None:
    """Are its violations those of the plain enumeration?"""
    policies, limits = (SOUND[name](),), limits_of("shared")
    found = explored(policies, machine, limits)
    assert lengths(found.differences) == plain(policies, machine, limits)
