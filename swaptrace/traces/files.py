"""Trace files: recorded sequences of accesses, read in chunks and so in bounded memory.

A file has the columns `page` and `write` and, where there are several, `region` and `process`. How
it is stored its name says: `.npz` (arrays; numbers of regions go with the names in `regions`),
`.csv`, also `.csv.gz` and `.csv.xz` (names stand in the rows), `.parquet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from swaptrace.errors import SwaptraceError, printable
from swaptrace.traces.chunk import CHUNK, Chunk, Numbers

MAX_PAGE: Final = (1 << 32) - 1
MAX_NAMES: Final = 1 << 16
LONGEST_NAME: Final = 256


class TraceError(SwaptraceError):
    """A file that is no trace, or a broken one."""


class Columns(NamedTuple):
    """Rows of a file as they stand there: whole numbers, and names or numbers of names."""

    page: npt.NDArray[np.int64] | npt.NDArray[np.uint64]
    write: npt.NDArray[np.int64]
    region: npt.NDArray[np.int64] | None = None
    process: npt.NDArray[np.int64] | None = None


class Reader(Protocol):
    """How one kind of file is read."""

    @property
    def regions(self) -> list[str]:
        """The names that a region's number means, as far as they have been met."""

    @property
    def processes(self) -> list[str]:
        """The same of processes."""

    @property
    def count(self) -> int | None:
        """How many rows there are, where the file says so."""

    def rows(self, size: int) -> Iterator[Columns]:
        """The rows, so many at a time."""


class TraceFile:
    """A trace that can be read, any number of times.

    `regions` and `processes` are the names that a chunk's numbers mean, as far as they have been
    met; empty where the file says nothing of them.
    """

    def __init__(self, path: str, open_reader: Callable[[], Reader]) -> None:
        self.path = path
        self._open = open_reader
        self._reader = open_reader()

    @property
    def regions(self) -> list[str]:
        return self._reader.regions

    @property
    def processes(self) -> list[str]:
        return self._reader.processes

    def count(self, size: int = CHUNK) -> int:
        """How many accesses there are; a file that does not say is read to its end."""
        known = self._reader.count
        return known if known is not None else sum(len(c.page) for c in self.chunks(size))

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All accesses, at most so many at a time. Raises `TraceError` that names the record."""
        self._reader = self._open()
        done = 0
        for columns in self._reader.rows(size):
            yield checked(self, columns, done)
            done += len(columns.page)


def open_trace(path: str) -> TraceFile:
    """The trace in a file. Raises `TraceError` if it is none."""
    from swaptrace.traces.csvfile import CsvReader
    from swaptrace.traces.npzfile import NpzReader
    from swaptrace.traces.parquetfile import ParquetReader

    kinds: dict[str, Callable[[str], Reader]] = {
        ".npz": NpzReader,
        ".csv": CsvReader,
        ".csv.gz": CsvReader,
        ".csv.xz": CsvReader,
        ".parquet": ParquetReader,
    }
    kind = next((kinds[suffix] for suffix in kinds if path.endswith(suffix)), None)
    if kind is None:
        raise TraceError(f"{shown(path)}: not a trace by its name; valid: {', '.join(kinds)}")
    if not Path(path).is_file():
        raise TraceError(f"{shown(path)}: no such trace file")
    return TraceFile(path, lambda: kind(path))


def shown(path: str) -> str:
    """A path as a message shows it."""
    return printable(path)


def checked(trace: TraceFile, columns: Columns, done: int) -> Chunk:
    """Rows as a chunk, if every value makes sense; `done` rows came before."""
    page = fitting(trace, "page", columns.page, MAX_PAGE, done).astype(np.uint32)
    write = fitting(trace, "write", columns.write, 1, done).astype(np.bool_)
    region = numbers(trace, "region", columns.region, len(trace.regions), done)
    process = numbers(trace, "process", columns.process, len(trace.processes), done)
    return Chunk(page, write, region, process)


def numbers(
    trace: TraceFile, name: str, values: npt.NDArray[np.int64] | None, names: int, done: int
) -> Numbers | None:
    """Numbers of names, each of which there is."""
    if values is None:
        return None
    return fitting(trace, name, values, names - 1, done).astype(np.uint16)


def fitting(
    trace: TraceFile,
    name: str,
    values: npt.NDArray[np.int64] | npt.NDArray[np.uint64],
    most: int,
    done: int,
) -> npt.NDArray[np.int64] | npt.NDArray[np.uint64]:
    """The values, if all lie between 0 and `most`."""
    wrong = (values < 0) | (values > most)
    if wrong.any():
        at = int(wrong.argmax())
        raise TraceError(
            f"{shown(trace.path)}: record {done + at + 1}: {name} is {values[at]}; "
            f"it must lie between 0 and {most}"
        )
    return values
