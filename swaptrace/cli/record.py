"""`swaptrace record`: run a command, and make a scenario of its memory accesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swaptrace.cli.importing import finish, name_after, target_options
from swaptrace.errors import SwaptraceError
from swaptrace.terminal.output import reading

if TYPE_CHECKING:
    from pathlib import Path


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@target_options
def record(
    command: tuple[str, ...],
    directory: Path,
    name: str | None,
    force: bool,
    every_access: bool,
) -> int:
    """Run a command and turn its memory accesses into a scenario and its trace.

    The command runs under valgrind's lackey and strace, some hundred times slower.
    Its threads are recorded; processes that it starts are only listed. swaptrace
    exits with its exit code.

    \b
    swaptrace record -o traces sort -R /etc/passwd
    swaptrace record -o traces --name sorting -- python3 -c 'sorted(range(1000))'
    """
    from swaptrace.importers.convert import convert_lackey
    from swaptrace.importers.lines import blocks, unpacked
    from swaptrace.importers.recorder import AccessRecorder
    from swaptrace.importers.recording import check_tools, recording
    from swaptrace.importers.scenario import Target, directory_of
    from swaptrace.verify.signals import ending_by_exception

    target = Target(directory, name or name_after(command[0]), _about(command), force)
    target.check()
    check_tools(command[0])
    log = f"the accesses of {target.name}"
    with ending_by_exception(), directory_of(target) as place:
        recorder = AccessRecorder(place, every_access, mapped=True)
        try:
            with recording(command) as run, reading(None, log) as progress:
                lines = blocks(unpacked(run.log, log, progress), log)
                try:
                    counted = convert_lackey(lines, log, recorder)
                except SwaptraceError:
                    if recorder.seen:
                        raise
                    raise SwaptraceError(nothing(run.exit_code())) from None
                code = run.exit_code()
            finish(recorder, target, counted)
        finally:
            recorder.close()
    return code


def nothing(code: int) -> str:
    """Why there is no log, where valgrind or strace could not do their work."""
    return (
        f"strace and valgrind recorded no access, and ended with the exit code {code}; what they "
        "said stands above. strace needs the permission to trace (ptrace)"
    )


def _about(command: tuple[str, ...]) -> str:
    """What the scenario says of itself; a long command is cut."""
    words = " ".join(command)
    return f"Recorded from {words if len(words) <= 200 else words[:199] + '…'}"
