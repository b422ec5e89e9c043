"""Traces as numpy's .npz: a zip file with an array for each column."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any, Final, NamedTuple

import numpy as np

from swaptrace.terminal.files import guarded
from swaptrace.traces.columns import LONGEST_NAME, MAX_NAMES, RawColumns, TraceError, shown

LONGEST_HEADER: Final = 4096

METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How numpy stores arrays. Of other compressions zipfile unpacks as much as there is at once."""


class NpzColumn(NamedTuple):
    """An array of the file: its values' type and how many there are."""

    dtype: np.dtype[Any]
    values: int


class NpzReader:
    """Reads the arrays `page`, `write`, `region` and `process` side by side.

    `regions` and `processes` are arrays of names that the numbers of the latter two index.
    """

    def __init__(self, path: str, file: io.FileIO) -> None:
        self.path = path
        with guarded(lambda why: self.wrong(f"not an .npz file ({why})")):
            self.zip = zipfile.ZipFile(file)
        self.columns = {
            name: self.header(name)
            for name in ("page", "write", "region", "process")
            if self.has(name)
        }
        for name in ("page", "write"):
            if name not in self.columns:
                raise self.wrong(f"has no array {name!r}; a trace has 'page' and 'write'")
        for name, column in self.columns.items():
            if column.values != self.count:
                raise self.wrong(
                    f"array {name!r} has {column.values} values, array 'page' {self.count}"
                )
        self.regions = self.names("regions", "region")
        self.processes = self.names("processes", "process")

    @property
    def count(self) -> int:
        return self.columns["page"].values

    def wrong(self, what: str) -> TraceError:
        """The error of this file."""
        return TraceError(f"{shown(self.path)}: {what}")

    def has(self, name: str) -> bool:
        return f"{name}.npy" in self.zip.namelist()

    def open(self, name: str) -> tuple[IO[bytes], np.dtype[Any], int]:
        """An array's values as a stream, with their type and number."""
        with guarded(lambda why: self.wrong(f"array {name!r} cannot be read ({why})")):
            member = self.zip.getinfo(f"{name}.npy")
            if member.compress_type not in METHODS:
                raise ValueError("it is neither stored nor deflated, as numpy does")
            stream = self.zip.open(member)
            shape, dtype = header_of(stream)
        if len(shape) != 1 or shape[0] < 0:
            raise self.wrong(f"array {name!r} has the shape {shape}; it must have one dimension")
        return stream, dtype, shape[0]

    def header(self, name: str) -> NpzColumn:
        """The type of a column, which must hold whole numbers or booleans."""
        stream, dtype, count = self.open(name)
        stream.close()
        if dtype.kind not in "uib":
            raise self.wrong(f"array {name!r} holds {dtype}; it must hold whole numbers")
        return NpzColumn(dtype, count)

    def names(self, name: str, of: str) -> list[str]:
        """The names that the numbers of a column mean."""
        if of not in self.columns:
            return []
        if not self.has(name):
            raise self.wrong(f"array {of!r} needs the names that it numbers, in an array {name!r}")
        stream, dtype, count = self.open(name)
        if dtype.kind != "U" or not 0 < dtype.itemsize <= 4 * LONGEST_NAME or count > MAX_NAMES:
            raise self.wrong(f"array {name!r} must hold names, at most {MAX_NAMES}")
        with stream:
            letters = self.read(stream, dtype, count, name, 0).astype(dtype.newbyteorder("<"))
        try:
            rows = letters.view(np.uint8).reshape(count, dtype.itemsize)
            return [row.tobytes().decode("utf-32-le").rstrip("\0") for row in rows]
        except UnicodeDecodeError as error:
            raise self.wrong(f"array {name!r} holds no text ({error.reason})") from error

    def read(
        self, stream: IO[bytes], dtype: np.dtype[Any], count: int, name: str, done: int
    ) -> np.ndarray[Any, Any]:
        """The next values of an array; `done` came before."""
        damaged = f"array {name!r} is corrupt after record {done}"
        with guarded(lambda why: self.wrong(f"{damaged} ({why})")):
            data = stream.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            has = done + len(data) // dtype.itemsize
            raise self.wrong(f"array {name!r} is truncated: it ends after record {has}")
        return np.frombuffer(data, np.uint8 if dtype.kind == "b" else dtype)

    def rows(self, size: int) -> Iterator[RawColumns]:
        streams = {name: self.open(name)[0] for name in self.columns}
        for done in range(0, self.count, size):
            now = min(size, self.count - done)
            yield RawColumns(
                **{
                    name: self.read(streams[name], column.dtype, now, name, done)
                    for name, column in self.columns.items()
                }
            )
        for name, stream in streams.items():
            self.check_end(stream, name)

    def check_end(self, stream: IO[bytes], name: str) -> None:
        """Only at its very end it shows whether the data are what was written (CRC)."""
        with guarded(lambda why: self.wrong(f"array {name!r} is corrupt ({why})")):
            more = stream.read(1)
        if more:
            raise self.wrong(f"array {name!r} goes on after record {self.count}, the last it tells")


def header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of an array, at whose values the stream stands then.

    numpy would read a header as long as it says; more than `LONGEST_HEADER` no array has.
    """
    version = np.lib.format.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    length = stream.read(width)
    size = int.from_bytes(length, "little")
    if size > LONGEST_HEADER:
        raise ValueError(f"its header has {size} bytes")
    text = BytesIO(length + stream.read(size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of a header that Python 2 wrote
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(text)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(text)
        else:
            raise ValueError(f"its format {version} is not known")
    return shape, dtype
