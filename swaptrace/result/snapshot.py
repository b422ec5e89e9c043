"""The values of a result without what changes from run to run, and the baseline file of them.

A snapshot has no version, no paths, no lines and no steps: what is left is what `diff` and
`run --baseline` compare with another.

A baseline, `swaptrace.baseline/1`, is a JSON file of one, sorted and with a value a line, for
version control.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from swaptrace.counters import WARNINGS
from swaptrace.result.changes import TOTAL
from swaptrace.result.jsonfile import Node, parse
from swaptrace.result.result import SCHEMA, Counters, PolicyResult, Result, Violation, from_json

BASELINE = "swaptrace.baseline/1"


class Broken(NamedTuple):
    """A broken promise to user space, without the step: an added step is no new violation."""

    kind: str
    process: str
    region: str
    page: int
    pages: int

    @classmethod
    def of(cls, violation: Violation) -> Broken:
        """The same wherever it shows."""
        v = violation
        return cls(v.kind, v.process, v.region, v.page, v.pages)

    @property
    def is_warning(self) -> bool:
        return self.kind in WARNINGS

    def __str__(self) -> str:
        pages = f"page {self.page}" if self.pages == 1 else f"{self.pages} pages from {self.page}"
        return f"{self.kind}, process {self.process}, region {self.region}, {pages}"


class SnapshotCounts(NamedTuple):
    """What one scenario counts under one policy: counters by window, the total among them, and why
    that is not the last word."""

    windows: Mapping[str, Counters]
    broken: tuple[Broken, ...]
    undecided: tuple[str, ...] = ()


Machine = Mapping[str, object]


class Snapshot(NamedTuple):
    """The values of a saved result; `source` is what it is called.

    `scenarios` maps name to policy to what was counted. `machines` has no entry for scenarios
    of a baseline.
    """

    source: str
    scenarios: Mapping[str, Mapping[str, SnapshotCounts]]
    machines: Mapping[str, Machine]


def of_result(result: Result, source: str) -> Snapshot:
    """The values of a result. Where a name appears again, `(2)` is added to it."""
    scenarios: dict[str, Mapping[str, SnapshotCounts]] = {}
    machines: dict[str, Machine] = {}
    times: Counter[str] = Counter()
    for scenario in result.scenarios:
        times[scenario.name] += 1
        nth = times[scenario.name]
        name = scenario.name if nth == 1 else f"{scenario.name} ({nth})"
        scenarios[name] = {each: _counted(found) for each, found in scenario.policies.items()}
        machines[name] = scenario.machine
    return Snapshot(source, scenarios, machines)


def _counted(policy: PolicyResult) -> SnapshotCounts:
    broken = map(Broken.of, policy.violations)
    windows = {**policy.windows, TOTAL: policy.total}
    return SnapshotCounts(windows, tuple(sorted(broken)), policy.undecided)


def doubts(snapshot: Snapshot) -> Iterator[str]:
    """What of it is not decided, each policy's reasons once."""
    found = dict.fromkeys(
        f"{policy}: {reason}"
        for policies in snapshot.scenarios.values()
        for policy, counted in policies.items()
        for reason in counted.undecided
    )
    yield from found


def read_saved(text: str, source: str) -> Snapshot:
    """A saved result or a baseline. Raises `SwaptraceError`."""
    schema = parse(text, source, SCHEMA, BASELINE).key("schema").text()
    if schema == BASELINE:
        return read_baseline(text, source)
    return of_result(from_json(text, source), source)


# The baseline file.


def baseline_text(snapshot: Snapshot) -> str:
    """The snapshot as a baseline file: the same values give the same bytes."""
    scenarios = {
        scenario: {policy: _counted_json(counted) for policy, counted in policies.items()}
        for scenario, policies in snapshot.scenarios.items()
    }
    document = {"schema": BASELINE, "scenarios": scenarios}
    return json.dumps(document, sort_keys=True, indent=2) + "\n"


def _counted_json(counted: SnapshotCounts) -> dict[str, object]:
    windows = counted.windows.items()
    document: dict[str, object] = {
        "windows": {window: _nonzero(counters) for window, counters in windows},
        "violations": [broken._asdict() for broken in counted.broken],
    }
    if counted.undecided:
        document["undecided"] = list(counted.undecided)
    return document


def _nonzero(counters: Counters) -> Counters:
    return {name: count for name, count in counters.items() if count}


def read_baseline(text: str, source: str) -> Snapshot:
    """Read what `baseline_text` wrote. Raises `SwaptraceError`."""
    scenarios = parse(text, source, BASELINE).key("scenarios").fields()
    found = {
        scenario: {policy: _read_counted(each) for policy, each in node.fields().items()}
        for scenario, node in scenarios.items()
    }
    return Snapshot(source, found, {})


def _read_counted(node: Node) -> SnapshotCounts:
    windows = {
        window: {name: child.count() for name, child in counters.fields().items()}
        for window, counters in node.key("windows").fields().items()
    }
    broken = tuple(map(_read_broken, node.key("violations").array()))
    undecided = node.fields().get("undecided")
    return SnapshotCounts(
        windows, broken, tuple(each.text() for each in undecided.array()) if undecided else ()
    )


def _read_broken(node: Node) -> Broken:
    return Broken(
        node.key("kind").text(),
        node.key("process").text(),
        node.key("region").text(),
        node.key("page").count(),
        node.key("pages").count(1),
    )


def value_lines(snapshot: Snapshot) -> list[str]:
    """A line for each value, sorted, that names everything: for a unified diff."""
    return sorted(_lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    for scenario, policies in snapshot.scenarios.items():
        for policy, counted in policies.items():
            place = f"{scenario}, {policy}"
            for window, counters in counted.windows.items():
                for name, count in _nonzero(counters).items():
                    yield f"{place}, {window}: {name} {count}"
            yield from (f"{place}: {broken}" for broken in counted.broken)
