"""Do the tables of `run` and `compare` show everything, at any width, and as it is?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from swaptrace.counters import ALL_COUNTERS
from swaptrace.report.compare import compare_report
from swaptrace.report.layout import listing
from swaptrace.report.run import run_report
from swaptrace.result.changes import used
from swaptrace.result.result import Expectation, PolicyResult, Result, ScenarioResult, Violation
from tests.effort import examples
from tests.goldens import check_golden
from tests.results import COMPARED, EXAMPLE, results

REPORTS = (run_report, compare_report)

comparable = results.filter(lambda result: all(len(s.policies) > 1 for s in result.scenarios))


def rendered(report: RenderableType, width: int = 1_000_000, colors: bool = False) -> str:
    text = StringIO()
    console = Console(
        file=text,
        width=width,
        height=25,
        force_terminal=colors,
        color_system="standard" if colors else None,
        highlight=False,
    )
    console.print(report)
    return text.getvalue()


@pytest.mark.parametrize("width", [1_000_000, 80, 56, 40, 24])
@pytest.mark.parametrize("report", REPORTS)
def test_does_a_report_look_as_it_did(
    request: pytest.FixtureRequest, report: Callable[[Result], RenderableType], width: int
) -> None:
    name = f"{report.__name__}-{'pipe' if width > 999 else width}.txt"
    check_golden(request, f"report/{name}", rendered(report(COMPARED), width))


@pytest.mark.parametrize("width", [1_000_000, 40])
def test_do_steps_and_page_maps_look_as_they_did(
    request: pytest.FixtureRequest, width: int
) -> None:
    name = f"steps_and_pages-{'pipe' if width > 999 else width}.txt"
    check_golden(request, f"report/{name}", rendered(run_report(EXAMPLE), width))


@settings(max_examples=examples(30))
@given(comparable, st.sampled_from(REPORTS), st.integers(min_value=8, max_value=150))
def test_is_no_line_wider_than_the_terminal_and_nothing_cut(
    result: Result, report: Callable[[Result], RenderableType], width: int
) -> None:
    text = rendered(report(result), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…" not in text


@settings(max_examples=examples(30))
@given(results, st.integers(min_value=36, max_value=150))
def test_is_every_count_of_a_run_on_one_line_with_something(result: Result, width: int) -> None:
    shown = set(re.findall(r"(?<!\S)\d+(?!\S)", rendered(run_report(result), width)))
    for scenario in result.scenarios:
        for policy in scenario.policies.values():
            for counters in (policy.total, *policy.windows.values()):
                assert {str(count) for count in counters.values()} <= shown


@settings(max_examples=examples(15))
@given(comparable, st.sampled_from(REPORTS))
def test_is_a_report_the_same_when_printed_again(
    result: Result, report: Callable[[Result], RenderableType]
) -> None:
    made = report(result)
    assert rendered(made) == rendered(made)


def one(policy: PolicyResult) -> Result:
    return Result("0", (replace(EXAMPLE.scenarios[0], policies={"final": policy}),))


def test_which_counters_have_a_column() -> None:
    windows = {"w": {"wp_copy": 2}, "v": {"pswpin": 1}}
    text = rendered(run_report(one(PolicyResult(total={"wp_copy": 2}, windows=windows))))
    header = text.splitlines()[2]
    assert header.split() == ["window", "policy", "minflt", "majflt", "pswpin", "wp_copy"]


def test_do_counters_of_a_later_version_come_last() -> None:
    assert used([{"zzz": 1, "aaa": 1, "rewrites": 1}]) == [
        "minflt",
        "majflt",
        "rewrites",
        "aaa",
        "zzz",
    ]
    assert used([dict.fromkeys(ALL_COUNTERS, 1)]) == list(ALL_COUNTERS)


def test_has_a_scenario_without_windows_one_row_per_policy() -> None:
    text = rendered(run_report(one(PolicyResult(total={"minflt": 3}, windows={}))))
    lines = text.splitlines()
    assert lines[2].split() == ["policy", "minflt", "majflt"]
    assert lines[4].split() == ["final", "3", "0"]
    assert "total" not in text.partition("expect:")[0]


def test_are_violations_red_and_warnings_yellow() -> None:
    text = rendered(run_report(COMPARED), colors=True)
    assert "\x1b[31mviolation: lost_soft_dirty under rfc: step 4.0, line 12, process main" in text
    assert "\x1b[33mwarning: spurious_soft_dirty under final" in text
    assert "\x1b[" not in rendered(run_report(COMPARED)).replace("\\x1b[", "")


def test_is_a_name_shown_as_it_is_and_a_control_character_escaped() -> None:
    text = rendered(run_report(COMPARED), colors=True)
    assert "[bold]no markup[/bold] :smile:" in text
    assert "a\\x1b[31mb.yaml" in text


def test_does_compare_show_only_what_differs_and_the_faults() -> None:
    text = rendered(compare_report(COMPARED))
    rows = [line.split()[:2] for line in text.splitlines() if line.startswith(("read_", "total "))]
    assert rows == [
        ["read_write_data", "minflt"],
        ["read_write_data", "majflt"],
        ["total", "minflt"],
        ["total", "majflt"],
        ["total", "wp_reuse"],
        ["total", "spurious_dirty"],
    ]


def test_is_every_policy_compared_with_the_first() -> None:
    text = rendered(compare_report(COMPARED))
    majflt = next(line for line in text.splitlines() if line.startswith("total            majflt"))
    assert majflt.split()[2:] == ["512", "512", "0", "0.0%", "516", "+4", "+0.8%"]
    dirty = next(line for line in text.splitlines() if "total            spurious" in line)
    assert dirty.split()[2:] == ["0", "512", "+512", "new", "0", "0", "0.0%"]


def test_are_more_faults_red_and_fewer_green() -> None:
    text = rendered(compare_report(COMPARED), colors=True)
    assert re.search(r"\x1b\[32m +-512\x1b\[0m", text)
    assert re.search(r"\x1b\[31m +\+4\x1b\[0m", text)


def test_does_a_listing_that_does_not_fit_put_what_is_known_below_the_name() -> None:
    rows = [("final", "new", "writable unless a tracker needs the write"), ("rfc", "", "dirty")]
    text = rendered(listing(["name", "alias", "title"], rows), 24)
    assert text == (
        "final\n  new\n  writable unless a\n  tracker needs the\n  write\n\nrfc\n  dirty\n"
    )
    assert rendered(listing(["name", "alias", "title"], rows)).splitlines()[3].split() == [
        "rfc",
        "dirty",
    ]


def many(*policies: tuple[PolicyResult, PolicyResult]) -> Result:
    """Scenarios s0, s1, … each under two policies."""
    scenarios = tuple(
        ScenarioResult(f"s{number}", f"s{number}.yaml", {}, {"old": old, "new": new})
        for number, (old, new) in enumerate(policies)
    )
    return Result("0", scenarios)


FEW, MORE = PolicyResult({"minflt": 1}, {}), PolicyResult({"minflt": 2}, {})


def test_a_comparison_begins_with_how_many_differ_and_folds_the_equal_ones() -> None:
    """Is each equal scenario in one line, and only what differs in a table?"""
    lines = rendered(compare_report(many((FEW, FEW), (FEW, MORE), (MORE, MORE)))).splitlines()
    assert lines[0] == "3 scenarios: 1 differs, 2 are equal"
    assert lines[-1] == "equal in every counter and violation: s0, s2"
    assert [line for line in lines if line.endswith(".yaml)")] == ["s1  (s1.yaml)"]


def test_a_comparison_without_a_difference_says_so() -> None:
    """Is it said of one scenario as of several, and of none that differs?"""
    for result in (many((FEW, FEW)), many((FEW, FEW), (MORE, MORE))):
        assert rendered(compare_report(result)).splitlines()[-1] == "no difference"
    for result in (many((FEW, MORE)), many((FEW, FEW), (FEW, MORE))):
        assert "no difference" not in rendered(compare_report(result))


def test_a_difference_in_violations_alone_is_one() -> None:
    """Does a scenario differ whose counters are equal, but not the promises that it breaks?"""
    violation = Violation("lost_write", "0", 1, "main", "buf", 0, 1)
    broken = replace(FEW, violations=(violation,))
    text = rendered(compare_report(many((FEW, broken), (FEW, FEW))))
    assert text.startswith("2 scenarios: 1 differs, 1 is equal\n")
    assert "lost_write under new" in text
    both = rendered(compare_report(many((broken, broken), (FEW, FEW))))
    assert both.startswith("2 scenarios: 0 differ, 2 are equal\n")
    assert "lost_write under old" in both


def test_what_was_asked_for_is_shown_of_equal_scenarios_too() -> None:
    """Are page maps in the report though the policies agree in them?"""
    paged = replace(FEW, pages={"main": {"buf": "4P"}})
    assert "4P" in rendered(compare_report(many((paged, paged), (FEW, MORE))))


def test_an_equal_scenario_that_fails_its_expectations_is_shown() -> None:
    """Does an unmet expectation keep a scenario out of the line of equal ones?"""
    result = many((FEW, FEW), (FEW, MORE))
    unmet = Expectation("total", "old", "minflt", 5, 1)
    failing = replace(result.scenarios[0], expectations=(unmet,))
    text = rendered(compare_report(replace(result, scenarios=(failing, result.scenarios[1]))))
    assert "minflt is 1, expected 5" in text
