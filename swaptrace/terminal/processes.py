"""Processes of our own: they never outlive the program, and leave ^C to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

PR_SET_PDEATHSIG: Final = 1

IMPORTING: Final = Lock()
"""Held by a thread beside the first while it imports. A process that is forked meanwhile would wait
for ever for what is half imported."""


def dying_with_this() -> Callable[[], None]:
    """What a process that is forked from this one has to call first.

    The kernel then kills it when this one ends, whatever ends that (prctl(2)). Made before
    the fork, lest something is imported after it.
    """
    import ctypes  # here, as below: `--help` imports every command

    libc, parent = ctypes.CDLL(None), os.getpid()

    def begin() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)

    return begin


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Block SIGINT; who is forked now never gets one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
