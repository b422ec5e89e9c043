"""Sequences of operations, as the explorer and as the engine take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from swaptrace.counters import COUNTERS
from swaptrace.exploration.alphabet import OPERATIONS, REGION
from swaptrace.exploration.graph import START, Edge, Graph, Limits, PageState
from swaptrace.exploration.search import TakenOperation
from swaptrace.exploration.witness import steps_of
from swaptrace.mm.policy import Policy
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario

MACHINES = {
    backend: Machine(swap=Swap(backend=backend, page_cluster=0))
    for backend in ("zram", "zswap", "disk")
}

ALL = tuple(OPERATIONS)


def graph(policy: Policy, processes: int = 1, ops: tuple[str, ...] = ALL, **machine: Any) -> Graph:
    """A graph on zram, or on another machine."""
    made = Machine(swap=machine.pop("swap", Swap(page_cluster=0)), **machine)
    return Graph(policy, made, Limits(ops, processes))


class Follower:
    """One sequence followed through a graph, with names for the processes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.state = START
        self.names = ["main"]
        self.born = 0

    def choices(self) -> list[tuple[str, str]]:
        """The operations that do something now, and who can execute each."""
        operations = self.graph.limits.operations
        return [(operations[e.operation], self.names[e.process]) for e in self.edges()]

    def edges(self) -> list[Edge]:
        return list(self.graph.edges(self.state))

    def take(self, index: int) -> tuple[TakenOperation, dict[str, int], list[str]]:
        """Follow an edge: what was done, its counters and the violations."""
        edge = self.edges()[index]
        name = self.graph.limits.operations[edge.operation]
        process, child = self.names[edge.process], ""
        if name == "fork":
            self.born += 1
            child = f"c{self.born}"
            self.names.append(child)
        elif name == "exit":
            self.names.pop(edge.process)
        self.state = edge.state
        pairs = zip(COUNTERS, edge.effect.counts, strict=True)
        counters = {name: count for name, count in pairs if count}
        return TakenOperation(name, process, child), counters, list(edge.effect.violations)

    def page_maps(self) -> dict[str, dict[str, str]]:
        """As the engine's."""
        flags = self.graph.flags(self.state)
        return {
            name: {REGION: f"1{letters}"} for name, letters in zip(self.names, flags, strict=True)
        }


def scenario_of(taken: tuple[TakenOperation, ...], machine: Machine) -> Scenario:
    """The scenario of a sequence."""
    document = {"steps": steps_of(taken, machine.page_size)}
    overrides = {
        "machine.swap.backend": machine.swap.backend,
        "machine.swap.page_cluster": str(machine.swap.page_cluster),
        "machine.kernel": machine.kernel,
    }
    for key in ("soft_dirty", "hw_dirty", "mkwrite_dirties"):
        overrides[f"machine.{key}"] = str(getattr(machine, key)).lower()
    return load_text(yaml.safe_dump(document, sort_keys=False).encode(), "sequence", overrides)


def every(graph: Graph, length: int) -> Iterator[tuple[TakenOperation, ...]]:
    """Every sequence of up to so many operations, the shorter ones first."""
    paths: list[tuple[int, ...]] = [()]
    for _ in range(length):
        longer = []
        for path in paths:
            follower, taken = followed(graph, path)
            longer += [(*path, index) for index in range(len(follower.edges()))]
            if taken:
                yield taken
        paths = longer
    for path in paths:
        yield followed(graph, path)[1]


def followed(graph: Graph, path: tuple[int, ...]) -> tuple[Follower, tuple[TakenOperation, ...]]:
    """A follower at the end of a path of edges, and the operations of it."""
    follower = Follower(graph)
    return follower, tuple(follower.take(index)[0] for index in path)


def states_of(graph: Graph, most: int) -> list[PageState]:
    """Up to so many states, those that shorter sequences lead to first."""
    found = {START: None}
    states = [START]
    for state in states:
        for edge in graph.edges(state):
            if len(states) < most and edge.state not in found:
                found[edge.state] = None
                states.append(edge.state)
    return states
