"""`swaptrace diff`: two saved results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swaptrace.cli.options import (
    color_option,
    judge,
    judge_options,
    output_option,
    report_format_option,
)
from swaptrace.cli.reporting import check_library, finish
from swaptrace.terminal.atomic import check_writable
from swaptrace.terminal.exitcodes import ExitCode, foremost
from swaptrace.terminal.files import path_of, read_text
from swaptrace.terminal.output import Output, complain

if TYPE_CHECKING:
    from swaptrace.result.judge import FailOn, Thresholds


@click.command()
@click.argument("old", metavar="OLD.json", type=click.Path())
@click.argument("new", metavar="NEW.json", type=click.Path())
@judge_options
@click.option("--all", "everything", is_flag=True, help="Show equal values too.")
@report_format_option
@output_option
@color_option
def diff(
    old: str,
    new: str,
    fail_on: tuple[FailOn, ...],
    thresholds: Thresholds,
    everything: bool,
    **options: Any,
) -> int:
    """Compare two saved results, or a baseline and a result.

    Prints what differs by scenario, policy and window, and what only one of them
    has. Lines and steps are ignored, so a scenario may be edited.

    \b
    swaptrace run scenarios --format json --output old.json
    swaptrace diff old.json new.json --fail-on increase --threshold minflt=5%
    swaptrace diff old.json new.json --all --format csv
    """
    from swaptrace.report.reports import DiffReport
    from swaptrace.result.differences import difference
    from swaptrace.result.jsonfile import MAX_BYTES
    from swaptrace.result.judge import between_results
    from swaptrace.result.snapshot import doubts, read_saved

    asked = judge(fail_on, thresholds)
    check_library(options["fmt"])
    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(path_of(output.path))
    before, after = (read_saved(read_text(path, MAX_BYTES), path) for path in (old, new))
    found = difference(before, after)
    findings = tuple(between_results(found, asked))
    report = DiffReport(found, findings, bool(fail_on), everything)
    doubted = [f"{each.source}: {why}" for each in (before, after) for why in doubts(each)]
    for doubt in doubted:
        complain(f"Not decided: {doubt}")
    code = finish(report, options["fmt"], output)
    return foremost([code, ExitCode.UNDECIDED] if doubted else [code])
