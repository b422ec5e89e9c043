"""Which scenarios with a memory limit can be compared with a kernel, and with which model?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swaptrace import policies
from swaptrace.reclaim import memory
from swaptrace.replay.pages.arena import Arena
from swaptrace.replay.table import Table
from swaptrace.result.verdict import Status
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.compare import NEVER, Beside, verify_one
from swaptrace.verify.fitting import check_runnable, machine_for
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.observed import Observed
from tests.verify.programs import FACTS, LIMITED, shown

MAPS = "- {mmap: buf, size: 64KiB}\n- {write: buf}\n"

TIMED = """\
machine: {memory: 1MiB, reclaim: mglru, swap: {backend: zram, page_cluster: 3}}
steps:
- {mmap: buf, size: 2MiB}
- {write: buf}
- {access: buf, pattern: zipf, count: 2400, write_share: 0.3}
"""
"""What may depend on when the process is switched to again."""


def limited(machine: str = "", steps: str = "") -> Scenario:
    return load_text(f"machine: {{memory: 64KiB{machine}}}\nsteps:\n{MAPS}{steps}", "s.yaml")


@pytest.mark.parametrize(
    ("machine", "steps", "reason"),
    [
        (", reclaim: lru", "", "it wants reclaim: lru, which no kernel has"),
        (", swap: disk", "", "with swap on disk depend on time; only zram is compared"),
        (", swap: zswap", "", "with swap on zswap depend on time"),
        ("", "- {fork: child}\n", "line 5: fork changes what the kernel itself needs"),
        ("", "- {munmap: buf}\n", "line 5: munmap changes what the kernel itself needs"),
        ("", "- {mmap: late, size: 4KiB}\n", "line 5: mmap changes what the kernel itself needs"),
    ],
)
def test_what_no_program_can_do_under_a_limit_is_told(
    machine: str, steps: str, reason: str
) -> None:
    with pytest.raises(Unfit) as caught:
        check_runnable(limited(machine, steps))
    assert reason in str(caught.value)


def test_without_a_limit_all_of_it_can_be_run() -> None:
    """Is a fork or a later mmap only refused where it costs memory of the limit?"""
    steps = f"steps:\n{MAPS}- {{mmap: late, size: 4KiB}}\n- {{fork: child}}\n- {{munmap: late}}\n"
    check_runnable(load_text(steps))


@pytest.mark.parametrize(
    ("reclaim", "facts", "reason"),
    [
        ("classic", {"lru_gen": 7}, "it wants reclaim: classic, and this kernel runs mglru"),
        ("mglru", {"lru_gen": 0}, "it wants reclaim: mglru, and this kernel runs classic"),
        ("mglru", {"lru_gen": 1}, "LRU, 0x0007, and this kernel has 0x0001 on"),
        ("mglru", {"lru_gen": 7, "kernel": "6.18.1"}, "mglru is modelled as in Linux 6.12"),
        ("classic", {"kernel": "6.1.176"}, "how Linux 6.1.176 reclaims is not modelled"),
        ("classic", {"kernel": "7.3.4"}, "how Linux 7.3.4 reclaims is not modelled; from 6.12"),
        ("classic", {"swappiness": 100}, "the model has vm.swappiness 60, this kernel 100"),
    ],
)
def test_a_kernel_that_reclaims_in_another_way_is_skipped(
    reclaim: str, facts: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unfit) as caught:
        machine_for(limited(f", reclaim: {reclaim}"), replace(FACTS, **facts))
    assert reason in str(caught.value)


def test_how_a_kernel_reclaims_is_of_no_concern_without_a_limit() -> None:
    there = machine_for(load_text(f"steps:\n{MAPS}"), replace(FACTS, lru_gen=7, swappiness=1))
    assert there.kernel == "6.12"


def judged(of: Scenario, observed: Observed) -> tuple[Status, str | None]:
    verdict = verify_one(of, Table(policies.find("merged")), observed)
    return verdict.status, verdict.reason


def wrong(observed: Observed) -> Observed:
    """One page more was reclaimed in the last step."""
    *steps, last = observed.steps
    counters = {**last.counters, "pgsteal": last.counters["pgsteal"] + 1}
    return replace(observed, steps=(*steps, replace(last, counters=counters)))


def test_counters_of_reclaim_are_compared() -> None:
    """Does a kernel that agrees agree, and one that frees a page more differ?"""
    of = load_text(LIMITED, "limited.yaml")
    observed = shown(of, facts=FACTS)
    assert judged(of, observed) == (Status.AGREES, None)
    assert judged(of, wrong(observed)) == (Status.DIFFERS, None)


def test_nothing_switches_to_a_process_that_reclaims() -> None:
    """Under mglru: is the model that of a program that has its CPU for itself?"""
    of = load_text(TIMED, "mglru.yaml")
    arena = Beside(of, Table(policies.find("merged"))).world.arena
    assert isinstance(arena, Arena)
    assert arena.v[memory.SWITCHED] == NEVER
    observed = shown(of, facts=replace(FACTS, lru_gen=7))
    assert judged(of, observed) == (Status.AGREES, None)
    assert judged(of, wrong(observed)) == (Status.DIFFERS, None)
