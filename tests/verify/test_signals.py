"""Does every signal that ends a process undo what was done, and does none interrupt that?"""

from __future__ import annotations

import os
import resource
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import pytest

from swaptrace.verify.signals import ENDING, deferred, ending_by_exception, held_off
from tests.effort import exhaustive
from tests.processes import PATIENCE, STOPPING

DOES_NOT_END: set[int] = {
    *(signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
CANNOT_BE_HEEDED: set[int] = {
    *(signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
    *(signal.SIGPIPE, signal.SIGXFSZ),
}


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Nothing is ignored, as it is under nohup, which the program would leave so."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        python = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if python else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended_by(number: int) -> bool:
    """Whether a process ends of the signal by default; signal(7) is not asked, but the kernel."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False
    return os.WIFSIGNALED(status)


@exhaustive
def test_every_signal_that_ends_a_process_is_caught() -> None:
    """But for those that no program can heed, or that Python turns into errors?"""
    ending = {int(number) for number in signal.valid_signals() if ended_by(number)}
    assert ending - set(map(int, ENDING)) == set(map(int, CANNOT_BE_HEEDED))
    assert set(map(int, ENDING)) & set(map(int, DOES_NOT_END)) == set()


def ending(work: Callable[[], None]) -> int:
    """The exit code with which the work is ended."""
    try:
        with ending_by_exception():
            work()
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.mark.parametrize("number", sorted(map(int, ENDING)))
def test_it_raises_and_the_handler_of_before_comes_back(number: int) -> None:
    before = signal.getsignal(number)
    assert ending(lambda: signal.raise_signal(number)) == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("how", [deferred, held_off])
def test_it_waits_for_what_is_done_as_a_whole(
    how: Callable[[], AbstractContextManager[None]],
) -> None:
    done = []

    def work() -> None:
        with how():
            signal.raise_signal(signal.SIGTERM)
            done.append("all")

    assert (ending(work), done) == (128 + signal.SIGTERM, ["all"])


def test_a_second_one_does_not_interrupt_what_is_undone() -> None:
    done = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)
            done.append("undone")

    assert (ending(work), done) == (128 + signal.SIGTERM, ["undone"])


class Gone:
    """Something with a callback."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, 49])
def test_one_that_comes_in_a_callback_is_not_lost(number: int) -> None:
    """Where an exception goes nowhere, does it come once more?"""

    def work() -> None:
        gone = Gone()
        reference = weakref.ref(gone, lambda _: signal.raise_signal(number))
        del gone
        signal.sigtimedwait([], PATIENCE)
        assert reference() is None

    assert ending(work) == 128 + number


def test_what_else_a_callback_raises_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is the hook of before there again?"""
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: told.append(ignored.exc_type))
    before = sys.unraisablehook

    def work() -> None:
        gone = Gone()
        reference = weakref.ref(gone, lambda _: 1 // 0)
        del gone
        assert reference() is None

    assert (ending(work), told) == (0, [ZeroDivisionError])
    assert sys.unraisablehook is before


def test_one_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_by_exception():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
