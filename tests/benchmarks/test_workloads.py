"""How many accesses a second, beside libCacheSim's LRU on the same trace? Compare as ratios.

Needs the extras `fast` and `benchmark`:
pytest tests/benchmarks/test_workloads.py --override-ini addopts= --benchmark-columns=median,min
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.pop("SWAPTRACE_INTERPRETED", None)

from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import AccessPatternStep, AccessStep, MmapStep, Scenario, TraceStep
from swaptrace.traces.patterns import accesses
from swaptrace.traces.writer import TraceWriter

lcs = pytest.importorskip("libcachesim", reason="needs the extra 'benchmark'")

PAGE = 4096
PAGES = 1 << 16
ACCESSES = 8_000_000
ORACLE_GENERAL = [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")]
"""libCacheSim's own binary format."""

PATTERNS = ("zipf", "uniform")
LIMITS = {
    "no limit": Machine(),
    "lru": Machine(memory=PAGES // 2 * PAGE, reclaim="lru"),
    "classic": Machine(memory=PAGES // 2 * PAGE, stat_flush=4096),
    "mglru": Machine(memory=PAGES // 2 * PAGE, reclaim="mglru"),
}


@pytest.fixture(scope="module", params=PATTERNS)
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same accesses as trace.npz and as trace.oracleGeneral."""
    folder = tmp_path_factory.mktemp(request.param)
    step = AccessPatternStep(
        line=1,
        region="r",
        span=ByteRange(0, PAGES * PAGE),
        count=ACCESSES,
        pattern=request.param,
        write_share=0.3,
    )
    records = np.zeros(ACCESSES, ORACLE_GENERAL)
    done = 0
    with TraceWriter(str(folder / "trace.npz")) as writer:
        for chunk in accesses(step, PAGES):
            writer.write(chunk)
            records["id"][done : done + len(chunk.page)] = chunk.page
            done += len(chunk.page)
    records["id"] += 1
    records["size"] = 1
    records["next"] = -2
    records.tofile(folder / "trace.oracleGeneral")
    return folder


def of_libcachesim(folder: Path, pages: int) -> Any:
    """The share of misses."""
    path, kind = str(folder / "trace.oracleGeneral"), lcs.TraceType.ORACLE_GENERAL_TRACE
    reader = lcs.TraceReader(path, kind, lcs.ReaderInitParam(ignore_obj_size=True))
    return lcs.LRU(pages).process_trace(reader)


def of_swaptrace(folder: Path, machine: Machine) -> PolicyResult:
    """The whole replay, the writing of every page before it included."""
    steps = (
        MmapStep(line=1, region="r", size=PAGES * PAGE),
        AccessStep(line=2, op="write", region="r", span=ByteRange(0, PAGES * PAGE), stride=PAGE),
        TraceStep(line=3, path=str(folder / "trace.npz"), region="r"),
    )
    return replay(Scenario("benchmark", "", machine, steps), policies.find("final"))


@pytest.mark.benchmark(group="accesses", min_rounds=3, warmup=True, warmup_iterations=1)
@pytest.mark.parametrize("pages", [2 * PAGES, PAGES // 2], ids=["all fits", "half fits"])
def test_libcachesim(benchmark: BenchmarkFixture, traces: Path, pages: int) -> None:
    """Eight million accesses under its LRU."""
    benchmark(of_libcachesim, traces, pages)


@pytest.mark.benchmark(group="accesses", min_rounds=3, warmup=True, warmup_iterations=1)
@pytest.mark.parametrize("limit", LIMITS)
def test_swaptrace(benchmark: BenchmarkFixture, traces: Path, limit: str) -> None:
    """The same without a limit, and with half the memory."""
    benchmark(of_swaptrace, traces, LIMITS[limit])
