"""`swaptrace import`: what a tool logged of a program's accesses, as a scenario and its trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from typing import TYPE_CHECKING, cast

import click

from swaptrace.cli.importing import finish, name_after, target_options
from swaptrace.errors import SwaptraceError, printable
from swaptrace.terminal.files import NotRegular, opened, reason
from swaptrace.terminal.output import reading

if TYPE_CHECKING:
    from pathlib import Path

    from swaptrace.importers.convert import ConvertedLog
    from swaptrace.importers.recorder import AccessRecorder

LOG = click.Path(dir_okay=False, allow_dash=True)


@click.command("import")
@click.argument("format", type=click.Choice(["lackey", "perf", "drmemtrace", "csv"]))
@click.argument("log", type=LOG)
@click.option(
    "--strace",
    metavar="LOG",
    type=LOG,
    help="For lackey: the output of `strace -f -ttt -T -e trace=%memory` for the same run, which "
    "shows what is anonymous memory, and becomes steps.",
)
@target_options
def import_(
    format: str,
    log: str,
    strace: str | None,
    directory: Path,
    name: str | None,
    force: bool,
    every_access: bool,
) -> None:
    """Turn a log of memory accesses into a scenario and its trace.

    LOG (a file, also of gzip or xz, or -) is the output of valgrind's lackey, perf
    script or DynamoRIO's view tool, or a CSV with the columns address,write or
    page,write. DIR gets NAME.yaml and NAME-DIGITS.npz.

    \b
    swaptrace import lackey sort.log.xz --strace sort.strace -o traces
    swaptrace import perf samples.txt -o traces --name server
    """
    from swaptrace.importers.recorder import AccessRecorder
    from swaptrace.importers.scenario import Target, directory_of
    from swaptrace.verify.signals import ending_by_exception

    if strace is not None and format != "lackey":
        message = f"--strace goes with lackey; {format} is imported without"
        raise click.UsageError(message, click.get_current_context())
    if log == strace == "-":
        raise SwaptraceError("-: standard input can be read only once")
    about = f"Imported from {format}'s log {log if log != '-' else 'on standard input'}."
    target = Target(directory, name or name_after(log), about, force)
    target.check()
    with ending_by_exception(), directory_of(target) as place:
        recorder = AccessRecorder(place, every_access, mapped=strace is not None)
        try:
            counted = _convert(format, log, strace, recorder)
            finish(recorder, target, counted)
        finally:
            recorder.close()


def _convert(format: str, log: str, strace: str | None, recorder: AccessRecorder) -> ConvertedLog:
    """Read the logs."""
    from swaptrace.importers import convert
    from swaptrace.importers.lines import blocks, unpacked

    calls = None
    if strace is not None:
        with _file(strace) as (raw, name):
            calls = list(convert.calls_of(unpacked(raw, name, lambda _bytes: None), name))
    with _file(log) as (raw, name), reading(_size(raw), name) as progress:
        lines = blocks(unpacked(raw, name, progress), name)
        if format == "lackey":
            return convert.convert_lackey(lines, name, recorder, calls)
        return convert.convert(format, lines, name, recorder)


@contextmanager
def _file(path: str) -> Iterator[tuple[RawIOBase, str]]:
    """A log as bytes without a buffer, and what messages call it."""
    if path != "-":
        try:
            raw = opened(path)
        except OSError as error:
            hint = " (`-` reads standard input)" if isinstance(error, NotRegular) else ""
            raise SwaptraceError(f"{printable(path)}: {reason(error)}{hint}") from None
        with raw:
            yield raw, path
        return
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:
        raise SwaptraceError("-: standard input is closed")
    yield cast(RawIOBase, getattr(buffer, "raw", buffer)), "<stdin>"


def _size(raw: RawIOBase) -> int | None:
    """How many bytes a file has; None of a pipe."""
    try:
        return os.fstat(raw.fileno()).st_size or None
    except OSError:
        return None
