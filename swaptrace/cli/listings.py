"""`swaptrace policies`, `scenarios` and `counters`: what there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from swaptrace.cli.options import (
    builtin_option,
    color_option,
    complete_policy,
    complete_scenario,
    define_option,
    warn_of,
)
from swaptrace.errors import InputErrors, SwaptraceError, did_you_mean, printable, quote
from swaptrace.terminal.atomic import replace_file
from swaptrace.terminal.files import path_of, reason
from swaptrace.terminal.output import Color, Output

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("name", required=False, shell_complete=complete_policy)
@define_option
@builtin_option
@color_option
def policies(
    name: str | None, defines: tuple[str, ...], builtin: tuple[str, ...], color: Color
) -> None:
    """List the policies, or print the source of one.

    \b
    swaptrace policies
    swaptrace policies final
    """
    from swaptrace import inputs

    if name is not None:
        text, policy = inputs.policy_source(name, defines, builtin)
        warn_of([policy])
        # A file may have anything in it, also what a terminal would obey.
        lines = text.replace("\r\n", "\n").split("\n")
        Output().write("\n".join("\t".join(map(printable, line.split("\t"))) for line in lines))
        return
    rows, errors = inputs.list_policies()
    _list(["name", "alias", "what it does on swap-in", "origin"], rows, color)
    if errors:
        raise InputErrors(errors)


@click.command()
@click.argument("name", required=False, shell_complete=complete_scenario)
@click.option(
    "--copy",
    "directory",
    metavar="DIR",
    type=click.Path(),
    help="Copy NAME, or all scenarios, to DIR.",
)
@color_option
def scenarios(name: str | None, directory: str | None, color: Color) -> None:
    """List the bundled scenarios, print one, or copy them.

    \b
    swaptrace scenarios
    swaptrace scenarios read-then-write
    swaptrace scenarios --copy mine
    """
    from swaptrace import bundled, inputs

    wanted = bundled.scenarios()
    if not wanted:
        raise SwaptraceError("no bundled scenarios: this installation of swaptrace is not complete")
    if name is not None:
        if name not in wanted:
            raise SwaptraceError(f"no bundled scenario {quote(name)}; {did_you_mean(name, wanted)}")
        wanted = {name: wanted[name]}
    if directory is not None:
        _copy(wanted.values(), path_of(directory))
    elif name is not None:
        Output().write(wanted[name].read_text(encoding="utf-8"))
    else:
        sources = inputs.all_bundled()
        described = zip(sources, inputs.load_all(sources.values(), {}, None), strict=True)
        rows = [(name, inputs.first_sentence(each.description)) for name, each in described]
        _list(["name", "description"], rows, color)


def _copy(files: Iterable[Path], directory: Path) -> None:
    """Copy files to a directory; one that is there is left as it is, and none is copied."""
    targets = {file: directory / file.name for file in files}
    for target in targets.values():
        if target.exists():
            raise SwaptraceError(f"{printable(str(target))}: is there already; nothing is copied")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = printable(str(directory))
        raise SwaptraceError(f"{where}: cannot be made: {reason(error)}") from None
    for file, target in targets.items():
        replace_file(target, file.read_bytes())


def complete_counter(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of counters and violations."""
    from swaptrace.report.glossary import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=complete_counter)
@color_option
def counters(name: str | None, color: Color) -> None:
    """Say what the counters and violations mean.

    Lists each with its kernel function and the file that shows it.

    \b
    swaptrace counters
    swaptrace counters wp_reuse
    """
    from rich.console import Group

    from swaptrace.report import glossary

    output = Output(color)
    if name is None:
        output.show(Group(glossary.counter_listing(), "", glossary.promise_listing()))
        return
    found = glossary.one(name)
    if found is None:
        hint = did_you_mean(name, glossary.names())
        raise SwaptraceError(f"no counter or violation {quote(name)}; {hint}")
    output.show(Group(*found))


def _list(header: Sequence[str], rows: Sequence[Sequence[str]], color: Color) -> None:
    from swaptrace.report.layout import listing

    Output(color).show(listing(header, rows))
