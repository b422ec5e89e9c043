"""Traces as text: a header line, then `page,write` and where needed `region` and `process`."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from swaptrace.errors import did_you_mean, quote
from swaptrace.traces.files import MAX_NAMES, Columns, TraceError, shown

COLUMNS: Final = ("page", "write", "region", "process")
NAMED: Final = ("region", "process")
LONGEST_LINE: Final = 4096
BROKEN: Final = (OSError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError)


class CsvReader:
    """Reads rows of text. Names of regions and processes are numbered as they are met."""

    count: int | None = None

    def __init__(self, path: str) -> None:
        self.path = path
        self.regions: list[str] = []
        self.processes: list[str] = []
        with self.open() as text:
            self.header = self.columns_of(self.first_line(text))

    def wrong(self, what: str) -> TraceError:
        """The error of this file."""
        return TraceError(f"{shown(self.path)}: {what}")

    def open(self) -> IO[str]:
        """The file as text, whatever compresses it."""
        if self.path.endswith(".gz"):
            return gzip.open(self.path, "rt", encoding="utf-8", newline="\n")
        if self.path.endswith(".xz"):
            return lzma.open(self.path, "rt", encoding="utf-8", newline="\n")
        return open(self.path, encoding="utf-8", newline="\n")

    def first_line(self, text: IO[str]) -> str:
        try:
            return text.readline(LONGEST_LINE)
        except BROKEN as error:
            raise self.wrong(f"cannot be read ({error})") from error

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

    def rows(self, size: int) -> Iterator[Columns]:
        kinds = [(name, "U256" if name in NAMED else np.int64) for name in self.header]
        done = 0
        with self.open() as text:
            self.first_line(text)
            while lines := self.lines(text, size, done):
                yield self.numbered(self.parsed(lines, np.dtype(kinds), done))
                done += len(lines)

    def lines(self, text: IO[str], size: int, done: int) -> list[str]:
        """The next lines."""
        try:
            return list(islice(text, size))
        except BROKEN as error:
            raise self.wrong(f"corrupt or truncated after record {done} ({error})") from error

    def parsed(self, lines: list[str], kinds: np.dtype[Any], done: int) -> np.ndarray[Any, Any]:
        """Lines as a table; the first wrong one is looked for only if there is one."""
        try:
            table = parse(lines, kinds)
        except ValueError:
            table = np.zeros(0, kinds)
        if len(table) == len(lines):
            return table
        for number, line in enumerate(lines):
            try:
                right = len(parse([line], kinds)) == 1
            except ValueError:
                right = False
            if not right:
                form = ",".join(self.header)
                raise self.wrong(
                    f"record {done + number + 1} (line {done + number + 2}): "
                    f"{quote(line.rstrip())} is not {form}"
                )
        raise AssertionError("lines that are right one by one are right together")

    def numbered(self, table: np.ndarray[Any, Any]) -> Columns:
        """Names become numbers."""
        numbers = {
            name: self.number(table[name], known)
            for name, known in zip(NAMED, (self.regions, self.processes), strict=True)
            if name in self.header
        }
        return Columns(table["page"], table["write"], **numbers)

    def number(self, names: np.ndarray[Any, Any], known: list[str]) -> npt.NDArray[np.int64]:
        """The numbers of names, new ones behind those that are known."""
        met, inverse = np.unique(names, return_inverse=True)
        known += [str(name) for name in met if str(name) not in known]
        if len(known) > MAX_NAMES:
            raise self.wrong(f"more than {MAX_NAMES} different names")
        numbers = np.array([known.index(str(name)) for name in met], np.int64)
        return numbers[inverse]


def parse(lines: list[str], kinds: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """numpy's own reader of tables; raises ValueError."""
    return np.loadtxt(lines, dtype=kinds, delimiter=",", comments=None, ndmin=1)
