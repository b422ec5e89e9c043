"""Processes that the tests start: what they can rely on, and that they end.

Each has the signals of a command in the foreground of a shell, whatever the tests were started
with (nohup, or `&` in a script, ignores some), and is the first of a session of its own. It ends
with the test that started it, together with all that it started, and also if the tests are killed.
`tests/conftest.py` sees to that, and fails the test that leaves any other process behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from swaptrace.terminal.processes import dying_with_this

PATIENCE: Final = 600.0
"""Seconds after which something hangs. No test waits that long for anything that it asks: it is
far beyond what the slowest machine takes, so that a failure is told instead of a test that never
ends."""

TELLS_IMPORTS: Final = (sys.executable, "-X", "importtime", "-m", "swaptrace")
"""The program, which tells on its standard error what it imports."""

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

PR_SET_CHILD_SUBREAPER: Final = 36

_begun: Final[list[subprocess.Popen[Any]]] = []


def begin(
    command: Sequence[str | Path], *, ignoring: Iterable[signal.Signals] = (), **options: Any
) -> subprocess.Popen[Any]:
    """Start a program; `options` are those of `subprocess.Popen`.

    `ignoring` are the signals that it inherits as ignored.
    """
    ignored, die = set(ignoring), dying_with_this()

    def prepare() -> None:
        die()
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    process = subprocess.Popen(command, start_new_session=True, preexec_fn=prepare, **options)
    _begun.append(process)
    return process


def completed(
    command: Sequence[str | Path], *, check: bool = False, stdin: Any = None, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as `subprocess.run` does, and keep what it writes.

    `stdin` is what it reads: bytes, or text with `text=True`.
    """
    given = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": given}
    process = begin(command, **{**pipes, **options})
    out, err = process.communicate(stdin, timeout=PATIENCE)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check and done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}: {err!r}")
    return done


def until(condition: Callable[[], Any], process: subprocess.Popen[Any] | None = None) -> None:
    """Wait for something that has to happen, while the process that should bring it about runs."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            raise AssertionError(f"{process.args!r} ended too early, with {process.returncode}")
        if time.monotonic() > limit:
            raise AssertionError("what the test waits for does not happen")
        time.sleep(0.005)


def until_it_can_catch_one(process: subprocess.Popen[Any]) -> None:
    """Wait for what the program (`TELLS_IMPORTS`) imports after it has said what SIGINT is to do:
    until then it is Python that starts, and says that it was interrupted."""
    assert process.stderr is not None
    names = (line.split()[-1] for line in process.stderr)
    imported = (name if isinstance(name, str) else name.decode() for name in names)
    assert "swaptrace.terminal.interruption" in imported
    next(imported)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """The processes that any thread of a process has started, and those that it inherited."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as listed:
                found += map(int, listed.read().split())
    return found


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = children(pid)
    return found + [each for child in found for each in descendants(child)]


def words(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def adopt_orphans() -> None:
    """Let every descendant whose parent ends become a child of this process: none is lost."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all() -> None:
    """End what `begin` started and still runs, with all that this has started."""
    while _begun:
        process = _begun.pop()
        if process.poll() is None:
            kill([process.pid, *descendants(process.pid)])
            process.wait()
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            with suppress(OSError):
                pipe.close()


def kill(pids: Iterable[int]) -> None:
    """End processes at once."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def left(before: set[int]) -> list[str]:
    """End the children that this process has now and had not before; the command lines of those
    that did not end by themselves.

    What is killed by the end of its parent may take a moment, which it is given.
    """
    names: dict[int, str] = {}
    limit = time.monotonic() + GRACE
    while new := [pid for pid in children(os.getpid()) if pid not in before and not reaped(pid)]:
        names = {pid: names.get(pid) or words(pid) for pid in new}
        if time.monotonic() > limit:
            kill(pid for each in new for pid in (each, *descendants(each)))
            until(lambda: all(reaped(pid) for pid in new))
            return [names[pid] or f"process {pid}" for pid in new]
        time.sleep(0.005)
    return []


GRACE: Final = 20.0
"""Seconds in which the kernel kills the orphans that are to die with their parent."""


def reaped(pid: int) -> bool:
    """Whether a child has ended; what it left to its parent is taken."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return True
