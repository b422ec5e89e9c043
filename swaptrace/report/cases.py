"""Reports as test results, a case for each scenario and policy: KTAP and JUnit.

A case fails for what makes exit code 1. It is skipped where nothing was asked of it: it has no
expectation, there is no baseline and no `--fail-on`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from swaptrace.errors import printable
from swaptrace.replay.result import ScenarioResult
from swaptrace.report.changes import violation_text
from swaptrace.report.differences import Diff
from swaptrace.report.judge import Finding
from swaptrace.report.reports import Compared, Differed, Ran, Report

WHOLE = "scenario"
"""The case of what concerns all of a scenario, as that it is gone."""


class Case(NamedTuple):
    """One policy in one scenario: why it fails, what else there is to say, whether it was asked
    anything."""

    scenario: str
    policy: str
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    asked: bool

    @property
    def skipped(self) -> bool:
        return not self.asked and not self.failures


def cases(report: Report) -> list[Case]:
    """Every case in the order of the tables."""
    if isinstance(report, Differed):
        return list(_of_diff(report.diff, report.findings, report.judged))
    compared = report.judged if isinstance(report, Compared) else report.against is not None
    found = [
        case
        for scenario in report.result.scenarios
        for case in _of_scenario(scenario, report.findings, compared)
    ]
    if isinstance(report, Ran) and report.against:
        found += _lost(
            report.against.diff, report.findings, {(c.scenario, c.policy) for c in found}
        )
    return found


def _of_scenario(
    scenario: ScenarioResult, findings: Sequence[Finding], asked: bool
) -> Iterator[Case]:
    expected = {expectation.policy for expectation in scenario.expectations}
    for name, policy in scenario.policies.items():
        notes = tuple(violation_text(violation) for violation in policy.violations)
        failures = _texts(findings, scenario.name, name)
        yield Case(scenario.name, name, failures, notes, asked or name in expected)


def _texts(findings: Sequence[Finding], scenario: str, policy: str) -> tuple[str, ...]:
    found = (each for each in findings if (each.scenario, each.policy) == (scenario, policy))
    return tuple(f"{finding.kind}: {finding.text}" for finding in found)


def _of_diff(diff: Diff, findings: Sequence[Finding], asked: bool) -> Iterator[Case]:
    for scenario in dict.fromkeys([*diff.new.scenarios, *diff.old.scenarios]):
        policies = {**diff.new.scenarios.get(scenario, {}), **diff.old.scenarios.get(scenario, {})}
        for policy in policies:
            failures = _texts(findings, scenario, policy)
            yield Case(scenario, policy, failures, (), asked)
        yield from _whole(scenario, findings)


def _lost(diff: Diff, findings: Sequence[Finding], known: set[tuple[str, str]]) -> Iterator[Case]:
    """What the baseline has and the run has not, and scenarios that the baseline has not."""
    for case in _of_diff(diff, findings, True):
        if case.failures and (case.scenario, case.policy) not in known:
            yield case


def _whole(scenario: str, findings: Sequence[Finding]) -> Iterator[Case]:
    failures = _texts(findings, scenario, "")
    if failures:
        yield Case(scenario, WHOLE, failures, (), True)


def by_scenario(report: Report) -> dict[str, list[Case]]:
    """The cases of each scenario, and of all that are called the same."""
    found: dict[str, list[Case]] = {}
    for case in cases(report):
        found.setdefault(case.scenario, []).append(case)
    return found


# KTAP version 1, Documentation/dev-tools/ktap.rst: a test for each scenario, with a subtest for
# each policy.


def ktap(report: Report) -> str:
    """The report as KTAP."""
    return "".join(f"{line}\n" for line in _ktap(by_scenario(report)))


def _ktap(scenarios: Mapping[str, list[Case]]) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"1..{len(scenarios)}"
    for number, (scenario, found) in enumerate(scenarios.items(), 1):
        yield from (f"  {line}" for line in _subtests(scenario, found))
        failed = any(case.failures for case in found)
        skip = " # SKIP nothing to check" if all(case.skipped for case in found) else ""
        yield f"{_ok(failed)} {number} {_name(scenario)}{skip}"


def _subtests(scenario: str, found: Sequence[Case]) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"# Subtest: {_name(scenario)}"
    yield f"1..{len(found)}"
    for number, case in enumerate(found, 1):
        yield from (f"# {printable(line)}" for line in (*case.failures, *case.notes))
        skip = " # SKIP nothing to check" if case.skipped else ""
        yield f"{_ok(bool(case.failures))} {number} {_name(case.policy)}{skip}"


def _ok(failed: bool) -> str:
    return "not ok" if failed else "ok"


def _name(text: str) -> str:
    """A name; a # would begin a directive."""
    return printable(text).replace("#", "\\x23")


def junit(report: Report) -> str:
    """The report as JUnit's XML: a test suite for each scenario, a test case for each policy."""
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    document = JUnitXml("swaptrace")
    for scenario, found in by_scenario(report).items():
        suite = TestSuite(printable(scenario))
        for case in found:
            made = TestCase(printable(case.policy), classname=printable(scenario))
            if case.failures:
                failure = Failure(printable(case.failures[0]))
                failure.text = "\n".join(map(printable, case.failures))
                made.result = [failure]
            elif case.skipped:
                made.result = [Skipped("nothing to check")]
            if case.notes:
                made.system_out = "\n".join(map(printable, case.notes))
            suite.add_testcase(made)
        document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode().rstrip("\n") + "\n"
