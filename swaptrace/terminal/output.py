"""Where output goes: standard output or a file, with colours and a width or without; messages
and the progress bar to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TextIO

from swaptrace.errors import SwaptraceError, printable
from swaptrace.terminal.atomic import cannot_write, replace_file
from swaptrace.terminal.files import path_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

Color = Literal["auto", "always", "never"]

UNBOUNDED = 1_000_000
"""The width of what is no terminal: nothing wraps, whatever COLUMNS says."""

BLOCKS_AS_DIGITS = str.maketrans("▁▂▃▄▅▆▇█", "12345678")
"""A sparkline where there are no blocks."""

PATIENCE = 1.0
"""Seconds until a progress bar appears."""

SPEED_OVER = 600.0
"""Seconds whose speed says how much time is left."""


def complain(message: str) -> None:
    """Print a message to standard error, whatever has become of that."""
    text = "\n".join(printable(line) for line in message.split("\n")) + "\n"
    if sys.stderr is not None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            discard(sys.stderr)


def discard(stream: TextIO | None) -> None:
    """Let what could not be written go nowhere, lest the interpreter tries again at its end."""
    if stream is None:
        return
    with suppress(OSError, ValueError):  # a stream without a descriptor needs nothing
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Output(NamedTuple):
    """Where a command's output goes: standard output, or a file if `path` is given."""

    color: Color = "auto"
    path: str | None = None

    def show(self, report: RenderableType) -> None:
        """Write a report as text."""
        from rich.console import Console

        colored = self._colored()
        text = StringIO()
        console = Console(
            file=text,
            width=self._width(),
            height=25,  # without one, rich takes its own idea of the width on a dumb terminal
            force_terminal=colored,
            color_system="standard" if colored else None,
            no_color=not colored,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        console.print(report)
        self.write(text.getvalue())

    def write(self, text: str) -> None:
        """Write text as it is, all of it or, into a file, nothing."""
        if self.path is None:
            _write_stdout(text)
        else:
            replace_file(path_of(self.path), text)

    def _terminal(self) -> bool:
        return self.path is None and sys.stdout is not None and sys.stdout.isatty()

    def _colored(self) -> bool:
        if self.color != "auto":
            return self.color == "always"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return self._terminal() and not plain

    def _width(self) -> int:
        if not self._terminal():
            return UNBOUNDED
        from shutil import get_terminal_size

        return get_terminal_size().columns


def _write_stdout(text: str) -> None:
    stream = sys.stdout
    if stream is None:
        raise SwaptraceError("cannot write to standard output: it is closed")
    encoding = stream.encoding or "utf-8"
    text = text if _has_blocks(encoding) else text.translate(BLOCKS_AS_DIGITS)
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write("standard output", error) from error


def _has_blocks(encoding: str) -> bool:
    try:
        "▁█".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class Progress(Protocol):
    """What is told how far the work is."""

    def begin(self, scenario: str, policy: str) -> None:
        """A replay begins, and the one before it is over."""

    def within(self, total: Callable[[], int]) -> Callable[[int], None]:
        """What is told, of the replay that began last, of each so many of its `total` accesses."""

    def count(self, done: int, total: int, text: str) -> None:
        """So many of so many are done."""


class _Unseen:
    """Nobody looks."""

    def begin(self, scenario: str, policy: str) -> None:
        """Nothing."""

    def within(self, total: Callable[[], int]) -> Callable[[int], None]:  # noqa: ARG002
        return lambda _accesses: None

    def count(self, done: int, total: int, text: str) -> None:
        """Nothing."""


@contextmanager
def progress(total: int, color: Color = "auto") -> Iterator[Progress]:
    """Show how far `total` replays are, if they take long and standard error is a terminal: which
    share of the work is done, and how much time it will still take."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _Unseen()
        return
    bar = _Bar(total, color)
    try:
        yield bar
    finally:
        bar.close()


@contextmanager
def status(color: Color = "auto") -> Iterator[Callable[[str], None]]:
    """Show what is being done, if it takes long and standard error is a terminal.

    What it gives is to be called with a text now and then.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _text: None
        return
    from time import monotonic

    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, no_color=True if color == "never" else None)
    shown = console.status("", spinner="line")
    begun = monotonic()

    def tell(text: str) -> None:
        if monotonic() - begun > PATIENCE:
            shown.update(Text(printable(text)))  # what stands in it is no markup
            shown.start()

    try:
        yield tell
    finally:
        shown.stop()


@contextmanager
def reading(total: int | None, name: str) -> Iterator[Callable[[int], None]]:
    """Show how much of a file of `total` bytes (None: as many as come) has been read, if that takes
    long and standard error is a terminal.

    What it gives is to be called with the number of bytes now and then.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _bytes: None
        return
    from time import monotonic

    from rich import progress
    from rich.console import Console

    time = progress.TimeElapsedColumn() if total is None else progress.TimeRemainingColumn()
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        *(progress.BarColumn(), progress.DownloadColumn(), time),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    task = bar.add_task(printable(name), total=total)
    begun = monotonic()

    def tell(done: int) -> None:
        if monotonic() - begun > PATIENCE:
            bar.start()
            bar.update(task, completed=done)

    try:
        yield tell
    finally:
        bar.stop()


class _Bar:
    """A progress bar that appears when `PATIENCE` is over; a thread of its own draws it."""

    def __init__(self, total: int, color: Color) -> None:
        from threading import Timer

        self.color = color
        self.total = total
        self.done = 0.0
        self.begun = 0
        self.doing = ""
        self.shown: tuple[Bar, TaskID] | None = None
        self.timer = Timer(PATIENCE, self.appear)
        self.timer.daemon = True
        self.timer.start()

    def begin(self, scenario: str, policy: str) -> None:
        self.begun += 1
        self.done = self.begun - 1
        self.doing = printable(f"{scenario} under {policy}")
        self.refresh()

    def within(self, total: Callable[[], int]) -> Callable[[int], None]:
        accesses = 0

        def tell(more: int) -> None:
            nonlocal accesses
            accesses += more
            if self.shown:  # only then it is worth the while to know of how many
                self.done = self.begun - 1 + min(1, accesses / max(1, total()))
                self.refresh()

        return tell

    def count(self, done: int, total: int, text: str) -> None:
        self.done, self.total, self.doing = done, total, printable(text)
        self.refresh()

    def refresh(self) -> None:
        """Let the bar, if there is one, show what is being done now."""
        if self.shown:
            bar, task = self.shown
            bar.update(task, completed=self.done, total=self.total, description=self.doing)

    def appear(self) -> None:
        from swaptrace.terminal.processes import IMPORTING

        with IMPORTING:
            self.draw()

    def draw(self) -> None:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True, no_color=True if self.color == "never" else None)
        bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            *(progress.BarColumn(), progress.MofNCompleteColumn()),
            *(progress.TaskProgressColumn(), progress.TimeRemainingColumn()),
            speed_estimate_period=SPEED_OVER,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.shown = (bar, bar.add_task(self.doing, total=self.total))
        self.refresh()
        bar.start()

    def close(self) -> None:
        self.timer.cancel()
        self.timer.join()
        if self.shown:
            self.shown[0].stop()
