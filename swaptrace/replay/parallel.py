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
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.processes import dying_with_this, uninterrupted


class Work(NamedTuple):
    """What the workers are forked with."""

    scenarios: Sequence[Scenario]
    tables: Sequence[Table]
    wanted: Mapping[str, Any]


_FORKED: Final[list[Work]] = []
"""In a worker, its only entry is what to do."""


def _begin(work: Work, prepare: Callable[[], None]) -> None:
    """The start of a worker."""
    prepare()
    _FORKED.append(work)


def _one(scenario: int, policy: int) -> PolicyResult:
    work = _FORKED[0]
    chosen = work.scenarios[scenario], work.tables[policy]
    return replay(*chosen, **work.wanted)


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
def replaying(
    scenarios: Sequence[Scenario], policies: Sequence[Policy], wanted: Mapping[str, Any], jobs: int
) -> Iterator[Iterator[PolicyResult]]:
    """The result of each scenario under each policy, the policies of a scenario together.

    `wanted` are the keywords of `engine.replay`. The first replay in that order that fails raises
    what it raised. However it ends, no worker is left.
    """
    work = Work(scenarios, [Table(policy) for policy in policies], wanted)
    pairs = [(one, other) for one in range(len(scenarios)) for other in range(len(policies))]
    context = Forking()
    size = max(1, min(jobs, len(pairs)))
    executor = ProcessPoolExecutor(size, context, _begin, (work, dying_with_this()))
    try:
        with uninterrupted():
            futures = [executor.submit(_one, *pair) for pair in pairs]
        yield _results(futures)
    except BaseException:
        for worker in context.workers:
            if worker.pid is not None:
                worker.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _results(futures: Sequence[Future[PolicyResult]]) -> Iterator[PolicyResult]:
    try:
        yield from (future.result() for future in futures)
    except BrokenProcessPool:
        message = "a process of --jobs was killed, perhaps for want of memory; try --jobs 1"
        raise SwaptraceError(message) from None
