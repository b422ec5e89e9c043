"""Does a replay touch the pages that an access step names, in its order?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.replay.engine import replay
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import (
    ClearRefsStep,
    MunmapStep,
    Scenario,
)
from tests.replay.building import (
    PAGE,
    TiB,
    access,
    memset,
    mmap,
    pageout,
    scenario,
)

FINAL = policies.find("final")


def counted(of: Scenario, step: int = -1) -> dict[str, int]:
    """The counters of a step (the last)."""
    steps = replay(of, FINAL, steps=True).steps
    assert steps is not None
    return dict(steps[step].counters)


def test_a_forbidden_access_ends_its_step_alone() -> None:
    """Is one SIGSEGV counted, and does the replay go on?"""
    steps = (mmap(4 * PAGE, prot="r"), access("write", 4 * PAGE), access("read", 4 * PAGE))
    assert counted(scenario(*steps), step=1) == {"sigsegv": 1}
    assert counted(scenario(*steps)) == {"minflt": 4, "zero_page": 4}


@pytest.mark.parametrize(
    ("order", "expected"), [("forward", "2PX,1-,1S"), ("backward", "2S,1-,1PX")]
)
def test_order_decides_what_is_touched_before_a_forbidden_access(order: str, expected: str) -> None:
    """Does a step go as far as the hole, from the side that it starts on?"""
    hole = MunmapStep(line=2, region="r", span=ByteRange(2 * PAGE, PAGE))
    steps = (
        *(mmap(4 * PAGE), memset(4 * PAGE), hole, ClearRefsStep(line=3)),
        *(pageout(4 * PAGE, errno="ENOMEM"), access("read", 4 * PAGE, order=order)),
    )
    pages = replay(scenario(*steps), FINAL, pages=True).pages
    assert pages is not None
    assert pages["main"]["r"] == expected


def test_a_stride_below_a_page_takes_no_new_fault_on_the_same_page() -> None:
    """Is a page that is touched again counted once?"""
    steps = (mmap(2 * PAGE), access("write", 2 * PAGE, stride=64))
    assert counted(scenario(*steps))["minflt"] == 2


def test_a_stride_above_a_page_skips_pages() -> None:
    """Are only the pages faulted in that the stride meets, also where it is no multiple?"""
    skipping = scenario(mmap(8 * PAGE), access("write", 8 * PAGE, stride=3 * PAGE))
    assert counted(skipping)["minflt"] == 3
    uneven = scenario(mmap(8 * PAGE), access("write", 8 * PAGE, stride=6144))
    pages = replay(uneven, FINAL, pages=True).pages
    assert pages == {"main": {"r": "2PDX,1D,2PDX,1D,2PDX"}}


@pytest.mark.parametrize("stride", [2 * PAGE, 6144])
def test_a_walk_that_memory_could_not_list_is_refused(stride: int) -> None:
    """Is every second page of a terabyte an error that says so, and no crash?"""
    sparse = scenario(mmap(TiB), access("write", TiB, stride=stride))
    with pytest.raises(SwaptraceError, match=r"\d+ pages would have to be listed one by one"):
        replay(sparse, FINAL)


def test_a_random_order_that_does_not_matter_needs_no_list() -> None:
    """Does a terabyte in random order cost nothing where pages do not depend on each other?"""
    shuffled = scenario(mmap(TiB), access("write", TiB, order="random"))
    assert counted(shuffled)["minflt"] == TiB // PAGE
