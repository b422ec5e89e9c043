"""Is a baseline the values alone, the same bytes each time, and read back as it was?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given

from swaptrace.errors import SwaptraceError
from swaptrace.result.changes import TOTAL
from swaptrace.result.result import Result, from_json, to_json
from swaptrace.result.snapshot import (
    baseline_text,
    of_result,
    read_baseline,
    read_saved,
    value_lines,
)
from tests.results import COMPARED, results


@given(results)
def test_a_baseline_is_read_back_as_it_was(result: Result) -> None:
    """Do the values survive, and does writing them again give the same bytes?"""
    snapshot = of_result(result, "r")
    text = baseline_text(snapshot)
    again = read_baseline(text, "r")
    assert again.scenarios == snapshot.scenarios
    assert baseline_text(again) == text
    assert read_saved(text, "r") == again
    assert text.isascii()


@given(results)
def test_a_saved_result_gives_the_same_values_as_its_baseline(result: Result) -> None:
    """Can `diff` take either?"""
    saved = read_saved(to_json(result), "r")
    assert saved.scenarios == of_result(result, "r").scenarios
    assert value_lines(saved) == value_lines(read_baseline(baseline_text(saved), "r"))


def test_a_baseline_has_nothing_that_changes_from_run_to_run() -> None:
    """Is it the same for another version, another path and other lines?"""
    first = COMPARED.scenarios[0]
    moved = replace(
        first,
        file="/somewhere/else.yaml",
        policies={
            name: replace(
                policy,
                violations=tuple(replace(v, step="9.9", line=999) for v in policy.violations),
            )
            for name, policy in reversed(list(first.policies.items()))
        },
    )
    other = Result("9.9.9", (COMPARED.scenarios[1], moved))
    assert baseline_text(of_result(other, "x")) == baseline_text(of_result(COMPARED, "y"))


def test_scenarios_of_one_name_are_kept_apart() -> None:
    """Does the second of a name not hide the first?"""
    twice = replace(COMPARED, scenarios=COMPARED.scenarios[:1] * 2)
    assert list(of_result(twice, "r").scenarios) == ["read-then-write", "read-then-write (2)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "b: is empty, not a baseline"),
        ("[]", "b: must be an object"),
        ('{"schema": "swaptrace.baseline/2"}', "b: is swaptrace.baseline/2, from another version"),
        ('{"schema": "swaptrace.result/1"}', "b: is 'swaptrace.result/1', not a swaptrace base"),
        ('{"schema": "swaptrace.baseline/1"}', "b: the key 'scenarios' is missing"),
        (
            '{"schema": "swaptrace.baseline/1", "scenarios": {"a": {"b": {"windows": {"c": '
            '{"minflt": -1}}}}}}',
            "b: scenarios.a.b.windows.c.minflt: must be a whole number of at least 0",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(text: str, message: str) -> None:
    """Does the message name the file and the place?"""
    with pytest.raises(SwaptraceError) as caught:
        read_baseline(text, "b")
    assert str(caught.value).startswith(message)


def test_half_a_file_is_never_taken_for_a_whole_one() -> None:
    """Is each proper beginning of a result and of a baseline refused?"""
    texts = [to_json(from_json(to_json(COMPARED))), baseline_text(of_result(COMPARED, "r"))]
    for text in texts:
        for end in range(0, len(text) - 2, 7):
            with pytest.raises(SwaptraceError, match=r"r: is (cut off in line|empty)"):
                read_saved(text[:end], "r")


def test_the_schema_of_a_baseline_is_its_first_word() -> None:
    """Can a program tell what it is, and is the total among the windows?"""
    document = json.loads(baseline_text(of_result(COMPARED, "r")))
    assert document["schema"] == "swaptrace.baseline/1"
    for policies in document["scenarios"].values():
        assert all(TOTAL in counted["windows"] for counted in policies.values())
