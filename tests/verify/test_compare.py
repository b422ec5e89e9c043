"""Is the first step found after which model and kernel differ, and only that?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from swaptrace import bundled, policies
from swaptrace.errors import SwaptraceError
from swaptrace.replay.table import Table
from swaptrace.result.verdict import Status, Verdict
from swaptrace.scenario.loader import load_file
from swaptrace.verify.compare import Stop, verify_one
from swaptrace.verify.fitting import MAX_EXECUTED
from swaptrace.verify.leaves import executed, leaves
from swaptrace.verify.observed import Observed, ObservedStep
from tests.verify.programs import FACTS, FORKING, READ_WRITE, scenario, shown


def verdict(text: str, observed: Observed, policy: str = "merged") -> Verdict:
    return verify_one(scenario(text), Table(policies.find(policy)), observed)


@pytest.mark.parametrize("text", [READ_WRITE, FORKING])
def test_a_kernel_that_does_the_same_agrees(text: str) -> None:
    name = scenario(text).name
    agreed = Verdict(name, "test.yaml", "merged", Status.AGREES)
    assert verdict(text, shown(scenario(text))) == agreed


def test_another_policy_differs_at_its_step() -> None:
    """Is it the read_write that shows what the patch changes, with both counts?"""
    found = verdict(READ_WRITE, shown(scenario(), "prepatch")).first_difference
    assert found is not None
    assert (found.step, found.line, found.process, found.op) == ("3.0", 9, "main", "read_write")
    assert (found.model.counters, found.kernel.counters) == ({"minflt": 0}, {"minflt": 4})
    assert (found.model.pages, found.kernel.pages) == ({}, {})


@pytest.mark.parametrize(("thp", "status"), [("", Status.AGREES), ("64KiB", Status.DIFFERS)])
def test_folios_of_others_count_only_where_the_scenario_has_some(thp: str, status: Status) -> None:
    """Is what the whole machine counts by size passed over where the scenario has one size?"""
    text = READ_WRITE.replace("{swap: zram}", f"{{swap: zram, thp: {thp or '{}'}}}")
    first, *others = (observed := shown(scenario(text))).steps
    folios = {**first.counters, "mthp_fault_alloc": 7}
    steps = (replace(first, counters=folios), *others)
    assert verdict(text, replace(observed, steps=steps)).status is status


def test_a_step_that_is_no_system_call_has_no_errno() -> None:
    """Does that of a call before it not stick to a check, or to accesses by a pattern?"""
    text = """\
steps:
- {mmap: buf, size: 16KiB}
- {mlock: buf}
- {madvise: buf, advice: PAGEOUT, errno: EINVAL}
- check: {pages: {buf: 4PX}}
- {madvise: buf, advice: PAGEOUT, errno: EINVAL}
- {access: buf, count: 3}
"""
    errnos = [step.errno for step in shown(scenario(text)).steps]
    assert errnos == [None, None, "EINVAL", None, "EINVAL", None]


CHANGES: dict[str, tuple[Callable[[ObservedStep], ObservedStep], str, str]] = {
    "a counter": (
        lambda s: replace(s, counters={**s.counters, "pswpin": 99}),
        "{'pswpin': 0}",
        "{'pswpin': 99}",
    ),
    "an errno": (lambda s: replace(s, errno="EIO"), "EINVAL", "EIO"),
    "no errno": (lambda s: replace(s, errno=None), "EINVAL", "None"),
    "a page map": (
        lambda s: replace(s, pages={**s.pages, "child": {"buf": "16-"}}),
        "'child': {'buf': '",
        "{'child': {'buf': '16-'}}",
    ),
    "a process that is missing": (
        lambda s: replace(s, pages={"main": s.pages["main"]}),
        "{'child': {'buf': '",
        "pages={}",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_found(change: str) -> None:
    """Is any change of what a step showed a difference at that step?"""
    altered, model, kernel = CHANGES[change]
    observed = shown(scenario(FORKING))
    at = next(i for i, step in enumerate(observed.steps) if step.errno == "EINVAL")
    steps = list(observed.steps)
    steps[at] = altered(steps[at])
    found = verdict(FORKING, replace(observed, steps=tuple(steps))).first_difference
    assert found is not None
    assert found.step == "5"
    assert model in str(found.model)
    assert kernel in str(found.kernel)


def test_a_difference_within_a_repeat_names_the_iteration() -> None:
    observed = shown(scenario(FORKING))
    steps = tuple(
        replace(step, counters={"minflt": 7}) if step.step == "3[1].0" else step
        for step in observed.steps
    )
    found = verdict(FORKING, replace(observed, steps=steps)).first_difference
    assert found is not None
    assert (found.step, found.line) == ("3[1].0", 7)


def test_a_program_that_did_not_come_to_its_end_has_not_agreed() -> None:
    observed = shown(scenario())
    cut = replace(observed, steps=observed.steps[:2])
    assert verdict(READ_WRITE, cut).reason == "the program ended after 2 of 4 steps"
    assert verdict(READ_WRITE, cut).status is Status.FAILED
    broken = verdict(READ_WRITE, replace(cut, failed="a process died"))
    assert (broken.status, broken.reason) == (Status.FAILED, "a process died")


@pytest.mark.parametrize("status", [Status.FAILED, Status.NOT_RUN])
def test_what_was_seen_until_a_program_was_stopped_counts(
    status: Literal[Status.FAILED, Status.NOT_RUN],
) -> None:
    """Does a failure stay one though a step differed, and a difference though time was over?"""
    table, stop = Table(policies.find("merged")), Stop(status, "stopped")
    other = shown(scenario(), "prepatch")
    differing = verify_one(scenario(), table, other, stop)
    assert differing.status is (Status.FAILED if status is Status.FAILED else Status.DIFFERS)
    assert differing.reason == "stopped"
    assert differing.first_difference is not None
    agreeing = replace(shown(scenario()), steps=shown(scenario()).steps[:2])
    found = verify_one(scenario(), table, agreeing, stop)
    assert (found.status, found.reason, found.first_difference) == (status, "stopped", None)


def test_a_killed_program_failed_though_the_kernel_is_another() -> None:
    """Is it not taken for one that was skipped?"""
    other = replace(shown(scenario()), facts=replace(FACTS, page_cluster=0))
    table = Table(policies.find("merged"))
    assert verify_one(scenario(), table, other).status is Status.SKIPPED
    killed = verify_one(scenario(), table, other, Stop(Status.FAILED, "killed"))
    assert (killed.status, killed.reason) == (Status.FAILED, "killed")


def test_what_the_program_finds_missing_is_skipped() -> None:
    skipped = verdict(READ_WRITE, Observed(FACTS, (), skipped="no soft-dirty bits"))
    assert (skipped.status, skipped.reason) == (Status.SKIPPED, "no soft-dirty bits")


def test_counters_that_the_kernel_does_not_have_are_not_compared() -> None:
    """Can a kernel without zswap's counters agree?"""
    old = replace(FACTS, counters=("pswpin", "pswpout"))
    assert verdict(READ_WRITE, shown(scenario(), facts=old)).status is Status.AGREES


def test_steps_in_another_order_are_damage() -> None:
    observed = shown(scenario())
    with pytest.raises(SwaptraceError, match=r"damaged: step 3\.0 for 0"):
        verdict(READ_WRITE, replace(observed, steps=observed.steps[::-1]))


@pytest.mark.parametrize("name", bundled.scenarios())
def test_steps_are_counted_without_executing_them(name: str) -> None:
    steps = load_file(str(bundled.scenarios()[name])).steps
    assert executed(steps) == len(list(leaves(steps))) <= MAX_EXECUTED
