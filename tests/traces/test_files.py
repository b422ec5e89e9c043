"""Does every kind of file give back what was written, whole or not at all?"""

from __future__ import annotations

import lzma
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.errors import SwaptraceError
from swaptrace.policies import find
from swaptrace.replay.scenarios import replay_all
from swaptrace.scenario.loader import load_file
from swaptrace.traces.columns import TraceError
from swaptrace.traces.files import open_trace
from swaptrace.traces.writer import TraceWriter
from tests.effort import examples
from tests.traces.making import (
    NAMES,
    WRITERS,
    Rows,
    chunk_of,
    consumed,
    read,
    rows,
    saved,
    to_npz,
    with_names,
)


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


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", ["<u4", ">u4", "<i8", ">u2", "u1"])
def test_any_whole_numbers_of_numpy_will_do(compress: bool, kind: str, tmp_path: Path) -> None:
    page = np.arange(200).astype(kind)
    path = saved(tmp_path / "t.npz", compress, page=page, write=(page % 2).astype("i1"))
    assert read(open_trace(path), 64) == [(i, bool(i % 2)) for i in range(200)]


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


def test_xz_in_several_parts_is_one_text(tmp_path: Path) -> None:
    """With zeroes between, and with anything else behind refused?"""
    parts = [lzma.compress(part) for part in (b"page,write\n1,", b"0\n2,", b"1\n", b"")]
    (tmp_path / "t.csv.xz").write_bytes((b"\0" * 8).join(parts) + b"\0" * 4)
    assert read(open_trace(str(tmp_path / "t.csv.xz")), 5) == [(1, False), (2, True)]
    (tmp_path / "t.csv.xz").write_bytes(b"".join(parts) + b"nonsense")
    with pytest.raises(TraceError, match="corrupt or truncated after record"):
        consumed(str(tmp_path / "t.csv.xz"))


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
