"""Does no small file take gigabytes?"""

from __future__ import annotations

import lzma
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swaptrace.traces.files import open_trace
from tests.effort import some
from tests.processes import completed
from tests.traces.making import ROWS, SHAPE, header


def test_a_long_trace_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Is a zip bomb of 40 million accesses, 200 MB of zeroes, read within 4 MB?"""
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, kind, size in (("page", "<u4", 4), ("write", "|b1", 1)):
            text = SHAPE.replace("<u4", kind) % "(40_000_000,)".replace("_", "")
            with archive.open(f"{name}.npy", "w") as member:
                member.write(header(text))
                for _ in range(40):
                    member.write(bytes(1_000_000 * size))
    tracemalloc.start()
    try:
        trace = open_trace(str(tmp_path / "t.npz"))
        assert sum(len(chunk.page) for chunk in trace.chunks()) == 40_000_000 == trace.count()
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


# Bombs: files of some hundred bytes that would take gigabytes.


def peak(path: str) -> int:
    """How many KiB a process that reads a trace takes more than one that reads none."""
    code = (
        "import re, sys\n"
        "from swaptrace.errors import SwaptraceError\n"
        "from swaptrace.traces import csvfile, npzfile, parquetfile\n"
        "from swaptrace.traces.files import open_trace\n"
        "if sys.argv[1].endswith('.parquet'): import pyarrow.parquet\n"
        "def most():\n"
        "    return int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = most()\n"
        "try:\n    print([len(c.page) for c in open_trace(sys.argv[1]).chunks()])\n"
        "except SwaptraceError as error:\n    print(error)\n"
        "print(most() - before)\n"
    )
    done = completed([sys.executable, "-c", code, path], text=True)
    assert done.returncode == 0, done.stderr
    assert ": " in done.stdout.splitlines()[0], "it was refused"
    return int(done.stdout.splitlines()[-1])


def parquet_bomb(path: Path, **options: Any) -> str:
    """A name of a megabyte, many times."""
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    count = 100 if options else 3000
    indices = pyarrow.array([0] * count)
    names = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["a" * 1_000_000]))
    if options:
        names = names.cast("string")
    table = pyarrow.table({"page": [0] * count, "write": [True] * count, "region": names})
    parquet.write_table(table, path / "t.parquet", compression="zstd", **options)
    return str(path / "t.parquet")


def zip_bomb(path: Path, method: int) -> str:
    """A header that claims a billion pages, and some of them, compressed in another way."""
    with zipfile.ZipFile(path / "t.npz", "w", method, compresslevel=1) as archive:
        for name, size in (("write", 0), ("page", 100)):
            with archive.open(f"{name}.npy", "w") as member:
                member.write(header(SHAPE % "(1000000000,)"))
                for _ in range(size):
                    member.write(bytes(1 << 20))
    return str(path / "t.npz")


def xz_bomb(path: Path) -> str:
    """A dictionary of 1.5 GiB, for some rows."""
    data = bytearray(
        lzma.compress(ROWS, check=lzma.CHECK_NONE, filters=[{"id": lzma.FILTER_LZMA2}])
    )
    # The size of the dictionary is a byte of the block's header, which ends with a CRC.
    at = data.index(b"\x21\x01", 12) + 2
    data[at] = 40
    data[20:24] = zlib.crc32(data[12:20]).to_bytes(4, "little")
    (path / "t.csv.xz").write_bytes(data)
    return str(path / "t.csv.xz")


BOMBS: dict[str, Callable[[Path], str]] = {
    "a name in a dictionary of Parquet": parquet_bomb,
    "a name in the rows of Parquet": lambda path: parquet_bomb(path, use_dictionary=False),
    "names with common beginnings": lambda path: parquet_bomb(
        path, use_dictionary=False, column_encoding={"region": "DELTA_BYTE_ARRAY"}
    ),
    "bzip2": lambda path: zip_bomb(path, zipfile.ZIP_BZIP2),
    "lzma": lambda path: zip_bomb(path, zipfile.ZIP_LZMA),
    "a dictionary of xz": xz_bomb,
}


@pytest.mark.parametrize("bomb", some(BOMBS, 2))
def test_a_small_file_takes_no_gigabytes(bomb: str, tmp_path: Path) -> None:
    """Is it refused before it is unpacked?"""
    assert peak(BOMBS[bomb](tmp_path)) < 64 << 10
