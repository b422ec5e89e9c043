"""Is a saved result the whole result, the same bytes every time, and refused when damaged?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from swaptrace.errors import SwaptraceError
from swaptrace.result.result import PolicyResult, Result, from_json, to_json
from tests.effort import examples
from tests.results import EXAMPLE, results

EXAMPLE_JSON = """\
{
  "scenarios": [
    {
      "expectations": [
        {
          "actual": 512,
          "counter": "minflt",
          "expected": 512,
          "ok": true,
          "policy": "prepatch",
          "window": "read_write_data"
        },
"""


@settings(max_examples=examples(40))
@given(results)
def test_does_a_result_survive_the_way_through_json(result: Result) -> None:
    text = to_json(result)
    assert from_json(text) == result
    assert to_json(from_json(text)) == text


@settings(max_examples=examples(40))
@given(results)
def test_are_keys_sorted_and_the_bytes_plain(result: Result) -> None:
    text = to_json(result)
    assert text.endswith("}\n")
    assert text.isascii()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


def test_does_the_text_look_as_documented() -> None:
    text = to_json(EXAMPLE)
    assert text.startswith(EXAMPLE_JSON)
    scenario = json.loads(text)["scenarios"][0]
    assert scenario["machine"]["swap"] == {"backend": "zram", "size": 268435456, "page_cluster": 3}
    assert {"kernel", "per_vma_lock", "write_upgrade"} <= set(scenario["machine"])
    policy = scenario["policies"]["prepatch"]
    assert policy["steps"][0] == {
        "step": "0",
        "line": 5,
        "process": "main",
        "op": "mmap",
        "counters": {},
    }
    assert policy["steps"][1]["times"] == 4
    assert policy["violations"][0] == {
        "kind": "lost_soft_dirty",
        "step": "4.0",
        "line": 12,
        "process": "main",
        "region": "buf",
        "page": 0,
        "pages": 512,
    }


def test_are_counters_of_zero_left_out() -> None:
    policy = PolicyResult(total={"minflt": 0, "majflt": 3}, windows={"w": {"minflt": 0}})
    scenario = replace(EXAMPLE.scenarios[0], policies={"prepatch": policy}, expectations=())
    text = to_json(Result("0", (scenario,)))
    assert "minflt" not in text
    with_zero = text.replace('"majflt": 3', '"majflt": 3, "minflt": 0')
    assert to_json(from_json(with_zero)) == text


def test_is_an_unknown_key_of_the_same_schema_let_pass() -> None:
    document = json.loads(to_json(EXAMPLE))
    document["comment"] = "kept by hand"
    assert from_json(json.dumps(document, sort_keys=True)) == EXAMPLE


def test_is_every_cut_off_text_called_cut_off() -> None:
    text = to_json(EXAMPLE)
    for end in range(1, len(text) - 1):
        with pytest.raises(SwaptraceError, match=r"old\.json: is cut off in line \d+"):
            from_json(text[:end], "old.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r: is empty, not a result"),
        ("hello", "r:1:1: is not JSON"),
        ('{"a": 1,}', "r:1:"),
        ("[1]", "r: must be an object, not [1]"),
        ("{}", "r: the key 'schema' is missing"),
        ('{"schema": 1}', "r: schema: must be a string, not 1"),
        ('{"schema": "other/1"}', "r: is 'other/1', not a swaptrace result (swaptrace.result/1)"),
        ('{"schema": "swaptrace.result/2"}', "r: is swaptrace.result/2, from another version"),
        ('{"schema": "swaptrace.result/x"}', "r: is 'swaptrace.result/x', not a swaptrace result"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("[" * 100_000, "r: is not a result"),
        ('{"a": ' + "1" * 5000 + "}", "r: is not a result"),
    ],
)
def test_is_what_is_no_result_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(SwaptraceError) as raised:
        from_json(text, "r")
    assert message in str(raised.value)


def _scenario(document: Any) -> Any:
    return document["scenarios"][0]


def _policy(document: Any) -> Any:
    return _scenario(document)["policies"]["prepatch"]


DAMAGE: list[tuple[Callable[[Any], object], str]] = [
    (lambda d: d.pop("version"), "r: the key 'version' is missing"),
    (lambda d: d.update(scenarios={}), "r: scenarios: must be an array, not {}"),
    (lambda d: _scenario(d).pop("machine"), "r: scenarios[0]: the key 'machine' is missing"),
    (
        lambda d: _scenario(d)["machine"].update(soft_dirty=None),
        "r: scenarios[0].machine.soft_dirty: must be a string, a whole number",
    ),
    (
        lambda d: _policy(d)["total"].update(minflt=-1),
        "r: scenarios[0].policies.prepatch.total.minflt: "
        "must be a whole number of at least 0, not -1",
    ),
    (
        lambda d: _policy(d)["windows"]["read_write_data"].update(minflt=True),
        "policies.prepatch.windows.read_write_data.minflt: must be a whole number",
    ),
    (
        lambda d: _policy(d)["windows"].update({"a b": {"minflt": 1.5}}),
        'policies.prepatch.windows["a b"].minflt: must be a whole number of at least 0, not 1.5',
    ),
    (
        lambda d: _policy(d)["violations"][0].update(pages=0),
        "policies.prepatch.violations[0].pages: must be a whole number of at least 1, not 0",
    ),
    (lambda d: _policy(d)["steps"][0].pop("op"), "prepatch.steps[0]: the key 'op' is missing"),
    (lambda d: _policy(d).update(pages={"main": 3}), "prepatch.pages.main: must be an object"),
    (
        lambda d: _scenario(d)["expectations"][1].update(ok=True),
        "r: scenarios[0].expectations[1].ok: must be false, not True",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[message for _, message in DAMAGE])
def test_does_a_complaint_name_the_place(damage: Callable[[Any], object], message: str) -> None:
    document = json.loads(to_json(EXAMPLE))
    damage(document)
    with pytest.raises(SwaptraceError) as raised:
        from_json(json.dumps(document), "r")
    assert message in str(raised.value)
