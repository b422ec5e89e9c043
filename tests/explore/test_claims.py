"""Does a proof say no more than was compared?"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from swaptrace.counters import COUNTERS
from swaptrace.exploration.equivalence import same_automaton
from swaptrace.exploration.explorer import Request, explore, operations
from swaptrace.exploration.graph import Limits, ShownEffect
from swaptrace.exploration.refinement import AutomatonPart, shows
from swaptrace.exploration.search import SearchBounds
from swaptrace.exploration.workers import LocalWorker, Worker
from swaptrace.policies import find
from swaptrace.scenario.hardware import Machine, Swap


def test_a_search_that_ends_where_data_are_lost_says_so() -> None:
    """Or that nothing is lost, by saying nothing?"""
    policies = find("rfc"), find("final")
    machine = Machine(swap=Swap(page_cluster=0))
    for ops, told in (("read,write,pageout,free,fork,exit", " until data are lost"), ("write", "")):
        limits = Limits(operations(ops), 2)
        proof = explore(Request(policies, machine, limits, SearchBounds())).proof
        assert proof.startswith(f"proof by enumeration: there is nothing else{told}; ")


class Parts:
    """A side that has so many parts of an automaton, all of them alike."""

    def __init__(self, number: int) -> None:
        self.left = number

    def next_part(self) -> AutomatonPart | None:
        self.left -= 1
        return AutomatonPart(np.zeros(3, np.int64), ("shown",)) if self.left >= 0 else None


def test_an_automaton_that_goes_on_is_another() -> None:
    """Are those told apart of which one is the beginning of the other?"""
    for numbers in permutations([2, 2, 3], 2):
        sides: list[Worker] = [LocalWorker(Parts(number)) for number in numbers]
        assert same_automaton(sides) == (numbers == (2, 2))


def test_how_often_a_violation_is_shown_counts() -> None:
    """Do two processes that see one show more than one does?"""
    none = (0,) * len(COUNTERS)
    kinds = {("lost_write", ""), ("majflt", "")}
    for times in (1, 2):
        effect = ShownEffect(none, ("lost_write",) * times + ("cow_leak",))
        assert shows(kinds, effect) == {"lost_write": times}
