"""`swaptrace check`: everything that is wrong in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swaptrace.cli.options import (
    PoliciesOption,
    complete_policies,
    complete_scenario,
    define_option,
    set_option,
)
from swaptrace.cli.standard import stdin
from swaptrace.errors import InputErrors, SwaptraceError, printable
from swaptrace.terminal.output import Output

if TYPE_CHECKING:
    from swaptrace.scenario.schema import Scenario


@click.command()
@click.argument("scenario", nargs=-1, required=True, shell_complete=complete_scenario)
@click.option(
    "policies",
    cls=PoliciesOption,
    metavar="A,B,...",
    shell_complete=complete_policies,
    help="Your own policies that expect: may name.",
)
@define_option
@set_option
def check(
    scenario: tuple[str, ...],
    policies: str | None,
    defines: tuple[str, ...],
    overrides: dict[str, str],
) -> None:
    """Validate scenarios without replaying them.

    \b
    swaptrace check scenarios
    swaptrace check my.yaml --policies final,my.py
    """
    from swaptrace import inputs
    from swaptrace.replay import expecting

    given = [] if policies is None else inputs.policies(policies, defines)
    fine: list[Scenario] = []
    sources, errors = inputs.find_all(scenario)
    for found in inputs.try_each(sources, overrides, stdin()):
        if isinstance(found, SwaptraceError):
            errors.append(found)
        elif (error := expecting.unknown(found, given)) is not None:
            errors.append(error)
        else:
            fine.append(found)
    Output().write("".join(f"{printable(each.file)}: ok\n" for each in fine))
    if errors:
        raise InputErrors(errors)
