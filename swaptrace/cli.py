"""The command line: parse, call one function, print, exit code.

0: all well; 1: an expectation or `--fail-on` failed; 2: the input or the command line is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from swaptrace import __version__
from swaptrace.errors import ScenarioError, SwaptraceError, printable
from swaptrace.options import (
    color_option,
    complete_policy,
    complete_scenario,
    format_option,
    output_option,
    replay_options,
    set_option,
)
from swaptrace.output import Color, Output, check_writable, complain, discard, progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swaptrace.mm.policy import Policy
    from swaptrace.replay.result import Result
    from swaptrace.report.changes import FailOn
    from swaptrace.scenario.schema import Scenario

OK = 0
FAILED = 1
WRONG = 2
INTERRUPTED = 130
"""As a shell reports a program that SIGINT ended."""
BROKEN_PIPE = 141
"""As a shell reports a program that SIGPIPE ended."""


@contextmanager
def handled() -> Iterator[None]:
    """Turn every exception into a message and an exit code; click's own are for click."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SWAPTRACE_TRACEBACK"):
            raise
        raise click.exceptions.Exit(outcome(error)) from error


def outcome(error: BaseException) -> int:
    """Say what went wrong; the exit code."""
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            discard(sys.stdout)
            return BROKEN_PIPE
        case SwaptraceError():
            complain_of(error)
        case MemoryError():
            complain("Error: not enough memory for this")
        case RecursionError():
            complain("Error: the input is nested too deeply")
        case OSError():
            complain(f"Error: {error}")
        case _:
            complain(
                f"Error: swaptrace itself is at fault: {type(error).__name__}: {error}\n"
                "Please report it with the scenario; SWAPTRACE_TRACEBACK=1 shows where it was."
            )
    discard(sys.stdout)
    return WRONG


def complain_of(error: SwaptraceError) -> None:
    """Print an error; what is wrong in a file speaks for itself."""
    from swaptrace.inputs import InputErrors

    if isinstance(error, InputErrors):
        for each in error.errors:
            complain_of(each)
    else:
        complain(str(error) if isinstance(error, ScenarioError) else f"Error: {error}")


class Program(click.Group):
    """The command group: no exception leaves it but as an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with handled():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        with handled():
            ctx.exit(super().invoke(ctx) or 0)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="swaptrace %(version)s")
def main() -> None:
    """Replay page-fault scenarios under the drafts of a Linux patch.

    A scenario says what processes do to their memory. swaptrace counts the page
    faults (and more) that the kernel would take, under each policy: each draft of
    the patch "mm: swap: reuse exclusive folio directly instead of wp page faults".

    \b
    swaptrace run read-then-write            one scenario, three policies
    swaptrace compare --policies old,new     every scenario, before and after
    swaptrace run my.yaml --policies my.py   your own scenario and policy

    A SCENARIO is a file, a directory (all its *.yaml), the name of a bundled
    scenario, or - for standard input.

    Exit codes: 0 all well; 1 an expectation or --fail-on failed; 2 the input or
    the command line is wrong.
    """


@main.command()
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


@main.command()
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


@main.command()
@click.argument("scenario", shell_complete=complete_scenario)
@click.option(
    "--policy",
    metavar="NAME",
    shell_complete=complete_policy,
    default="final",
    show_default=True,
    help="The policy to replay under: a name, an alias or the path of a .py file.",
)
@click.option(
    "--step",
    metavar="PATH",
    help="Only this step, as --steps names them: 3, or 4.0 for the first within step 4.",
)
@format_option
@output_option
@set_option
@color_option
def explain(scenario: str, policy: str, step: str | None, **options: Any) -> None:
    """Say why a step counts what it counts.

    Prints the distinct transitions of each step: how many pages took each, the
    page before and after, and the kernel functions that decided.

    \b
    swaptrace explain read-then-write --policy old
    swaptrace explain my.yaml --policy my.py --step 3.0
    swaptrace explain my.yaml --format json
    """
    from swaptrace import commands, inputs
    from swaptrace.policies import find as find_policy

    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(Path(output.path))
    sources, errors = inputs.find_all([scenario])
    loaded = inputs.load_all(sources, options["overrides"], _stdin(), errors)
    explanation = commands.explain_one(loaded, find_policy(policy), step)
    if options["fmt"] == "json":
        output.write(explanation.to_json())
        return
    from swaptrace.report.explained import explain_report

    output.show(explain_report(explanation))


@main.command()
@click.argument("scenario", nargs=-1, required=True, shell_complete=complete_scenario)
@set_option
def check(scenario: tuple[str, ...], overrides: dict[str, str]) -> None:
    """Validate scenarios without replaying them.

    Reports everything that is wrong in every file.

    \b
    swaptrace check my.yaml
    swaptrace check scenarios
    """
    from swaptrace import inputs

    fine: list[Scenario] = []
    sources, errors = inputs.find_all(scenario)
    for found in inputs.try_each(sources, overrides, _stdin()):
        if isinstance(found, SwaptraceError):
            errors.append(found)
        else:
            fine.append(found)
    Output().write("".join(f"{printable(each.file)}: ok\n" for each in fine))
    _warn(fine, ())
    if errors:
        raise inputs.InputErrors(errors)


@main.command()
@click.argument("name", required=False, shell_complete=complete_policy)
@color_option
def policies(name: str | None, color: Color) -> None:
    """List the policies, or print the source of one.

    \b
    swaptrace policies
    swaptrace policies final
    """
    from swaptrace import inputs

    if name is not None:
        Output().write(inputs.policy_source(name))
        return
    rows, errors = inputs.list_policies()
    _list(["name", "alias", "what it does on swap-in", "origin"], rows, color)
    if errors:
        raise inputs.InputErrors(errors)


@main.command()
@color_option
def scenarios(color: Color) -> None:
    """List the bundled scenarios.

    \b
    swaptrace scenarios
    swaptrace run NAME          replay one of them
    """
    from swaptrace import inputs

    sources = inputs.all_bundled()
    if not sources:
        raise SwaptraceError("no bundled scenarios: this installation of swaptrace is not complete")
    loaded = inputs.load_all(sources.values(), {}, None)
    described = zip(sources, loaded, strict=True)
    rows = [(name, inputs.first_sentence(each.description)) for name, each in described]
    _list(["name", "description"], rows, color)


def _list(header: Sequence[str], rows: Sequence[Sequence[str]], color: Color) -> None:
    from swaptrace.report.layout import listing

    Output(color).show(listing(header, rows))


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
    loaded = inputs.load_all(sources, options["overrides"], _stdin(), errors)
    _warn(loaded, policies)
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


def _warn(loaded: Sequence[Scenario], policies: Sequence[Policy]) -> None:
    from swaptrace.commands import unknown_policies

    for scenario in loaded:
        for warning in unknown_policies(scenario, policies):
            complain(warning)


def _stdin() -> BinaryIO | None:
    return getattr(sys.stdin, "buffer", None)
