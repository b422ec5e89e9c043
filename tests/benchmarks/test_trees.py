"""What does a kernel tree cost over the built-in model? Compare within one run, as ratios: a replay
under a tree is to take no more than 1.2 times as long, also the first one after the tree was read,
and a tree half a second to be read. A short one is all first evaluations, of which each runs the C.

SWAPTRACE_TEST_TREES=... pytest tests/benchmarks/test_trees.py --override-ini addopts=
"""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import bundled, policies
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import Scenario
from tests.ktree.test_real import SHIPPED, TREES
from tests.ktree.wholes import KERNELS, SMALL
from tests.replay.building import MiB, access, memset, mmap, pageout, scenario

SPECS = {
    f"small-{version}": (f"kernel:{SMALL / name}", version) for name, version in KERNELS.items()
}
SPECS |= {
    version: (f"kernel:{tree}", version)
    for version, tree in sorted(TREES.items())
    if version in SHIPPED
}


@pytest.mark.parametrize("kind", ["built-in", "tree", "new tree"])
@pytest.mark.parametrize("name", SPECS)
def test_a_replay(benchmark: BenchmarkFixture, name: str, kind: str) -> None:
    """With an empty table, under a policy that has been read already, or has never been asked?"""
    benchmark.group = f"replay {name}"
    spec, version = SPECS[name]
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
    built_in = f"{SHIPPED[version]}@{version}"
    policy = policies.from_argument(built_in if kind == "built-in" else spec)

    def unasked() -> tuple[tuple[Scenario, Table], dict[str, Any]]:
        return (of, Table(policies.from_argument(spec))), {}

    if kind == "new tree":
        benchmark.pedantic(replay, setup=unasked, rounds=12)  # type: ignore[no-untyped-call]
    else:
        benchmark(lambda: replay(of, Table(policy)))


@pytest.mark.parametrize("kind", ["built-in", "tree"])
@pytest.mark.parametrize("name", SPECS)
def test_a_short_replay(benchmark: BenchmarkFixture, name: str, kind: str) -> None:
    """The same of a bundled scenario, which takes a millisecond?"""
    benchmark.group = f"short replay {name}"
    spec, version = SPECS[name]
    of = load_file(str(bundled.scenarios()["fork-after-pageout"]))
    built_in = f"{SHIPPED[version]}@{version}"
    policy = policies.from_argument(built_in if kind == "built-in" else spec)
    benchmark(lambda: replay(of, Table(policy)))


@pytest.mark.benchmark(group="read")
@pytest.mark.parametrize("name", SPECS)
def test_reading_a_tree(benchmark: BenchmarkFixture, name: str) -> None:
    """How long until its functions can be run?"""
    benchmark.pedantic(policies.from_argument, (SPECS[name][0],), rounds=3)  # type: ignore[no-untyped-call]
