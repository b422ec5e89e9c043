"""What do large folios cost? Compare within one run, as ratios (see test_speed.py)."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from tests.benchmarks.test_speed import under_all_policies


def micro(size: str, thp: str, *steps: str, backend: str = "zram") -> Scenario:
    """The microbenchmark of a size with large folios, and further steps."""
    text = f"steps: [{{mmap: buf, size: {size}}}, {{memset: buf, value: 17}}, "
    text += ", ".join(("{madvise: buf, advice: PAGEOUT}", "{read_write: buf}", *steps)) + "]"
    machine = {"thp": thp, "kernel": "6.18", "swap.size": "4TiB", "swap.backend": backend}
    overrides = {f"machine.{key}": value for key, value in machine.items()}
    return load_text(text.encode(), "folios", overrides)


@pytest.mark.benchmark(group="folios")
@pytest.mark.parametrize("size", ["2MiB", "1TiB"])
@pytest.mark.parametrize("thp", ["16KiB", "64KiB", "2MiB"])
def test_all_policies_with_large_folios(benchmark: BenchmarkFixture, thp: str, size: str) -> None:
    """What does a terabyte of large folios cost over two megabytes?"""
    benchmark(under_all_policies, micro(size, thp))


@pytest.mark.benchmark(group="folios, repeat")
@pytest.mark.parametrize("count", [10, 10**9])
def test_repetitions_with_large_folios(benchmark: BenchmarkFixture, count: int) -> None:
    """What do a billion repetitions cost over ten?"""
    body = "steps: [{madvise: buf, advice: PAGEOUT}, {read_write: buf}]"
    benchmark(under_all_policies, micro("2MiB", "64KiB", f"{{repeat: {count}, {body}}}"))


@pytest.mark.benchmark(group="folios, accesses")
@pytest.mark.parametrize("share", ["0", "0.3"])
def test_accesses_to_large_folios(benchmark: BenchmarkFixture, share: str) -> None:
    """What does an access in no order cost, of 20,000 to 16 MiB that are swapped out?"""
    step = f"{{access: buf, count: 20000, pattern: uniform, write_share: {share}, seed: 1}}"
    of = micro("16MiB", "64KiB", "{madvise: buf, advice: PAGEOUT}", step)
    benchmark(lambda: replay(of, Table(policies.find("final"))))
