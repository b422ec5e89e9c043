"""`swaptrace schema`: the JSON Schemas of what is read and written."""

from __future__ import annotations

import click

from swaptrace.cli.options import output_option
from swaptrace.terminal.output import Output


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice(["scenario", "result", "sweep"]))
@output_option
def schema(name: str, output: str | None) -> None:
    """Print the JSON Schema of scenarios, of results or of sweeps.

    NAME is scenario (for editors), result or sweep.

    \b
    swaptrace schema scenario -o scenario.schema.json
    swaptrace schema result
    """
    from swaptrace.result.schemas import files

    Output(path=output).write(files()[f"{name}.schema.json"])
