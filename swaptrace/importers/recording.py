"""A command under valgrind and strace, whose lines go through one pipe to the importer.

strace prints a call before the program goes on, and valgrind an access when it is made, each line
by one write to the pipe. So the lines are in the order in which things happened, and a call stands
exactly between the accesses around it. Nothing is stored.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from swaptrace.errors import SwaptraceError, quote
from swaptrace.importers.strace import FORKS
from swaptrace.terminal.processes import dying_with_this

if TYPE_CHECKING:
    from typing_extensions import Buffer

PACKAGES: Final = {"valgrind": "valgrind", "strace": "strace"}
"""The programs that are needed, and Debian's packages of them."""

PIPE_SIZE: Final = 1 << 20


NAP: Final = 0.005
"""Seconds between two reads: who waits for every line is woken by every line, which costs more than
valgrind itself. The pipe does not get full meanwhile."""


class Log(io.FileIO):
    """The reading end of the pipe."""

    def readinto(self, buffer: Buffer, /) -> int | None:
        time.sleep(NAP)
        return super().readinto(buffer)


class Recording(NamedTuple):
    """A command that runs, and the log that it makes."""

    process: subprocess.Popen[bytes]
    log: Log

    def exit_code(self) -> int:
        """That of the command, as a shell gives it, once it has ended."""
        code = self.process.wait()
        return 128 - code if code < 0 else code


def check_tools(command: str) -> None:
    """Find out before the work whether the command can be run. Raises `SwaptraceError`."""
    for tool, package in PACKAGES.items():
        if shutil.which(tool) is None:
            raise SwaptraceError(
                f"record runs the command under {tool}, which is not installed "
                f"(Debian: apt install {package})"
            )
    if shutil.which(command) is None:
        raise SwaptraceError(f"there is no command {quote(command)} that can be run")


@contextmanager
def recording(command: Sequence[str]) -> Iterator[Recording]:
    """Run a command; it is ended, with what it started, if the context ends before it."""
    reading, writing = os.pipe()
    with suppress(OSError, AttributeError):
        import fcntl

        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    try:
        process = subprocess.Popen(
            under_tools(command, writing), pass_fds=[writing], preexec_fn=dying_with_this()
        )
    except OSError as error:
        os.close(reading)
        raise SwaptraceError(f"strace cannot be run: {error.strerror}") from error
    finally:
        os.close(writing)
    try:
        with Log(reading, closefd=True) as log:
            yield Recording(process, log)
    finally:
        end(process)


def under_tools(command: Sequence[str], log: int) -> list[str]:
    """The command line of strace and valgrind, both of which write to a descriptor."""
    traced = ",".join(("%memory", "execve", *FORKS))
    return [
        *("strace", "-f", "--seccomp-bpf", "-qqq", "-e", "signal=none"),
        *("-e", f"trace={traced}", "-o", f"/proc/self/fd/{log}", "--"),
        *("valgrind", "--tool=lackey", "--trace-mem=yes", "--child-silent-after-fork=yes"),
        # No options out of a .valgrindrc that lies where the command is run.
        *("--command-line-only=yes", "--vgdb=no", f"--log-fd={log}", "--", *command),
    ]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it runs, after all that it has started: strace lets go of what it traces
    when it is killed, and that would go on."""
    while process.poll() is None:
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found
