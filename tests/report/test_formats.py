"""Is every format what it says it is, as somebody else reads it, and does it say everything?"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from markdown_it import MarkdownIt
from markdown_it.token import Token

from swaptrace.errors import printable
from swaptrace.report.formats import FORMATS, render
from swaptrace.report.reports import Against, CompareReport, DiffReport, Report, RunReport
from swaptrace.result.changes import FAULTS, counters_in, windows_of
from swaptrace.result.differences import difference
from swaptrace.result.judge import (
    FAIL_ON,
    Judge,
    against_baseline,
    between_policies,
    between_results,
    unmet,
)
from swaptrace.result.result import Result, from_json, to_json
from swaptrace.result.snapshot import (
    baseline_text,
    doubts,
    of_result,
    read_baseline,
    value_lines,
)
from tests import ktap
from tests.effort import examples
from tests.goldens import check_golden
from tests.results import COMPARED, EXAMPLE, results

EVERYTHING = Judge(FAIL_ON, {})

comparable = results.filter(lambda result: all(len(s.policies) > 1 for s in result.scenarios))


def ran(result: Result) -> RunReport:
    return RunReport(result, tuple(unmet(result)))


def against(old: Result, new: Result) -> RunReport:
    """A run beside a baseline."""
    before, now = of_result(old, "faults.json"), of_result(new, "this run")
    diff = difference(before, now)
    findings = (*unmet(new), *against_baseline(diff))
    return RunReport(new, findings, Against(diff, ("--- faults.json", *value_lines(now))))


def compared(result: Result) -> CompareReport:
    return CompareReport(result, (*unmet(result), *between_policies(result, EVERYTHING)), True)


def differed(old: Result, new: Result, everything: bool = False) -> DiffReport:
    diff = difference(of_result(old, "old.json"), of_result(new, "new.json"))
    return DiffReport(diff, tuple(between_results(diff, EVERYTHING)), True, everything)


OLDER = from_json(
    to_json(COMPARED)
    .replace('"minflt": 1536', '"minflt": 1530')
    .replace('"rfc": {', '"rework": {')
    .replace("[bold]no markup[/bold] :smile:", "gone for good")
    .replace('"lost_soft_dirty"', '"lost_write"')
)

REPORTS: dict[str, Report] = {
    "run": ran(COMPARED),
    "run-example": ran(EXAMPLE),
    "run-baseline": against(OLDER, COMPARED),
    "compare": compared(COMPARED),
    "diff": differed(OLDER, COMPARED),
    "diff-all": differed(OLDER, COMPARED, everything=True),
}

any_report = st.one_of(
    results.map(ran),
    comparable.map(compared),
    st.builds(against, results, results),
    st.builds(differed, results, results, st.booleans()),
)

property_test = settings(max_examples=examples(15))


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt != "html"])
@pytest.mark.parametrize("name", REPORTS)
def test_does_a_format_look_as_it_did(request: pytest.FixtureRequest, name: str, fmt: str) -> None:
    """Is every format of every report the same text as before? (A page is looked at elsewhere.)"""
    check_golden(request, f"formats/{name}.{fmt}", render(fmt, REPORTS[name]))


# Markdown.


def tokens_of(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def shown(token: Token) -> str:
    """The text of an inline token as a reader sees it."""
    return "".join(child.content for child in token.children or ())


def cells_of(text: str) -> list[list[str]]:
    """The rows of all tables."""
    rows: list[list[str]] = []
    inside = False
    for token in tokens_of(text):
        if token.type == "tr_open":
            rows.append([])
        inside = token.type in ("td_open", "th_open") or (inside and token.type == "inline")
        if inside and token.type == "inline":
            rows[-1].append(shown(token))
    return rows


@property_test
@given(results)
def test_does_a_markdown_parser_read_every_counter(result: Result) -> None:
    """Are the rows of the tables what was counted, whatever the names are made of?"""
    text = render("markdown", ran(replace_steps(result)))
    expected = [
        [printable(name), *(str(counters_in(policy, window).get(each, 0)) for each in FAULTS)]
        for scenario in result.scenarios
        for window in windows_of(scenario.policies.values())
        for name, policy in scenario.policies.items()
    ]
    found = [row for row in cells_of(text) if "minflt" not in row]
    windowed = [len(windows_of(s.policies.values())) > 1 for s in result.scenarios]
    at = [
        int(flag)
        for scenario, flag in zip(result.scenarios, windowed, strict=True)
        for _ in range(len(windows_of(scenario.policies.values())) * len(scenario.policies))
    ]
    assert [row[i : i + 3] for i, row in zip(at, found, strict=True)] == stripped(expected)


def stripped(rows: list[list[str]]) -> list[list[str]]:
    """Markdown does not keep blanks at the ends of a cell."""
    return [[cell.strip() for cell in row] for row in rows]


def replace_steps(result: Result) -> Result:
    """Without steps and page maps, which are tables as well."""
    scenarios = tuple(
        replace(
            scenario,
            policies={
                name: replace(policy, steps=None, pages=None)
                for name, policy in scenario.policies.items()
            },
        )
        for scenario in result.scenarios
    )
    return replace(result, scenarios=scenarios)


@property_test
@given(any_report)
def test_does_markdown_have_no_markup_but_its_own(report: Report) -> None:
    """Does no name become a link, HTML, emphasis or code?"""
    kinds = {child.type for token in tokens_of(render("markdown", report)) for child in flat(token)}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "em_open", "code_inline"}


def flat(token: Token) -> Iterator[Token]:
    yield token
    yield from token.children or ()


def test_does_markdown_mark_violations_and_changes() -> None:
    """Is what a reader must see marked: changed values bold, violations with a cross?"""
    text = render("markdown", REPORTS["compare"])
    assert "| **-512** | **-100.0%** |" in text
    assert "- \N{CROSS MARK} violation: lost_soft_dirty under rfc" in text
    assert "- \N{CROSS MARK} --fail-on increase: read-then-write: total: majflt 512 under" in text


# Plain text.


@property_test
@given(any_report)
def test_is_text_plain_and_narrow(report: Report) -> None:
    """Is it ASCII of at most 72 columns, whatever the names are made of?"""
    text = render("text", report)
    assert text.isascii()
    assert [line for line in text.splitlines() if len(line) > 72 or line != line.rstrip()] == []


def test_does_compare_as_text_follow_the_kernel_test_robot() -> None:
    """Is a line the value, %change, the value and the metric?"""
    lines = render("text", REPORTS["compare"]).splitlines()
    assert any(line.split() == ["1536", "-33.3%", "1024", "total.minflt"] for line in lines)
    assert any(line.split() == ["512", "+0.0%", "512", "total.majflt"] for line in lines)


@property_test
@given(comparable)
def test_does_the_text_of_compare_have_every_change(result: Result) -> None:
    """Is each old and new value of a change there, in as many lines?"""
    text = render("text", compared(replace_steps(result)))
    numbers = text.replace("\n", " ").split()
    for scenario in result.scenarios:
        for policy in scenario.policies.values():
            assert str(policy.total.get("minflt", 0)) in numbers


# CSV and the benchmark's JSON.


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def cell(text: str) -> str:
    """A name as CSV has it: with an apostrophe where a spreadsheet would compute."""
    shown = printable(text)
    is_number = re.fullmatch(r"-?\d+(\.\d+)?", shown, re.ASCII)
    return "'" * (shown[:1] in [*"=+-@"] and not is_number) + shown


@property_test
@given(results)
def test_does_csv_have_every_counter(result: Result) -> None:
    """Do the values come back as they were, the totals among them?"""
    found: dict[tuple[str, ...], set[str]] = {}
    for row in rows_of(render("csv", ran(result))):
        key = (row["scenario"], row["policy"], row["window"], row["counter"])
        found.setdefault(key, set()).add(row["value"])
    for scenario in result.scenarios:
        for name, policy in scenario.policies.items():
            for window in windows_of([policy]):
                for counter, count in counters_in(policy, window).items():
                    key = (cell(scenario.name), cell(name), cell(window), counter)
                    assert str(count) in found[key]


@property_test
@given(results, results)
def test_does_the_csv_of_a_diff_account_for_both_sides(old: Result, new: Result) -> None:
    """With all rows, is each total of each side in the column of its side?"""
    rows = rows_of(render("csv", differed(old, new, everything=True)))
    for column, snapshot in (("old", of_result(old, "")), ("new", of_result(new, ""))):
        found = {
            (row["scenario"], row["policy"], row["window"], row["counter"], row[column])
            for row in rows
        }
        for scenario, policies in snapshot.scenarios.items():
            for policy, counted in policies.items():
                for window, counters in counted.windows.items():
                    place = cell(scenario), cell(policy), cell(window)
                    for counter, count in counters.items():
                        assert (*place, counter, str(count)) in found


@property_test
@given(results)
def test_is_the_benchmark_what_the_action_takes(result: Result) -> None:
    """Has each entry a name of its own, a unit and a number, and is every window there?"""
    entries = json.loads(render("github-benchmark", ran(result)))
    names = [entry["name"] for entry in entries]
    assert all(set(entry) == {"name", "unit", "value"} for entry in entries)
    assert all(type(entry["value"]) is int for entry in entries)
    for name, policies in of_result(result, "").scenarios.items():
        for policy, counted in policies.items():
            for window, counters in counted.windows.items():
                at = names.index(f"{name}/{policy}/{window}/minflt")
                assert entries[at]["unit"] == "faults"
                assert counters.get("minflt", 0) in [
                    entry["value"] for entry in entries if entry["name"] == names[at]
                ]


# KTAP and JUnit.


@property_test
@given(any_report)
def test_is_ktap_what_the_specification_says(report: Report) -> None:
    """Does a strict parser read it, and does it fail exactly where there is a finding?"""
    tests = ktap.parse(render("ktap", report))
    failed = any(test.status == "fail" for test in tests)
    assert failed == bool(report.findings)


def test_does_ktap_say_what_failed_and_what_was_not_asked() -> None:
    """Is a failed expectation a failed subtest, and a policy without any a skipped one?"""
    first, second = ktap.parse(render("ktap", REPORTS["run"]))
    assert [(test.name, test.status) for test in first.subtests] == [
        ("prepatch", "pass"),
        ("rfc", "skip"),
        ("final", "fail"),
    ]
    assert "expect: total, final: majflt is 516, expected 512" in first.subtests[2].notes
    assert (first.status, second.status) == ("fail", "skip")


@property_test
@given(any_report)
def test_does_a_junit_library_read_the_same_as_ktap(report: Report) -> None:
    """Are there the same suites, cases and results?"""
    document = JUnitXml.fromstring(render("junit", report).encode())
    found = [(suite.name, [status_of(case) for case in suite]) for suite in document]
    expected = [
        (test.name.replace("\\x23", "#"), [each.status for each in test.subtests])
        for test in ktap.parse(render("ktap", report))
    ]
    assert found == expected


def status_of(case: TestCase | TestSuite) -> str:
    assert isinstance(case, TestCase)
    kinds = {type(result) for result in case.result}
    return "fail" if Failure in kinds else "skip" if Skipped in kinds else "pass"


def test_what_is_not_decided_passes_in_no_format() -> None:
    """Is a case of a policy with doubts neither `ok` nor skipped, and does a saved result keep
    them, and a baseline, so that a diff says so as well?"""
    (scenario,) = EXAMPLE.scenarios
    doubted = {
        name: replace(each, violations=(), checks=(), undecided=("more than is known",))
        for name, each in scenario.policies.items()
    }
    result = replace(EXAMPLE, scenarios=(replace(scenario, policies=doubted, expectations=()),))
    assert from_json(to_json(result)) == result
    saved = of_result(result, "saved.json")
    assert read_baseline(baseline_text(saved), "saved.json").scenarios == saved.scenarios
    assert list(doubts(saved)) == [f"{name}: more than is known" for name in doubted]
    for report in (ran(result), differed(result, result)):
        text = render("ktap", report)
        assert text.count("# undecided") == text.count("  not ok ") == len(doubted)
        assert "# SKIP" not in text
        document = JUnitXml.fromstring(render("junit", report).encode())
        found = [each for suite in document for case in suite for each in case.result]
        assert [type(each) for each in found] == [Error] * len(doubted)
