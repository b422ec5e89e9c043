"""The options that several commands share, and how their values complete in a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from swaptrace.errors import SwaptraceError, quote
from swaptrace.report import formats
from swaptrace.terminal.exitcodes import ExitCode, foremost
from swaptrace.terminal.output import Color

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from swaptrace.mm.policy import Policy
    from swaptrace.result.judge import FailOn, Judge, Thresholds
    from swaptrace.scenario.schema import Scenario

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_POLICIES = "prepatch,rfc,final"


def complete_scenario(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of bundled scenarios, and files where no name fits."""
    from click.shell_completion import CompletionItem

    from swaptrace import bundled

    files = CompletionItem(incomplete, type="file")
    fitting = [name for name in bundled.scenarios() if name.startswith(incomplete)]
    return [files, *map(CompletionItem, fitting)]


def complete_policy(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The name of one policy."""
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import available

    return [name for name in (*available(), *ALIASES) if name.startswith(incomplete)]


def complete_policies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The last of several names with commas between."""
    before, comma, last = incomplete.rpartition(",")
    names = complete_policy(ctx, param, last)
    return [before + comma + name for name in names + ["all"] * "all".startswith(last)]


def complete_override(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The keys of a machine."""
    from dataclasses import asdict

    from swaptrace.scenario.hardware import Machine

    keys = machine_keys(asdict(Machine()), "machine")
    return [f"{key}=" for key in keys if key.startswith(incomplete)]


def machine_keys(mapping: Mapping[str, object], prefix: str) -> Iterator[str]:
    """The paths of all leaves, with dots."""
    for name, value in mapping.items():
        path = f"{prefix}.{name}"
        if isinstance(value, Mapping):
            yield from machine_keys(value, path)
        else:
            yield path


def _overrides(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """The settings by key; whether there is such a key is for the loader to say."""
    settings = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(
                f"{quote(pair)} is not KEY=VALUE, as in machine.swap.backend=disk"
            )
        settings[key.strip()] = value.strip()
    return settings


def _file(_ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
    return None if path == "-" else path


def picture(_ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
    if path is not None and not path.endswith((".svg", ".png")):
        raise click.BadParameter("the file's name must end with .svg or .png")
    return path


def _thresholds(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Thresholds:
    from swaptrace.result.judge import thresholds

    try:
        return {} if text is None else thresholds(text)
    except SwaptraceError as error:
        raise click.BadParameter(str(error)) from None


set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    shell_complete=complete_override,
    multiple=True,
    callback=_overrides,
    help="Override a machine key, as in machine.swap.backend=disk. Repeatable.",
)

color_option = click.option(
    "--color",
    type=click.Choice(get_args(Color)),
    default="auto",
    show_default=True,
    help="When to use colors.",
)


def _names(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names of C; a value cannot be given to one."""
    for name in given:
        if not (name.isascii() and name.isidentifier()):
            raise click.BadParameter(f"{quote(name)} is not a name, as CONFIG_KSM is one")
    return given


define_option = click.option(
    "--define",
    "defines",
    metavar="NAME",
    multiple=True,
    callback=_names,
    help="Define NAME for policies in C. Repeatable.",
)


builtin_option = click.option(
    "--builtin",
    metavar="NAME",
    multiple=True,
    callback=_names,
    help="Use the built-in model for function NAME of a kernel tree. Repeatable.",
)


class PoliciesOption(click.Option):
    """`-p` or `--policies`, one name on all commands; `--policy` works as well and is not shown."""

    ALIAS: Final = "--policy"

    def __init__(self, declared: Sequence[str], **attributes: Any) -> None:
        super().__init__(["-p", self.ALIAS, "--policies", *declared], **attributes)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0].replace(f"{self.ALIAS}, ", ""), record[1])

    def get_error_hint(self, ctx: click.Context | None) -> str:  # noqa: ARG002
        return "'--policies'"


def policy_option(default: str, meaning: str) -> Callable[[Command], Command]:
    """`--policies`, of the commands that look at one, and `--define`."""
    option = click.option(
        "policy",
        cls=PoliciesOption,
        metavar="NAME",
        shell_complete=complete_policy,
        default=default,
        show_default=True,
        help=meaning,
    )
    return lambda command: option(define_option(command))


def warn_of(policies: Iterable[Policy]) -> None:
    """Say on standard error what the user of these policies must know beside any result."""
    from swaptrace.terminal.output import complain

    for policy in policies:
        for reason in policy.undecided:
            complain(f"Not decided: {policy.name}: {reason}")
        for note in getattr(policy, "notes", ()):
            complain(f"Warning: {policy.name}: {note}")


def judged(code: ExitCode, policies: Iterable[Policy]) -> ExitCode:
    """The exit code where counts were judged, which under some policies is not the last word."""
    doubted = any(policy.undecided for policy in policies)
    return foremost([code, ExitCode.UNDECIDED] if doubted else [code])


def warn_of_machines(scenarios: Iterable[Scenario]) -> None:
    """Say once on standard error what of the machines is only approximately as a kernel does it."""
    from swaptrace.terminal.output import complain

    for reason in dict.fromkeys(scenario.machine.approximate for scenario in scenarios):
        if reason:
            complain(f"Warning: {reason}")


FORMATS = ("table", *formats.FORMATS)
"""Of `run`, `compare` and `diff`."""


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, with the formats that a command has."""
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(formats),
        default="table",
        show_default=True,
        help="What to print.",
    )


report_format_option = format_option(*FORMATS)

jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Replay in N processes; the output is the same.",
)

output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    callback=_file,
    help="Write to FILE, atomically.",
)


def replay_options(command: Command) -> Command:
    """What `run` and `compare` take."""
    options = (
        click.option(
            "policies",
            cls=PoliciesOption,
            metavar="A,B,...",
            shell_complete=complete_policies,
            default=DEFAULT_POLICIES,
            show_default=True,
            help="Policies: names, aliases, .py or .c files, kernel:TREE+PATCH, or all. "
            "`swaptrace policies` lists them.",
        ),
        define_option,
        builtin_option,
        report_format_option,
        output_option,
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Explain each counter in the tables.",
        ),
        click.option("--steps", is_flag=True, help="Show the counters of each step."),
        click.option("--pages", is_flag=True, help="Show the page maps at the end."),
        click.option(
            "--checkpoints",
            metavar="N",
            type=click.IntRange(1, 1000),
            help="Show the counters after each of N parts of every access and trace step.",
        ),
        click.option(
            "--plot",
            metavar="FILE",
            type=click.Path(),
            callback=picture,
            help="Draw the counters along access and trace steps, or by window (--steps: by step), "
            "as FILE.svg or FILE.png.",
        ),
        set_option,
        jobs_option,
        color_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def judge_options(command: Command) -> Command:
    """What `compare` and `diff` take to decide about the exit code."""
    fail_on = click.option(
        "--fail-on",
        type=click.Choice(["increase", "decrease", "change", "violation", "any-violation"]),
        multiple=True,
        help="Exit with 1 on: an increase or decrease of minflt or majflt; a change of any "
        "counter; a violation that the first policy or old result does not have; any violation. "
        "Repeatable.",
    )
    threshold = click.option(
        "--threshold",
        "thresholds",
        metavar="COUNTER=N[%],...",
        callback=_thresholds,
        help="With --fail-on: allow a change by N, or N per cent, as in majflt=0,minflt=5%. "
        "increase and decrease then check this counter too.",
    )
    return fail_on(threshold(command))


def judge(fail_on: tuple[FailOn, ...], thresholds: Thresholds) -> Judge:
    """What both options ask for. Raises `UsageError` for a threshold that nothing looks at."""
    from swaptrace.result.judge import Judge

    if thresholds and not fail_on:
        message = "--threshold needs --fail-on, as in --fail-on increase"
        raise click.UsageError(message, click.get_current_context())
    return Judge(fail_on, thresholds)
