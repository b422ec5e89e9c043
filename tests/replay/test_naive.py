"""Does replaying by runs, blocks and jumps give what replaying page by page gives?"""

from __future__ import annotations

import re
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.replay.engine import Replay, replay
from swaptrace.result.result import StepResult
from swaptrace.scenario.schema import Scenario
from tests.effort import examples, exhaustive
from tests.replay.naive import naive_replay
from tests.replay.strategies import scenarios


def expand(steps: tuple[StepResult, ...] | None) -> dict[str, dict[str, int]]:
    """The counters of all iterations of a step together, by the step's place in the file."""
    total: dict[str, dict[str, int]] = {}
    for step in steps or ():
        place = total.setdefault(re.sub(r"\[[^]]*\]", "[]", step.step), {})
        for name, count in step.counters.items():
            place[name] = place.get(name, 0) + count * step.times
    return total


def agree(scenario: Scenario, policy: str) -> None:
    """Both replays give the same; which errno a random call gives is not the question here."""
    with mock.patch.object(Replay, "check_errno"):
        fast = replay(scenario, policies.find(policy), steps=True, pages=True)
        slow = naive_replay(scenario, policies.find(policy))
    assert fast.total == slow.total
    assert fast.pages == slow.pages
    assert fast.violations == slow.violations
    assert fast.checks == slow.checks
    assert expand(fast.steps) == expand(slow.steps)


@settings(max_examples=examples(200))
@given(st.booleans().flatmap(lambda on: scenarios(registers=on)), st.sampled_from(policies.SERIES))
def test_replay_by_runs_equals_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, violations and page maps?"""
    agree(scenario, policy)


@exhaustive
@settings(max_examples=examples(40))
@given(
    scenarios(max_pages=2600, max_steps=6, registers=True), st.sampled_from(["prepatch", "final"])
)
def test_replay_over_several_page_tables_equals_page_by_page(
    scenario: Scenario, policy: str
) -> None:
    """The same for regions of several 2 MiB blocks, where read-ahead jumps over equal ones."""
    agree(scenario, policy)
