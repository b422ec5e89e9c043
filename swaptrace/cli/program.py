"""The command line: parse, call one function, print, exit code (`swaptrace.terminal.exitcodes`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from swaptrace import __version__
from swaptrace.errors import (
    InputErrors,
    ScenarioError,
    SwaptraceError,
    did_you_mean,
    quote,
)
from swaptrace.terminal.exitcodes import ExitCode
from swaptrace.terminal.interruption import leave_at_once, raise_instead
from swaptrace.terminal.output import complain, discard

COMMANDS = {
    "run": "replays",
    "compare": "replays",
    "sweep": "sweep",
    "watch": "watch",
    "diff": "diff",
    "explore": "explore",
    "graph": "explore",
    "explain": "explain",
    "check": "check",
    "emit-c": "emit",
    "verify": "verify",
    "import": "imports",
    "record": "record",
    "policies": "listings",
    "scenarios": "listings",
    "counters": "listings",
    "schema": "schema",
}
"""Every command, in the order of `--help`, and the module of this package that has it."""


@contextmanager
def handled() -> Iterator[None]:
    """Turn every exception into a message and an exit code; click's own are for click."""
    held = False
    try:
        held = raise_instead()
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SWAPTRACE_TRACEBACK"):
            raise
        raise click.exceptions.Exit(outcome(error)) from error
    finally:
        if held:
            leave_at_once()


def outcome(error: BaseException) -> ExitCode:
    """Say what went wrong; the exit code."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case BrokenPipeError():
            complain("Error: standard output was closed before all was written")
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
                f"Error: internal error: {type(error).__name__}: {error}\n"
                "Please report it with the scenario; SWAPTRACE_TRACEBACK=1 shows where it was."
            )
    discard(sys.stdout)
    return ExitCode.WRONG


def complain_of(error: SwaptraceError) -> None:
    """Print an error; what is wrong in a file speaks for itself."""
    if isinstance(error, InputErrors):
        for each in error.errors:
            complain_of(each)
    else:
        complain(str(error) if isinstance(error, ScenarioError) else f"Error: {error}")


class CommandGroup(click.Group):
    """The command group: a command is imported when it is used, and no exception leaves the
    group but as an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"swaptrace.cli.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {quote(args[0])}; {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with handled():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> None:
        with handled():
            ctx.exit(super().invoke(ctx) or ExitCode.OK)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
    swaptrace diff old.json new.json         two saved results, as in a CI

    A SCENARIO is a file, a directory (all its *.yaml), a bundled scenario's name, or
    - for standard input.

    Exit codes: 0 all well; 1 something failed or was found; 2 the input, the command
    line or the environment is wrong; 3 not decided; 4 everything was skipped; 130
    interrupted, 143 terminated.
    """
