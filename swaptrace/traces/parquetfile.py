"""Traces as Parquet, by pyarrow (the extra `parquet`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from swaptrace.terminal.files import guarded
from swaptrace.traces.columns import LONGEST_NAME, MAX_NAMES, RawColumns, TraceError, shown
from swaptrace.traces.parquetpages import ParquetPage, chunks, pages

LARGEST_PAGE: Final = 128 << 20
"""Bytes of a page; pyarrow makes pages of one MiB."""

PER_NAME: Final = LONGEST_NAME + 8
"""Bytes that a name takes in a page, with its length and levels."""

PAGE_HEAD: Final = 64
"""Bytes of a page that are no values."""

MOST_NAMES: Final = MAX_NAMES * PER_NAME

NAME_ENCODINGS: Final = {0: "PLAIN", 2: "PLAIN_DICTIONARY", 3: "RLE", 8: "RLE_DICTIONARY"}
"""Encodings of names that take no more memory than their page."""

STRINGS: Final = 1 << 20
CONTAINERS: Final = 1 << 16
"""How long a text of the file's metadata may be, and a list."""


class ParquetReader:
    """Reads the columns in batches. Names of regions and processes are strings."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise TraceError(
                f"{shown(path)}: Parquet is read by pyarrow, which is not installed; "
                "install the extra 'parquet', or give the trace as .npz or .csv"
            ) from error
        self.path = path
        self.types = pyarrow.types
        self.known: dict[str, dict[str, int]] = {"region": {}, "process": {}}
        with guarded(lambda why: self.wrong(f"not a Parquet file ({why})")):
            footer = parquet.ParquetFile(
                file, thrift_string_size_limit=STRINGS, thrift_container_size_limit=CONTAINERS
            )
            names = footer.schema_arrow.names
            # A name is then one text and many numbers, not the text over and over.
            named = [name for name in self.known if name in names]
            self.file = parquet.ParquetFile(file, metadata=footer.metadata, read_dictionary=named)
        for name in ("page", "write"):
            if name not in names:
                raise self.wrong(f"has no column {name!r}")
        self.names = [name for name in ("page", "write", "region", "process") if name in names]
        for name in self.names:
            self.check_type(name)
        if self.count < 0:
            raise self.wrong(f"it says that it has {self.count} rows")
        self.check_pages(file)

    @property
    def regions(self) -> list[str]:
        return list(self.known["region"])

    @property
    def processes(self) -> list[str]:
        return list(self.known["process"])

    @property
    def count(self) -> int:
        rows: int = self.file.metadata.num_rows
        return rows

    def wrong(self, what: str) -> TraceError:
        """The error of this file."""
        return TraceError(f"{shown(self.path)}: {what}")

    def check_type(self, name: str) -> None:
        """A column holds whole numbers, or names."""
        kind, types = self.file.schema_arrow.field(name).type, self.types
        if name not in self.known:
            if not (types.is_integer(kind) or types.is_boolean(kind)):
                raise self.wrong(f"column {name!r} holds {kind}, not whole numbers")
            return
        of = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_string(of) or types.is_large_string(of)):
            raise self.wrong(f"column {name!r} holds {kind}, not names")

    def check_pages(self, file: BinaryIO) -> None:
        """No page may take more memory than its values can need, and none is there twice: a page
        that many groups of rows name would be looked at for each."""
        left = file.seek(0, os.SEEK_END)
        for chunk in chunks(file):
            left -= chunk.size
            if left < 0:
                raise self.wrong("its columns together are larger than the file")
            if chunk.column in self.names:
                for page in pages(file, chunk.start, chunk.size):
                    self.check_page(chunk.column, page)

    def check_page(self, name: str, page: ParquetPage) -> None:
        if name not in self.known:
            most = LARGEST_PAGE
        else:
            most = min(page.values * PER_NAME + PAGE_HEAD, LARGEST_PAGE)
            if page.is_dictionary:
                most = min(most, MOST_NAMES)
            if page.encoding not in NAME_ENCODINGS:
                valid = ", ".join(NAME_ENCODINGS.values())
                raise self.wrong(
                    f"column {name!r} is in the encoding {page.encoding}; valid: {valid}"
                )
        if page.size > most:
            raise self.wrong(
                f"column {name!r} has a page of {page.size} bytes for {page.values} values; "
                f"a page has at most {LARGEST_PAGE >> 20} MiB, a name {LONGEST_NAME} letters"
            )

    def rows(self, size: int) -> Iterator[RawColumns]:
        done = 0
        for batch in self.file.iter_batches(size, columns=self.names, use_threads=False):
            yield self.columns(batch, done)
            done += batch.num_rows
        if done != self.count:
            raise self.wrong(f"it has {done} rows, and says that it has {self.count}")

    def columns(self, batch: Any, done: int) -> RawColumns:
        """A batch as numbers."""
        of = {name: batch.column(name) for name in self.names}
        for name, column in of.items():
            if column.null_count:
                at = next(i for i, value in enumerate(column) if not value.is_valid)
                raise self.wrong(f"record {done + at + 1}: {name} is missing")
        page, write = (of[name].to_numpy(zero_copy_only=False) for name in ("page", "write"))
        named = {name: self.number(name, of[name]) for name in self.known if name in of}
        return RawColumns(page, write, **named)

    def number(self, name: str, column: Any) -> npt.NDArray[np.int64]:
        """The numbers of names, new ones behind those that are known."""
        known = self.known[name]
        names = column.dictionary.to_pylist()
        for each in names:
            if len(each) > LONGEST_NAME:
                raise self.wrong(f"a name of a {name} has more than {LONGEST_NAME} letters")
            known.setdefault(each, len(known))
        if len(known) > MAX_NAMES:
            raise self.wrong(f"more than {MAX_NAMES} different names")
        numbers = np.array([known[each] for each in names], np.int64)
        indices: npt.NDArray[np.int64] = column.indices.to_numpy(zero_copy_only=False)
        return numbers[indices]
