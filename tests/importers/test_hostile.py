"""Is a log that somebody made to be slow or large refused, or read like any other?"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from swaptrace.cli import importing
from swaptrace.errors import SwaptraceError
from swaptrace.importers import recorder as recording
from swaptrace.importers import steps
from swaptrace.importers.convert import ConvertedLog, calls_of, convert_lackey
from swaptrace.importers.lines import blocks
from swaptrace.importers.placing import last_mapped
from swaptrace.importers.recorder import AccessRecorder
from swaptrace.importers.scenario import Target, write
from swaptrace.importers.space import FEW, MappedArea, Space
from swaptrace.importers.strace import LONGEST_CALL, Calls, MalformedCall
from tests.effort import exhaustive
from tests.fuzz.targets import SECONDS, limited_to

MANY = 20_000
FIRST = 0x1000_0000
APART = 0x3000
"""Bytes between two mappings, which then are two regions."""


def mmap(address: int, length: int = 4096) -> str:
    flags = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"
    return f"7 mmap(NULL, {length}, {flags}) = {address:#x}\n"


def store(address: int) -> str:
    return f" S {address:08x},8\n"


@contextmanager
def imported(directory: Path, log: str, strace: str | None = None) -> Iterator[AccessRecorder]:
    """What is recorded of a log, in time."""
    with closing(
        AccessRecorder(directory, every_access=False, mapped=strace is not None)
    ) as recorder:
        calls = None if strace is None else list(calls_of(io.BytesIO(strace.encode()), "calls"))
        with limited_to(SECONDS):
            convert_lackey(blocks(io.BytesIO(log.encode()), "log"), "log", recorder, calls)
        yield recorder


@exhaustive
@pytest.mark.parametrize("marked", ["0x4034000", "0x10000000"])
def test_many_calls_of_strace_are_placed_in_time(tmp_path: Path, marked: str) -> None:
    """Does it not take each mark, or each access, a look at every call that is left?"""
    unmapped = "7 munmap(0x99000, 4096) = 0\n"
    calls = unmapped + "".join(mmap(FIRST + n * APART) + unmapped for n in range(MANY // 10))
    mark = f"SYSCALL[1,1]( 1) sys_madvise ( {marked} )[sync] --> Success(0x0)\n"
    with imported(tmp_path, store(0x4034000) + mark * MANY, calls + unmapped * MANY) as found:
        assert found.left.accesses
        assert len(found.space.areas) == MANY // 10
    accesses = "".join(store(FIRST + n * APART) for n in range(MANY // 10))
    with imported(tmp_path, accesses, calls) as found:
        assert found.count == MANY // 10


@pytest.mark.parametrize(
    ("access", "count"), [(" S 04034000,8", 2), (" L 04034ffc,8", 3), ("I  04034000,4", 1)]
)
def test_an_access_behind_a_call_cuts_neither(tmp_path: Path, access: str, count: int) -> None:
    """Where strace has printed the arguments of one process's call, and another one goes on?"""
    begun, _, rest = mmap(FIRST).partition(") = ")
    log = mmap(0x4034000, 8192) + begun + access + "\n" + f") = {rest}" + store(FIRST)
    with imported(tmp_path, log) as found:
        assert found.seen == count
        assert len(found.space.areas) == 2


def test_the_last_call_that_maps_a_page_is_known() -> None:
    """Also where ranges overlap, and where nothing is mapped between?"""
    bounds, last = last_mapped([(10, 30), None, (20, 25), (40, 41)])
    assert bounds.tolist() == [10, 20, 25, 30, 40, 41]
    assert last.tolist() == [0, 2, 0, -1, 3, -1]
    assert last_mapped([])[0].tolist() == []


def test_few_pages_are_looked_for_as_many_are() -> None:
    """Whether one by one or all at once?"""
    space = Space(MappedArea(n, n + 2, "anonymous") for n in range(0, 300, 3))
    pages = np.arange(310, dtype=np.uint64)
    one_by_one = [space.locate(pages[n : n + 1]).item() for n in range(len(pages))]
    assert len(space.areas) > FEW
    assert one_by_one == space.locate(pages).tolist()


def test_calls_on_many_mappings_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do n mappings and n calls on all of them not make n times n events?"""
    monkeypatch.setattr(recording, "MOST_EVENTS", 1000)
    log = "".join(mmap(FIRST + n * APART) + store(FIRST + n * APART) for n in range(50))
    log += f"7 madvise({FIRST:#x}, {50 * APART}, MADV_COLD) = 0\n" * 50
    with pytest.raises(SwaptraceError, match="change mappings more than 1000 times"):
        imported(tmp_path, log).__enter__()


def test_calls_on_many_regions_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor regions of one enormous mapping?"""
    monkeypatch.setattr(steps, "MOST_SPREAD", 1000)
    log = mmap(FIRST, 1 << 40) + "".join(store(FIRST + n * (1 << 30)) for n in range(50))
    log += f"7 madvise({FIRST:#x}, {1 << 40}, MADV_COLD) = 0\n" * 50
    with (
        imported(tmp_path, log) as found,
        pytest.raises(SwaptraceError, match="reach more than 1000 regions"),
    ):
        write(found, Target(tmp_path, "log", "hostile"))
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_is_interrupted_again_and_again_is_none() -> None:
    """Is what is kept of it limited?"""
    calls = Calls()
    line = b"<... mmap resumed>" + b"x" * (LONGEST_CALL // 2) + b" <unfinished ...>"
    assert list(calls.line(line)) == []
    with pytest.raises(MalformedCall):
        list(calls.line(line))


def test_what_is_left_out_is_told_in_some_words(tmp_path: Path) -> None:
    """Also of a log with a thousand names of calls, and programs with enormous ones?"""
    log = store(FIRST) + "".join(f"7 call{n}(1) = 0\n" for n in range(1000)) + store(FIRST)
    with imported(tmp_path, log) as found:
        counted = ConvertedLog(0, exact=True)
        written = write(found, Target(tmp_path, "log", "hostile"))
        assert len(importing.summary(found, written, counted)) < 1000
    assert len(importing.not_recorded(("x" * 100_000,))) < 1000
