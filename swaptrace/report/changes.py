"""What differs between policies, and what is a failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from swaptrace.counters import COUNTERS
from swaptrace.replay.result import Counters, Expectation, PolicyResult, Result, ScenarioResult

FailOn = Literal["increase", "decrease", "change", "violation"]
FAIL_ON: tuple[FailOn, ...] = get_args(FailOn)

FAULTS = ("minflt", "majflt")
"""The counters that always have a column, and that `increase` and `decrease` look at."""

TOTAL = "total"


class Change(NamedTuple):
    """One counter of one window under two policies; it need not have changed."""

    window: str
    counter: str
    old: int
    new: int

    @property
    def difference(self) -> int:
        return self.new - self.old

    @property
    def percent(self) -> str:
        """The difference in per cent of the old value, as the tables show it."""
        if self.old:
            return f"{100 * self.difference / self.old:+.1f}%" if self.difference else "0.0%"
        return "new" if self.new else "0.0%"

    def fails(self, kind: FailOn) -> bool:
        """Whether `--fail-on KIND` calls it a failure."""
        if kind == "change":
            return self.difference != 0
        sign = {"increase": 1, "decrease": -1}.get(kind, 0)
        return self.counter in FAULTS and self.difference * sign > 0


def windows_of(policies: Iterable[PolicyResult]) -> list[str]:
    """The labels of all windows in order of first appearance, the total last."""
    labels = dict.fromkeys(label for policy in policies for label in policy.windows)
    return [label for label in labels if label != TOTAL] + [TOTAL]


def counters_in(policy: PolicyResult, window: str) -> Counters:
    """The counters of a window, of which one that was never entered has none, or of the total."""
    return policy.total if window == TOTAL else policy.windows.get(window, {})


def used(counters: Iterable[Counters]) -> list[str]:
    """minflt and majflt, then every counter that is not zero everywhere, in the order of tables."""
    seen = {name for each in counters for name, count in each.items() if count}
    known = [name for name in COUNTERS if name in FAULTS or name in seen]
    return known + sorted(seen.difference(COUNTERS))


def changes(old: PolicyResult, new: PolicyResult) -> Iterator[Change]:
    """Every counter of every window that either of the two has used."""
    for window in windows_of([old, new]):
        before, after = counters_in(old, window), counters_in(new, window)
        for counter in used([before, after]):
            yield Change(window, counter, before.get(counter, 0), after.get(counter, 0))


def failures(result: Result, kinds: Sequence[FailOn]) -> Iterator[str]:
    """One line for each thing that `--fail-on` calls a failure.

    Each policy is held against the first of its scenario.
    """
    for scenario in result.scenarios:
        for name in list(scenario.policies)[1:]:
            yield from _failed_changes(scenario, name, kinds)
        if "violation" in kinds:
            yield from _violations(scenario)


def _failed_changes(scenario: ScenarioResult, name: str, kinds: Sequence[FailOn]) -> Iterator[str]:
    base = next(iter(scenario.policies))
    for change in changes(scenario.policies[base], scenario.policies[name]):
        for kind in kinds:
            if change.fails(kind):
                yield (
                    f"--fail-on {kind}: {scenario.name}: {change.window}: {change.counter} "
                    f"{change.old} under {base}, {change.new} under {name}"
                )


def _violations(scenario: ScenarioResult) -> Iterator[str]:
    for name, policy in scenario.policies.items():
        for violation in policy.violations:
            if not violation.is_warning:
                yield (
                    f"--fail-on violation: {scenario.name}: {violation.kind} under {name} "
                    f"in step {violation.step}, line {violation.line}"
                )


def failure(e: Expectation) -> str:
    """What a failed expectation expected, and what there was."""
    return f"{e.window}, {e.policy}: {e.counter} is {e.actual}, expected {e.expected}"
