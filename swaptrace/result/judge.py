"""What makes exit code 1: expectations, and what `--fail-on` and `--threshold` call a failure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from swaptrace.counters import ALL_COUNTERS
from swaptrace.errors import SwaptraceError, did_you_mean, printable, quote
from swaptrace.result.changes import FAULTS, Change, changes, claim_text
from swaptrace.result.differences import Diff, DifferenceRow, MissingPart
from swaptrace.result.result import (
    Checked,
    Expectation,
    PolicyResult,
    Result,
    ScenarioResult,
    Violation,
)
from swaptrace.result.snapshot import Broken

if TYPE_CHECKING:
    from decimal import Decimal

AMOUNT = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?%?", re.ASCII)
"""A threshold: no exponent, which could make it any size."""

FailOn = Literal["increase", "decrease", "change", "violation", "any-violation"]
FAIL_ON: tuple[FailOn, ...] = get_args(FailOn)


CHECK: Final = "check"
"""The kind of a finding that a claim of a `check` step does not hold."""


class Finding(NamedTuple):
    """One reason for exit code 1, and which scenario and policy it is compared with."""

    kind: str
    scenario: str
    policy: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.scenario}: {self.text}"


class Threshold(NamedTuple):
    """How far a counter may be from its old value: so many, or so many per cent of that."""

    amount: Decimal
    percent: bool

    def allows(self, change: Change) -> bool:
        """Whether the change is within it. From 0, no change is within any per cent."""
        limit = self.amount * change.old / 100 if self.percent else self.amount
        return abs(change.difference) <= limit


Thresholds = Mapping[str, Threshold]


class Judge(NamedTuple):
    """What `--fail-on` and `--threshold` ask for; without any kind nothing is a failure."""

    kinds: tuple[FailOn, ...]
    thresholds: Thresholds

    def against(self, change: Change) -> Iterator[FailOn]:
        """The kinds by which a change is a failure.

        `increase` and `decrease` look at the faults and at the counters that have a threshold.
        """
        threshold = self.thresholds.get(change.counter)
        if not change.difference or (threshold and threshold.allows(change)):
            return
        looked_at = change.counter in FAULTS or threshold is not None
        for kind in self.kinds:
            sign = {"increase": 1, "decrease": -1}.get(kind, 0)
            if kind == "change" or (looked_at and change.difference * sign > 0):
                yield kind


def thresholds(text: str) -> dict[str, Threshold]:
    """Read `majflt=0,minflt=5%`. Raises `SwaptraceError`."""
    return dict(_threshold(part.strip()) for part in text.split(","))


def _threshold(text: str) -> tuple[str, Threshold]:
    counter, equals, amount = text.partition("=")
    if not equals:
        raise SwaptraceError(f"{quote(text)} is not COUNTER=N or COUNTER=N%, as in minflt=5%")
    if counter not in ALL_COUNTERS:
        hint = did_you_mean(counter, ALL_COUNTERS)
        raise SwaptraceError(f"there is no counter {quote(counter)}; {hint}")
    from decimal import Decimal

    if not AMOUNT.fullmatch(amount):
        message = f"{counter}: {quote(amount)} is not a number from 0 on, or one with a % behind it"
        raise SwaptraceError(message)
    return counter, Threshold(Decimal(amount.removesuffix("%")), amount.endswith("%"))


# What was found.


def unmet(result: Result) -> Iterator[Finding]:
    """The expectations and checks that do not hold."""
    for scenario in result.scenarios:
        for name, policy in scenario.policies.items():
            for checked in policy.checks:
                if not checked.ok:
                    yield Finding(CHECK, scenario.name, name, failed_check(name, checked))
        for expectation in scenario.expectations:
            if not expectation.ok:
                yield Finding("expect", scenario.name, expectation.policy, failure(expectation))


def failure(e: Expectation) -> str:
    """What a failed expectation expected, and what there was."""
    return f"{e.window}, {e.policy}: {e.counter} is {e.actual}, expected {e.expected}"


def failed_check(policy: str, checked: Checked) -> str:
    """What a check that failed claimed, and what there was."""
    where = f"{claim_text(*checked.claim)}, {policy}"
    return f"{where}: {checked.actual} in step {checked.step}, expected {checked.expected}"


def between_policies(result: Result, judge: Judge) -> Iterator[Finding]:
    """What `compare` calls a failure: each policy is compared with the first of its scenario."""
    for scenario in result.scenarios:
        yield from _changed(scenario, judge)
        base, *others = scenario.policies
        if "violation" in judge.kinds:
            for name in others:
                added = _added(scenario.policies[base], scenario.policies[name])
                yield from _violations(scenario, name, added, "violation")
        if "any-violation" in judge.kinds:
            for name, policy in scenario.policies.items():
                yield from _violations(scenario, name, policy.violations, "any-violation")


def _changed(scenario: ScenarioResult, judge: Judge) -> Iterator[Finding]:
    base, *others = scenario.policies
    for name in others:
        for change in changes(scenario.policies[base], scenario.policies[name]):
            text = (
                f"{change.window}: {change.counter} "
                f"{change.old} under {base}, {change.new} under {name}"
            )
            for kind in judge.against(change):
                yield Finding(f"--fail-on {kind}", scenario.name, name, text)


def _violations(
    scenario: ScenarioResult, policy: str, violations: Iterable[Violation], kind: FailOn
) -> Iterator[Finding]:
    for v in violations:
        if not v.is_warning:
            text = f"{v.kind} under {policy} in step {v.step}, line {v.line}"
            yield Finding(f"--fail-on {kind}", scenario.name, policy, text)


def _added(base: PolicyResult, policy: PolicyResult) -> Iterator[Violation]:
    """The violations that are not those of the base as well, as often as it has them."""
    known = Counter(map(Broken.of, base.violations))
    for violation in policy.violations:
        broken = Broken.of(violation)
        if not known[broken]:
            yield violation
        known[broken] -= known[broken] > 0


def between_results(diff: Diff, judge: Judge) -> Iterator[Finding]:
    """What `diff` calls a failure: changed values, what is new or gone as a `change`, and
    violations: those that the old result has not, or any that the new one has."""
    for row in diff.changed:
        for kind in judge.against(row.change):
            yield _of_row(f"--fail-on {kind}", row)
    if "change" in judge.kinds:
        yield from _parts("--fail-on change", diff)
    if "violation" in judge.kinds:
        yield from _broken("--fail-on violation", diff)
    if "any-violation" in judge.kinds:
        yield from _any_broken("--fail-on any-violation", diff)


def against_baseline(diff: Diff) -> Iterator[Finding]:
    """Every difference from a baseline."""
    yield from (_of_row("baseline", row) for row in diff.changed)
    yield from _parts("baseline", diff)
    yield from _broken("baseline", diff, warnings=True)
    for broken in diff.mended:
        text = f"{broken.policy}: no longer {broken.what}"
        yield Finding("baseline", broken.scenario, broken.policy, text)


def _of_row(kind: str, row: DifferenceRow) -> Finding:
    c = row.change
    text = f"{row.policy}, {c.window}: {c.counter} was {c.old}, is {c.new}"
    return Finding(kind, row.scenario, row.policy, text)


def _parts(kind: str, diff: Diff) -> Iterator[Finding]:
    yield from (_of_part(kind, part, "is new") for part in diff.added)
    yield from (_of_part(kind, part, "is gone") for part in diff.gone)


def _of_part(kind: str, part: MissingPart, what: str) -> Finding:
    return Finding(kind, part.scenario, part.policy, f"{part.within} {what}")


def _broken(kind: str, diff: Diff, warnings: bool = False) -> Iterator[Finding]:
    for broken in diff.broken:
        if warnings or not broken.is_warning:
            text = f"{broken.policy}: new: {broken.what}"
            yield Finding(kind, broken.scenario, broken.policy, text)


def _any_broken(kind: str, diff: Diff) -> Iterator[Finding]:
    for scenario, policies in diff.new.scenarios.items():
        for policy, counted in policies.items():
            for broken in counted.broken:
                if not broken.is_warning:
                    yield Finding(kind, scenario, policy, f"{policy}: {broken}")


def reasons(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each, as it goes to standard error."""
    return (printable(str(finding)) for finding in findings)
