"""Traces as Parquet, by pyarrow (the extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from swaptrace.traces.files import MAX_NAMES, Columns, TraceError, shown


class ParquetReader:
    """Reads the columns in batches. Names of regions and processes are strings."""

    def __init__(self, path: str) -> None:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise TraceError(
                f"{shown(path)}: Parquet is read by pyarrow, which is not installed; "
                "install the extra 'parquet', or give the trace as .npz or .csv"
            ) from error
        self.path = path
        self.broken: tuple[type[Exception], ...] = (ArrowException, OSError)
        self.regions: list[str] = []
        self.processes: list[str] = []
        try:
            self.file = parquet.ParquetFile(path)
        except self.broken as error:
            raise TraceError(f"{shown(path)}: not a Parquet file ({error})") from error
        names = self.file.schema_arrow.names
        for name in ("page", "write"):
            if name not in names:
                raise TraceError(f"{shown(path)}: has no column {name!r}")
        self.names = [name for name in ("page", "write", "region", "process") if name in names]

    @property
    def count(self) -> int:
        rows: int = self.file.metadata.num_rows
        return rows

    def rows(self, size: int) -> Iterator[Columns]:
        done = 0
        try:
            for batch in self.file.iter_batches(size, columns=self.names):
                yield self.columns(batch, done)
                done += batch.num_rows
        except self.broken as error:
            raise TraceError(
                f"{shown(self.path)}: corrupt after record {done} ({error})"
            ) from error

    def columns(self, batch: Any, done: int) -> Columns:
        """A batch as numbers."""
        of = {name: batch.column(name) for name in self.names}
        for name, column in of.items():
            if column.null_count:
                at = next(i for i, value in enumerate(column) if not value.is_valid)
                raise TraceError(f"{shown(self.path)}: record {done + at + 1}: {name} is missing")
        page, write = (self.whole(name, of[name]) for name in ("page", "write"))
        region = self.number(of["region"], self.regions) if "region" in of else None
        process = self.number(of["process"], self.processes) if "process" in of else None
        return Columns(page, write, region, process)

    def whole(self, name: str, column: Any) -> npt.NDArray[np.int64]:
        """A column of whole numbers or booleans."""
        values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if values.dtype.kind not in "uib":
            raise TraceError(
                f"{shown(self.path)}: column {name!r} holds {column.type}, not whole numbers"
            )
        return values

    def number(self, column: Any, known: list[str]) -> npt.NDArray[np.int64]:
        """The numbers of names, new ones behind those that are known."""
        encoded = column.cast("string").dictionary_encode()
        met = encoded.dictionary.to_pylist()
        known += [name for name in met if name not in known]
        if len(known) > MAX_NAMES:
            raise TraceError(f"{shown(self.path)}: more than {MAX_NAMES} different names")
        numbers = np.array([known.index(name) for name in met], np.int64)
        indices: npt.NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False)
        return numbers[indices]
