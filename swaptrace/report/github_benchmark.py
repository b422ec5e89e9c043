"""What github-action-benchmark takes: the faults and the swap traffic of reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from swaptrace.report.reports import DiffReport, Report
from swaptrace.result.changes import FAULTS
from swaptrace.result.snapshot import of_result

UNITS: Final = {**dict.fromkeys(FAULTS, "faults"), "pswpin": "pages", "pswpout": "pages"}
"""The counters whose growth is a loss in every scenario, and what they count."""


def github_benchmark(report: Report) -> str:
    """The faults and the swap traffic of every window, as customSmallerIsBetter wants them.

    Zeroes are there as well, lest a series has holes; of a diff, the new values.
    """
    snapshot = report.diff.new if isinstance(report, DiffReport) else of_result(report.result, "")
    values = [
        {"name": f"{name}/{policy}/{window}/{counter}", "unit": unit, "value": count}
        for name, policies in snapshot.scenarios.items()
        for policy, counted in policies.items()
        for window, counters in counted.windows.items()
        for counter, unit, count in _costs(counters)
    ]
    return json.dumps(values, indent=2) + "\n"


def _costs(counters: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    return ((counter, unit, counters.get(counter, 0)) for counter, unit in UNITS.items())
