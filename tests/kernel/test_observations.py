"""Does the model count what real kernels counted?"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.effort import exhaustive, part
from tests.kernel.fidelity import outside_tables, report, words
from tests.kernel.known import KNOWN_DIFFERENCES
from tests.kernel.observed import FOLIOS, Observation, first_difference, observations, paths


@cache
def by_scenario() -> dict[str, list[Observation]]:
    """The observations of each scenario, over all kernels, back ends and policies."""
    grouped: dict[str, list[Observation]] = defaultdict(list)
    for observation in observations():
        grouped[observation.scenario].append(observation)
    return grouped


SHARES = 16


@pytest.mark.parametrize("share", range(SHARES))
def test_agrees_with_every_kernel_that_was_observed(share: int) -> None:
    """Are counters and page maps the kernel's, after each step, under each policy, of a share of
    the scenarios?"""
    numbered = list(enumerate(sorted(by_scenario().items())))[share::SHARES]
    for number, (scenario, those) in part(numbered, 3, first=share):
        observed = [(each, policy) for each in those for policy in each.policies]
        for observation, policy in part(observed, 60, first=number):
            difference = first_difference(observation, policy)
            assert difference is None or scenario in KNOWN_DIFFERENCES, str(difference)


@pytest.mark.parametrize("file", paths(FOLIOS))
def test_agrees_with_kernels_that_had_large_folios(file: str) -> None:
    """Are they also where memory came in folios of 16 or 64 KiB, whole or split?"""
    those = [o for o in observations(FOLIOS) if o.file == file]
    observed = [(o, policy) for o in those for policy in o.policies]
    for observation, policy in part(observed, 90):
        difference = first_difference(observation, policy)
        assert difference is None, str(difference)


def test_a_difference_names_the_step_and_shows_both_sides() -> None:
    """Would a disagreement be found, at its step, with the scenario to replay it?"""
    observation = next(o for o in observations() if o.scenario == "a-micro")
    assert "prepatch" in observation.policies or "merged" in observation.policies
    other = "prepatch" if "prepatch" not in observation.policies else "merged"
    difference = first_difference(observation, other)
    assert difference is not None
    assert difference.step == 3
    text = str(difference)
    assert "read_write" in text
    assert "512PDX" in text


@exhaustive
def test_hardly_any_difference_is_known() -> None:
    """Are known differences at most 0.2 % of what was observed, and still there?"""
    differing = [
        o.scenario for o in observations() for p in o.policies if first_difference(o, p) is not None
    ]
    assert set(differing) == set(KNOWN_DIFFERENCES)
    assert len(differing) <= 0.002 * sum(len(o.policies) for o in observations())


PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


def test_the_words_on_fidelity_are_up_to_date() -> None:
    """Does docs/fidelity.md outside its tables say what the program that makes it says?"""
    assert outside_tables(PAGE.read_text()) == words()


@exhaustive
def test_the_report_on_fidelity_is_up_to_date() -> None:
    """Does docs/fidelity.md say what `python -m tests.kernel.fidelity` says?"""
    assert PAGE.read_text() == report()
