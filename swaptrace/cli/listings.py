"""`swaptrace policies` and `swaptrace scenarios`: what there is."""

from __future__ import annotations

from collections.abc import Sequence

import click

from swaptrace.cli.options import color_option, complete_policy, define_option, warn_of
from swaptrace.errors import SwaptraceError
from swaptrace.output import Color, Output


@click.command()
@click.argument("name", required=False, shell_complete=complete_policy)
@define_option
@color_option
def policies(name: str | None, defines: tuple[str, ...], color: Color) -> None:
    """List the policies, or print the source of one.

    \b
    swaptrace policies
    swaptrace policies final
    """
    from swaptrace import inputs

    if name is not None:
        text, policy = inputs.policy_source(name, defines)
        warn_of([policy])
        Output().write(text)
        return
    rows, errors = inputs.list_policies()
    _list(["name", "alias", "what it does on swap-in", "origin"], rows, color)
    if errors:
        raise inputs.InputErrors(errors)


@click.command()
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
