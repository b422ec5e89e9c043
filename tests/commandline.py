"""Running the command line in the tests: in this process, in another one, and on a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import IO, Any

from click.testing import CliRunner, Result

from swaptrace.cli import main
from tests.processes import PATIENCE, begin

READ_WRITE = """\
name: read-write
description: Swap a buffer out, then read and write it. It has four pages.
steps:
  - mmap: buf
    size: 16KiB
  - memset: buf
    value: 0x11
  - madvise: buf
    advice: MADV_PAGEOUT
  - measure: back_in
    steps:
      - read_write: buf
expect:
  back_in:
    prepatch: {minflt: 4, majflt: 4}
    new: {minflt: 0, majflt: 4}
"""
"""Under prepatch every page takes a minor fault more than under final."""

LOST = """\
steps:
  - mmap: buf
    size: 16KiB
  - memset: buf
    value: 1
  - clear_refs: soft_dirty
  - madvise: buf
    advice: MADV_PAGEOUT
  - read: buf
  - write: buf
"""
"""Under simple the writes are lost to soft-dirty tracking; under rfc pages read as soft-dirty."""

# Until click 8.2 a runner has to be told to keep the two streams apart.
_apart: dict[str, Any] = {"mix_stderr": False}
RUNNER = CliRunner(**(_apart if "mix_stderr" in signature(CliRunner).parameters else {}))

SWAPTRACE = [sys.executable, "-m", "swaptrace"]

ROOT = Path(__file__).parent.parent


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of a process on a terminal like any other; `conftest.py` has hidden the tests' own."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **(changes or {})}


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    """The command line in this process."""
    words = [str(argument) for argument in arguments]
    return RUNNER.invoke(main, words, input=stdin, prog_name="swaptrace")


def start(
    *arguments: str | Path,
    stdin: int | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    ignoring: Iterable[signal.Signals] = (),
) -> subprocess.Popen[bytes]:
    """The command line in a process of its own, without a terminal."""
    command = [*SWAPTRACE, *map(str, arguments)]
    streams = {"stdin": stdin, "stdout": stdout, "stderr": subprocess.PIPE}
    return begin(command, ignoring=ignoring, env=environment(env), **streams)


def finished(process: subprocess.Popen[bytes], given: bytes | None = None) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a process, once it has ended.

    `given` is what it still reads from standard input.
    """
    out, err = process.communicate(given, timeout=PATIENCE)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def on_terminal(
    *command: str | Path, env: Mapping[str, str] | None = None, progress: bool = False
) -> tuple[str, int]:
    """What a command writes to a terminal that is its standard output, and its code.

    With `progress` the terminal is its standard error as well, and shows how far it is if it
    takes long.
    """
    master, slave = pty.openpty()
    with tempfile.TemporaryFile() as elsewhere:
        process = begin(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave if progress else elsewhere,
            env=environment(env),
        )
        os.close(slave)
        written = b""
        try:
            while chunk := os.read(master, 65536):
                written += chunk
        except OSError:  # the last writer has gone
            pass
        finally:
            os.close(master)
        return written.decode().replace("\r\n", "\n"), process.wait(PATIENCE)
