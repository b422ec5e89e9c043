"""Traces as text: a header line, then `page,write` and where needed `region` and `process`.

A block of whole lines is looked at with arrays: where its commas and newlines are says where each
field begins and stops, and a number is added up digit by digit of all lines at once.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from swaptrace.errors import did_you_mean, quote
from swaptrace.traces.columns import LONGEST_NAME, MAX_NAMES, RawColumns, TraceError, shown
from swaptrace.traces.unpacking import DAMAGED, from_gzip, from_xz

COLUMNS: Final = ("page", "write", "region", "process")
NAMED: Final = ("region", "process")
LONGEST_LINE: Final = 4096
SHORTEST_LINE: Final = len("0,0\n")
MOST_DIGITS: Final = 10
WORD: Final = 8
FEW: Final = 16
"""So many names are looked for one by one, which is faster than to sort."""
NEWLINE, COMMA, ZERO = b"\n,0"

Positions = npt.NDArray[np.intp]


class CsvColumn(NamedTuple):
    """One column of a block: where its field begins and stops in each line."""

    begin: Positions
    stop: Positions


class MalformedLine(Exception):
    """A line that is not as the header says: its index in the block."""


class CsvReader:
    """Reads rows of text. Names of regions and processes are numbered as they are met."""

    count: int | None = None

    def __init__(self, path: str, file: io.FileIO) -> None:
        self.path = path
        self.known: dict[str, dict[str, int]] = {name: {} for name in NAMED}
        self.file = self.unpacked(file)
        self.header = self.columns_of(self.read_header())

    @property
    def regions(self) -> list[str]:
        return list(self.known["region"])

    @property
    def processes(self) -> list[str]:
        return list(self.known["process"])

    def wrong(self, what: str) -> TraceError:
        """The error of this file."""
        return TraceError(f"{shown(self.path)}: {what}")

    def unpacked(self, file: io.FileIO) -> io.BufferedIOBase:
        """The file's bytes, whatever compresses them."""
        buffered = io.BufferedReader(file)
        if self.path.endswith(".gz"):
            return from_gzip(buffered)
        return from_xz(buffered) if self.path.endswith(".xz") else buffered

    def read_header(self) -> str:
        return self.file.readline(LONGEST_LINE).decode("utf-8", "backslashreplace")

    def columns_of(self, line: str) -> list[str]:
        """The names in the header line."""
        names = [name.strip() for name in line.rstrip("\r\n").split(",")]
        for name in names:
            if name not in COLUMNS:
                hint = did_you_mean(name, COLUMNS)
                raise self.wrong(f"line 1: {quote(name)} is no column of a trace; {hint}")
        missing = [name for name in ("page", "write") if name not in names]
        if missing or len(set(names)) < len(names):
            raise self.wrong("line 1: the header must name 'page' and 'write', each column once")
        return names

    def rows(self, size: int) -> Iterator[RawColumns]:
        done = 0
        for text in self.blocks(size * SHORTEST_LINE - 1):
            try:
                columns = self.parsed(text)
            except MalformedLine as malformed:
                raise self.malformed(text, malformed.args[0], done) from None
            yield columns
            done += len(columns.page)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Whole lines, of up to so many bytes and the rest of a line; done with the last one."""
        rest, done = b"", 0
        while data := self.read(size, done):
            end = data.rfind(b"\n") + 1
            block = rest + data[:end] if end else b""
            rest = data[end:] if end else rest + data
            if len(rest) > LONGEST_LINE:
                done += block.count(b"\n")
                raise self.wrong(f"record {done + 1}: the line is longer than {LONGEST_LINE} bytes")
            if block:
                yield block.replace(b"\r\n", b"\n")
                done += block.count(b"\n")
        if rest:
            raise self.wrong(
                f"record {done + 1}: the line has no end: the file was cut off, or a newline is "
                "missing there"
            )

    def read(self, size: int, done: int) -> bytes:
        """The next bytes: what there is before damage, then the damage."""
        pieces: list[bytes] = []
        try:
            while size > 0 and (piece := self.file.read1(size)):
                pieces.append(piece)
                size -= len(piece)
        except (OSError, *DAMAGED) as error:
            if not pieces:
                raise self.wrong(f"corrupt or truncated after record {done} ({error})") from error
        return b"".join(pieces)

    def parsed(self, text: bytes) -> RawColumns:
        """The lines of a block; raises `MalformedLine`."""
        letters = np.frombuffer(text, np.uint8)
        fields = dict(zip(self.header, split(letters, len(self.header)), strict=True))
        page, write = (numbers(letters, fields[name]) for name in ("page", "write"))
        named = {
            name: self.numbered(text, letters, fields[name], self.known[name])
            for name in NAMED
            if name in fields
        }
        return RawColumns(page, write, **named)

    def malformed(self, text: bytes, index: int, done: int) -> TraceError:
        """What is wrong with a line of a block."""
        line = text.split(b"\n", index + 1)[index].decode("utf-8", "backslashreplace")
        record = done + index + 1
        return self.wrong(
            f"record {record} (line {record + 1}): {quote(line)} is not {','.join(self.header)}, "
            "numbers being whole and names without quotes"
        )

    def numbered(
        self, text: bytes, letters: npt.NDArray[np.uint8], of: CsvColumn, known: dict[str, int]
    ) -> npt.NDArray[np.int64]:
        """Names become numbers, new ones behind those that are known."""
        words = padded(letters, of)
        numbers = np.full(len(words), -1)
        for name, number in islice(known.items(), FEW):
            numbers[words == as_word(name, words.dtype)] = number
        new = np.flatnonzero(numbers < 0)
        if len(new):
            _, first, inverse = np.unique(words[new], return_index=True, return_inverse=True)
            names = [named(text, of, int(index)) for index in new[first]]
            for which in np.argsort(first).tolist():
                known.setdefault(names[which], len(known))
            if len(known) > MAX_NAMES:
                raise self.wrong(f"more than {MAX_NAMES} different names")
            numbers[new] = np.array([known[name] for name in names])[inverse.reshape(-1)]
        return numbers


def named(text: bytes, of: CsvColumn, index: int) -> str:
    """The name in one line."""
    try:
        return text[of.begin[index] : of.stop[index]].decode()
    except UnicodeDecodeError:
        raise MalformedLine(index) from None


def split(letters: npt.NDArray[np.uint8], columns: int) -> list[CsvColumn]:
    """The fields of every line, by columns."""
    ends = np.flatnonzero(letters == NEWLINE)
    starts = np.append(0, ends[:-1] + 1)
    commas = np.flatnonzero(letters == COMMA)
    counted = np.searchsorted(commas, ends) - np.searchsorted(commas, starts)
    check(counted == columns - 1)
    inner = commas.reshape(len(ends), columns - 1)
    begins = [starts, *(inner.T + 1)]
    return [CsvColumn(begin, stop) for begin, stop in zip(begins, [*inner.T, ends], strict=True)]


def check(right: npt.NDArray[np.bool_]) -> None:
    """Every line must be right."""
    if not right.all():
        raise MalformedLine(int(right.argmin()))


def numbers(letters: npt.NDArray[np.uint8], of: CsvColumn) -> npt.NDArray[np.int64]:
    """Decimal numbers, without a sign."""
    width = of.stop - of.begin
    check((width > 0) & (width <= MOST_DIGITS))
    value = np.zeros(len(width), np.int64)
    for place in range(int(width.max())):
        digit = letters.take(of.stop - 1 - place, mode="clip") - np.uint8(ZERO)
        here = width > place
        check((digit <= 9) | ~here)
        value += np.where(here, digit, 0) * np.int64(10**place)
    return value


def padded(letters: npt.NDArray[np.uint8], of: CsvColumn) -> npt.NDArray[Any]:
    """Names as one value each, so that they can be sorted: up to eight letters are a word."""
    width = of.stop - of.begin
    check((width > 0) & (width <= LONGEST_NAME))
    words = -(-int(width.max()) // WORD)
    table = np.zeros((len(width), words * WORD), np.uint8)
    for place in range(int(width.max())):
        letter = letters.take(of.begin + place, mode="clip")
        here = width > place
        check((letter != 0) | ~here)
        table[:, place] = np.where(here, letter, 0)
    return table.view(np.uint64 if words == 1 else f"S{words * WORD}").reshape(-1)


def as_word(name: str, kind: np.dtype[Any]) -> Any:
    """A name as a value among those of `padded`; one that is too long is none of them."""
    letters = name.encode()
    if len(letters) > kind.itemsize:
        letters = b""
    return np.frombuffer(letters.ljust(kind.itemsize, b"\0"), kind)[0]
