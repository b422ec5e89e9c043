"""Programs that are started here and do not outlive this process.

Each has a process group of its own, whose number cannot be given to others as long as the program
has not been waited for. So a group is killed before its first process is reaped, and nothing
else can be hit.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final

from swaptrace.terminal.processes import dying_with_this
from swaptrace.verify.signals import deferred

Stream = int | IO[Any]

PIECE: Final = 1 << 16


class ChildProgram:
    """A program that runs, with its standard output if that is read here.

    The kernel kills it when the thread that started it ends, even of SIGKILL.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = subprocess.DEVNULL,
        stderr: Stream = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
            preexec_fn=dying_with_this(),
        )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._ended_by_itself: bool | None = None

    @property
    def port(self) -> int:
        """The descriptor of its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def code(self) -> int:
        """Of a program that was ended: its exit code, or the negative of the signal."""
        return self._process.returncode

    @property
    def ended_by_itself(self) -> bool:
        """Whether it had ended before it was asked to."""
        return bool(self._ended_by_itself)

    def output(self, deadline: float | None = None) -> Iterator[bytes]:
        """What it writes until it has ended, or the monotonic clock is at the deadline; then it
        is killed, and what others of its group still write is of no interest."""
        os.set_blocking(self.port, False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            selector.register(self.port, selectors.EVENT_READ)
            while not self.has_ended() and (deadline is None or monotonic() < deadline):
                left = None if deadline is None else max(0.0, deadline - monotonic())
                for key, _ in selector.select(left):
                    if key.fd == self.port:
                        piece = self._read()
                        if not piece:
                            selector.unregister(self.port)
                        yield piece
        self.kill()
        while piece := self._read():
            yield piece

    def _read(self) -> bytes:
        try:
            return os.read(self.port, PIECE)
        except BlockingIOError:
            return b""

    def has_ended(self) -> bool:
        """Whether the program has ended, though others of its group may still run."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            return bool(selector.select(0))

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            selector.select()
        self.end()
        return self.code

    def kill(self) -> None:
        """Kill it, and all of its group that still runs; nothing once it is reaped, since its
        number may then be another's."""
        if self._process.returncode is not None:
            return
        if self._ended_by_itself is None:  # the second time, it may have died of the first
            self._ended_by_itself = self.has_ended()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and all of its group that still runs; then reap it."""
        if self._process.returncode is not None:
            return
        self.kill()
        self._process.wait()
        os.close(self._pidfd)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
) -> Iterator[ChildProgram]:
    """A program, for as long as it is wanted."""
    program = None
    try:
        with deferred():
            program = ChildProgram(command, stdin=stdin, stdout=stdout, stderr=stderr)
        yield program
    finally:
        if program is not None:
            program.end()
