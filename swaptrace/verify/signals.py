"""Signals that end the program: turned into an exception, and held off where that would hurt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

from swaptrace.terminal.interruption import send_again

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


Unraisable: TypeAlias = "Callable[[sys.UnraisableHookArgs], object]"


class _Ending:
    """How many `deferred` there are around what is being done, and the signal that waits.

    After the first that had its effect, which is `raised`, no further one has: what is undone is
    not interrupted.
    """

    held = 0
    waiting: int | None = None
    over = False
    raised: BaseException | None = None
    number = 0

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        if self.over:
            return
        if self.held:
            self.waiting = self.waiting or number
            return
        self.over, self.number = True, number
        interrupts = number == signal.SIGINT
        self.raised = KeyboardInterrupt() if interrupts else SystemExit(128 + number)
        raise self.raised

    def not_lost(self, before: Unraisable) -> Unraisable:
        """A hook for what a callback has raised, which nobody hears of (importlib has such): the
        signal comes once more when that is over. Of other exceptions it is told as before."""

        def hook(ignored: sys.UnraisableHookArgs) -> None:
            if self.raised is None or ignored.exc_value is not self.raised:
                before(ignored)
                return
            self.over, self.raised = False, None
            send_again(self.number)

        return hook

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
    hook = sys.unraisablehook
    _ending.over = False
    try:
        sys.unraisablehook = _ending.not_lost(hook)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in caught:
            signal.signal(number, _ending.handle)
        yield
    finally:
        for number in {signal.SIGCHLD, *caught}:
            signal.signal(number, before[number])
        sys.unraisablehook = hook


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
