"""Logs as blocks of whole lines: from a file, compressed or not, or from a pipe."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from swaptrace.errors import Problem, SwaptraceError, printable
from swaptrace.traces.unpacking import DAMAGED, GZIP_BEGINS, XZ_BEGINS, from_gzip, from_xz

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK: Final = 1 << 20
"""How many bytes are looked at together: the arrays made of them stay in the CPU's cache."""

PART: Final = 1 << 17
"""How many bytes are searched at a time."""

LONGEST: Final = 1 << 20
"""A line longer than this is of no log."""

UTF8_MOST: Final = 4
"""The most bytes of a character."""

PADDING: Final = 8
"""Bytes after the text of a block, so that eight can be loaded from anywhere in it."""

NEWLINE: Final = ord("\n")

Text = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.intp]
Progress = Callable[[int], None]
"""Told how many bytes of the file have been read by now."""


class LogError(SwaptraceError):
    """What is wrong in a line of a log: file, line and column, and the line itself."""

    def __init__(self, file: str, line: int, message: str, text: bytes = b"") -> None:
        shown = text.decode("utf-8", "backslashreplace").rstrip("\n")
        super().__init__(str(Problem(file, line, 1, message, shown)))


class LineBlock(NamedTuple):
    """Whole lines of `file`, the first of them number `line`, from 1.

    `text` has a newline before each line and after the last; `PADDING` more bytes can be read.
    """

    file: str
    line: int
    text: Text
    size: int

    @property
    def lines(self) -> Text:
        """The text without the padding."""
        return self.text[: self.size]

    def numbers(self, starts: Positions) -> Positions:
        """The number of the line that begins at each of the ascending positions."""
        return self.line - 1 + np.searchsorted(np.flatnonzero(self.lines == NEWLINE), starts)

    def start_of(self, number: int) -> int:
        """Where the line of that number begins."""
        return int(np.flatnonzero(self.lines == NEWLINE)[number - self.line]) + 1

    def wrong(self, start: int, message: str) -> LogError:
        """What is wrong with the line that begins at the position."""
        before = int(np.count_nonzero(self.text[:start] == NEWLINE))
        line = self.lines[start : start + LONGEST].tobytes().partition(b"\n")[0]
        return LogError(self.file, self.line + before - 1, message, line)


def unpacked(raw: io.RawIOBase, name: str, progress: Progress) -> BinaryIO:
    """The file's bytes, decompressed if it begins as gzip or xz do."""
    counted = io.BufferedReader(_CountedFile(raw, progress), 1 << 16)
    try:
        begin = counted.peek(6)
    except OSError as error:
        raise _unreadable(name, error) from error
    if begin.startswith(GZIP_BEGINS):
        return cast(BinaryIO, from_gzip(counted))
    if begin.startswith(XZ_BEGINS):
        return cast(BinaryIO, from_xz(counted))
    return counted


def blocks(file: BinaryIO, name: str) -> Iterator[LineBlock]:
    """The lines of a log, a block at a time. A block is there until the next one is asked for.

    Raises `LogError` if it ends within a line: then it was cut off.
    """
    buffer = bytearray(1 + LONGEST + BLOCK + PADDING)
    buffer[:1] = b"\n"
    line, begin = 1, 1
    while got := _read(file, memoryview(buffer)[begin : begin + BLOCK], name):
        size = buffer.rfind(b"\n", 0, begin + got) + 1
        if size > 1:
            text = np.frombuffer(buffer, np.uint8)
            yield LineBlock(name, line, text, size)
            line += sum(
                int(np.count_nonzero(text[at : min(at + PART, size)] == NEWLINE))
                for at in range(1, size, PART)
            )
        rest = buffer[size : begin + got]
        if len(rest) > LONGEST:
            raise LogError(
                name, line, "this line has no end: is the file a log?", bytes(rest[:200])
            )
        begin = 1 + len(rest)
        buffer[1:begin] = rest
    if begin > 1:
        cut = bytes(buffer[1:begin])
        cut_off = "the log ends within this line: it was cut off"
        raise LogError(
            name, line, cut_off if is_text(cut) else "this is not text: is it a log?", cut
        )


def is_text(line: bytes) -> bool:
    """Whether it is UTF-8 without control characters but tabs; a character may be cut off."""
    text = line.decode(errors="ignore")
    return len(line) - len(text.encode()) < UTF8_MOST and text.replace("\t", "").isprintable()


def _read(file: BinaryIO, buffer: memoryview, name: str) -> int:
    """Fill the buffer; how many bytes there were."""
    try:
        return cast(io.BufferedReader, file).readinto(buffer)
    except DAMAGED as error:
        raise SwaptraceError(
            f"{printable(name)}: the compressed data are damaged or cut off ({error})"
        ) from error
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> SwaptraceError:
    return SwaptraceError(f"{printable(name)}: cannot be read: {error.strerror or error}")


class _CountedFile(io.RawIOBase):
    """A file that tells how much of it has been read."""

    def __init__(self, raw: io.RawIOBase, progress: Progress) -> None:
        super().__init__()
        self.raw = raw
        self.progress = progress
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        got = self.raw.readinto(buffer)
        self.bytes += got
        self.progress(self.bytes)
        return got
