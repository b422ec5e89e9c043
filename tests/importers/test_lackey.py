"""Does the parser of whole blocks read what one of single lines reads?"""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.errors import SwaptraceError
from swaptrace.importers import lines as lines_module
from tests.effort import examples
from tests.importers.logs import blocks_of, lines, naive, vectorised

ADDRESSES = st.one_of(
    st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 34), st.integers(0xFF0, 0x1010)
)
ACCESS = st.builds(
    "{} {:08x},{}".format,
    st.sampled_from(["I ", " L", " S", " M"]),
    ADDRESSES,
    st.sampled_from([1, 2, 4, 8, 10, 16, 32, 99, 512, 999]),
)
NOISE = st.sampled_from(
    [
        "==4711== Lackey, an example Valgrind tool",
        "",
        " ",
        "  L 00001000,1",
        "a, b, 12",
        "total: 25,452",
        " x 00001000,8",
        "4711 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = 0x4837000",
    ]
)
MUTATED = st.sampled_from(
    [
        " L 0000100g,8",
        " S 00001000 8",
        " M 00001000,",
        " L 00001000,0",
        " L 00001000,8x",
        " S 1000,8",
        " L 00001000,1234",
        " S 0000000100001000100010001000,8",
        " L 0000A000,8",
        " L ffffffffffffffff,8",
        " L 00001000,8 ",
        " L ",
    ]
)


@settings(max_examples=examples(80))
@given(rows=st.lists(st.one_of(ACCESS, NOISE), max_size=40))
def test_blocks_are_read_as_lines_are(rows: list[str]) -> None:
    """Are accesses, straddles and the lines between the same, and in the same places?"""
    text = lines(rows)
    try:
        expected = naive(text)
    except ValueError:
        with pytest.raises(SwaptraceError):
            vectorised(text)
    else:
        assert vectorised(text) == expected


@settings(max_examples=examples(40))
@given(
    before=st.lists(st.one_of(NOISE, ACCESS.filter(lambda row: "fffff" not in row)), max_size=6),
    wrong=MUTATED,
    after=st.lists(NOISE, max_size=3),
)
def test_a_malformed_access_is_told_with_its_line(
    before: list[str], wrong: str, after: list[str]
) -> None:
    """Does the message name the file, the first line that is wrong, and show it?"""
    text = lines([*before, wrong, *after])
    with pytest.raises(SwaptraceError) as error:
        vectorised(text)
    assert str(error.value).startswith(f"log:{len(before) + 1}:1: this is no access as lackey")
    assert wrong.rstrip() in str(error.value)


@pytest.mark.parametrize("size", [64, 100, 1000])
def test_where_blocks_end_makes_no_difference(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are lines that two blocks share read once and whole, and numbered on?"""
    rows = [f" S {index * 0x777:08x},{index % 9 + 1}" for index in range(300)]
    rows[40:40] = ["==1== noise"]
    expected = naive(lines(rows))
    monkeypatch.setattr(lines_module, "BLOCK", size)
    assert vectorised(lines(rows)) == expected
    with pytest.raises(SwaptraceError, match=r"^log:302:1: "):
        vectorised(lines([*rows, " S nonsense"]))


def test_a_modification_is_one_write() -> None:
    """Is it what the processor asks for, and not a read before it?"""
    assert vectorised(b" M 00001ffc,8\n") == ([(1, True), (2, True)], [])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_compressed_log_is_the_log(pack: type[bytes]) -> None:
    """Does its beginning tell, whatever it is called?"""
    text = lines(f" L {index:08x},4" for index in range(0, 1 << 20, 999))
    assert vectorised(pack(text)) == naive(text)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("cut", [30, -9])
def test_a_damaged_compressed_log_is_told(pack: type[bytes], cut: int) -> None:
    """Is what is cut off an error, not a shorter log?"""
    data = pack(lines(f" L {index * 7919:08x},4" for index in range(9999)))
    with pytest.raises(SwaptraceError, match=r"^log: the compressed data are damaged or cut off"):
        vectorised(data[:cut])


def test_a_log_that_was_cut_off_is_told() -> None:
    """Would half a number be taken for a number?"""
    with pytest.raises(SwaptraceError, match=r"^log:2:1: the log ends within this line"):
        vectorised(b" L 00001000,8\n L 00001000,1")


def test_a_file_without_lines_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does a file of zeroes not fill the memory?"""
    monkeypatch.setattr(lines_module, "LONGEST", 1000)
    monkeypatch.setattr(lines_module, "BLOCK", 300)
    with pytest.raises(SwaptraceError, match="this line has no end: is the file a log"):
        list(blocks_of(bytes(5000)))


def test_how_much_was_read_is_told(tmp_path: Path) -> None:
    """Does a progress bar end at the file's size, of a compressed one as well?"""
    data = gzip.compress(lines(f" L {index:08x},4" for index in range(99999)))
    (tmp_path / "log").write_bytes(data)
    told: list[int] = []
    with open(tmp_path / "log", "rb", buffering=0) as raw:
        for _ in lines_module.blocks(lines_module.unpacked(raw, "log", told.append), "log"):
            pass
    assert told[-1] == len(data)
    assert told == sorted(told)
