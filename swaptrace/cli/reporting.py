"""Printing a report in any format, and the exit code that it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from swaptrace.terminal.exitcodes import ExitCode
from swaptrace.terminal.output import Output, complain

if TYPE_CHECKING:
    from swaptrace.report.reports import Report

WITH_STEPS = ("table", "json", "markdown", "text", "html")
"""The formats that have a place for `--steps` and `--pages`."""

WITH_CHECKPOINTS = ("table", "json", "markdown", "html")
"""The formats that have a place for `--checkpoints`."""

WITH_FINDINGS = ("table", "markdown", "text", "html")
"""The formats that show which expectations fail and what differs from a baseline."""


def check_format(options: Mapping[str, Any]) -> None:
    """Refuse a format that would drop what was asked for. Raises `UsageError`."""
    places = {
        "steps": WITH_STEPS,
        "pages": WITH_STEPS,
        "checkpoints": WITH_CHECKPOINTS,
        "verbose": WITH_FINDINGS,
    }
    for option, those in places.items():
        if options[option] and options["fmt"] not in those:
            have = f"{', '.join(those[:-1])} and {those[-1]} have"
            message = f"--format {options['fmt']} has no place for --{option}; {have}"
            raise click.UsageError(message, click.get_current_context())


def check_library(fmt: str) -> None:
    """Find out before the work whether a format can be made. Raises `SwaptraceError`."""
    if fmt == "html":
        from swaptrace.report.html.rendering import check_library as check

        check()


def finish(report: Report, fmt: str, output: Output) -> ExitCode:
    """Print the report, say to standard error why it is a failure; the exit code."""
    from swaptrace.report.reports import SHOWN
    from swaptrace.result.judge import reasons

    if fmt == "table":
        from swaptrace.report.reports import tables

        output.show(tables(report))
    else:
        from swaptrace.report.formats import render

        output.write(render(fmt, report))
    seen = SHOWN if fmt in WITH_FINDINGS and output.path is None else ()
    for reason in reasons(each for each in report.findings if each.kind not in seen):
        complain(reason)
    return ExitCode.FAILED if report.findings else ExitCode.OK
