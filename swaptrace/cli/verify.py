"""`swaptrace verify`: the same scenarios on a real kernel, compared with the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from swaptrace.cli.options import (
    builtin_option,
    color_option,
    complete_scenario,
    output_option,
    policy_option,
    set_option,
    warn_of,
)
from swaptrace.cli.reporting import check_library
from swaptrace.cli.standard import stdin
from swaptrace.terminal.atomic import check_writable
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output, progress

if TYPE_CHECKING:
    from pathlib import Path

    from swaptrace.result.verdict import KernelRun
    from swaptrace.terminal.exitcodes import ExitCode
    from swaptrace.verify.build import Compiler
    from swaptrace.verify.place import Place
    from swaptrace.verify.run import Judged, Verifier

    Work = Callable[[Verifier, Place], list[Judged]]


def _size(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Bytes, written as in a scenario."""
    if text is None:
        return None
    from swaptrace.scenario.values import LENGTH, Invalid

    try:
        return LENGTH(text)
    except Invalid as error:
        raise click.BadParameter(str(error)) from error


MOST_SECONDS: Final = 7 * 24 * 3600
"""A week."""


def _seconds(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """A time to wait; neither nan nor infinity is one."""
    if 0 < value <= MOST_SECONDS:
        return value
    raise click.BadParameter(f"{value:g} is not above 0 and at most {MOST_SECONDS}, a week")


@click.command()
@click.argument("scenario", nargs=-1, shell_complete=complete_scenario)
@policy_option(
    "auto",
    "Compare the kernel with this: a name, an alias, a .py or .c file, or auto: prepatch below "
    "6.11, else merged.",
)
@builtin_option
@click.option(
    "--setup-zram",
    metavar="SIZE",
    callback=_size,
    help="Create a zram swap device of at most SIZE for the run, and always remove it "
    "afterwards. Needs root.",
)
@click.option(
    "--kernel",
    "kernels",
    metavar="IMAGE",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Boot this kernel image in a virtual machine (QEMU) instead. Repeatable, for a column "
    "each.",
)
@click.option(
    "--modules",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True),
    help="The modules of the image, as in /lib/modules/VERSION.  [default: lib/modules/VERSION "
    "beside the directory of the image]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    callback=_size,
    default="1GiB",
    show_default=True,
    help="The memory of the virtual machine.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=float,
    callback=_seconds,
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
    help="The seed of the random scenarios.",
)
@click.option(
    "--keep-going",
    is_flag=True,
    help="Do not stop at the first random scenario that differs; write one of those that "
    "differ in the same way.",
)
@click.option(
    "--out",
    metavar="DIR",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False, exists=True),
    help="Where to write a random scenario that differs, minimized.",
)
@click.option(
    "--record",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Append what the kernel showed to FILE, in the format of tests/kernel/observations.",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["table", "json", "ktap", "html"]),
    default="table",
    show_default=True,
    help="What to print.",
)
@output_option
@set_option
@color_option
def verify(scenario: tuple[str, ...], number: int | None, **options: Any) -> ExitCode:
    """Run scenarios on a real kernel and compare it with the model.

    Each SCENARIO becomes a C program for the running kernel, or those of --kernel.
    After every step its counters and page maps are compared with the model's.

    \b
    swaptrace verify --setup-zram 256M my.yaml --policies my.py
    swaptrace verify --setup-zram 256M --random 1000 --seed 1
    swaptrace verify --kernel arch/x86/boot/bzImage scenarios

    Exits with 1 if a scenario differs or failed, 2 if one could not be run, 3 if one
    differed, but not when repeated, 4 if all were skipped.
    """
    from swaptrace.verify.build import find_compiler
    from swaptrace.verify.run import Verifier, check_policy, exit_code, summary
    from swaptrace.verify.signals import ending_by_exception
    from swaptrace.verify.workdir import work_directory

    _check_together({**options, "number": number}, scenario)
    check_library(options["fmt"])
    output = Output(options["color"], options["output"])
    for path in (output.path, options["record"]):
        if path is not None:
            check_writable(path_of(path))
    warn_of(check_policy(options["policy"], options["defines"], options["builtin"]))
    if number is None:
        count, work = _given(scenario, options)
    else:
        count, work = number, _random(number, options)
    with ending_by_exception(), work_directory() as directory, ExitStack() as stack:
        compiler = find_compiler(directory)
        places = _places(options, compiler, directory, stack)
        with progress(count * len(places), output.color) as bar:
            how = options["policy"], options["timeout"], bar.begin
            of_c = options["defines"], options["builtin"]
            verifier = Verifier(compiler, directory, *how, *of_c)
            done = [(place, work(verifier, place)) for place in places]
    if options["record"] is not None:
        from swaptrace.verify.record import append

        append(path_of(options["record"]), (each for _, judged in done for each in judged))
    runs = [summary(place, judged) for place, judged in done]
    _show(runs, options["fmt"], output, only_notable=number is not None)
    return exit_code(runs)


def _check_together(options: Mapping[str, Any], scenarios: Sequence[str]) -> None:
    """Raise a usage error for options that do not belong together."""
    context = click.get_current_context()
    if bool(scenarios) == (options["number"] is not None):
        message = "name at least one SCENARIO, or let --random N make them; not both"
        raise click.UsageError(message, context)
    if options["kernels"] and options["setup_zram"] is not None:
        message = "--setup-zram is for the running kernel; a guest has swap of its own"
        raise click.UsageError(message, context)
    if options["keep_going"] and options["number"] is None:
        raise click.UsageError("--keep-going belongs to --random", context)
    if options["modules"] is not None and len(options["kernels"]) != 1:
        raise click.UsageError("--modules belongs to one --kernel", context)


def _places(
    options: Mapping[str, Any], compiler: Compiler, directory: Path, stack: ExitStack
) -> list[Place]:
    """The kernels to run on; what is set up for them is undone when the stack is closed."""
    if not options["kernels"]:
        from swaptrace.verify.host import host

        return [stack.enter_context(host(options["setup_zram"]))]
    from swaptrace.verify.qemu import guests

    modules = None if options["modules"] is None else path_of(options["modules"])
    images = map(path_of, options["kernels"])
    return [*guests(images, modules, options["memory"], compiler, directory)]


def _given(names: Sequence[str], options: Mapping[str, Any]) -> tuple[int, Work]:
    """How many scenarios the command line names, and their verification."""
    from swaptrace import inputs

    sources, errors = inputs.find_all(names)
    loaded = inputs.load_all(sources, options["overrides"], stdin(), errors)
    return len(loaded), lambda verifier, place: verifier.run(loaded, place)


def _random(number: int, options: Mapping[str, Any]) -> Work:
    """The verification of random scenarios; it writes the small form of those that differ."""
    from swaptrace.verify.fuzz import Fuzzer

    how = options["seed"], path_of(options["out"]), options["overrides"], options["keep_going"]
    return lambda verifier, place: Fuzzer(verifier, place, *how).run(number)


def _show(runs: Sequence[KernelRun], fmt: str, output: Output, only_notable: bool) -> None:
    if fmt == "json":
        from swaptrace.result.verdict import to_json

        output.write(to_json(runs))
        return
    if fmt == "html":
        from swaptrace.report.html.documents import verification_page

        output.write(verification_page(runs, only_notable=only_notable))
        return
    from swaptrace.report import verify as verified

    if fmt == "ktap":
        output.write(verified.ktap(runs))
    else:
        output.show(verified.verify_report(runs, only_notable=only_notable))
