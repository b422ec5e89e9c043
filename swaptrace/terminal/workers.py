"""Processes that share the work. They are forked, so that they have all that is loaded, what is
from a file as well, without it being sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any, Final

from swaptrace.errors import SwaptraceError
from swaptrace.terminal.processes import IMPORTING, dying_with_this, uninterrupted

Submit = Callable[..., Future[Any]]
"""Has a worker call a function of a module with its state and these arguments."""

_STATE: Final[list[Any]] = []
"""In a worker, its only entry is what every call is given first."""


def _begin(prepare: Callable[[], None], state: Callable[[], Any]) -> None:
    """The start of a worker."""
    prepare()
    _STATE.append(state())


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(_STATE[0], *arguments)


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
def workers(count: int, state: Callable[[], Any]) -> Iterator[Submit]:
    """So many processes, which start with the first call; `state` makes the state of each, in it.

    However it ends, none is left. A future of which the worker was killed raises
    `BrokenProcessPool` (`killed` says what that means).
    """
    context = Forking()
    executor = ProcessPoolExecutor(count, context, _begin, (dying_with_this(), state))

    def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with uninterrupted(), IMPORTING:
            return executor.submit(_call, function, *arguments)

    try:
        yield submit
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
