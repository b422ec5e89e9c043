"""Where one of two graphs is worked out: here, or in a process of its own.

Whoever works is an object whose methods are asked, so that two can be asked at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final, Protocol

from swaptrace.errors import SwaptraceError
from swaptrace.terminal.processes import dying_with_this, uninterrupted

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


KILLED: Final = "a process of the exploration was killed, perhaps for want of memory"


class Worker(Protocol):
    """`ask` begins to call a method, `answer` waits for what it returns, or raises.

    Both raise `SwaptraceError` where the process has been killed.
    """

    def ask(self, method: str, *arguments: Any) -> None: ...

    def answer(self) -> Any: ...


class LocalWorker:
    """In this process."""

    def __init__(self, service: object) -> None:
        self.service = service
        self.asked: tuple[str, tuple[Any, ...]] = ("", ())

    def ask(self, method: str, *arguments: Any) -> None:
        self.asked = method, arguments

    def answer(self) -> Any:
        method, arguments = self.asked
        return getattr(self.service, method)(*arguments)


class ForkedWorker:
    """In a process of its own."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def ask(self, method: str, *arguments: Any) -> None:
        try:
            self.pipe.send((method, arguments))
        except OSError:
            raise SwaptraceError(KILLED) from None

    def answer(self) -> Any:
        try:
            found = self.pipe.recv()
        except (EOFError, OSError):
            raise SwaptraceError(KILLED) from None
        if isinstance(found, Exception):
            raise found
        return found


def both(workers: list[Worker], method: str, *arguments: Any) -> list[Any]:
    """The answers of all to the same question, which they work on at the same time."""
    for worker in workers:
        worker.ask(method, *arguments)
    return [worker.answer() for worker in workers]


@contextmanager
def elsewhere(service: object) -> Iterator[ForkedWorker]:
    """A process that answers for an object, until the end of the context."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(
        target=_serve, args=(service, theirs, ours, dying_with_this()), daemon=True
    )
    with uninterrupted():
        worker.start()
    theirs.close()
    try:
        yield ForkedWorker(ours)
    finally:
        worker.kill()
        worker.join()
        ours.close()


def _serve(
    service: object, pipe: Connection, other_end: Connection, prepare: Callable[[], None]
) -> None:
    other_end.close()
    prepare()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # who asks has ended
        while True:
            method, arguments = pipe.recv()
            try:
                pipe.send(getattr(service, method)(*arguments))
            except Exception as error:
                pipe.send(error)
