"""How long do the things take that people wait for? Compare within one run, as ratios.

pytest tests/benchmarks --override-ini addopts= --benchmark-columns=median,min,rounds
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.schema import RepeatStep, Scenario
from tests.replay.building import MiB, TiB, access, memset, microbenchmark, mmap, pageout, scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BIG = Swap(size=4 * TiB)


def python(*arguments: str) -> None:
    """Run Python; our modules are compiled beforehand, as those of installed libraries are."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=env)


@pytest.mark.benchmark(group="process")
def test_a_process_that_only_imports(benchmark: BenchmarkFixture) -> None:
    """What do the libraries cost that a small replay cannot do without?"""
    benchmark(python, "-c", "import click, rich, yaml")


@pytest.mark.benchmark(group="process")
def test_run_of_the_microbenchmark(benchmark: BenchmarkFixture) -> None:
    """How much longer does `swaptrace run` take under three policies?"""
    benchmark(python, "-m", "swaptrace", "run", str(SCENARIOS / "read-then-write.yaml"))


def under_all_policies(of: Scenario) -> None:
    for name in policies.SERIES:
        replay(of, policies.find(name))


@pytest.mark.benchmark(group="size")
@pytest.mark.parametrize("size", [2 * MiB, TiB], ids=["2MiB", "1TiB"])
@pytest.mark.parametrize("backend", ["zram", "zswap", "disk"])
def test_all_policies(benchmark: BenchmarkFixture, size: int, backend: str) -> None:
    """What does a terabyte cost over a megabyte?"""
    swap = Swap(backend=backend, size=4 * TiB)
    benchmark(under_all_policies, scenario(*microbenchmark(size), swap=swap))


@pytest.mark.benchmark(group="repeat")
@pytest.mark.parametrize("count", [10, 10**9])
def test_repetitions(benchmark: BenchmarkFixture, count: int) -> None:
    """What do a billion repetitions cost over ten?"""
    loop = RepeatStep(line=5, count=count, steps=(pageout(2 * MiB), access("read_write", 2 * MiB)))
    benchmark(under_all_policies, scenario(mmap(2 * MiB), memset(2 * MiB), loop, swap=BIG))


@pytest.mark.benchmark(group="readahead")
@pytest.mark.parametrize("order", ["forward", "random"])
def test_read_ahead(benchmark: BenchmarkFixture, order: str) -> None:
    """What does a major fault with its window cost, in a pass that repeats and in one that does
    not? 128 MiB: 4,096 windows in order; in random order about one for each page."""
    size = 128 * MiB
    swap = Swap(backend="zswap", size=4 * TiB)
    of = scenario(
        mmap(size), memset(size), pageout(size), access("read", size, order=order), swap=swap
    )
    table = Table(policies.find("final"))
    total = benchmark(replay, of, table).total
    benchmark.extra_info["majflt"] = total["majflt"]
