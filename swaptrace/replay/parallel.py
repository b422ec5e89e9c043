"""`--jobs`: replays in several processes, whose results come in the order of one.

Workers are forked, so that they have the scenarios and policies, those from a file as well,
without sending them. Each keeps the transitions that it has worked out, by policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any, Final, TypeVar

from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.processes import dying_with_this, uninterrupted

T = TypeVar("T")


_FORKED: Final[list[Callable[[int], Any]]] = []
"""In a worker, its only entry is what to do."""


def _begin(do: Callable[[int], Any], prepare: Callable[[], None]) -> None:
    """The start of a worker."""
    prepare()
    _FORKED.append(do)


def _one(number: int) -> Any:
    return _FORKED[0](number)


class Forking(ForkContext):
    """Starts the workers, and knows which they are: whoever calls may have children of his own."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[ForkProcess] = []

    def Process(self, *args: Any, **keywords: Any) -> ForkProcess:  # type: ignore[override]
        """A process that is to be started."""
        process = ForkProcess(*args, **keywords)
        self.workers.append(process)
        return process


@contextmanager
def forked(do: Callable[[int], T], numbers: Sequence[int], jobs: int) -> Iterator[list[Future[T]]]:
    """What `do` gives for each number, computed in so many processes at a time.

    However it ends, no worker is left. A future of which the worker was killed raises
    `BrokenProcessPool` (`killed` says what that means).
    """
    context = Forking()
    size = max(1, min(jobs, len(numbers)))
    executor = ProcessPoolExecutor(size, context, _begin, (do, dying_with_this()))
    try:
        with uninterrupted():
            futures = [executor.submit(_one, number) for number in numbers]
        yield futures
    except BaseException:
        for worker in context.workers:
            if worker.pid is not None:
                worker.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def killed() -> Iterator[None]:
    """Say what it means that a worker has gone. Raises `SwaptraceError`."""
    try:
        yield
    except BrokenProcessPool:
        message = "a process of --jobs was killed, perhaps for want of memory; try --jobs 1"
        raise SwaptraceError(message) from None


@contextmanager
def replaying(
    scenarios: Sequence[Scenario], policies: Sequence[Policy], wanted: Mapping[str, Any], jobs: int
) -> Iterator[Iterator[PolicyResult]]:
    """The result of each scenario under each policy, the policies of a scenario together.

    `wanted` are the keywords of `engine.replay`. The first replay in that order that fails raises
    what it raised. However it ends, no worker is left.
    """
    tables = [Table(policy) for policy in policies]
    pairs = [(scenario, table) for scenario in scenarios for table in tables]

    def one(number: int) -> PolicyResult:
        return replay(*pairs[number], **wanted)

    with forked(one, range(len(pairs)), jobs) as futures:
        yield _results(futures)


def _results(futures: Sequence[Future[PolicyResult]]) -> Iterator[PolicyResult]:
    with killed():
        yield from (future.result() for future in futures)
