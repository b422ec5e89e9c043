"""Processes of our own: they never outlive the program, and leave ^C to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent does, whatever ends that (prctl(2))."""
    from ctypes import CDLL

    set_pdeathsig = 1
    CDLL(None).prctl(set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Block SIGINT; who is forked now never gets one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
