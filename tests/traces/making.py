"""Traces for the tests: of each kind of file, and what is read from them."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from swaptrace.traces.chunk import Chunk
from swaptrace.traces.files import TraceFile, open_trace
from swaptrace.traces.writer import TraceWriter

NAMES = ["heap", "stack", "a-name-of-many-letters", "b"]

Rows = list[tuple[int, bool, int, int]]

rows = st.lists(
    st.tuples(st.integers(0, (1 << 32) - 1), st.booleans(), st.integers(0, 3), st.integers(0, 1)),
    max_size=40,
)


def chunk_of(made: Rows) -> Chunk:
    page, write, region, process = zip(*made, strict=True) if made else ((), (), (), ())
    return Chunk(
        np.array(page, np.uint32),
        np.array(write, np.bool_),
        np.array(region, np.uint16),
        np.array(process, np.uint16),
    )


def read(trace: TraceFile, size: int) -> list[tuple[Any, ...]]:
    """All rows, with the names that they mean."""
    found = []
    for chunk in trace.chunks(size):
        columns = [chunk.page.tolist(), chunk.write.tolist()]
        for numbers, names in ((chunk.region, trace.regions), (chunk.process, trace.processes)):
            if numbers is not None:
                columns.append([names[number] for number in numbers.tolist()])
        found += list(zip(*columns, strict=True))
    return found


def with_names(made: Rows) -> list[tuple[Any, ...]]:
    return [(page, write, NAMES[r], ("main", "child")[p]) for page, write, r, p in made]


def to_npz(path: Path, made: Rows) -> None:
    with TraceWriter(str(path), NAMES, ["main", "child"]) as writer:
        writer.write(chunk_of(made[: len(made) // 3]))
        writer.write(chunk_of(made[len(made) // 3 :]))


def text_of(made: Rows) -> bytes:
    lines = [f"{name},{page},{who},{int(write)}\n" for page, write, name, who in with_names(made)]
    return ("region,page,process,write\n" + "".join(lines)).encode()


def to_parquet(path: Path, made: Rows) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = [[row[i] for row in with_names(made)] for i in range(4)]
    kinds = (pyarrow.uint32(), pyarrow.bool_(), pyarrow.string(), pyarrow.string())
    arrays = [pyarrow.array(c, kind) for c, kind in zip(columns, kinds, strict=True)]
    table = pyarrow.table(dict(zip(("page", "write", "region", "process"), arrays, strict=True)))
    parquet.write_table(table, path)


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    ".npz": to_npz,
    ".csv": lambda path, made: path.write_bytes(text_of(made)),
    ".csv.gz": lambda path, made: path.write_bytes(gzip.compress(text_of(made))),
    ".csv.xz": lambda path, made: path.write_bytes(lzma.compress(text_of(made))),
    ".parquet": to_parquet,
}


def saved(path: Path, compress: bool = False, **arrays: Any) -> str:
    """Arrays as numpy saves them."""
    (np.savez_compressed if compress else np.savez)(path, **arrays)
    return str(path)


def header(text: str, version: bytes = b"\1\0", width: int = 2) -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text.encode()


def of_text(path: Path, text: bytes, suffix: str = ".csv") -> str:
    name = path / f"t{suffix}"
    name.write_bytes(text)
    return str(name)


SHAPE = "{'descr': '<u4', 'fortran_order': False, 'shape': %s}\n"

ROWS = b"page,write\n1,0\n2,1\n"


def consumed(path: str) -> None:
    for _ in open_trace(path).chunks(64):
        pass
