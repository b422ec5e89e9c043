"""One counter beside another: what compare, diff and baselines are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swaptrace.counters import ALL_COUNTERS
from swaptrace.result.result import Counters, PolicyResult, Violation

FAULTS = ("minflt", "majflt")
"""The counters that always have a column."""

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


def windows_of(policies: Iterable[PolicyResult]) -> list[str]:
    """The labels of all windows in order of first appearance, the total last."""
    labels = dict.fromkeys(label for policy in policies for label in policy.windows)
    return [label for label in labels if label != TOTAL] + [TOTAL]


def counters_in(policy: PolicyResult, window: str) -> Counters:
    """The counters of a window, of which one that was never entered has none, or of the total."""
    return policy.total if window == TOTAL else policy.windows.get(window, {})


def all_in(policy: PolicyResult, window: str) -> Counters:
    """The counters of the window and, in the total, the violations by kind, in pages."""
    counters = dict(counters_in(policy, window))
    for violation in policy.violations if window == TOTAL else ():
        counters[violation.kind] = counters.get(violation.kind, 0) + violation.pages
    return counters


def used(counters: Iterable[Counters]) -> list[str]:
    """minflt and majflt, then every counter that is not zero everywhere, in the order of tables."""
    seen = {name for each in counters for name, count in each.items() if count}
    known = [name for name in ALL_COUNTERS if name in FAULTS or name in seen]
    return known + sorted(seen.difference(ALL_COUNTERS))


def changes(old: PolicyResult, new: PolicyResult) -> Iterator[Change]:
    """Every counter of every window that either of the two has used."""
    for window in windows_of([old, new]):
        before, after = counters_in(old, window), counters_in(new, window)
        for counter in used([before, after]):
            yield Change(window, counter, before.get(counter, 0), after.get(counter, 0))


def claim_text(kind: str, line: int, process: str, region: str) -> str:
    """Which claim of a `check` step it is; the fields are those of `Checked`."""
    of = f" of {region} in {process}" if region else ""
    return f"line {line}, {kind}{of}"


def violation_text(v: Violation, under: str = "") -> str:
    """A broken promise, and where it first shows; `under` stands behind its name."""
    kind = "warning" if v.is_warning else "violation"
    pages = f"page {v.page}" if v.pages == 1 else f"{v.pages} pages from page {v.page} on"
    place = f"step {v.step}, line {v.line}, process {v.process}, region {v.region}"
    return f"{kind}: {v.kind}{under}: {place}, {pages}"
