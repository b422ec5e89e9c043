"""`swaptrace verify`: the same scenarios on a real kernel, held against the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swaptrace.cli.options import (
    color_option,
    complete_policy,
    complete_scenario,
    output_option,
    set_option,
)
from swaptrace.cli.standard import stdin
from swaptrace.output import Output, check_writable, progress

if TYPE_CHECKING:
    from swaptrace.verify.place import Place
    from swaptrace.verify.run import Verifier
    from swaptrace.verify.verdict import Run


def _size(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Bytes, written as in a scenario."""
    if text is None:
        return None
    from swaptrace.scenario.values import LENGTH, Invalid

    try:
        return LENGTH(text)
    except Invalid as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("scenario", nargs=-1, shell_complete=complete_scenario)
@click.option(
    "--policy",
    metavar="NAME",
    shell_complete=complete_policy,
    default="auto",
    show_default=True,
    help="What the kernel is held against: a policy's name, an alias or the path of a .py file; "
    "auto: prepatch below Linux 6.11, merged from it on.",
)
@click.option(
    "--setup-zram",
    metavar="SIZE",
    callback=_size,
    help="Make a zram swap device of at most SIZE for the run, as 256M, and remove it "
    "afterwards, whatever happens. Needs root.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How long one scenario may take.",
)
@click.option(
    "--random",
    "number",
    metavar="N",
    type=click.IntRange(min=1),
    help="Verify N random scenarios instead.",
)
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the random scenarios: the same seed makes the same ones.",
)
@click.option(
    "--out",
    metavar="DIR",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Where a random scenario that differs is written to, as small as it could be made.",
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Append what the kernel showed to FILE, in the form of tests/kernel/observations.",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["table", "json", "ktap"]),
    default="table",
    show_default=True,
    help="What to print.",
)
@output_option
@set_option
@color_option
def verify(scenario: tuple[str, ...], number: int | None, **options: Any) -> int:
    """Run scenarios on a real kernel and hold the model against it.

    Each SCENARIO (a file, a directory, a bundled name, or -) becomes a C program
    that runs on the running kernel; after every step its counters and page maps
    are compared with the model's.

    \b
    swaptrace verify --setup-zram 256M scenarios
    swaptrace verify --setup-zram 256M my.yaml --policy my.py
    swaptrace verify --setup-zram 256M --random 1000 --seed 1

    Exit codes: 0 none differs; 1 one differs; 2 the input or the command line is
    wrong; 4 all were skipped.
    """
    from swaptrace.verify import run as runs
    from swaptrace.verify.build import find_compiler
    from swaptrace.verify.signals import ending_by_exception
    from swaptrace.verify.workdir import work_directory

    if bool(scenario) == (number is not None):
        message = "name at least one SCENARIO, or let --random N make them; not both"
        raise click.UsageError(message, click.get_current_context())
    output = Output(options["color"], options["output"])
    for path in (output.path, options["record"]):
        if path is not None:
            check_writable(Path(path))
    runs.check_policy(options["policy"])
    with ending_by_exception(), work_directory() as directory:
        verifier = runs.Verifier(
            find_compiler(directory), directory, options["policy"], options["timeout"]
        )
        places = _places(options)
        if number is None:
            done = _given(scenario, verifier, places, options, output)
        else:
            done = _random(number, verifier, places, options, output)
    _show(done, options["fmt"], output, only_notable=number is not None)
    return runs.exit_code(done)


def _places(options: Mapping[str, Any]) -> list[Place]:
    """The kernels to run on."""
    from swaptrace.verify.host import Host

    return [Host(options["setup_zram"])]


def _given(
    names: Sequence[str],
    verifier: Verifier,
    places: Sequence[Place],
    options: Mapping[str, Any],
    output: Output,
) -> list[Run]:
    """Verify the scenarios of the command line."""
    from swaptrace import inputs
    from swaptrace.verify.record import Recorder

    sources, errors = inputs.find_all(names)
    loaded = inputs.load_all(sources, options["overrides"], stdin(), errors)
    recorder = Recorder()
    with progress(len(loaded) * len(places), output.color) as begin:
        done = [verifier.run(loaded, place, begin, recorder.note) for place in places]
    if options["record"] is not None:
        recorder.append_to(Path(options["record"]))
    return done


def _random(
    number: int,
    verifier: Verifier,
    places: Sequence[Place],
    options: Mapping[str, Any],
    output: Output,
) -> list[Run]:
    """Verify random scenarios; write the small form of those that differ."""
    from swaptrace.verify.fuzz import fuzz

    with progress(number * len(places), output.color) as begin:
        return [
            fuzz(verifier, place, number, options["seed"], Path(options["out"]), begin)
            for place in places
        ]


def _show(done: Sequence[Run], fmt: str, output: Output, only_notable: bool) -> None:
    if fmt == "json":
        from swaptrace.verify.verdict import to_json

        output.write(to_json(done))
        return
    from swaptrace.report import verified

    if fmt == "ktap":
        output.write(verified.ktap(done))
    else:
        output.show(verified.verify_report(done, only_notable=only_notable))
