"""Is what is broken in a trace told, with the record where there is one?"""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.traces.columns import TraceError
from swaptrace.traces.files import open_trace
from tests.effort import examples
from tests.traces.making import ROWS, SHAPE, WRITERS, consumed, header, of_text, saved

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


def directory(path: Path) -> str:
    (path / "t.npz").mkdir()
    return str(path / "t.npz")


def huge_header(path: Path) -> str:
    zeros = b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little") + bytes(1 << 20)
    return raw_npz(path, {"page": zeros, "write": zeros})


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


@pytest.mark.filterwarnings("error")
def test_a_header_of_python_2_is_read_in_silence(tmp_path: Path) -> None:
    """Does numpy warn nobody of how a stranger's file was made?"""
    page = npy(np.zeros(4, np.uint32)).replace(b"(4,), } ", b"(4L,), }", 1)
    path = raw_npz(tmp_path, {"page": page, "write": npy(np.zeros(4, np.bool_))})
    assert open_trace(path).count() == 4
