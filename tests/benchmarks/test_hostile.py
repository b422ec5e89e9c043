"""How long does it take to refuse what is made to take long?

`pytest tests/benchmarks/test_hostile.py --override-ini addopts=`. The tests of the same inputs
count calls; this takes the time that a function of C or a regular expression spends within.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace.errors import SwaptraceError
from swaptrace.ktree.decisions import decisions_of
from swaptrace.scenario.loader import load_text
from tests.commandline import run
from tests.csource.test_robust import HUGE
from tests.ktree.test_tree import JUNK
from tests.scenario.test_loader import READ_THEN_WRITE
from tests.scenario.test_loader_robust import HOSTILE

SECONDS: Final = 2


def soon(benchmark: BenchmarkFixture, refused: Callable[..., Any], *given: Any) -> None:
    """Time one call, and hold it against the bound."""

    def call() -> None:
        with suppress(SwaptraceError):
            refused(*given)

    benchmark.pedantic(call, rounds=1)  # type: ignore[no-untyped-call]
    assert benchmark.stats is not None
    assert benchmark.stats.stats.max < SECONDS


LARGE = {
    "wrong steps": "steps:\n" + "- {raed: a}\n" * 100_000,
    "wrong keys": "steps:\n- {mmap: a, size: 4KiB}\n" + "- {read: a, strid: 1}\n" * 100_000,
    "windows": "steps:\n- {mmap: a, size: 4KiB}\nexpect:\n"
    + "".join(f"  w{n}: {{final: {{minflt: 0}}}}\n" for n in range(50_000)),
}
"""What is as large as a file may be, about."""


@pytest.mark.parametrize("name", [*HOSTILE, *LARGE])
def test_a_scenario(benchmark: BenchmarkFixture, name: str) -> None:
    """Is it refused in seconds, by libyaml as well?"""
    soon(benchmark, load_text, {**HOSTILE, **LARGE}[name].encode())


@pytest.mark.parametrize("what", HUGE)
def test_a_policy_in_c(benchmark: BenchmarkFixture, what: str, tmp_path: Path) -> None:
    """Is it read or refused in seconds?"""
    (tmp_path / "it.c").write_text(HUGE[what])
    soon(benchmark, run, "policies", tmp_path / "it.c")


@pytest.mark.parametrize("junk", JUNK)
def test_a_kernel_tree(benchmark: BenchmarkFixture, junk: str) -> None:
    """Is its mm/memory.c refused in seconds?"""
    soon(benchmark, decisions_of, "memory.c", junk * (100_000 // len(junk)), ())


def test_a_scenario_that_is_right(benchmark: BenchmarkFixture) -> None:
    """Is loading no part of what a user waits for?"""
    benchmark(load_text, READ_THEN_WRITE)
    assert benchmark.stats is not None
    assert benchmark.stats.stats.min < 0.005
