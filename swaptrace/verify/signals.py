"""Signals that end the program: turned into an exception, and held off where that would hurt."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

HARMLESS: Final = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
"""Those that end no process by default; the latter stop one (signal(7))."""

UNCATCHABLE: Final = {signal.SIGKILL, signal.SIGSTOP}

FAULTS: Final = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
"""Those of an instruction, which a handler that returns would execute again, for ever."""

AS_ERRORS: Final = {signal.SIGPIPE, signal.SIGXFSZ}
"""Python ignores these two, and raises an `OSError` instead."""

ENDING: Final = signal.valid_signals() - HARMLESS - UNCATCHABLE - FAULTS - AS_ERRORS
"""All others: what the kernel ends a process with by default, and lets it catch."""


class _Ending:
    """How many `deferred` there are around what is being done, and the signal that waits.

    After the first that had its effect no further one has: what is undone is not interrupted.
    """

    held = 0
    waiting: int | None = None
    over = False

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        if self.over:
            return
        if self.held:
            self.waiting = self.waiting or number
            return
        self.over = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def release(self) -> None:
        self.held -= 1
        if not self.held and self.waiting is not None:
            number, self.waiting = self.waiting, None
            self.handle(number)


_ending = _Ending()


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Let every signal of `ENDING` raise `SystemExit`, as SIGINT raises `KeyboardInterrupt`, so
    that everything is undone on the way out. One that was ignored before stays ignored.

    SIGCHLD has its default effect within: a child is there until it is waited for.
    """
    before = {number: signal.getsignal(number) for number in ENDING | {signal.SIGCHLD}}
    caught = {
        number
        for number in ENDING
        if before[number] not in (signal.SIG_IGN, None)  # None: of a library in C
    }
    _ending.over = False
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in caught:
            signal.signal(number, _ending.handle)
        yield
    finally:
        for number in {signal.SIGCHLD, *caught}:
            signal.signal(number, before[number])


@contextmanager
def deferred() -> Iterator[None]:
    """Do something as a whole: a signal that comes meanwhile takes effect afterwards."""
    _ending.held += 1
    try:
        yield
    finally:
        _ending.release()


@contextmanager
def held_off() -> Iterator[None]:
    """The same, without that a signal interrupts a system call.

    It is blocked. A thread that does not block it may still get it, and then its handler, which
    Python runs here, has to wait.
    """
    with deferred():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
