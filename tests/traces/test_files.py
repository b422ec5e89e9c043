"""Does every kind of file give back what was written, and is what is broken told?"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.commands import replay_all
from swaptrace.errors import SwaptraceError
from swaptrace.policies import find
from swaptrace.scenario.loader import load_file
from swaptrace.traces import parquetfile, parquetpages
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.files import TraceError, TraceFile, open_trace
from swaptrace.traces.writer import TraceWriter
from tests.effort import examples
from tests.processes import completed

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


@pytest.mark.parametrize("suffix", WRITERS)
@settings(max_examples=examples(25))
@given(made=rows, size=st.integers(1, 50))
def test_what_was_written_is_read(suffix: str, made: Rows, size: int, tmp_path: Path) -> None:
    """Whatever the length of the chunks, and as often as one likes?"""
    path = tmp_path / f"trace{suffix}"
    WRITERS[suffix](path, made)
    trace = open_trace(str(path))
    assert read(trace, size) == read(trace, 1 << 16) == with_names(made)
    assert trace.count(size) == len(made)
    if suffix == ".npz":
        assert max((len(chunk.page) for chunk in trace.chunks(size)), default=0) <= size


@settings(max_examples=examples(50))
@given(
    made=st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.booleans()), min_size=1),
    crlf=st.booleans(),
)
def test_text_is_parsed_as_by_python(
    made: list[tuple[int, bool]], crlf: bool, tmp_path: Path
) -> None:
    path = tmp_path / "trace.csv"
    end = "\r\n" if crlf else "\n"
    lines = [f"{page},{int(write)}{end}" for page, write in made]
    path.write_bytes((f"page,write{end}" + "".join(lines)).encode())
    assert read(open_trace(str(path)), 7) == made


def saved(path: Path, compress: bool = False, **arrays: Any) -> str:
    """Arrays as numpy saves them."""
    (np.savez_compressed if compress else np.savez)(path, **arrays)
    return str(path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["<u4", ">u4", "<i8", ">u2", "u1"])
def test_any_whole_numbers_of_numpy_will_do(compress: bool, kind: str, tmp_path: Path) -> None:
    page = np.arange(200).astype(kind)
    path = saved(tmp_path / "t.npz", compress, page=page, write=(page % 2).astype("i1"))
    assert read(open_trace(path), 64) == [(i, bool(i % 2)) for i in range(200)]


# What is wrong, and what is said of it.


def npz(path: Path, **arrays: Any) -> str:
    given = {"page": np.arange(9), "write": np.zeros(9, np.bool_), **arrays}
    return saved(path / "t.npz", **{name: a for name, a in given.items() if a is not None})


def raw_npz(path: Path, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path / "t.npz", "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return str(path / "t.npz")


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def header(text: str, version: bytes = b"\1\0", width: int = 2) -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text.encode()


def short(path: Path) -> str:
    data = npy(np.arange(9))
    return raw_npz(path, {"page": data[:-20], "write": npy(np.zeros(9, np.bool_))})


def long(path: Path) -> str:
    return raw_npz(path, {"page": npy(np.arange(9)) + b"x", "write": npy(np.zeros(9, np.bool_))})


def flipped(path: Path) -> str:
    name = Path(npz(path))
    data = bytearray(name.read_bytes())
    data[data.index(np.arange(9).tobytes()) + 16] ^= 1
    name.write_bytes(data)
    return str(name)


def halved(path: Path) -> str:
    name = Path(npz(path))
    name.write_bytes(name.read_bytes()[: name.stat().st_size // 2])
    return str(name)


def of_text(path: Path, text: bytes, suffix: str = ".csv") -> str:
    name = path / f"t{suffix}"
    name.write_bytes(text)
    return str(name)


def directory(path: Path) -> str:
    (path / "t.npz").mkdir()
    return str(path / "t.npz")


def huge_header(path: Path) -> str:
    zeros = b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little") + bytes(1 << 20)
    return raw_npz(path, {"page": zeros, "write": zeros})


SHAPE = "{'descr': '<u4', 'fortran_order': False, 'shape': %s}\n"
ROWS = b"page,write\n1,0\n2,1\n"
NAMED = b"page,write,region\n1,0,a\n2,1,b\n"

BROKEN: dict[str, tuple[Callable[[Path], str], str]] = {
    "missing": (lambda p: str(p / "t.npz"), "no such trace file"),
    "a directory": (directory, "cannot be read (it is a directory, not a regular file)"),
    "by its name": (lambda p: of_text(p, ROWS, ".txt"), "not a trace by its name; valid: .npz"),
    "foreign": (lambda p: of_text(p, b"hello", ".npz"), "not an .npz file"),
    "empty npz": (lambda p: of_text(p, b"", ".npz"), "not an .npz file"),
    "truncated npz": (halved, "not an .npz file"),
    "no pages": (lambda p: npz(p, page=None), "has no array 'page'"),
    "no writes": (lambda p: npz(p, write=None), "has no array 'write'"),
    "fractions": (lambda p: npz(p, page=np.arange(9.0)), "'page' holds float64"),
    "objects": (
        lambda p: npz(p, page=np.array([1] * 9, object)),
        "'page' holds object; it must hold whole numbers",
    ),
    "names as pages": (lambda p: npz(p, page=np.array(["a"] * 9)), "'page' holds <U1"),
    "two dimensions": (lambda p: npz(p, page=np.zeros((3, 3), int)), "the shape (3, 3)"),
    "no dimension": (lambda p: npz(p, page=np.int64(1)), "the shape ()"),
    "unequal": (
        lambda p: npz(p, write=np.zeros(8, np.bool_)),
        "array 'write' has 8 values, array 'page' 9",
    ),
    "negative": (
        lambda p: npz(p, page=np.array([1, 2, -3, 4, 5, 6, 7, 8, 9])),
        "record 3: page is -3; it must lie between 0 and 4294967295",
    ),
    "too high": (
        lambda p: npz(p, page=np.array([0] * 8 + [1 << 63], np.uint64)),
        "record 9: page is 9223372036854775808",
    ),
    "no boolean": (lambda p: npz(p, write=np.arange(9)), "record 3: write is 2"),
    "damaged boolean": (
        lambda p: raw_npz(
            p,
            {"page": npy(np.arange(2)), "write": npy(np.zeros(2, np.bool_))[:-1] + b"\x02"},
        ),
        "record 2: write is 2",
    ),
    "regions without names": (
        lambda p: npz(p, region=np.zeros(9, int)),
        "'region' needs the names that it numbers, in an array 'regions'",
    ),
    "a region without a name": (
        lambda p: npz(p, region=np.array([0, 1] + [0] * 7), regions=np.array(["a"])),
        "record 2: region is 1; it must lie between 0 and 0",
    ),
    "names as objects": (
        lambda p: npz(p, region=np.zeros(9, int), regions=np.array(["a"], object)),
        "array 'regions' must hold names",
    ),
    "names of no letters": (
        lambda p: raw_npz(
            p,
            {
                "page": npy(np.arange(2)),
                "write": npy(np.zeros(2, np.bool_)),
                "region": npy(np.zeros(2, int)),
                "regions": header(SHAPE.replace("<u4", "<U0") % "(1,)"),
            },
        ),
        "array 'regions' must hold names",
    ),
    "names that are no text": (
        lambda p: raw_npz(
            p,
            {
                "page": npy(np.arange(2)),
                "write": npy(np.zeros(2, np.bool_)),
                "process": npy(np.zeros(2, int)),
                "processes": npy(np.array(["a"]))[:-4] + b"\xff\xff\xff\x7f",
            },
        ),
        "array 'processes' holds no text",
    ),
    "values are missing": (short, "array 'page' is truncated: it ends after record 6"),
    "values too many": (long, "array 'page' goes on after record 9"),
    "a bit is flipped": (flipped, "array 'page' cannot be read (Bad CRC-32"),
    "a long header": (huge_header, "array 'page' cannot be read (its header has 2147483648 bytes)"),
    "no header": (
        lambda p: raw_npz(p, {"page": b"", "write": b""}),
        "array 'page' cannot be read",
    ),
    "an unknown format": (
        lambda p: raw_npz(p, {"page": header(SHAPE % "(1,)", b"\7\0", 4), "write": b""}),
        "its format (7, 0) is not known",
    ),
    "a negative count": (
        lambda p: raw_npz(p, {"page": header(SHAPE % "(-1,)"), "write": b""}),
        "the shape (-1,)",
    ),
    "a count without end": (
        lambda p: raw_npz(
            p, {name: header(SHAPE % f"({1 << 62},)") + bytes(40) for name in ("page", "write")}
        ),
        "array 'page' is truncated: it ends after record 10",
    ),
    "empty csv": (lambda p: of_text(p, b""), "line 1: '' is no column of a trace"),
    "no header line": (lambda p: of_text(p, b"1,0\n"), "line 1: '1' is no column of a trace"),
    "a wrong column": (
        lambda p: of_text(p, b"page,wrote\n"),
        "line 1: 'wrote' is no column of a trace; did you mean 'write'?",
    ),
    "a column twice": (lambda p: of_text(p, b"page,write,page\n"), "each column once"),
    "a column missing": (lambda p: of_text(p, b"page\n1\n"), "must name 'page' and 'write'"),
    "a fraction": (lambda p: of_text(p, ROWS + b"1.5,0\n"), "record 3 (line 4): '1.5,0' is not"),
    "a sign": (lambda p: of_text(p, ROWS + b"-1,0\n"), "record 3 (line 4): '-1,0' is not page,"),
    "an exponent": (lambda p: of_text(p, ROWS + b"1e3,0\n"), "record 3 (line 4)"),
    "hexadecimal": (lambda p: of_text(p, ROWS + b"0x1,0\n"), "record 3 (line 4)"),
    "an empty line": (lambda p: of_text(p, b"page,write\n\n1,0\n"), "record 1 (line 2): ''"),
    "an empty field": (lambda p: of_text(p, ROWS + b",0\n"), "record 3 (line 4): ',0'"),
    "too few fields": (lambda p: of_text(p, ROWS + b"1\n"), "record 3 (line 4): '1'"),
    "too many fields": (lambda p: of_text(p, ROWS + b"1,0,0\n"), "record 3 (line 4): '1,0,0'"),
    "one short, one long": (lambda p: of_text(p, ROWS + b"1\n1,0,0\n"), "record 3 (line 4): '1'"),
    "a space": (lambda p: of_text(p, ROWS + b"1, 0\n"), "record 3 (line 4): '1, 0'"),
    "too many digits": (lambda p: of_text(p, ROWS + b"00000000001,0\n"), "record 3 (line 4)"),
    "a page too high": (
        lambda p: of_text(p, ROWS + b"4294967296,0\n"),
        "record 3: page is 4294967",
    ),
    "write is two": (lambda p: of_text(p, ROWS + b"1,2\n"), "record 3: write is 2"),
    "cut off": (lambda p: of_text(p, ROWS + b"1,0"), "record 3: the line has no end"),
    "binary": (lambda p: of_text(p, ROWS + bytes(99) + b"\n"), "record 3 (line 4): '\\x00"),
    "a name that is none": (lambda p: of_text(p, NAMED + b"1,0,\xff\n"), "record 3 (line 4)"),
    "a name is missing": (lambda p: of_text(p, NAMED + b"1,0,\n"), "record 3 (line 4): '1,0,'"),
    "a NUL": (lambda p: of_text(p, NAMED + b"1,0,a\0\n"), "record 3 (line 4): '1,0,a\\x00'"),
    "a long name": (lambda p: of_text(p, NAMED + b"1,0," + b"a" * 257 + b"\n"), "record 3"),
    "a line without end": (
        lambda p: of_text(p, ROWS + b"1" * 500_000),
        "record 3: the line is longer than 4096 bytes",
    ),
    "no gzip": (lambda p: of_text(p, ROWS, ".csv.gz"), "cannot be read (Not a gzipped file"),
    "no xz": (lambda p: of_text(p, ROWS, ".csv.xz"), "cannot be read (Input format not supported"),
    "half a gzip": (
        lambda p: of_text(p, gzip.compress(ROWS)[:-9], ".csv.gz"),
        "corrupt or truncated after record",
    ),
    "half an xz": (
        lambda p: of_text(p, lzma.compress(ROWS + b"1,0\n" * 99)[:-40], ".csv.xz"),
        "corrupt or truncated after record",
    ),
}


def consumed(path: str) -> None:
    for _ in open_trace(path).chunks(64):
        pass


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told(name: str, tmp_path: Path) -> None:
    """Does the message name the file, and the record where there is one?"""
    make, message = BROKEN[name]
    path = make(tmp_path)
    with pytest.raises(TraceError) as caught:
        consumed(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@settings(max_examples=examples(150))
@given(data=st.data(), suffix=st.sampled_from([".npz", ".csv", ".csv.gz"]))
def test_damage_of_any_kind_is_an_error_or_goes_unseen(
    data: st.DataObject, suffix: str, tmp_path: Path
) -> None:
    """Is there nothing but a `TraceError`, whatever bytes are changed?"""
    path = tmp_path / f"t{suffix}"
    WRITERS[suffix](path, [(1, True, 0, 0), (500, False, 1, 1), (70_000, True, 2, 0)])
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(whole)
    with suppress(TraceError):
        consumed(str(path))


def test_a_parquet_file_that_is_none_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(TraceError, match=r"t\.parquet: not a Parquet file"):
        consumed(of_text(tmp_path, b"PAR1 no, not at all PAR1", ".parquet"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"page": [1.5], "write": [True]}, "column 'page' holds double, not whole numbers"),
        ({"page": [1, 2, None], "write": [True] * 3}, "record 3: page is missing"),
        ({"page": [1, -2], "write": [True] * 2}, "record 2: page is -2"),
        ({"page": [1], "wrote": [True]}, "has no column 'write'"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_told(
    columns: dict[str, list[Any]], message: str, tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table(columns), tmp_path / "t.parquet"
    )
    with pytest.raises(TraceError) as caught:
        consumed(str(tmp_path / "t.parquet"))
    assert message in str(caught.value)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(TraceError, match="install the extra 'parquet'"):
        open_trace(of_text(tmp_path, b"", ".parquet"))


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


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """Is the old file kept, and nothing left, when writing ends early?"""
    path = tmp_path / "t.npz"
    to_npz(path, [(1, True, 0, 0)])
    before = path.read_bytes()

    def interrupted() -> None:
        with TraceWriter(str(path)) as writer:
            writer.write(chunk_of([(2, True, 0, 0)]))
            assert list(tmp_path.iterdir()) == [path]
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_trace_is_the_same_bytes(tmp_path: Path) -> None:
    to_npz(tmp_path / "a.npz", [(1, True, 0, 0)])
    to_npz(tmp_path / "b.npz", [(1, True, 0, 0)])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_what_is_written(tmp_path: Path) -> None:
    to_npz(tmp_path / "t.npz", [(1, True, 3, 0), (70_000, False, 0, 1)])
    with np.load(tmp_path / "t.npz") as found:
        assert found["page"].tolist() == [1, 70_000]
        assert found["write"].tolist() == [True, False]
        assert found["region"].tolist() == [3, 0]
        assert found["regions"].tolist() == NAMES


def test_a_trace_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    writer = TraceWriter(str(tmp_path / "none" / "t.npz"))
    with pytest.raises(TraceError, match=r"t\.npz: cannot be written \(No such file"):
        writer.__enter__()


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


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_takes_no_gigabytes(bomb: str, tmp_path: Path) -> None:
    """Is it refused before it is unpacked?"""
    assert peak(BOMBS[bomb](tmp_path)) < 64 << 10


@pytest.mark.parametrize("cause", ["size", "cut off", "foreign"])
def test_a_page_of_parquet_is_looked_at_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Is one that is too large, or whose header is none, refused?"""
    path = tmp_path / "t.parquet"
    to_parquet(path, [(page, True, 0, 0) for page in range(40)])
    data = bytearray(path.read_bytes())
    if cause == "size":
        monkeypatch.setattr(parquetfile, "LARGEST_PAGE", 100)
    data[4:6] = {"size": data[4:6], "cut off": b"\x18\x7f", "foreign": b"\x00\x00"}[cause]
    path.write_bytes(data)
    with pytest.raises(TraceError, match=r"has a page of|a page header|neither of data"):
        consumed(str(path))


@pytest.mark.parametrize("large", [False, True])
def test_names_of_parquet_may_be_stored_in_any_usual_way(large: bool, tmp_path: Path) -> None:
    """With a dictionary or without, short or long, in many pages?"""
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    names = [f"{n % 700:03}" * (80 if large else 1) for n in range(9000)]
    kinds = (pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary("int32", "string"))
    for kind in kinds:
        for version in ("1.0", "2.0"):
            for options in ({}, {"use_dictionary": False}, {"compression": "none"}):
                table = pyarrow.table(
                    {"page": [7] * 9000, "write": [1] * 9000, "region": pyarrow.array(names, kind)}
                )
                parquet.write_table(
                    table,
                    tmp_path / "t.parquet",
                    data_page_version=version,
                    data_page_size=5000,
                    row_group_size=4000,
                    **options,
                )
                found = read(open_trace(str(tmp_path / "t.parquet")), 1000)
                assert found == [(7, True, name) for name in names]


def test_xz_in_several_parts_is_one_text(tmp_path: Path) -> None:
    """With zeroes between, and with anything else behind refused?"""
    parts = [lzma.compress(part) for part in (b"page,write\n1,", b"0\n2,", b"1\n", b"")]
    (tmp_path / "t.csv.xz").write_bytes((b"\0" * 8).join(parts) + b"\0" * 4)
    assert read(open_trace(str(tmp_path / "t.csv.xz")), 5) == [(1, False), (2, True)]
    (tmp_path / "t.csv.xz").write_bytes(b"".join(parts) + b"nonsense")
    with pytest.raises(TraceError, match="corrupt or truncated after record"):
        consumed(str(tmp_path / "t.csv.xz"))


# The file is the same from the scenario's loading on.


@pytest.mark.parametrize("how", ["replaced", "written", "touched"])
def test_a_trace_that_changes_while_it_is_used_is_told(tmp_path: Path, how: str) -> None:
    """Is no policy given other accesses than the one before?"""
    path = tmp_path / "t.npz"
    to_npz(path, [(1, True, 0, 0)] * 5)
    trace = open_trace(str(path))
    chunks = trace.chunks(2)
    next(chunks)
    if how == "replaced":
        to_npz(path, [(2, True, 0, 0)] * 5)
    elif how == "written":
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    else:
        os.utime(path, (1, 1))
    with pytest.raises(TraceError, match="was replaced or changed"):
        list(chunks)
    with pytest.raises(TraceError, match="was replaced or changed since it was first looked at"):
        list(trace.chunks(2))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trace_replaced_between_two_policies_is_told(tmp_path: Path, jobs: int) -> None:
    """Does a run compare no two traces, however many processes it has?"""
    to_npz(tmp_path / "t.npz", [(1, True, 0, 0)])
    to_npz(tmp_path / "other.npz", [(2, True, 0, 0)])
    (tmp_path / "s.yaml").write_text(
        "steps: [{mmap: heap, size: 1MiB}, {fork: child}, {trace: t.npz}]\n"
    )
    scenario = load_file(str(tmp_path / "s.yaml"))
    assert list(scenario.traces) == ["t.npz"]
    os.replace(tmp_path / "other.npz", tmp_path / "t.npz")
    with pytest.raises(SwaptraceError, match="was replaced or changed since"):
        replay_all(
            [scenario],
            [find("prepatch"), find("final")],
            steps=False,
            pages=False,
            begin=lambda *_: None,
            jobs=jobs,
        )


DAMAGED = sorted((Path(__file__).parent / "damaged").iterdir())


@pytest.mark.parametrize("path", DAMAGED, ids=lambda path: path.name)
def test_what_once_ended_the_program_is_an_error(path: Path) -> None:
    """Is a file that a library aborts on told, in a process of its own?"""
    pytest.importorskip("pyarrow")
    code = (
        "import sys\nfrom swaptrace.traces.files import TraceError, open_trace\n"
        "try:\n    list(open_trace(sys.argv[1]).chunks())\n"
        "except TraceError as error:\n    print(error)\n"
    )
    done = completed([sys.executable, "-c", code, str(path)], text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: ")


def test_a_page_of_parquet_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Are columns refused that many groups of rows share, and rows that are not there?"""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"page": [1, 2], "write": [True, False]}), path)
    with path.open("rb") as file:
        shared = [*parquetpages.chunks(file)] * 1000
    monkeypatch.setattr(parquetfile, "chunks", lambda _: shared)
    with pytest.raises(TraceError, match="its columns together are larger than the file"):
        open_trace(str(path))
    monkeypatch.undo()
    monkeypatch.setattr(parquetfile.ParquetReader, "count", 3)
    with pytest.raises(TraceError, match="it has 2 rows, and says that it has 3"):
        list(open_trace(str(path)).chunks())
    monkeypatch.setattr(parquetfile.ParquetReader, "count", -1)
    with pytest.raises(TraceError, match="it says that it has -1 rows"):
        open_trace(str(path))


@pytest.mark.filterwarnings("error")
def test_a_header_of_python_2_is_read_in_silence(tmp_path: Path) -> None:
    """Does numpy warn nobody of how a stranger's file was made?"""
    page = npy(np.zeros(4, np.uint32)).replace(b"(4,), } ", b"(4L,), }", 1)
    path = raw_npz(tmp_path, {"page": page, "write": npy(np.zeros(4, np.bool_))})
    assert open_trace(path).count() == 4
