"""Does a walk through the states of a page count what its scenario does?"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
import yaml

from swaptrace.counters import COUNTERS
from swaptrace.exploration.alphabet import DEFAULT, OPERATIONS, REGION
from swaptrace.exploration.explorer import machine_of
from swaptrace.exploration.graph import START, Edge, Graph, Limits
from swaptrace.exploration.search import TakenOperation, named
from swaptrace.exploration.witness import steps_of
from swaptrace.mm.policy import Policy
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import examples, some
from tests.explore.adversaries import SOUND

MACHINES = {
    "zram": {},
    "disk": {"machine.swap.backend": "disk", "machine.kernel": "7.3"},
    "6.1": {"machine.kernel": "6.1", "machine.swap.backend": "zswap"},
    "arm64": {
        "machine.mkwrite_dirties": "true",
        "machine.hw_dirty": "false",
        "machine.kernel": "7.2",
    },
}
PROCESSES = 3


def walk(graph: Graph, random: Random, length: int) -> Iterator[Edge]:
    """Operations by chance, as long as nobody's data are lost."""
    state = START
    for _ in range(length):
        numbers = range(len(state.anon_vmas))
        each = [edge for edge in graph.edges(state) if edge.process in numbers]
        kinds = sorted({edge.operation for edge in each})
        kind = random.choice(kinds)
        edge = random.choice([edge for edge in each if edge.operation == kind])
        yield edge
        if edge.effect.misread:
            return
        state = edge.state


def replayed(taken: tuple[TakenOperation, ...], policy: Policy, machine: str) -> PolicyResult:
    settings = {"machine.swap.page_cluster": "0", **MACHINES[machine]}
    text = yaml.safe_dump({"steps": steps_of(taken, 4096)}, sort_keys=False)
    return replay(load_text(text.encode(), "walk", settings), policy, pages=True)


def check(graph: Graph, policy: Policy, machine: str, edges: list[Edge]) -> None:
    slots = [edge.operation * PROCESSES + edge.process for edge in edges]
    taken = tuple(named(graph.limits, slots))
    result = replayed(taken, policy, machine)
    counted = [sum(counts) for counts in zip(*(e.effect.counts for e in edges), strict=True)]
    found = dict(zip(COUNTERS, counted, strict=True))
    for violation in result.violations:
        seen = sum(edge.effect.violations.count(violation.kind) for edge in edges)
        assert seen or found.get(violation.kind, 0), violation
    assert {name: result.total.get(name, 0) for name in COUNTERS} == found, taken
    if not edges[-1].effect.misread:
        maps = [f"1{flags}" for flags in graph.flags(edges[-1].state)]
        assert [pages[REGION] for pages in (result.pages or {}).values()] == maps, taken


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", some(SOUND, 2))
def test_a_walk_counts_what_its_scenario_does(name: str, machine: str) -> None:
    """Of up to three processes, who fork and exit as it comes, are the counters and page maps those
    of a replay?"""
    policy = SOUND[name]()
    ops = tuple(OPERATIONS) if machine == "disk" else DEFAULT
    graph = Graph(policy, machine_of(MACHINES[machine]), Limits(ops, PROCESSES))
    for seed in range(examples(60)):
        check(graph, policy, machine, list(walk(graph, Random(seed), 40)))


SELDOM = [
    "write, fork, fork by 1, read by 2, write by 2",
    "read, fork, write by 1, exit, fork, read by 1",
    "mprotect_r, mlock, mprotect_rw, write",
    "read, mprotect_r, fork, mlock, mprotect_rw, write by 1",
    "write, mlock, fork, mlock, write by 1",
    "write, fork, mlock by 1, munlock by 1, write, pageout by 1, read by 1",
    "write, pageout, fork, mlock, fork, write by 1, munlock, write by 2, write",
    "write, pageout, willneed, fork, exit, mlock",
]
"""What chance seldom comes to: children of children, what mlock populates, and what a locked VMA is
the first to map."""


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", some(SOUND, 2))
def test_what_is_seldom_is_counted_as_well(name: str, machine: str) -> None:
    """As in a replay?"""
    policy = SOUND[name]()
    graph = Graph(policy, machine_of(MACHINES[machine]), Limits(DEFAULT, PROCESSES))
    for words in SELDOM:
        edges, state = list[Edge](), START
        for word in words.split(", "):
            letter, _, process = word.partition(" by ")
            number = DEFAULT.index(letter)
            every = graph.edges_of(state, int(process or 0))
            edges.append(next(edge for edge in every if edge.operation == number))
            state = edges[-1].state
            if edges[-1].effect.misread:
                break
        check(graph, policy, machine, edges)
