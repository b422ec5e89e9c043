"""What a command reports, whatever the format, and how it looks on a terminal.

A table is imported by the command that shows it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.console import Group, RenderableType

from swaptrace.report.layout import Lines
from swaptrace.result.differences import Diff
from swaptrace.result.judge import CHECK, Finding
from swaptrace.result.result import Result


class Against(NamedTuple):
    """A run beside its baseline: what differs, and that as a unified diff of the two files."""

    diff: Diff
    unified: tuple[str, ...]


class RunReport(NamedTuple):
    """What `run` reports; `verbose` asks what the counters mean."""

    result: Result
    findings: tuple[Finding, ...]
    against: Against | None = None
    verbose: bool = False


class CompareReport(NamedTuple):
    """What `compare` reports; `judged` says that there was a `--fail-on`, `verbose` as
    of `RunReport`."""

    result: Result
    findings: tuple[Finding, ...]
    judged: bool = False
    verbose: bool = False


class DiffReport(NamedTuple):
    """What `diff` reports; `everything` asks for equal values as well."""

    diff: Diff
    findings: tuple[Finding, ...]
    judged: bool = False
    everything: bool = False


Report = RunReport | CompareReport | DiffReport

SHOWN: Final = ("expect", CHECK, "baseline")
"""The kinds of findings that the tables show themselves."""


def tables(report: Report) -> RenderableType:
    """The report as tables."""
    match report:
        case RunReport(result):
            from swaptrace.report.run import run_report

            shown = explained(report, run_report(result))
            against = report.against
            return Group(shown, "", beside_baseline(against)) if against else shown
        case CompareReport(result):
            from swaptrace.report.compare import compare_report

            return explained(report, compare_report(result))
        case DiffReport(diff):
            from swaptrace.report.diff import diff_report

            return diff_report(diff, report.everything)


def explained(report: RunReport | CompareReport, shown: RenderableType) -> RenderableType:
    """The tables and, where it was asked for, below them what their counters mean."""
    if not report.verbose:
        return shown
    from swaptrace.report.glossary import beneath

    return Group(shown, "", beneath(report.result))


def beside_baseline(against: Against) -> RenderableType:
    """What differs from the baseline, and the unified diff if anything does."""
    from swaptrace.report.diff import diff_report

    report = diff_report(against.diff)
    return Group(report, "", Lines(against.unified, "diff")) if against.unified else report
