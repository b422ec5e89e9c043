"""Where compiled scenarios run: the interface between `run` and the running kernel or a guest."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from swaptrace.scenario.schema import Backend


class Job(NamedTuple):
    """A compiled scenario, and the swap that it is to find when it begins.

    `name` is distinct within a run. `binary` is a static executable, which takes no arguments.
    `swap_size` is how many bytes of pages fit into the swap area, its header page not counted.
    `page_cluster` is as the sysctl; `timeout` is in seconds.
    """

    name: str
    binary: Path
    backend: Backend
    swap_size: int
    page_cluster: int
    timeout: float


class Outcome(NamedTuple):
    """What became of a job: exactly one of `skipped` and `failed` may be given.

    `stdout` is what the program wrote, JSON lines (see `observed`). `skipped` is why the place
    cannot run it (no such swap, no permission). `failed` is why it did not come to its end: killed
    by a signal, out of time, a kernel that panicked; `stdout` then holds what came before.
    A program that ends with 4 found out by itself what is missing; its last line says it, and the
    place reports neither.
    """

    name: str
    stdout: str = ""
    skipped: str | None = None
    failed: str | None = None


class Place(Protocol):
    """A kernel that jobs can run on.

    `title` is what reports call it: `running kernel`, or the path of an image.
    """

    @property
    def title(self) -> str: ...

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """Run every job with a fresh swap area of its own, and give its outcome, in order.

        Where jobs run one by one they are taken when they are needed; a guest that runs all in one
        boot takes them all first. Closing the generator, or an exception, undoes all that was set
        up. Raises `SwaptraceError` where nothing at all can be run.
        """
        ...
