"""JSON: results as `swaptrace.result/1`, differences between two as `swaptrace.diff/1`."""

from __future__ import annotations

from swaptrace.report.diff import diff_json
from swaptrace.report.reports import DiffReport, Report
from swaptrace.result.result import to_json


def json(report: Report) -> str:
    """The report as JSON."""
    if isinstance(report, DiffReport):
        return diff_json(report.diff, report.everything)
    return to_json(report.result)
