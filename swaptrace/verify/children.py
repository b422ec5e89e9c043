"""Processes that do not outlive this one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def start(command: Sequence[str | Path], *, stderr: int) -> subprocess.Popen[bytes]:
    """A program in a process group of its own, whose standard output is read here.

    The kernel kills it when this process dies, even of SIGKILL.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died already
            os._exit(1)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started here, and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
