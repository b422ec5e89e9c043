"""`swaptrace explore` and `swaptrace graph`: all that can happen to one page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from swaptrace.cli.options import (
    Command,
    PoliciesOption,
    builtin_option,
    color_option,
    complete_policies,
    define_option,
    format_option,
    output_option,
    policy_option,
    set_option,
    warn_of,
)
from swaptrace.cli.reporting import check_library
from swaptrace.terminal.atomic import check_writable
from swaptrace.terminal.exitcodes import ExitCode
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output, status

if TYPE_CHECKING:
    from swaptrace.exploration.explorer import Request
    from swaptrace.exploration.search import SearchBounds
    from swaptrace.mm.policy import Policy
    from swaptrace.result.explored import Explored


def complete_operations(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The last of several operations with commas between."""
    from swaptrace.exploration.explorer import KNOWN

    before, comma, last = incomplete.rpartition(",")
    names = [name for name in KNOWN if "@" in last or "@" not in name]
    return [before + comma + name for name in names if name.startswith(last)]


def ops_option(meaning: str) -> Callable[[Command], Command]:
    """`--ops`, of both commands."""
    return click.option(
        "--ops", metavar="A,B,...", shell_complete=complete_operations, help=meaning
    )


@click.command()
@click.option(
    "policies",
    cls=PoliciesOption,
    metavar="A,B",
    required=True,
    shell_complete=complete_policies,
    help="Two policies to compare, or one to search for violations.",
)
@define_option
@builtin_option
@click.option(
    "--processes",
    type=click.IntRange(1, 3),
    default=2,
    show_default=True,
    help="How many processes may map the page at a time.",
)
@ops_option(
    "Only these operations: read, write, pageout, dontneed, free, willneed, fork, exit, "
    "mprotect_r, mprotect_rw, clear_refs, uffd_wp, uffd_unwp, uffd_rwp, uffd_unrwp, mlock, "
    "munlock.  [default: all but uffd_rwp and uffd_unrwp]"
)
@click.option(
    "--single-pages",
    is_flag=True,
    help="Compare one policy on large folios with itself on single pages.",
)
@click.option(
    "--max-steps", metavar="N", type=click.IntRange(1), help="Only sequences of up to N operations."
)
@click.option(
    "--max-states", metavar="N", type=click.IntRange(1), help="Stop when N states are known."
)
@click.option(
    "--out", metavar="DIR", type=click.Path(), help="Write each sequence to a scenario file in DIR."
)
@format_option("table", "json", "markdown", "dot", "svg", "html")
@output_option
@set_option
@color_option
def explore(
    policies: str,
    processes: int,
    ops: str | None,
    max_steps: int | None,
    max_states: int | None,
    out: str | None,
    **options: Any,
) -> ExitCode:
    """Find the shortest sequences that tell two policies apart.

    Tries every sequence of operations on one page and prints the shortest after
    which a counter, a violation or a page map flag differs; exits with 1 if there
    is one. If a complete search finds none, that is a proof for this machine and
    these operations. With one policy, finds its violations.

    With --set machine.thp=16KiB it is a block of four pages; an operation is on all
    (write@all), the first (write@0) or the second (write@1).

    \b
    swaptrace explore --policies rfc,final --processes 1
    swaptrace explore --policies final,my.py --out found --max-states 100000
    swaptrace explore --policies simple --ops read,write,pageout,clear_refs
    """
    from swaptrace.exploration import explorer, findings, witness
    from swaptrace.exploration.search import SearchBounds

    check_library(options["fmt"])
    output = Output(options["color"], options["output"])
    if output.path is not None:
        check_writable(path_of(output.path))
    request = _request(policies, processes, ops, SearchBounds(max_steps, max_states), options)
    with status(output.color) as tell:
        exploration = explorer.explore(request, lambda states: tell(f"{states:,} states"))
    shown = witness.witnesses(exploration, history=options["fmt"] == "html")
    files = witness.write_all(exploration, shown, path_of(out)) if out is not None else None
    report = findings.explored(exploration, shown, files)
    _print(report, options["fmt"], output)
    return report.exit_code


def _request(
    policies: str, processes: int, ops: str | None, bounds: SearchBounds, options: dict[str, Any]
) -> Request:
    """What is to be explored. Raises `SwaptraceError`."""
    from swaptrace.exploration import explorer
    from swaptrace.exploration.graph import Limits

    found = _one_or_two(policies, options)
    limits = Limits(explorer.operations(ops), processes)
    overrides, single_pages = options["overrides"], options["single_pages"]
    return explorer.request_of(found, overrides, limits, bounds, single_pages)


def _one_or_two(policies: str, options: dict[str, Any]) -> list[Policy]:
    """The policies; what is to be known of them is said."""
    from swaptrace import inputs

    found = inputs.policies(policies, options["defines"], options["builtin"])
    warn_of(found)
    if len(found) > 2:
        message = f"explore takes one policy or two, not {len(found)}"
        raise click.UsageError(message, click.get_current_context())
    return found


def _print(explored: Explored, fmt: str, output: Output) -> None:
    from swaptrace.report import explore as report

    if fmt == "table":
        output.show(report.explore_report(explored))
        return
    if fmt == "html":
        from swaptrace.report.html.documents import exploration_page

        output.write(exploration_page(explored))
        return
    renderers = {
        "json": report.explore_json,
        "markdown": report.explore_markdown,
        "dot": report.explore_dot,
        "svg": _drawn,
    }
    output.write(renderers[fmt](explored))


def _drawn(explored: Explored) -> str:
    """The sequences as a picture. Raises `SwaptraceError` where it would be illegible."""
    from swaptrace.exploration.drawing import Drawing, picture
    from swaptrace.report.explore import explore_dot

    dot = explore_dot(explored)
    return picture(Drawing(dot, dot.count("[label=")))


@click.command()
@policy_option("final", "The policy: a name, an alias, a .py or .c file, or kernel:TREE+PATCH.")
@builtin_option
@ops_option("Only these operations, as of `swaptrace explore`.")
@click.option(
    "--format",
    "fmt",
    type=click.Choice(["dot", "svg"]),
    default="dot",
    show_default=True,
    help="Graphviz DOT, or a picture drawn by `dot`.",
)
@output_option
@set_option
def graph(policy: str, ops: str | None, fmt: str, output: str | None, **options: Any) -> None:
    """Draw the states of a page and what leads from one to another.

    One process, one page (with --set machine.thp=16KiB four), every state that the
    operations reach. A picture has at most 64 states: choose a few operations.

    \b
    swaptrace graph --ops read,write,pageout
    swaptrace graph --policies rfc --ops read,write --format svg --output rfc.svg
    swaptrace graph --ops write@all,pageout@0 --set machine.thp=16KiB
    """
    from swaptrace.exploration import explorer
    from swaptrace.exploration.drawing import picture
    from swaptrace.exploration.graph import Limits
    from swaptrace.policies import from_argument

    if output is not None:
        check_writable(path_of(output))
    found = from_argument(policy, options["defines"], options["builtin"])
    machine = explorer.machine_of(options["overrides"], found)
    limits = explorer.limits_on(machine, Limits(explorer.operations(ops), 1))
    warn_of([found])
    drawing = explorer.drawn(found, machine, limits)
    Output(path=output).write(picture(drawing) if fmt == "svg" else drawing.dot)
