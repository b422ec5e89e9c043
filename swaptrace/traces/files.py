"""Trace files: recorded sequences of accesses, read in chunks and so in bounded memory.

A file has the columns `page` and `write` and, where there are several, `region` and `process`. How
it is stored its name says: `.npz` (arrays; numbers of regions go with the names in `regions`),
`.csv`, also `.csv.gz` and `.csv.xz` (names stand in the rows), `.parquet`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Final

import numpy as np
import numpy.typing as npt

from swaptrace.terminal.files import Identity, guarded, identity, opened
from swaptrace.traces.chunk import CHUNK, Chunk, Numbers
from swaptrace.traces.columns import Make, RawColumns, TraceError, shown

MAX_PAGE: Final = (1 << 32) - 1

READERS: Final = {
    ".npz": ("npzfile", "NpzReader"),
    ".csv": ("csvfile", "CsvReader"),
    ".csv.gz": ("csvfile", "CsvReader"),
    ".csv.xz": ("csvfile", "CsvReader"),
    ".parquet": ("parquetfile", "ParquetReader"),
}
"""By the end of a file's name, who reads it: a module of this package, and its class."""


class TraceFile:
    """A trace that can be read, any number of times.

    `regions` and `processes` are the names that a chunk's numbers mean, as far as they have been
    met; empty where the file says nothing of them.
    """

    def __init__(self, path: str, make_reader: Make, known: Identity | None) -> None:
        self.path = path
        self._make = make_reader
        self._identity = known
        with self._opened() as file, self._guarded("cannot be read"):
            self._reader = make_reader(path, file)

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
        done = 0
        with self._opened() as file:
            with self._guarded("cannot be read"):
                self._reader = self._make(self.path, file)
                rows = self._reader.rows(size)
            while True:
                with self._guarded(f"corrupt or truncated after record {done}"):
                    columns = next(rows, None)
                    chunk = None if columns is None else checked(self, columns, done)
                if chunk is None:
                    break
                yield chunk
                done += len(chunk.page)
            self._check(file)

    @contextmanager
    def _opened(self) -> Iterator[io.FileIO]:
        """The file, the same as ever."""
        with self._guarded("cannot be read"):
            try:
                file = opened(self.path)
            except (FileNotFoundError, NotADirectoryError):
                raise TraceError(f"{shown(self.path)}: no such trace file") from None
        with file:
            self._check(file)
            yield file

    def _check(self, file: io.FileIO) -> None:
        """Nobody must have replaced or changed it: two policies would be given other accesses."""
        found = identity(file)
        if self._identity is None:
            self._identity = found
        if found != self._identity:
            raise TraceError(
                f"{shown(self.path)}: was replaced or changed since it was first looked at; "
                "nothing that was counted with it can be compared. Run it again"
            )

    def _guarded(self, what: str) -> AbstractContextManager[None]:
        return guarded(lambda why: TraceError(f"{shown(self.path)}: {what} ({why})"))


def open_trace(path: str, known: Identity | None = None) -> TraceFile:
    """The trace in a file. Raises `TraceError` if it is none, or not the file that is `known`."""
    suffix = next((each for each in READERS if path.endswith(each)), None)
    if suffix is None:
        raise TraceError(f"{shown(path)}: not a trace by its name; valid: {', '.join(READERS)}")
    module, name = READERS[suffix]
    make: Make = getattr(import_module(f"swaptrace.traces.{module}"), name)
    return TraceFile(path, make, known)


def checked(trace: TraceFile, columns: RawColumns, done: int) -> Chunk:
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
