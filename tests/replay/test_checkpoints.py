"""Are checkpoints there for all that happens, and for nothing that does not?"""

from __future__ import annotations

import re
from collections import Counter
from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.replay import scenarios as commands
from swaptrace.replay.engine import Replay, replay
from swaptrace.result.result import Checkpoint, PolicyResult, Result, from_json, to_json
from swaptrace.scenario.loader import load_text
from tests.replay.naive import repeat

REPEATED = """\
steps:
- mmap: buf
  size: 64KiB
- write: buf
- repeat: 9
  steps:
  - access: buf
    pattern: sequential
    count: 32
  - repeat: 5
    steps:
    - madvise: buf
      advice: PAGEOUT
    - access: buf
      pattern: sequential
      count: 16
      write_share: 1
"""

ENDED = """\
steps:
- mmap: buf
  size: 64KiB
- munmap: buf
  offset: {offset}KiB
- access: buf
  pattern: sequential
  count: 16
- read: buf
  length: 4KiB
"""


def expanded(result: PolicyResult) -> Counter[object]:
    """How often each was there, wherever in a `repeat`."""
    found: Counter[object] = Counter()
    for point in result.checkpoints or ():
        place = re.sub(r"\[[^]]*\]", "[]", point.step), point.accesses
        found[(*place, *sorted(point.counters.items()))] += point.times
    return found


@pytest.mark.parametrize("policy", ["prepatch", "final"])
def test_iterations_that_are_not_replayed_have_checkpoints_too(policy: str) -> None:
    """Are there as many, with the same counts, as where each iteration is replayed?"""
    scenario = load_text(REPEATED, "repeated.yaml")
    folded = replay(scenario, policies.find(policy), checkpoints=4)
    with mock.patch.object(Replay, "repeat", repeat):
        each = replay(scenario, policies.find(policy), checkpoints=4)
    assert expanded(folded) == expanded(each)
    assert len(folded.checkpoints or ()) < len(each.checkpoints or ())


@pytest.mark.parametrize("memory", ["", "machine: {memory: 1MiB}\n"])
@pytest.mark.parametrize(
    ("offset", "accesses"), [(0, []), (20, [4]), (32, [4, 8]), (60, [4, 8, 12])]
)
def test_nothing_is_noted_after_the_access_that_ends_a_step(
    memory: str, offset: int, accesses: list[int]
) -> None:
    """Do they stop at the SIGSEGV?"""
    scenario = load_text(memory + ENDED.format(offset=offset), "ended.yaml")
    result = replay(scenario, policies.find("final"), checkpoints=4)
    assert result.total["sigsegv"] == 1 + (offset == 0)
    assert [point.accesses for point in result.checkpoints or ()] == accesses
    assert all("sigsegv" not in point.counters for point in result.checkpoints or ())


def test_how_often_a_checkpoint_counts_is_kept_with_a_result() -> None:
    """Does a saved result have it, and one saved without it mean once?"""
    scenario = load_text(REPEATED, "repeated.yaml")
    found = commands.replay_all(
        [scenario], [policies.find("final")], steps=False, pages=False, checkpoints=2, begin=ignore
    )
    assert {point.times for point in points(found)} > {1}
    assert points(from_json(to_json(found))) == points(found)


def points(result: Result) -> tuple[Checkpoint, ...]:
    (scenario,) = result.scenarios
    return scenario.policies["final"].checkpoints or ()


def ignore(scenario: str, policy: str) -> None:
    """The replay of a scenario under a policy begins."""
