"""`swaptrace run` and `swaptrace compare`: replay, print, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swaptrace.cli.options import complete_scenario, replay_options
from swaptrace.cli.program import FAILED, OK
from swaptrace.cli.standard import stdin, warn
from swaptrace.output import Output, check_writable, complain, progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swaptrace.mm.policy import Policy
    from swaptrace.replay.result import Result
    from swaptrace.report.changes import FailOn


@click.command()
@click.argument("scenario", nargs=-1, required=True, shell_complete=complete_scenario)
@replay_options
def run(scenario: tuple[str, ...], **options: Any) -> int:
    """Replay scenarios and count what happens.

    Prints a table per SCENARIO (a file, a directory, a bundled name, or -), with a
    row per measured window and policy, any violation of the kernel's promises to
    user space, and whether what the scenario expects holds.

    \b
    swaptrace run read-then-write
    swaptrace run scenarios --policies all
    swaptrace run my.yaml --steps --pages
    swaptrace run my.yaml --set machine.swap.backend=disk
    swaptrace run my.yaml --format json --output my.json
    """
    from swaptrace import inputs

    return _replay(scenario, inputs.policies(options["policies"]), options)


@click.command()
@click.argument("scenario", nargs=-1, shell_complete=complete_scenario)
@replay_options
@click.option(
    "--fail-on",
    type=click.Choice(["increase", "decrease", "change", "violation"]),
    multiple=True,
    help="Exit with 1 if minflt or majflt increase or decrease, if any counter changes, or if "
    "any policy breaks a promise. May be repeated.",
)
def compare(scenario: tuple[str, ...], fail_on: tuple[FailOn, ...], **options: Any) -> int:
    """Compare policies on the same scenarios.

    Prints a table per SCENARIO with each policy beside the first and the
    difference. Without a SCENARIO, takes those in ./scenarios or, where there is
    no such directory, the bundled ones.

    \b
    swaptrace compare --policies old,new
    swaptrace compare my.yaml --policies final,my.py --fail-on increase
    swaptrace compare --policies old,new --fail-on violation --format json
    """
    from swaptrace import inputs

    policies = inputs.policies(options["policies"])
    if len(policies) < 2:
        message = "compare needs at least two policies, as in --policies old,new"
        raise click.UsageError(message, click.get_current_context())
    return _replay(scenario, policies, options, fail_on)


def _replay(
    names: Sequence[str],
    policies: Sequence[Policy],
    options: Mapping[str, Any],
    fail_on: Sequence[FailOn] | None = None,
) -> int:
    """Replay and print; `fail_on` is None for `run`. The exit code."""
    from swaptrace import commands, inputs

    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(Path(output.path))
    sources, errors = inputs.find_all(names) if names else (inputs.defaults(), [])
    loaded = inputs.load_all(sources, options["overrides"], stdin(), errors)
    warn(loaded, policies)
    with progress(len(loaded) * len(policies), output.color) as begin:
        result = commands.replay_all(
            loaded, policies, steps=options["steps"], pages=options["pages"], begin=begin
        )
    as_table = options["fmt"] == "table"
    if as_table:
        output.show(_report(result, fail_on is not None))
    else:
        from swaptrace.replay.result import to_json

        output.write(to_json(result))
    return _verdict(result, fail_on or (), shown=as_table and output.path is None)


def _report(result: Result, comparing: bool) -> RenderableType:
    if comparing:
        from swaptrace.report.compared import compare_report

        return compare_report(result)
    from swaptrace.report.tables import run_report

    return run_report(result)


def _verdict(result: Result, fail_on: Sequence[FailOn], shown: bool) -> int:
    """The exit code, and to standard error why; failed expectations only if not `shown`."""
    from swaptrace.report.changes import failure, failures

    reasons = list(failures(result, fail_on))
    failed = [(s.name, e) for s in result.scenarios for e in s.expectations if not e.ok]
    if not shown:
        reasons = [f"expect: {name}: {failure(e)}" for name, e in failed] + reasons
    for reason in reasons:
        complain(reason)
    return FAILED if failed or reasons else OK
