"""The one way to open a file that may come from a stranger.

It is a regular file, and no longer than its reader can bear. What blocks (a FIFO that nobody
writes to) or never ends (a device) is refused in words.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from swaptrace.errors import SwaptraceError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

T = TypeVar("T")

A_FIFO: Final = "a FIFO"


def path_of(text: str) -> Path:
    """What was typed or read, as a path. Most of what `--help` imports needs none."""
    from pathlib import Path

    return Path(text)


def reason(error: OSError) -> str:
    """Why something could not be read or written, in the words of the system."""
    return error.strerror or str(error)


def kind_of_file(mode: int) -> str:
    """What stands at a path where a regular file should."""
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return A_FIFO
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


@contextmanager
def guarded(wrong: Callable[[str], SwaptraceError]) -> Iterator[None]:
    """Turn whatever a reader of a foreign format raises into the error of its file.

    A format has more ways to be wrong than anybody thinks of, and the libraries that read one raise
    whatever happens to them.
    """
    try:
        yield
    except (SwaptraceError, MemoryError):
        raise
    except OSError as error:
        raise wrong(reason(error)) from error
    except Exception as error:
        raise wrong(str(error) or type(error).__name__) from error


class NotRegular(OSError):
    """What stands at the path is no regular file; `kind` is what it is instead, as `a FIFO`."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}, not a regular file", path)
        self.kind = kind


class _Unblocked(io.FileIO):
    """A file of which a read that would wait raises `OSError`: some of /proc are regular by their
    mode, and have nothing to be read for now."""

    def readinto(self, buffer: Buffer, /) -> int:
        found: int | None = super().readinto(buffer)
        return self._there(found)

    def read(self, size: int | None = -1, /) -> bytes:
        found: bytes | None = super().read(-1 if size is None else size)
        return self._there(found)

    @staticmethod
    def _there(found: T | None) -> T:
        if found is None:
            raise BlockingIOError(errno.EAGAIN, "a read of it would wait for others to write")
        return found


def opened(path: str | Path) -> io.FileIO:
    """A regular file, unbuffered. Raises `OSError` that says why it cannot be read.

    It is looked at before it is opened, since to open a device can do things, and again
    afterwards, since it may have been replaced; nothing blocks in between (O_NONBLOCK).
    """
    try:
        _check_regular(os.stat(path).st_mode, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from None
    try:
        _check_regular(os.fstat(descriptor).st_mode, path)
        return _Unblocked(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(str(path), kind_of_file(mode))


class Identity(NamedTuple):
    """Which file it is, and as of when: another one, or another content, is another identity."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity(file: io.FileIO | str | Path) -> Identity:
    """That of an open file or a path. Raises `OSError`."""
    found = os.fstat(file.fileno()) if isinstance(file, io.FileIO) else os.stat(file)
    times = found.st_mtime_ns, found.st_ctime_ns
    return Identity(found.st_dev, found.st_ino, found.st_size, *times)


def read_at_most(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file, of a longer one so many and one more.

    Raises `OSError` that says why it cannot be read.
    """
    with io.BufferedReader(opened(path)) as file:
        return file.read(most + 1)


def read_bytes(path: str | Path, most: int, what: str = "") -> bytes:
    """The bytes of a regular file of at most so many bytes; `what` is what the message calls it.

    Raises `SwaptraceError` that names the file.
    """
    shown = f"{what} {printable(str(path))}".lstrip()
    try:
        data = read_at_most(path, most)
    except OSError as error:
        raise SwaptraceError(f"{shown}: cannot be read: {reason(error)}") from None
    if len(data) > most:
        raise SwaptraceError(f"{shown}: too large: at most {most >> 20} MiB are read")
    return data


def read_text(path: str | Path, most: int, what: str = "") -> str:
    """The same of a text in UTF-8."""
    try:
        return read_bytes(path, most, what).decode()
    except UnicodeDecodeError:
        raise SwaptraceError(f"{printable(str(path))}: is not UTF-8 text") from None
