"""Reports as test results: a case for each scenario and policy.

Each claim of a `check` step is a case of its own. A case fails for what makes exit code 1. It is
skipped where nothing was asked of it: it has no expectation, there is no baseline and no
`--fail-on`. A policy of which nothing is asked but claims has no other case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from swaptrace.report.reports import CompareReport, DiffReport, Report, RunReport
from swaptrace.result.changes import claim_text, violation_text
from swaptrace.result.differences import Diff
from swaptrace.result.judge import CHECK, Finding, failed_check
from swaptrace.result.result import ScenarioResult

WHOLE = "scenario"
"""The case of what concerns all of a scenario, as that it is gone."""


class Case(NamedTuple):
    """One policy in one scenario, or one claim of a `check` step under it (`check` says which): why
    it fails, what else there is to say, whether it was asked anything, and why what was found is
    not the last word: then it does not pass, as the exit code says."""

    scenario: str
    policy: str
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    asked: bool
    check: str = ""
    undecided: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the test is called within its scenario."""
        return f"{self.policy}: {self.check}" if self.check else self.policy

    @property
    def skipped(self) -> bool:
        return not (self.asked or self.failures or self.undecided)

    @property
    def passes(self) -> bool:
        return not self.failures and not self.undecided


def cases(report: Report) -> list[Case]:
    """Every case in the order of the tables."""
    if isinstance(report, DiffReport):
        return list(_of_diff(report.diff, report.findings, report.judged))
    compared = report.judged if isinstance(report, CompareReport) else report.against is not None
    found = [
        case
        for scenario in report.result.scenarios
        for case in _of_scenario(scenario, report.findings, compared)
    ]
    if isinstance(report, RunReport) and report.against:
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
        asked_of = asked or name in expected
        case = Case(scenario.name, name, failures, notes, asked_of, undecided=policy.undecided)
        if not (case.skipped and policy.checks):
            yield case
        for checked in policy.checks:
            wrong = () if checked.ok else (f"{CHECK}: {failed_check(name, checked)}",)
            claim = claim_text(*checked.claim)
            yield Case(scenario.name, name, wrong, (), True, claim, policy.undecided)


def _texts(findings: Sequence[Finding], scenario: str, policy: str) -> tuple[str, ...]:
    place = scenario, policy
    found = (f for f in findings if (f.scenario, f.policy) == place and f.kind != CHECK)
    return tuple(f"{finding.kind}: {finding.text}" for finding in found)


def _of_diff(diff: Diff, findings: Sequence[Finding], asked: bool) -> Iterator[Case]:
    for scenario in dict.fromkeys([*diff.new.scenarios, *diff.old.scenarios]):
        policies = {**diff.new.scenarios.get(scenario, {}), **diff.old.scenarios.get(scenario, {})}
        for policy in policies:
            failures = _texts(findings, scenario, policy)
            both = (each.scenarios.get(scenario, {}).get(policy) for each in (diff.old, diff.new))
            doubts = dict.fromkeys(why for each in both if each for why in each.undecided)
            yield Case(scenario, policy, failures, (), asked, undecided=tuple(doubts))
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
