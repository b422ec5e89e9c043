"""Is what is compared at the end of a search compared in full?"""

from __future__ import annotations

import numpy as np

from swaptrace.counters import COUNTERS
from swaptrace.exploration.graph import ShownEffect
from swaptrace.exploration.refinement import AutomatonPart
from swaptrace.exploration.search import differences


def test_automata_that_show_something_else_are_not_the_same() -> None:
    """Where one class leads to another alike, if hashes should not have told them apart?"""
    part = AutomatonPart(np.array([0, 1]), ("{}", "{'minflt': 1}"))
    assert part.same(AutomatonPart(np.array([0, 1]), ("{}", "{'minflt': 1}")))
    assert not part.same(AutomatonPart(np.array([0, 1]), ("{}", "{'minflt': 2}")))
    assert not part.same(AutomatonPart(np.array([1, 0]), part.values))


def test_how_many_processes_see_a_violation_is_a_difference() -> None:
    """Also where both policies show it?"""
    counts = (0,) * len(COUNTERS)
    twice, once = (ShownEffect(counts, ("cow_leak",) * times) for times in (2, 1))
    assert list(differences([twice, once])) == [("cow_leak", (2, 1))]
    assert list(differences([once, once])) == []
