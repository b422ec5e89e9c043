"""Do all shortcuts find what a plain enumeration finds, of policies made to mislead them?

The plain one goes state by state through `Graph.edges`: it takes no two states for one, forgets
nothing, splits nothing up into views and compares nothing by hashes.
"""

from __future__ import annotations

from itertools import combinations, product

import pytest

from swaptrace.errors import PolicyError
from swaptrace.exploration.equivalence import KINDS, settle
from swaptrace.exploration.explorer import Exploration, Request, explore
from swaptrace.exploration.graph import Graph, Limits
from swaptrace.exploration.search import FoundDifference, SearchBounds
from swaptrace.exploration.witness import witnesses
from swaptrace.mm.policy import Policy
from swaptrace.policies.final import Final
from swaptrace.scenario.hardware import Machine, Swap
from tests.effort import ALL, exhaustive, part, some
from tests.explore.adversaries import SOUND, Afterwards, Taker
from tests.explore.naive import Naive
from tests.explore.unable import Unregistered

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
    "locked as read": ("write,read,pageout,fork,mprotect_r,mlock", 2),
}

USUAL = len(ALPHABETS) - 1
"""By default the last, which leads to the most states, is for what was made for it."""

AIMED = [("locksmith", "disk", "locked as read"), ("protector", "zram", "watched")]
"""What a policy was made for."""


def cases(shift: int) -> list[tuple[str, str, str]]:
    """Each policy with each alphabet on each machine; by default on one, with an alphabet that the
    shift says, so that two tests have different ones."""
    found = [
        (name, machine, alphabet)
        for (at, name), (number, machine), (place, alphabet) in product(
            enumerate(SOUND), enumerate(MACHINES), enumerate(ALPHABETS)
        )
        if ALL or (number == (at + place) % len(MACHINES) and place == (at + shift) % USUAL)
    ]
    return found + [case for case in AIMED if case not in found]


SEARCHED = list(dict.fromkeys([*part(cases(0), 2), *AIMED]))
SETTLED = [case for case in part(cases(2), 2, first=1) if ALL or case not in AIMED]
"""By default each policy is in one of the two; what it was made for is searched."""

PAIRS = part(combinations(SOUND, 2), 20)


def limits_of(alphabet: str) -> Limits:
    names, processes = ALPHABETS[alphabet]
    return Limits(tuple(names.split(",")), processes)


def plain(policies: tuple[Policy, ...], machine: str, limits: Limits) -> dict[Kind, int]:
    """The lengths by kind."""
    graphs = [Graph(policy, MACHINES[machine], limits) for policy in policies]
    return Naive(graphs, symmetric=False).lengths


def until_loss_or_after(
    policies: tuple[Policy, ...], machine: str, limits: Limits
) -> dict[Kind, int]:
    """What there is until data are lost; if there is nothing, what there is after it as well."""
    after = limits._replace(after_loss=True)
    return plain(policies, machine, limits) or plain(policies, machine, after)


def lengths(differences: tuple[FoundDifference, ...]) -> dict[Kind, int]:
    return {(each.kind, each.flag): len(each.steps) for each in differences}


def explored(policies: tuple[Policy, ...], machine: str, limits: Limits) -> Exploration:
    return explore(Request(policies, MACHINES[machine], limits, SearchBounds()))


@pytest.mark.parametrize(("name", "machine", "alphabet"), some(SEARCHED, 1))
def test_a_search_finds_what_is_there(name: str, machine: str, alphabet: str) -> None:
    """Beside `final`, by whatever argument: the same kinds and lengths?"""
    policies, limits = (SOUND[name](), Final()), limits_of(alphabet)
    found = explored(policies, machine, limits)
    assert lengths(found.differences) == until_loss_or_after(policies, machine, limits)


@pytest.mark.parametrize(("name", "machine", "alphabet"), some(SETTLED[::-1], 1))
def test_automata_find_what_is_there(name: str, machine: str, alphabet: str) -> None:
    """Beside `final`, kind by kind, with as much forgotten as can be: the same lengths?"""
    policies, limits = (SOUND[name](), Final()), limits_of(alphabet)
    found = settle(policies, (MACHINES[machine],) * len(policies), limits, KINDS)
    expected = plain(policies, machine, limits._replace(after_loss=True))
    assert lengths(found.differences) == expected


@pytest.mark.parametrize(
    ("name", "machine", "alphabet", "kind"),
    [
        ("protector", "zram", "watched", "lost_uffd_wp"),
        ("protector", "zram", "watched", "rewrites"),
        ("protector", "zram", "tracked", "spurious_soft_dirty"),
        ("washer", "zram", "tracked", "lost_soft_dirty"),
        ("protector", "disk", "advised", "swpout_zero"),
        *part([("taker", "zram", "shared", each) for each in ("cow_leak", "lost_write")], 2),
    ],
)
def test_what_a_kind_depends_on_is_not_forgotten_for_it(
    name: str, machine: str, alphabet: str, kind: str
) -> None:
    """Is each violation found that a policy was made for, or a counter of pages of zeroes, also
    where nothing else is looked for, which could show it by the way?"""
    policies, limits = (SOUND[name](), Final()), limits_of(alphabet)
    expected = plain(policies, machine, limits._replace(after_loss=True))
    found = settle(policies, (MACHINES[machine],) * 2, limits, [(kind, "")])
    assert lengths(found.differences) == {(kind, ""): expected[kind, ""]}


def test_what_fails_where_a_vma_is_registered_is_refused() -> None:
    """Although such states are one with those where it is not, as long as nothing tells them
    apart?"""
    with pytest.raises(PolicyError, match="who registered this"):
        explored((Unregistered(), Final()), "zram", limits_of("watched"))


@exhaustive
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_of_them_are_told_apart_as_they_are(pair: tuple[str, str]) -> None:
    """Also where both lose data?"""
    one, other = (SOUND[name]() for name in pair)
    limits = limits_of("shared")
    found = explored((one, other), "arm64", limits)
    assert lengths(found.differences) == until_loss_or_after((one, other), "arm64", limits)


@exhaustive
def test_what_follows_the_same_loss_is_not_left_out() -> None:
    """Are two policies told apart that lose the same data, and only then part?"""
    limits = Limits(("read", "write", "pageout", "willneed", "fork", "exit"), 2)
    policies = Taker(), Afterwards()
    found = explored(policies, "disk", limits)
    assert plain(policies, "disk", limits) == {}
    expected = plain(policies, "disk", limits._replace(after_loss=True))
    assert lengths(found.differences) == expected != {}
    assert witnesses(found)


@exhaustive
@pytest.mark.parametrize(("name", "machine"), part(dict.fromkeys(case[:2] for case in SEARCHED), 3))
def test_a_policy_alone_breaks_what_it_breaks(name: str, machine: str) -> None:
    """Are its violations those of the plain enumeration?"""
    policies, limits = (SOUND[name](),), limits_of("shared")
    found = explored(policies, machine, limits)
    assert lengths(found.differences) == plain(policies, machine, limits)
