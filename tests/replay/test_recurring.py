"""Does a `repeat` under a memory limit fold where its state recurs, and count as if it did not?"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import Replay, replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import MGLRU_KERNEL, Reclaim
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import MmapStep, RepeatStep, Scenario
from tests.effort import examples, part
from tests.replay.naive import repeat
from tests.replay.strategies import PAGE, leaf_steps, machines
from tests.replay.test_naive import expand

PASSES = """\
machine: {{memory: 128KiB, reclaim: {reclaim}{more}}}
steps:
- mmap: buf
  size: {size}KiB
- repeat: {times}
  steps:
  - write: buf
  - access: buf
    pattern: hot
    count: 32
    hot_pages: 9
    write_share: 0.5
"""


def replayed(scenario: Scenario, policy: str) -> PolicyResult | str:
    """The result; which errno a random call gives is not the question here."""
    with mock.patch.object(Replay, "check_errno"):
        try:
            return replay(scenario, policies.find(policy), steps=True, pages=True)
        except ScenarioError:
            return "out of memory"


def agree(scenario: Scenario, policy: str) -> PolicyResult | str:
    """Both ways give the same; that of the folded one."""
    folded = replayed(scenario, policy)
    with mock.patch.object(Replay, "repeat", repeat):
        each = replayed(scenario, policy)
    if isinstance(folded, PolicyResult) and isinstance(each, PolicyResult):
        assert folded.total == each.total
        assert folded.pages == each.pages
        assert folded.violations == each.violations
        assert expand(folded.steps) == expand(each.steps)
    else:
        assert folded == each
    return folded


SETTINGS = product([100, 192], ["classic", "mglru", "lru"], ["", ", stat_flush: 16"])


@pytest.mark.parametrize(("size", "reclaim", "more"), part(SETTINGS, 3))
def test_what_recurs_is_folded_and_counts_the_same(size: int, reclaim: str, more: str) -> None:
    """Do many iterations count as if each were replayed, and do a billion end?"""
    text = PASSES.format(reclaim=reclaim, size=size, more=more, times=150)
    result = agree(load_text(text, "passes.yaml"), "final")
    assert isinstance(result, PolicyResult)
    assert any(step.times > 1 for step in result.steps or ())
    many = load_text(text.replace("repeat: 150", "repeat: 1000000000"), "passes.yaml")
    assert replay(many, policies.find("final")).total["minflt"] > 0


@st.composite
def repeated(draw: st.DrawFn) -> Scenario:
    """A region that does not fit, and a few steps over and over."""
    pages = draw(st.integers(20, 90))
    machine = draw(machines(pages))
    reclaim = draw(st.sampled_from(get_args(Reclaim)))
    machine = replace(
        machine,
        kernel=MGLRU_KERNEL if reclaim == "mglru" else machine.kernel,
        memory=draw(st.integers(8, pages + 3)) * PAGE,
        reclaim=reclaim,
        stat_flush=draw(st.sampled_from([0, 1, 7, 64])),
        lru_drain=draw(st.sampled_from([0, 1, 5])),
    )
    steps = draw(st.lists(leaf_steps(pages, "main"), min_size=1, max_size=4))
    first = MmapStep(line=1, region="r", size=pages * PAGE, prot="rw")
    return Scenario("r", "", machine, (first, RepeatStep(line=1, count=30, steps=tuple(steps))))


@settings(max_examples=examples(25), deadline=None)
@given(repeated(), st.sampled_from(policies.SERIES))
def test_random_repetitions_under_a_limit_count_the_same(scenario: Scenario, policy: str) -> None:
    """Is no iteration taken for another that it is not like?"""
    agree(scenario, policy)
