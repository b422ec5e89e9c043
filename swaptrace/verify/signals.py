"""Signals that end the program: turned into an exception, and held off where that would hurt."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ending:
    """How many `held_off` there are around what is being done, and the signal that waits."""

    held = 0
    waiting: int | None = None

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        if self.held:
            self.waiting = number
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)

    def release(self) -> None:
        self.held -= 1
        if not self.held and self.waiting is not None:
            number, self.waiting = self.waiting, None
            self.handle(number)


_ending = _Ending()


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `SystemExit`, as SIGINT raises `KeyboardInterrupt`, so that
    everything is undone on the way out. One that is ignored (nohup, `&` in a script) stays so."""
    heeded = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _ending.handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_off() -> Iterator[None]:
    """Do something as a whole: a signal that comes meanwhile takes effect afterwards.

    It is blocked, so that it interrupts no system call. A thread that does not block it may
    still get it, and then its handler, which Python runs here, has to wait.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    _ending.held += 1
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _ending.release()
