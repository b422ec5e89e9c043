"""Where compiled scenarios run: the interface between `run` and the running kernel or a guest."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from swaptrace.scenario.hardware import Backend, Reclaim


class Job(NamedTuple):
    """A compiled scenario, and the swap that it is to find when it begins.

    `name` is distinct within a run. `binary` is a static executable; under a memory limit its
    argument is the directory of an empty memory cgroup.
    `swap_size` is how many bytes of pages fit into the swap area, its header page not counted.
    `page_cluster` is as the sysctl; `timeout` is in seconds. `limited` is the LRU under a limit of
    memory or swap, which takes a cgroup; None where there is none. `settings` are by file of
    sysfs: the sizes of large folios, which a program sets as far as they are not, and how many
    huge pages there are.
    """

    name: str
    binary: Path
    backend: Backend
    swap_size: int
    page_cluster: int
    timeout: float
    limited: Reclaim | None = None
    settings: Mapping[Path, str] = {}


class Ending(Enum):
    """How a job ended."""

    COMPLETED = "completed"
    """The program ended by itself; its last line may say what is missing, or what went wrong."""

    SKIPPED = "skipped"
    """The place cannot run it: there is no such swap, or no permission."""

    FAILED = "failed"
    """It was killed by a signal, ended with another exit code, or the kernel panicked under it."""

    NOT_RUN = "not run"
    """It was not started, or it was stopped when its time was over."""


class JobOutcome(NamedTuple):
    """What became of a job.

    `stdout` is what the program wrote until then, JSON lines (see `observed`). `reason` is why it
    ended as it did; of a job that completed it is empty.
    """

    name: str
    stdout: str = ""
    ending: Ending = Ending.COMPLETED
    reason: str = ""


def out_of_time(job: Job, stdout: str) -> JobOutcome:
    """The outcome of a job that was stopped."""
    reason = f"it did not end within {job.timeout:g} seconds (--timeout)"
    return JobOutcome(job.name, stdout, Ending.NOT_RUN, reason)


class Place(Protocol):
    """A kernel that jobs can run on.

    `title` is what reports call it: `running kernel`, or the path of an image. `at_once` is how
    many jobs are to be run together where one of them will do: several where to begin takes long.
    `limits` is whether a job can have a memory cgroup.
    """

    @property
    def title(self) -> str: ...

    @property
    def at_once(self) -> int: ...

    @property
    def limits(self) -> bool: ...

    def run(self, jobs: Iterable[Job]) -> Generator[JobOutcome, None, None]:
        """Run every job with a fresh swap area of its own, and give its outcome, in order.

        Where jobs run one by one they are taken when they are needed; a guest that runs all in one
        boot takes them all first. Closing the generator, or an exception, undoes all that was set
        up. Raises `SwaptraceError` where nothing at all can be run.
        """
        ...
