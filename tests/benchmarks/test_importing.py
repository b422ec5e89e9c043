"""How much faster than a loop over the lines is a log read? Both in one run, in CPU seconds.

pytest tests/benchmarks/test_importing.py --override-ini addopts= -s
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swaptrace.importers import lackey
from swaptrace.importers.accesses import PAGE_SIZE
from swaptrace.importers.lines import blocks, unpacked
from swaptrace.importers.recorder import AccessRecorder

LINES = 3_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log as lackey's are: two fetches for each access, the stack and the heap."""
    path = tmp_path_factory.mktemp("log") / "log"
    rng = random.Random(1)
    some = []
    for _ in range(10_000):
        some += [f"I  {rng.randrange(0x400000, 0x500000):08x},{rng.randrange(1, 9)}\n"] * 2
        kind, size = rng.choice((" L", " S", " M")), rng.choice([1, 4, 8, 16])
        base = rng.choice([0x4A00000, 0x1FFEFF0000])
        some.append(f"{kind} {base + rng.randrange(1 << 20):08x},{size}\n")
    path.write_text("".join(some) * (LINES // len(some)))
    return path


def line_by_line(log: Path) -> int:
    """The accesses of a log, by a loop that parses each line."""
    found = []
    with open(log) as file:
        for line in file:
            kind, (address, size) = line[:3], line[3:].split(",")
            start = int(address, 16)
            first, last = start // PAGE_SIZE, (start + int(size) - 1) // PAGE_SIZE
            if kind != "I  ":
                found.append((first, kind != " L "))
                if last != first:
                    found.append((last, kind != " L "))
    return len(found)


def without_fetches(log: Path) -> int:
    """The same, but a fetch is skipped as soon as its first character is seen."""
    found = []
    with open(log) as file:
        for line in file:
            if line[0] == " ":
                kind, (address, size) = line[:3], line[3:].split(",")
                start = int(address, 16)
                first, last = start // PAGE_SIZE, (start + int(size) - 1) // PAGE_SIZE
                found.append((first, kind != " L "))
                if last != first:
                    found.append((last, kind != " L "))
    return len(found)


def by_blocks(log: Path) -> int:
    """The same by the importer."""
    with open(log, "rb", buffering=0) as raw:
        text = blocks(unpacked(raw, "log", lambda _bytes: None), "log")
        return sum(len(lackey.parse(block).page) for block in text)


def seconds(work: Callable[[Path], int], log: Path) -> tuple[float, int]:
    """The CPU time of the fastest of three times, and the result."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        result = work(log)
        times.append(time.process_time() - begun)
    return min(times), result


@pytest.mark.parametrize(("loop", "times"), [(line_by_line, 20), (without_fetches, 8)])
def test_reading_is_faster_than_a_loop(
    log: Path, loop: Callable[[Path], int], times: float
) -> None:
    """How many times?"""
    slow, expected = seconds(loop, log)
    fast, found = seconds(by_blocks, log)
    print(f"\n{LINES / fast / 1e6:.1f} million lines/s, {slow / fast:.1f} times {loop.__name__}")
    assert found == expected
    assert slow / fast > times


def test_importing_is_as_fast_as_reading(log: Path, tmp_path: Path) -> None:
    """What do sorting out, merging and spooling add?"""
    recorder = AccessRecorder(tmp_path, every_access=False)
    begun = time.process_time()
    with open(log, "rb", buffering=0) as raw:
        for block in blocks(unpacked(raw, "log", lambda _bytes: None), "log"):
            recorder.accesses(*lackey.parse(block)[:2])
    whole = time.process_time() - begun
    recorder.close()
    fast, _ = seconds(by_blocks, log)
    print(f"\n{LINES / whole / 1e6:.1f} million lines/s, {whole / fast:.2f} times reading")
    assert whole < fast * 3
