"""Does a `check` say what is there, under both replays, and change nothing?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import Checked
from swaptrace.scenario.claims import Claims, Data
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import CheckStep, RepeatStep, Scenario, Step
from tests.effort import examples
from tests.replay.naive import naive_replay
from tests.replay.strategies import scenarios
from tests.replay.test_naive import agree


def checked(text: str, policy: str = "final") -> list[Checked]:
    """The checks of a scenario with these steps, as both replays have them."""
    scenario = load_text(f"steps:\n- {{mmap: buf, size: 64KiB}}\n{text}")
    fast = replay(scenario, policies.find(policy))
    assert naive_replay(scenario, policies.find(policy)).checks == fast.checks
    return list(fast.checks)


def found(text: str, policy: str = "final") -> list[str]:
    """What there is in the place of each claim."""
    return [each.actual for each in checked(text, policy)]


def test_a_page_map_is_that_of_the_moment() -> None:
    """Are there different ones before and after a step, each with its place?"""
    first, second = checked(
        "- check: {pages: {buf: 16-}}\n- write: buf\n- check: {pages: {buf: 16P}}\n"
    )
    assert (first.ok, first.actual, first.step, first.line) == (True, "16-", "1", 3)
    assert (second.ok, second.actual, second.expected) == (False, "16PX", "16P")


def test_soft_dirty_is_looked_at_where_it_is_named() -> None:
    """Is it compared for all pages of a code in which one run has a D, and else for none?"""
    start = "- write: buf\n- clear_refs: soft_dirty\n- write: buf\n  length: 4KiB\n"
    maps = ["16PX", "1PDX,15PX", "1PX,15PDX", "16PXd", "1DXP,15PXd"]
    text = start + "".join(f"- check: {{pages: {{buf: '{code}'}}}}\n" for code in maps)
    assert [each.ok for each in checked(text)] == [True, True, False, False, True]
    assert found(text) == ["16PX", *["1PDX,15PX"] * 4]
    (none,) = checked("- clear_refs: soft_dirty\n- check: {pages: {buf: 16d}}\n")
    assert (none.ok, none.expected, none.actual) == (True, "16d", "16d")


def test_data_are_bytes() -> None:
    """Is each byte known that was written, wherever it is now, and what was written back?"""
    text = """\
- memset: buf
  value: 0x11
- write: buf
  value: 0x22
  length: 8KiB
- write: buf
  length: 4KiB
- madvise: buf
  advice: PAGEOUT
- read_write: buf
  offset: 4KiB
  length: 8KiB
- munmap: buf
  offset: 60KiB
- check: {data: {buf: 0x11}}
- check: {data: {buf: unchanged}}
- check: {data: {buf: '1:unchanged,1:0x22,13:0x11,1:-'}}
"""
    assert found(text) == [
        "1:other,1:0x22,13:0x11,1:-",
        "15:unchanged,1:-",
        "1:unchanged,1:0x22,13:0x11,1:-",
    ]
    assert [each.ok for each in checked(text)] == [False, False, True]


def test_each_process_has_data_of_its_own() -> None:
    """Does a child keep what it inherited, and is what was given up zero?"""
    text = """\
- memset: buf
  value: 0x11
- fork: child
- write: buf
  value: 0x22
- madvise: buf
  advice: DONTNEED
  length: 4KiB
- check: {data: {buf: '1:zero,15:0x22'}}
- check: {data: {buf: 0x11}}
  process: child
"""
    assert [each.ok for each in checked(text)] == [True, True]
    assert [each.process for each in checked(text)] == ["main", "child"]


def test_violations_are_those_so_far() -> None:
    """Are kinds compared as a set, with those that come later left out?"""
    text = """\
steps:
- {mmap: buf, size: 4KiB}
- {write: buf}
- {clear_refs: soft_dirty}
- {madvise: buf, advice: PAGEOUT}
- check: {violations: []}
- {read: buf}
- {write: buf}
- check: {violations: []}
- check: {violations: [lost_soft_dirty]}
"""
    results = {
        policy: [each.ok for each in replay(load_text(text), policies.find(policy)).checks]
        for policy in ("simple", "final")
    }
    assert results == {"simple": [True, False, True], "final": [True, True, False]}


@pytest.mark.parametrize(("policy", "count"), [("final", 2), ("rfc", 1), ("prepatch", 2)])
def test_a_check_is_made_of_the_policies_that_it_names(policy: str, count: int) -> None:
    """Also by an alias?"""
    text = "- check: {violations: []}\n- check: {violations: [], policies: [new, prepatch]}\n"
    assert len(checked(text, policy)) == count


def test_a_claim_in_a_repeat_is_one_and_fails_where_it_first_does() -> None:
    """Is of a million iterations the first kept that does not hold?"""
    text = """\
- repeat: 1000000
  steps:
  - check: {pages: {buf: 16-}, data: {buf: zero}}
  - write: buf
    value: 3
"""
    scenario = load_text(f"steps:\n- {{mmap: buf, size: 64KiB}}\n{text}")
    checks = replay(scenario, policies.find("final")).checks
    assert [(each.kind, each.step, each.actual) for each in checks] == [
        ("data", "1[1].0", "16:0x03"),
        ("pages", "1[1].0", "16PX"),
    ]


def test_a_violation_that_a_later_iteration_sees_is_not_jumped_over() -> None:
    """Does an iteration that finds pages as they were, and a promise broken, count as another?"""
    text = """\
steps:
- {mmap: buf, size: 4KiB}
- repeat: 5
  steps:
  - check: {violations: []}
  - {write: buf}
  - {clear_refs: soft_dirty}
  - {madvise: buf, advice: PAGEOUT}
  - {read_write: buf}
  - {madvise: buf, advice: DONTNEED}
"""
    checks = replay(load_text(text), policies.find("simple")).checks
    assert [(each.ok, each.step) for each in checks] == [(False, "1[1].0")]


def with_checks(step: Step, number: int) -> tuple[Step, ...]:
    """The step and, behind it, what its process's data are."""
    if isinstance(step, RepeatStep):
        inner = (more for inner in step.steps for more in with_checks(inner, number))
        return (replace(step, steps=tuple(inner)),)
    claims = Claims(data=(("r", Data(everywhere="unchanged")),), violations=())
    return step, CheckStep(line=1, column=number, process=step.process, claims=claims)


@settings(max_examples=examples(60))
@given(scenarios(), st.sampled_from(policies.SERIES))
def test_both_replays_check_alike(scenario: Scenario, policy: str) -> None:
    """Do they find the same data and violations after each step, and count as without a check?"""
    steps = [
        more
        for number, step in enumerate(scenario.steps)
        for more in (with_checks(step, number) if step.op != "exit" else (step,))
    ]
    agree(replace(scenario, steps=tuple(steps)), policy)


def test_the_bounds_of_vmas() -> None:
    """Are VMAs and holes told, and that a VMA goes on behind its region?"""
    steps = """
- {mmap: a, size: 16KiB, at: 0x400000}
- {mmap: b, size: 4KiB, at: 0x404000}
- {mprotect: a, prot: r, length: 4KiB}
- {munmap: a, offset: 8KiB, length: 4KiB}
- check: {vmas: {a: '1,1,1-,1+', b: '+1'}}
- check: {vmas: {a: 4}}
"""
    first, second, third = checked(steps)
    assert first.ok
    assert second.ok
    assert (third.ok, third.actual) == (False, "1,1,1-,1+")
