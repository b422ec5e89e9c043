"""What do `--fail-on` and `--threshold` call a failure?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.counters import ALL_COUNTERS
from swaptrace.errors import SwaptraceError
from swaptrace.result.changes import FAULTS, Change
from swaptrace.result.differences import MissingPart, difference
from swaptrace.result.judge import (
    FAIL_ON,
    FailOn,
    Judge,
    against_baseline,
    between_results,
    thresholds,
)
from swaptrace.result.result import PolicyResult, Result, Violation
from swaptrace.result.snapshot import of_result
from tests.results import COMPARED, results


@pytest.mark.parametrize(
    ("text", "counter", "old", "new", "kinds"),
    [
        ("", "minflt", 100, 101, ["increase", "change"]),
        ("", "minflt", 100, 99, ["decrease", "change"]),
        ("", "minflt", 100, 100, []),
        ("", "pswpout", 100, 101, ["change"]),
        ("minflt=5%", "minflt", 100, 105, []),
        ("minflt=5%", "minflt", 100, 106, ["increase", "change"]),
        ("minflt=5%", "minflt", 100, 94, ["decrease", "change"]),
        ("minflt=0.1%", "minflt", 1000, 1001, []),
        ("minflt=0.1%", "minflt", 1000, 1002, ["increase", "change"]),
        ("minflt=5%", "minflt", 0, 1, ["increase", "change"]),
        ("minflt=3", "minflt", 0, 3, []),
        ("minflt=3", "minflt", 0, 4, ["increase", "change"]),
        ("majflt=0,minflt=5%", "majflt", 100, 101, ["increase", "change"]),
        ("pswpout=1", "pswpout", 100, 102, ["increase", "change"]),
        ("pswpout=1", "pswpin", 100, 102, ["change"]),
    ],
)
def test_which_kinds_a_change_is(
    text: str, counter: str, old: int, new: int, kinds: list[str]
) -> None:
    """Is a threshold inclusive, exact, of its counter alone, and does it make it looked at?"""
    judge = Judge(FAIL_ON, thresholds(text) if text else {})
    assert list(judge.against(Change("total", counter, old, new))) == kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minflt", "'minflt' is not COUNTER=N or COUNTER=N%, as in minflt=5%"),
        ("minfl=3", "there is no counter 'minfl'; did you mean 'minflt'?"),
        ("minflt=", "minflt: '' is not a number from 0 on"),
        ("minflt=-1", "minflt: '-1' is not a number from 0 on"),
        ("minflt=nan", "minflt: 'nan' is not a number from 0 on"),
        ("minflt=5%%", "minflt: '5%%' is not a number from 0 on"),
        ("minflt=5,", "'' is not COUNTER=N"),
    ],
)
def test_what_a_wrong_threshold_is_told(text: str, message: str) -> None:
    """Does the message say what would be right?"""
    with pytest.raises(SwaptraceError) as caught:
        thresholds(text)
    assert str(caught.value).startswith(message)


@given(st.sampled_from(ALL_COUNTERS), st.integers(0, 2**60), st.integers(0, 2**60))
def test_increase_and_decrease_are_the_two_sides_of_a_change(
    counter: str, old: int, new: int
) -> None:
    """Without thresholds, is each change one of the two if it is of a fault counter?"""
    kinds = set(Judge(FAIL_ON, {}).against(Change("total", counter, old, new)))
    sides = kinds & {"increase", "decrease"}
    assert ("change" in kinds) == (old != new)
    assert len(sides) == (old != new and counter in FAULTS)


def found(old: Result, new: Result, *kinds: FailOn) -> list[str]:
    diff = difference(of_result(old, "old"), of_result(new, "new"))
    return [str(finding) for finding in between_results(diff, Judge(kinds, {}))]


def without(result: Result, policy: str) -> Result:
    """The first scenario alone, without one policy."""
    scenario = result.scenarios[0]
    kept = {name: each for name, each in scenario.policies.items() if name != policy}
    return replace(result, scenarios=(replace(scenario, policies=kept),))


def test_what_is_new_or_gone_is_a_change() -> None:
    """Does nothing that vanished from a result pass as unchanged?"""
    small = without(COMPARED, "rfc")
    gone = found(COMPARED, small, "change")
    assert gone == [
        "--fail-on change: read-then-write: rfc: the policy is gone",
        "--fail-on change: [bold]no markup[/bold] :smile:: the scenario is gone",
    ]
    assert [line.replace("new", "gone") for line in found(small, COMPARED, "change")] == gone
    assert found(COMPARED, small, "increase", "decrease", "violation") == []


def broken(*violations: Violation) -> Result:
    """COMPARED's first scenario, whose only policy breaks these promises."""
    policies = {"mine": PolicyResult(total={}, windows={}, violations=violations)}
    return replace(
        COMPARED, scenarios=(replace(COMPARED.scenarios[0], policies=policies, expectations=()),)
    )


LOST = Violation("lost_write", "4.0", 12, "main", "buf", 0, 512)


def test_a_violation_counts_if_only_the_new_result_has_it() -> None:
    """Whatever step and line it has now?"""
    moved = replace(LOST, step="7.0", line=99)
    kinds = [kind for kind in FAIL_ON if kind != "any-violation"]
    assert found(broken(LOST), broken(moved), *kinds) == []
    assert found(broken(LOST), broken(), *FAIL_ON) == []
    assert found(broken(LOST), broken(moved), "any-violation") == [
        "--fail-on any-violation: read-then-write: mine: "
        "lost_write, process main, region buf, 512 pages from 0"
    ]
    assert found(broken(), broken(LOST), "violation") == [
        "--fail-on violation: read-then-write: mine: new: "
        "lost_write, process main, region buf, 512 pages from 0"
    ]
    assert len(found(broken(LOST), broken(LOST, moved), "violation")) == 1
    assert len(found(broken(LOST), broken(replace(LOST, pages=511)), "violation")) == 1


def test_a_warning_is_no_failure_but_a_difference_from_a_baseline() -> None:
    """Is spurious_soft_dirty told apart?"""
    warning = replace(LOST, kind="spurious_soft_dirty")
    assert found(broken(), broken(warning), *FAIL_ON) == []
    diff = difference(of_result(broken(), "old"), of_result(broken(warning), "new"))
    assert len(list(against_baseline(diff))) == 1


@given(results, results)
def test_a_baseline_agrees_exactly_if_nothing_differs(old: Result, new: Result) -> None:
    """Is every difference a finding, and no finding without one?"""
    diff = difference(of_result(old, "old"), of_result(new, "new"))
    same = of_result(old, "").scenarios == of_result(new, "").scenarios
    assert diff.empty == same
    assert bool(list(against_baseline(diff))) == (not same)


@given(results)
def test_nothing_differs_from_itself(result: Result) -> None:
    """Is a diff of a result and itself empty, with every value a row?"""
    diff = difference(of_result(result, "a"), of_result(result, "b"))
    assert diff.empty
    assert diff.settings == ()
    rows = {(row.scenario, row.policy, row.change.window) for row in diff.rows}
    assert all((name, policy, "total") in rows for name, policy in totals(result))


def totals(result: Result) -> list[tuple[str, str]]:
    snapshot = of_result(result, "")
    return [(name, policy) for name, policies in snapshot.scenarios.items() for policy in policies]


@given(results, results)
def test_what_is_gone_one_way_is_new_the_other(old: Result, new: Result) -> None:
    """Is a diff the mirror image of the diff in the other direction?"""
    there = difference(of_result(old, "a"), of_result(new, "b"))
    back = difference(of_result(new, "b"), of_result(old, "a"))
    assert sorted(there.gone) == sorted(back.added)
    assert sorted(there.broken) == sorted(back.mended)
    assert sorted((r.scenario, r.policy, r.change) for r in there.rows) == sorted(
        (r.scenario, r.policy, r.change._replace(old=r.change.new, new=r.change.old))
        for r in back.rows
    )
    assert MissingPart("") not in there.gone
