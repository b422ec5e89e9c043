"""What a guest says: the report of its first process (`init.c`), and the kernel's messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from signal import valid_signals
from typing import Final

from swaptrace.errors import SwaptraceError, quote
from swaptrace.verify.host import ended
from swaptrace.verify.place import Ending, Job, JobOutcome, out_of_time

TROUBLE: Final = re.compile(
    r"Kernel panic|BUG: |Oops: |kernel BUG at|general protection fault|Internal error|"
    r"unable to handle|soft lockup"
)
"""What the first line has in which a kernel says that it has come to an end."""

WARNING: Final = re.compile(r"WARNING: |BUG: ")
"""What the first line has in which it says that something is wrong, and goes on."""

PREFIX: Final = re.compile(r"^(<\d+>)?(\[[ \d.]+\])?(\[ *[TC]\d+\])? *")
"""Level, time and caller before a message of the kernel."""


class DamagedReport(SwaptraceError):
    """A report that init cannot have written."""


class Transcript:
    """The report, line by line. `current` is the job that runs, None between two; `done` says
    that the guest has come to its end."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._ended = 0
        self._lines: list[str] = []
        self._partial = b""
        self.current: Job | None = None
        self.done = False

    @property
    def left(self) -> Sequence[Job]:
        """The jobs that have no outcome yet."""
        return self._jobs[self._ended :]

    @property
    def stdout(self) -> str:
        """What the program that runs has printed so far."""
        return "\n".join([*self._lines, self._partial.decode(errors="replace")])

    def feed(self, data: bytes) -> list[JobOutcome]:
        """Some more of it; the outcomes that it completes. Raises `DamagedReport`."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        found = (self._line(line.decode(errors="replace")) for line in lines)
        return [outcome for outcome in found if outcome is not None]

    def _line(self, line: str) -> JobOutcome | None:
        if line.startswith("@"):
            keyword, _, rest = line[1:].partition(" ")
            if self.done:
                raise DamagedReport(f"{quote(line)} after its end")
            if self.current is not None:
                return self._ending(keyword, rest)
            self._beginning(keyword, rest)
        elif self.current is not None:
            self._lines.append(line)
        elif line:
            raise DamagedReport(f"{quote(line)} between two jobs")
        return None

    def _beginning(self, keyword: str, rest: str) -> None:
        if keyword == "begin" and rest == str(self._ended) and self.left:
            self.current = self.left[0]
        elif keyword == "done" and not self.left:
            self.done = True
        else:
            raise DamagedReport(f"{quote(f'@{keyword} {rest}'.strip())} where a job has to begin")

    def _ending(self, keyword: str, rest: str) -> JobOutcome:
        assert self.current is not None
        if keyword not in ENDINGS:
            raise DamagedReport(f"{quote(f'@{keyword} {rest}'.strip())} while a job runs")
        stdout = "\n".join(self._lines)  # the last newline is not the program's, but that of `@`
        outcome = ENDINGS[keyword](self.current, rest, stdout)
        self._ended += 1
        self._lines = []
        self.current = None
        return outcome


def _exit(job: Job, rest: str, stdout: str) -> JobOutcome:
    return ended(job, stdout, _number(rest))


def _signal(job: Job, rest: str, stdout: str) -> JobOutcome:
    number = _number(rest)
    if number not in valid_signals():
        raise DamagedReport(f"{quote(rest)} is no signal")
    return ended(job, stdout, -number)


def _timeout(job: Job, _rest: str, stdout: str) -> JobOutcome:
    return out_of_time(job, stdout)


def _skipped(job: Job, rest: str, stdout: str) -> JobOutcome:
    return JobOutcome(job.name, stdout, Ending.SKIPPED, rest)


def _failed(job: Job, rest: str, stdout: str) -> JobOutcome:
    return JobOutcome(job.name, stdout, Ending.NOT_RUN, rest)


ENDINGS: Final[dict[str, Callable[[Job, str, str], JobOutcome]]] = {
    "exit": _exit,
    "signal": _signal,
    "timeout": _timeout,
    "skipped": _skipped,
    "failed": _failed,
}
"""How a job can end, by what init calls it."""


def _number(text: str) -> int:
    if not text.isdecimal():
        raise DamagedReport(f"{quote(text)} is no number")
    return int(text)


def trouble(console: str) -> str | None:
    """The first message in which the kernel says that it cannot go on."""
    return _first(TROUBLE, console)


def warning(console: str) -> str | None:
    """The first message in which the kernel says that something is wrong."""
    return _first(WARNING, console)


def _first(pattern: re.Pattern[str], console: str) -> str | None:
    line = next((line for line in console.splitlines() if pattern.search(line)), None)
    return None if line is None else PREFIX.sub("", line).strip()
