"""Does a policy in C cost more than one in Python? Compare within one run, as ratios.

pytest tests/benchmarks --override-ini addopts= --benchmark-columns=median,min,rounds
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import policies
from swaptrace.exploration.decisions import questions
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import ask
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.hardware import Swap
from tests.replay.building import MiB, access, memset, mmap, pageout, scenario

TWINS = Path(__file__).parents[1] / "csource" / "twins"

SPECS = ["prepatch", str(TWINS / "prepatch.c")]


@pytest.mark.benchmark(group="replay")
@pytest.mark.parametrize("spec", SPECS, ids=["python", "c"])
def test_a_replay(benchmark: BenchmarkFixture, spec: str) -> None:
    """What does a replay cost, with an empty table, under a policy that has been read already?"""
    size = 64 * MiB
    of = scenario(
        mmap(size),
        memset(size),
        pageout(size),
        access("read_write", size),
        pageout(size),
        access("read", size, order="random"),
        swap=Swap(backend="zswap", size=4 * size),
    )
    policy = policies.from_argument(spec)
    benchmark(lambda: replay(of, Table(policy)))


@pytest.mark.benchmark(group="find")
@pytest.mark.parametrize("spec", SPECS, ids=["python", "c"])
def test_finding_the_policy(benchmark: BenchmarkFixture, spec: str) -> None:
    """What does the parser add, once it is loaded?"""
    benchmark(policies.from_argument, spec)


@pytest.mark.benchmark(group="answers")
@pytest.mark.parametrize("spec", SPECS, ids=["python", "c"])
def test_a_thousand_answers(benchmark: BenchmarkFixture, spec: str) -> None:
    """What does the interpreter cost where every question is a new one, as in `explore`?"""
    policy = policies.from_argument(spec)
    asked = list(questions(1, Facts()))[::40][:1000]

    def answer() -> None:
        for method, kind, arguments in asked:
            ask(policy, method, kind, *arguments)

    benchmark(answer)
