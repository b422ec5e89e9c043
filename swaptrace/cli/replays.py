"""`swaptrace run` and `swaptrace compare`: replay, report, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import click

from swaptrace.cli.hint import hinting
from swaptrace.cli.options import (
    complete_scenario,
    judge,
    judge_options,
    judged,
    replay_options,
    warn_of,
    warn_of_machines,
)
from swaptrace.cli.reporting import check_format, check_library, finish
from swaptrace.cli.standard import stdin
from swaptrace.terminal.atomic import check_writable, replace_file
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output, progress

if TYPE_CHECKING:
    from pathlib import Path

    from swaptrace.mm.policy import Policy
    from swaptrace.result.judge import FailOn, Thresholds
    from swaptrace.result.result import Result
    from swaptrace.scenario.schema import Scenario

PLOTTED: Final = 50
"""How many checkpoints a picture has, unless `--checkpoints` says it."""


@click.command()
@click.argument("scenario", nargs=-1, required=True, shell_complete=complete_scenario)
@replay_options
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(),
    help="Exit with 1 if any value differs from FILE, and show the difference.",
)
@click.option("--update-baseline", is_flag=True, help="Write the counts to the file of --baseline.")
def run(
    scenario: tuple[str, ...], baseline: str | None, update_baseline: bool, **options: Any
) -> int:
    """Replay scenarios and count what happens.

    Prints a table per SCENARIO with a row per window and policy, violations, and
    whether what the scenario expects holds.

    \b
    swaptrace run read-then-write --steps --pages
    swaptrace run scenarios --policies all --format json --output all.json
    swaptrace run my.yaml --set machine.swap.backend=disk
    swaptrace run scenarios --baseline faults.json --update-baseline
    """
    from swaptrace import inputs

    if update_baseline and baseline is None:
        message = "--update-baseline needs --baseline FILE"
        raise click.UsageError(message, click.get_current_context())
    output = _output(options)
    policies = inputs.policies(options["policies"], options["defines"], options["builtin"])
    warn_of(policies)
    before = None
    if baseline is not None:
        from swaptrace.cli import baselines

        before = baselines.read(path_of(baseline), updating=update_baseline)
    result = _replay(scenario, policies, options, output)
    from swaptrace.report.reports import RunReport
    from swaptrace.result.judge import against_baseline, unmet

    findings = list(unmet(result))
    against = None
    if before is not None:
        against = baselines.beside(before, result)
        if update_baseline:
            baselines.write(path_of(before.source), result, against)
            against = None
        else:
            findings += against_baseline(against.diff)
    code = finish(
        RunReport(result, tuple(findings), against, options["verbose"]), options["fmt"], output
    )
    return judged(code, policies)


@click.command()
@click.argument("scenario", nargs=-1, shell_complete=complete_scenario)
@replay_options
@judge_options
def compare(
    scenario: tuple[str, ...],
    fail_on: tuple[FailOn, ...],
    thresholds: Thresholds,
    **options: Any,
) -> int:
    """Compare policies on the same scenarios.

    Prints a table per SCENARIO with each policy beside the first and the
    difference. Without a SCENARIO, takes those in ./scenarios, else the bundled
    ones.

    \b
    swaptrace compare --policies old,new
    swaptrace compare my.yaml --policies final,my.py --fail-on increase
    """
    from swaptrace import inputs

    asked = judge(fail_on, thresholds)
    output = _output(options)
    policies = inputs.policies(options["policies"], options["defines"], options["builtin"])
    warn_of(policies)
    if len(policies) < 2:
        message = "compare needs at least two policies, as in --policies old,new"
        raise click.UsageError(message, click.get_current_context())
    result = _replay(scenario, policies, options, output)
    from swaptrace.report.reports import CompareReport
    from swaptrace.result.judge import between_policies, unmet

    findings = (*unmet(result), *between_policies(result, asked))
    code = finish(
        CompareReport(result, findings, bool(fail_on), options["verbose"]), options["fmt"], output
    )
    return judged(code, policies)


def _output(options: Mapping[str, Any]) -> Output:
    """Where the report goes; whether it can go there is found out before the work."""
    check_format(options)
    check_library(options["fmt"])
    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(path_of(output.path))
    if options["plot"] is not None:
        from swaptrace.report.plot import check_library as check

        check()
        check_writable(path_of(options["plot"]), "--plot")
    return output


def _replay(
    names: Sequence[str], policies: Sequence[Policy], options: Mapping[str, Any], output: Output
) -> Result:
    """Load and replay everything, with a progress bar where it takes long."""
    from swaptrace import inputs
    from swaptrace.replay import scenarios as commands

    sources, errors = inputs.find_all(names) if names else (inputs.defaults(), [])
    loaded = inputs.load_all(sources, options["overrides"], stdin(), errors)
    warn_of_machines(loaded)

    def along(scenario: Scenario) -> Callable[[int], None]:
        return bar.within(cache(lambda: commands.accesses_of(scenario)))

    with progress(len(loaded) * len(policies), output.color) as bar, hinting(loaded):
        result = commands.replay_all(
            loaded,
            policies,
            steps=options["steps"],
            pages=options["pages"],
            checkpoints=options["checkpoints"] or (PLOTTED if options["plot"] else 0),
            history=options["fmt"] == "html",
            begin=bar.begin,
            along=along,
            jobs=options["jobs"],
        )
    if options["plot"] is None:
        return result
    plot(result, path_of(options["plot"]))
    return result if options["checkpoints"] else commands.without_checkpoints(result)


def plot(result: Result, path: Path) -> None:
    """Draw what long steps have counted along the way."""
    from swaptrace.report.plot import drawn

    replace_file(path, drawn(result, path.suffix[1:]))
