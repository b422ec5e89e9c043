"""`swaptrace check`: everything that is wrong in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swaptrace.cli.options import complete_scenario, set_option
from swaptrace.cli.standard import stdin, warn
from swaptrace.errors import SwaptraceError, printable
from swaptrace.output import Output

if TYPE_CHECKING:
    from swaptrace.scenario.schema import Scenario


@click.command()
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
    for found in inputs.try_each(sources, overrides, stdin()):
        if isinstance(found, SwaptraceError):
            errors.append(found)
        else:
            fine.append(found)
    Output().write("".join(f"{printable(each.file)}: ok\n" for each in fine))
    warn(fine)
    if errors:
        raise inputs.InputErrors(errors)
