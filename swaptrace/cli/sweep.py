"""`swaptrace sweep`: one scenario on a grid of machines, under several policies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import TYPE_CHECKING, Any

import click

from swaptrace.cli.hint import hinting
from swaptrace.cli.options import (
    DEFAULT_POLICIES,
    PoliciesOption,
    color_option,
    complete_override,
    complete_policies,
    complete_scenario,
    define_option,
    format_option,
    judged,
    output_option,
    picture,
    set_option,
    warn_of,
    warn_of_machines,
)
from swaptrace.cli.standard import stdin
from swaptrace.errors import SwaptraceError, did_you_mean, quote
from swaptrace.terminal.atomic import check_writable, replace_file
from swaptrace.terminal.exitcodes import ExitCode
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output, complain, progress

if TYPE_CHECKING:
    from swaptrace.mm.policy import Policy
    from swaptrace.result.swept import Swept
    from swaptrace.scenario.schema import Scenario
    from swaptrace.sweep.axes import Axis
    from swaptrace.sweep.grid import Measure, Point
    from swaptrace.sweep.running import Done, Engine

    Begin = Callable[[Sequence[Policy], int], AbstractContextManager[Engine]]


def _names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(dict.fromkeys(each.strip() for each in text.split(",")))


@click.command()
@click.argument("scenario", shell_complete=complete_scenario)
@click.option(
    "--over",
    metavar="KEY=VALUES",
    multiple=True,
    required=True,
    shell_complete=complete_override,
    help="A machine key and its values: a list, as in machine.reclaim=classic,lru; LOW..HIGH/N, "
    "N values at equal distances; LOW..HIGH*N, at equal ratios. Sizes may be shares of the working "
    "set: 50%. Repeatable, for a grid.",
)
@click.option(
    "policies",
    cls=PoliciesOption,
    metavar="A,B,...",
    shell_complete=complete_policies,
    default=DEFAULT_POLICIES,
    show_default=True,
    help="Policies, as of `swaptrace run`.",
)
@define_option
@click.option(
    "--counter",
    "counters",
    metavar="A,B,...",
    callback=_names,
    help="Show and draw these: counters, accesses, misses, or miss_ratio.",
)
@click.option("--window", metavar="LABEL", default="total", help="Of this window, not the total.")
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(),
    callback=picture,
    help="Draw each --counter (or the miss ratio, or majflt) over an axis, a line for each policy, "
    "as FILE.svg or FILE.png.",
)
@click.option("--along", metavar="KEY", default="", help="The axis of --plot.")
@click.option(
    "--cells",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Where results are kept.  [default: swaptrace/cells in the user's cache]",
)
@format_option("table", "json", "csv")
@output_option
@set_option
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Replay in N processes; the output is the same.  [default: one per processor]",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Replay on this machine, or on the workers of a dask scheduler.",
)
@click.option("--scheduler", metavar="ADDRESS", help="With dask: as in tcp://host:8786.")
@color_option
def sweep(scenario: str, **options: Any) -> ExitCode:
    """Replay a scenario on a grid of machines.

    Every combination of the values of --over is a machine. Prints a row for each
    machine and policy. To resume after ^C, run the
    same command again.

    \b
    swaptrace sweep my.yaml --over machine.memory=10%..100%/10 --plot a.svg
    swaptrace sweep my.yaml --over machine.kernel=6.1,6.12 --format csv
    """
    from swaptrace import inputs
    from swaptrace.sweep.axes import axes_of, size_of
    from swaptrace.sweep.whole import swept_of

    output = _output(options)
    begin = _engine(options)
    axes = axes_of(options["over"], options["overrides"])
    policies = inputs.policies(options["policies"], options["defines"])
    warn_of(policies)
    _check_counters(options["counters"])
    if options["along"] and options["along"] not in (axis.key for axis in axes):
        hint = did_you_mean(options["along"], [axis.key for axis in axes])
        raise SwaptraceError(f"--along {quote(options['along'])}: no --over has this key; {hint}")
    with begin(policies, size_of(axes) * len(policies)) as engine, hinting() as meet:
        measure = _measuring(engine, meet, output)
        machines = _machines(scenario, axes, options["overrides"], measure)
        warn_of_machines(point.scenario for point in machines)
        meet(point.scenario for point in machines)
        done = _computed(machines, policies, engine, options, output)
    swept = swept_of(axes, policies, machines, done)
    _check_window(swept, options["window"])
    if options["plot"] is not None:
        _plot(swept, options)
    _print(swept, options, output)
    return judged(ExitCode.OK, policies)


def _output(options: Mapping[str, Any]) -> Output:
    """Where the report goes; whether it can go there is found out before the work."""
    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(path_of(output.path))
    if options["plot"] is not None:
        from swaptrace.report.plot import check_library

        check_library()
        check_writable(path_of(options["plot"]), "--plot")
    elif options["along"]:
        raise click.UsageError("--along needs --plot FILE", click.get_current_context())
    return output


def _engine(options: Mapping[str, Any]) -> Begin:
    """What begins to compute. Raises `UsageError` for options that do not go together."""
    context = click.get_current_context()
    if options["engine"] == "local":
        if options["scheduler"] is not None:
            raise click.UsageError("--scheduler needs --engine dask", context)
        from swaptrace.sweep.running import here

        jobs = options["jobs"] or len(os.sched_getaffinity(0))
        return lambda policies, cells: here(policies, min(jobs, cells), _get_ready)
    if options["scheduler"] is None:
        message = "--engine dask needs --scheduler ADDRESS, as in tcp://host:8786"
        raise click.UsageError(message, context)
    if options["jobs"] is not None:
        message = "--jobs is for --engine local; of dask, the workers say how many they are"
        raise click.UsageError(message, context)
    from swaptrace.sweep.cluster import check_library, cluster

    check_library()
    return lambda _policies, _cells: nullcontext(cluster(options["scheduler"]))


def _get_ready() -> None:
    """What there is to do while others compute."""
    from swaptrace.report import sweep  # noqa: F401
    from swaptrace.sweep.identity import of_program

    of_program()


def _check_counters(names: Sequence[str]) -> None:
    """Raises `SwaptraceError` for a name that nothing is counted under."""
    from swaptrace.counters import ALL_COUNTERS
    from swaptrace.result.swept import DERIVED

    known = (*ALL_COUNTERS, *DERIVED)
    for name in names:
        if name not in known:
            raise SwaptraceError(f"--counter {quote(name)}: {did_you_mean(name, known)}")


def _check_window(swept: Swept, window: str) -> None:
    if window not in swept.windows:
        hint = did_you_mean(window, swept.windows)
        raise SwaptraceError(f"--window {quote(window)}: no step measures it; {hint}")


def _measuring(
    engine: Engine, meet: Callable[[Iterable[Scenario]], None], output: Output
) -> Measure:
    """Measures working sets, and says that it does where that takes long."""

    def measure(scenario: Scenario) -> int:
        meet([scenario])
        with progress(1, output.color) as bar:
            bar.count(0, 1, f"the working set of {scenario.name}")
            return engine.working_set(scenario)

    return measure


def _machines(
    name: str, axes: tuple[Axis, ...], overrides: Mapping[str, str], measure: Measure
) -> list[Point]:
    """Every machine of the grid, with the scenario on it."""
    from swaptrace import inputs
    from swaptrace.errors import InputErrors
    from swaptrace.scenario.source import MAX_BYTES
    from swaptrace.sweep.whole import machines_of

    sources, errors = inputs.find_all([name])
    if len(sources) > 1:
        raise SwaptraceError(f"sweep takes one scenario; there are {len(sources)}")
    given = stdin() if sources == [inputs.FROM_STDIN] else None
    text = b"" if given is None else given.read(MAX_BYTES + 1)

    def load(settings: Mapping[str, str]) -> Scenario:
        whole = {**overrides, **settings}
        stream = None if given is None else BytesIO(text)
        try:
            (found,) = inputs.load_all(sources, whole, stream, errors)
        except InputErrors as error:
            raise error.errors[0] if len(error.errors) == 1 else error from None
        return found

    return machines_of(axes, load, measure)


def _computed(
    machines: Sequence[Point],
    policies: Sequence[Policy],
    engine: Engine,
    options: Mapping[str, Any],
    output: Output,
) -> Done:
    """The outcomes; says on standard error how many were computed."""
    from swaptrace.sweep.running import cells_of, completed
    from swaptrace.sweep.store import Store, default_place

    store = Store(path_of(options["cells"]) if options["cells"] else default_place(os.environ))
    cells = cells_of([point.scenario for point in machines], policies)
    kept, number = 0, len(policies)
    with progress(len(cells), output.color) as bar:

        def show_progress(done: int, of: int) -> None:
            nonlocal kept
            kept = done
            bar.count(done, of, f"cells under {number} {'policy' if number == 1 else 'policies'}")

        try:
            done = completed(cells, store, engine, done=show_progress, spoilt=_complain_of_file)
        except KeyboardInterrupt:
            complain(f"interrupted; {kept} cells more are kept, and the same command goes on there")
            raise
    again = len(cells) - done.computed
    complain(f"{len(cells)} cells: {done.computed} replayed, {again} taken from before")
    return done


def _complain_of_file(error: SwaptraceError) -> None:
    complain(f"Warning: {error}; the cell is replayed again")


def _plot(swept: Swept, options: Mapping[str, Any]) -> None:
    from swaptrace.report.curves import WantedCurves, curves
    from swaptrace.result.swept import MISS_RATIO

    usual = MISS_RATIO if swept.known(MISS_RATIO, options["window"]) else "majflt"
    wanted = WantedCurves(options["counters"] or (usual,), options["window"], options["along"])
    path = path_of(options["plot"])
    replace_file(path, curves(swept, wanted, path.suffix[1:]))


def _print(swept: Swept, options: Mapping[str, Any], output: Output) -> None:
    from swaptrace.report.sweep import sweep_csv, sweep_report
    from swaptrace.result.swept import to_json

    counters, window = options["counters"], options["window"]
    match options["fmt"]:
        case "json":
            output.write(to_json(swept))
        case "csv":
            output.write(sweep_csv(swept, counters, window))
        case _:
            output.show(sweep_report(swept, counters, window))
