"""Is Parquet read as others write it, and told what is wrong with it?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from swaptrace.traces import parquetfile, parquetpages
from swaptrace.traces.columns import TraceError
from swaptrace.traces.files import open_trace
from tests.processes import completed
from tests.traces.making import consumed, of_text, read, to_parquet


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


DAMAGED = sorted((Path(__file__).parent / "damaged").iterdir())


@pytest.mark.parametrize("path", DAMAGED, ids=lambda path: path.name)
def test_what_once_ended_the_program_is_an_error(path: Path) -> None:
    """Is a file that a library aborts on told, in a process of its own?"""
    pytest.importorskip("pyarrow")
    code = (
        "import sys\nfrom swaptrace.traces.columns import TraceError\n"
        "from swaptrace.traces.files import open_trace\n"
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
