"""What SIGINT does: end the program at once while nothing has begun, later raise KeyboardInterrupt.

Imported before anything else is, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from swaptrace.terminal.exitcodes import ExitCode


def leave(_number: int, _frame: FrameType | None) -> None:
    """End at once, without a word: nothing has been begun, or all is done."""
    os._exit(ExitCode.INTERRUPTED)


def leave_at_once() -> None:
    """Have SIGINT end the program, unless it is ignored, as it is of a job in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def raise_instead() -> bool:
    """Have SIGINT raise KeyboardInterrupt again; whether `leave_at_once` was in force."""
    was = signal.getsignal(signal.SIGINT) is leave
    if was:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = raise_later
    return was


def raise_later(ignored: sys.UnraisableHookArgs) -> None:
    """An interrupt that came in a callback, which can raise nothing (importlib has such), comes
    once more when that is over. Of other exceptions it is told as always."""
    if ignored.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(ignored)
        return
    send_again(signal.SIGINT)


def send_again(number: int) -> None:
    """Let a signal come once more, when what it came in is over."""
    from threading import Timer, main_thread

    Timer(0.01, signal.pthread_kill, (main_thread().ident, number)).start()
