"""Running the command line in the tests: in this process, in another one, and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import IO, Any

from click.testing import CliRunner, Result

from swaptrace.cli import main

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
    """Of a process that does not see what the tests' own terminal is like."""
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **(changes or {})}


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    """The command line in this process."""
    words = [str(argument) for argument in arguments]
    return RUNNER.invoke(main, words, input=stdin, prog_name="swaptrace")


def start(
    *arguments: str | Path,
    stdout: int | IO[bytes] = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """The command line in a process of its own, without a terminal."""
    command = [*SWAPTRACE, *map(str, arguments)]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment(env))


def on_terminal(
    *command: str | Path, env: Mapping[str, str] | None = None, seconds: float = 30
) -> tuple[str, int]:
    """What a command writes to a terminal that is its standard output and error, and its code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*map(str, command)], stdin=slave, stdout=slave, stderr=slave, env=environment(env)
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
    return written.decode().replace("\r\n", "\n"), process.wait(seconds)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
