"""How long is an exploration that comes to its end? Two policies have a process each.

`pytest tests/benchmarks/test_exploring.py --override-ini addopts=`; `-k "not locked"` leaves out
what takes minutes. Each is run once, and each is a proof, which is asserted.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from swaptrace import policies
from swaptrace.exploration.alphabet import OPERATIONS
from swaptrace.exploration.explorer import Exploration, Request, explore, machine_of
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds

LOCKS = ("mlock", "munlock")
CASES = {
    "one process": ("rfc,final", 1, ()),
    "equal decisions": ("final,merged", 2, ()),
    "two processes, one policy": ("final", 2, LOCKS),
    "two processes without free": ("final", 2, (*LOCKS, "free")),
    "two processes, two policies": ("rfc,final", 2, LOCKS),
    "two processes, one policy, locked": ("final", 2, ()),
    "two processes, two policies, locked": ("rfc,final", 2, ()),
}


def explored(names: str, processes: int, without: tuple[str, ...]) -> Exploration:
    ops = tuple(name for name in OPERATIONS if name not in without)
    found = tuple(map(policies.find, names.split(",")))
    return explore(Request(found, machine_of({}), Limits(ops, processes), SearchBounds()))


@pytest.mark.parametrize("case", CASES)
def test_exploring(benchmark: BenchmarkFixture, case: str) -> None:
    """How long until it is proved that there is nothing else?"""
    found = benchmark.pedantic(explored, CASES[case], rounds=1)  # type: ignore[no-untyped-call]
    assert found.complete
    benchmark.extra_info["states"] = found.states


def test_the_final_version_breaks_no_promise_in_two_processes() -> None:
    """Is it proved by enumeration, but for MADV_FREE, which loses data after a fork?"""
    warnings = {"spurious_soft_dirty"}
    without = explored("final", 2, (*LOCKS, "free"))
    assert without.complete
    assert {each.kind for each in without.differences} <= warnings
    with_free = explored("final", 2, LOCKS)
    assert "lost_write" in {each.kind for each in with_free.differences}
