"""`swaptrace emit-c`: a scenario as a C program."""

from __future__ import annotations

import click

from swaptrace.cli.options import complete_scenario, output_option, set_option
from swaptrace.cli.standard import stdin
from swaptrace.errors import SwaptraceError
from swaptrace.terminal.atomic import check_writable
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import Output


@click.command("emit-c")
@click.argument("scenario", shell_complete=complete_scenario)
@output_option
@set_option
def emit_c(scenario: str, output: str | None, overrides: dict[str, str]) -> None:
    """Print a scenario as a C program.

    It needs only libc and active swap, performs the scenario with real system calls,
    and prints as JSON lines what the kernel counts in each step.

    \b
    swaptrace emit-c read-then-write --output rtw.c
    swaptrace emit-c my.yaml | gcc -x c -O1 -pthread - -o my && sudo ./my
    """
    from swaptrace import inputs
    from swaptrace.verify import emit

    if output is not None:
        check_writable(path_of(output))
    sources, errors = inputs.find_all([scenario])
    loaded = inputs.load_all(sources, overrides, stdin(), errors)
    if len(loaded) != 1:
        raise SwaptraceError(f"emit-c takes one scenario; there are {len(loaded)}")
    Output(path=output).write(emit.emit_c(loaded[0]))
