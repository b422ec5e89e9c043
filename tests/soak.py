"""Do the tests hold on a loaded machine, under nohup too, and is no process of theirs left?

python -m tests.soak [TIMES [PYTEST ARGUMENT...]]    ten times, all tests, beside two busy loops

Every other time SIGINT and SIGHUP are ignored from the start. What failed is printed; the exit code
is 1 if anything did.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.commandline import ROOT
from tests.processes import begin, end_all, kill, words

LOOPS: Final = 2
BUSY: Final = [sys.executable, "-c", "while True: pass"]
MARK: Final = "SWAPTRACE_SOAK"
"""In the environment of the tests and of all that they start, so that it is known for theirs."""


@contextmanager
def load() -> Iterator[None]:
    """Processes that want a core each."""
    for _ in range(LOOPS):
        begin(BUSY)
    try:
        yield
    finally:
        end_all()


def marked(value: str) -> list[int]:
    """The processes that have the mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{MARK}={value}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def once(number: int, arguments: Sequence[str]) -> bool:
    """Run the tests; whether they passed and left nothing."""
    ignoring = [signal.SIGINT, signal.SIGHUP] if number % 2 else []
    value = secrets.token_hex(8)
    command = [sys.executable, "-m", "pytest", *arguments]
    environment = {**os.environ, MARK: value}
    tests = begin(
        command, ignoring=ignoring, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    out, _ = tests.communicate()
    left = {pid: words(pid) for pid in marked(value)}
    kill(left)
    held = tests.returncode == 0 and not left
    ignored = ", SIGINT ignored" if ignoring else ""
    print(f"{number + 1}: {out.strip().splitlines()[-1]}{ignored}", flush=True)
    if not held:
        print(out, *(f"left running: {pid} {name}" for pid, name in left.items()), sep="\n")
    return held


def main(times: str = "10", *arguments: str) -> int:
    """Run them so many times; 1 if anything failed."""
    with load():
        held = [once(number, arguments) for number in range(int(times))]
    print(f"{sum(held)} of {len(held)} passed and left no process")
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
