"""Processes that do not outlive this one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swaptrace.processes import dying_with_this


def start(command: Sequence[str | Path], *, stderr: int) -> subprocess.Popen[bytes]:
    """A program in a process group of its own, whose standard output is read here.

    The kernel kills it when this process dies, even of SIGKILL.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=dying_with_this(),
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started here, and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
