"""Does a replay count, measure, repeat and refuse as the format says?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from swaptrace import policies
from swaptrace.advice import Advice
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.table import Table
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.schema import (
    ClearRefsStep,
    ExitStep,
    ForkStep,
    MeasureStep,
    MlockStep,
    MprotectStep,
    MunmapStep,
    Prot,
    RepeatStep,
    Scenario,
    Step,
)
from swaptrace.scenario.uffd import UffdWriteprotectStep
from tests.replay.building import (
    PAGE,
    MiB,
    TiB,
    access,
    advise,
    memset,
    microbenchmark,
    mmap,
    pageout,
    scenario,
)
from tests.replay.naive import naive_replay

FINAL = policies.find("final")
PREPATCH = policies.find("prepatch")
BIG = Swap(size=4 * TiB)


def counted(result_of: Scenario, policy: str = "final", step: int = -1) -> dict[str, int]:
    """The counters of one step (the last)."""
    result = replay(result_of, policies.find(policy), steps=True)
    assert result.steps is not None
    return dict(result.steps[step].counters)


def evaluations(of: Scenario, policy: str = "final") -> int:
    """How often the transition function ran."""
    table = Table(policies.find(policy))
    replay(of, table)
    return table.evaluations


@pytest.mark.parametrize(
    ("policy", "minflt"),
    [("prepatch", 512), ("rfc", 0), ("rework", 0), ("suggested", 0), ("simple", 0), ("final", 0)],
)
def test_microbenchmark_counts_what_the_discussion_reports(policy: str, minflt: int) -> None:
    """512/512 without the patch, 0/512 with it?"""
    counters = counted(scenario(*microbenchmark(2 * MiB)), policy)
    assert counters.get("minflt", 0) == minflt
    assert counters["majflt"] == 512


@pytest.mark.parametrize("policy", policies.SERIES)
def test_a_terabyte_takes_no_more_evaluations_than_a_megabyte(policy: str) -> None:
    """Does a step cost what it meets in distinct columns, however many pages there are?"""
    small = scenario(*microbenchmark(2 * MiB), swap=BIG)
    large = scenario(*microbenchmark(TiB), swap=BIG)
    assert evaluations(small, policy) == evaluations(large, policy)
    assert counted(large, policy)["majflt"] == TiB // PAGE


@pytest.mark.parametrize("policy", policies.SERIES)
def test_a_billion_repetitions_take_no_more_evaluations_than_ten(policy: str) -> None:
    """Is the rest multiplied once an iteration leaves the state that it found?"""

    def repeated(count: int) -> Scenario:
        loop = RepeatStep(
            line=5, count=count, steps=(pageout(2 * MiB), access("read_write", 2 * MiB))
        )
        return scenario(mmap(2 * MiB), memset(2 * MiB), loop)

    assert evaluations(repeated(10), policy) == evaluations(repeated(10**9), policy)
    ten = replay(repeated(10), policies.find(policy)).total
    billion = replay(repeated(10**9), policies.find(policy)).total
    assert billion["majflt"] == ten["majflt"] * 10**8


@pytest.mark.parametrize("count", [2, 3, 4, 7, 50, 51])
def test_a_cycle_of_two_iterations_is_multiplied_and_its_rest_replayed(count: int) -> None:
    """Do counts and final state hold where only every second iteration is alike?

    With windows of two pages, read-ahead over three takes turns between two patterns.
    """
    zswap = Swap(backend="zswap", page_cluster=1)
    loop = RepeatStep(line=5, count=count, steps=(pageout(3 * PAGE), access("read", 3 * PAGE)))
    of = scenario(mmap(3 * PAGE), memset(3 * PAGE), loop, access("read", PAGE), swap=zswap)
    fast, slow = replay(of, FINAL, steps=True, pages=True), naive_replay(of, FINAL)
    assert fast.total == slow.total
    assert fast.pages == slow.pages
    assert fast.steps is not None
    assert sum(step.times for step in fast.steps) == 2 * count + 3
    assert len(fast.steps) <= 17


def test_folded_repetitions_say_which_and_how_many_they_stand_for() -> None:
    """Does a billion repetitions list a handful of steps, with their number?"""
    loop = RepeatStep(line=5, count=10**9, steps=(pageout(PAGE), access("read", PAGE)))
    result = replay(scenario(mmap(PAGE), memset(PAGE), loop), FINAL, steps=True)
    assert result.steps is not None
    last = result.steps[-1]
    assert last.step.endswith("-999999999].1")
    assert sum(step.times for step in result.steps) == 2 + 2 * 10**9
    assert result.total["majflt"] == 10**9


def test_windows_add_up_under_their_label_and_count_nothing_else() -> None:
    """Do two windows of one label add up, and steps outside stay out?"""
    window = MeasureStep(line=4, label="w", steps=(access("read", 2 * PAGE),))
    steps = (mmap(4 * PAGE), memset(4 * PAGE), pageout(4 * PAGE), window, pageout(4 * PAGE))
    result = replay(scenario(*steps, window), FINAL)
    assert result.windows == {"w": {"majflt": 4, "pswpin": 4}}
    assert result.total["minflt"] == 4


def test_a_window_within_a_repeat_counts_every_iteration() -> None:
    """Is a window multiplied with the iterations that it is in?"""
    window = MeasureStep(line=4, label="w", steps=(access("read", PAGE),))
    loop = RepeatStep(line=3, count=1000, steps=(pageout(PAGE), window))
    result = replay(scenario(mmap(PAGE), memset(PAGE), loop), FINAL)
    assert result.windows["w"]["majflt"] == 1000


def test_an_unexpected_errno_is_an_error_that_names_it() -> None:
    """Must a step say which errno its system call gives, and no other?"""
    lock = MlockStep(line=3, region="r", span=ByteRange(0, PAGE))
    steps = (mmap(PAGE), lock, pageout(PAGE))
    with pytest.raises(ScenarioError, match=r"MADV_PAGEOUT fails with EINVAL here"):
        replay(scenario(*steps), FINAL)
    with pytest.raises(ScenarioError, match=r"fails with EINVAL here, not with ENOMEM"):
        replay(scenario(mmap(PAGE), lock, pageout(PAGE, errno="ENOMEM")), FINAL)
    with pytest.raises(ScenarioError, match=r"succeeds here; leave `errno: EINVAL` out"):
        replay(scenario(mmap(PAGE), pageout(PAGE, errno="EINVAL")), FINAL)
    replay(scenario(mmap(PAGE), lock, pageout(PAGE, errno="EINVAL")), FINAL)


def test_a_call_over_a_hole_does_what_lies_before_or_around_it() -> None:
    """Has a refused system call the partial effect that it has on the kernel?"""
    hole = MunmapStep(line=2, region="r", span=ByteRange(PAGE, PAGE))
    start = (mmap(4 * PAGE), memset(4 * PAGE), hole)
    around = scenario(*start, pageout(4 * PAGE, errno="ENOMEM"))
    assert replay(around, FINAL, pages=True).pages == {"main": {"r": "1SD,1-,2SD"}}
    protect = MprotectStep(
        line=3, region="r", prot="r", span=ByteRange(0, 4 * PAGE), errno="ENOMEM"
    )
    before = scenario(*start, protect, access("write", PAGE, offset=2 * PAGE))
    assert counted(before) == {}
    assert counted(scenario(*start, protect, access("write", PAGE))) == {"sigsegv": 1}


def test_swap_that_fills_up_leaves_pages_in_memory() -> None:
    """Is the device's size honoured, to the slot?"""
    steps = (mmap(8 * PAGE), memset(8 * PAGE), pageout(8 * PAGE))
    pages = replay(scenario(*steps, size=5 * PAGE), FINAL, pages=True).pages
    assert pages == {"main": {"r": "5SD,3PDX"}}


def test_a_name_may_be_mapped_again_after_munmap() -> None:
    """Does a region that was unmapped give its name to a fresh one, in this process alone?"""
    gone = MunmapStep(line=3, process="child", region="r", span=ByteRange(0, PAGE))
    steps = (
        *(mmap(PAGE), memset(PAGE), ForkStep(line=2, child="child"), gone),
        *(mmap(2 * PAGE, process="child"), access("read", PAGE)),
    )
    pages = replay(scenario(*steps), FINAL, pages=True).pages
    assert pages == {"main": {"r": "1PDX"}, "child": {"r": "2D"}}


def test_a_process_that_exited_is_gone_from_the_page_maps() -> None:
    """Do page maps show who lives?"""
    steps = (
        mmap(PAGE),
        memset(PAGE),
        ForkStep(line=2, child="child"),
        ExitStep(line=3, process="main"),
    )
    pages = replay(scenario(*steps), FINAL, pages=True).pages
    assert pages == {"child": {"r": "1PDX"}}


def test_a_machine_without_soft_dirty_shows_none_and_tracks_nothing() -> None:
    """Is CONFIG_MEM_SOFT_DIRTY=n the end of bit 55 and of the faults it costs?"""
    steps = (
        *(mmap(PAGE), memset(PAGE), pageout(PAGE), ClearRefsStep(line=4)),
        *(access("read", PAGE), access("write", PAGE)),
    )
    with_it = replay(scenario(*steps), FINAL, pages=True)
    without = replay(scenario(*steps, soft_dirty=False), FINAL, pages=True)
    assert with_it.total["minflt"] == 2
    assert without.total["minflt"] == 1
    assert without.pages == {"main": {"r": "1PX"}}


def test_violations_name_step_process_region_and_pages() -> None:
    """Does a lost soft-dirty write say where it shows, once, with the number of pages?"""
    steps = (
        *(mmap(8 * PAGE), memset(8 * PAGE), pageout(8 * PAGE), ClearRefsStep(line=4)),
        *(access("read", 8 * PAGE), access("write", 4 * PAGE, offset=2 * PAGE)),
    )
    (violation,) = replay(scenario(*steps), policies.find("simple")).violations
    assert (violation.kind, violation.step, violation.line) == ("lost_soft_dirty", "5", 4)
    assert (violation.process, violation.region) == ("main", "r")
    assert (violation.page, violation.pages) == (2, 4)


LOCK = MlockStep(line=3, region="r", span=ByteRange(0, 7 * PAGE))
PROTECT = UffdWriteprotectStep(line=4, region="r", span=ByteRange(0, 7 * PAGE))


def protect(prot: Prot) -> MprotectStep:
    return MprotectStep(line=5, region="r", prot=prot, span=ByteRange(0, 7 * PAGE))


@pytest.mark.parametrize(
    ("steps", "pages"),
    [
        ((mmap(7 * PAGE), LOCK, protect("r"), PROTECT, protect("rw")), "7PDXU"),
        ((mmap(7 * PAGE, prot="r"), LOCK, PROTECT, protect("rw")), "7PDU"),
    ],
)
def test_making_a_locked_range_writable_raises_no_event(
    steps: tuple[Step, ...], pages: str
) -> None:
    """Does populating give up at a protected page, as it does on a kernel (seen on 6.18)?"""
    result = replay(scenario(*steps), FINAL, steps=True, pages=True)
    assert result.steps is not None
    assert result.steps[-1].counters == {}
    assert result.pages == {"main": {"r": pages}}


def test_a_page_that_waits_in_a_batch_is_not_taken_for_the_only_reference() -> None:
    """Does a read fault without read-ahead leave the next write its fault, as on zswap with a
    page-cluster of 0 and more than half of the slots in use (seen on 6.18)?"""
    size = 45 * PAGE
    steps = (
        *(mmap(size), memset(size), pageout(size), ForkStep(line=2, child="child")),
        *(ExitStep(line=3, process="child"), access("read", size), access("write", size)),
    )
    tight = {"backend": "zswap", "size": 63 * PAGE}
    alone = scenario(*steps, swap=Swap(**tight, page_cluster=0))  # type: ignore[arg-type]
    assert counted(alone)["minflt"] == 45
    drained = scenario(*steps, swap=Swap(**tight, page_cluster=3))  # type: ignore[arg-type]
    assert counted(drained).get("minflt", 0) < 45


def test_populating_for_write_dirties_the_folio_behind_a_clean_writable_pte() -> None:
    """Is a page written to swap again that was only read, then populated for writing? No fault is
    taken, but follow_page_pte() marks the folio dirty (FOLL_TOUCH with FOLL_WRITE)."""
    size = 8 * PAGE
    read_back = (mmap(size), memset(size), pageout(size), access("read", size))
    disk = Swap(backend="disk")
    touched = (*read_back, advise(Advice.POPULATE_WRITE, size), pageout(size))
    assert counted(scenario(*touched, swap=disk), step=4) == {}
    assert counted(scenario(*touched, swap=disk)) == {"pswpout": 8, "rewrites": 8}
    assert counted(scenario(*read_back, pageout(size), swap=disk)) == {}


def test_madv_free_does_not_discard_what_another_process_has_locked() -> None:
    """Is a page kept that is unevictable at the time of the advice (seen on 6.18)?"""
    size = 16 * PAGE
    lock = MlockStep(line=2, region="r", span=ByteRange(0, size))
    steps = (
        *(mmap(size), lock, ForkStep(line=3, child="child")),
        *(advise(Advice.FREE, size, process="child"), lock, pageout(size, process="child")),
    )
    pages = replay(scenario(*steps), FINAL, pages=True).pages
    assert pages is not None
    assert pages["child"] == {"r": "16SD"}


def test_zswap_keeps_its_copy_on_6_1_and_erases_it_later() -> None:
    """Is a page that was only read compressed again only where the load took the copy away?"""
    size = 8 * PAGE
    steps = (mmap(size), memset(size), pageout(size), access("read", size), pageout(size))
    zswap = Swap(backend="zswap")
    assert counted(scenario(*steps, swap=zswap, kernel="6.1")) == {}
    assert counted(scenario(*steps, swap=zswap)) == {"zswpout": 8}


def test_uffd_write_protection_of_two_vmas_is_refused_before_6_4() -> None:
    """Does 6.1 return ENOENT for a range that an mprotect has split, and protect nothing?"""
    half = MprotectStep(line=3, region="r", prot="r", span=ByteRange(PAGE, PAGE))
    both = UffdWriteprotectStep(line=4, region="r", span=ByteRange(0, 2 * PAGE))
    start = (mmap(2 * PAGE), memset(2 * PAGE), half)
    old = scenario(*start, replace(both, errno="ENOENT"), kernel="6.1")
    assert replay(old, FINAL, pages=True).pages == {"main": {"r": "2PDX"}}
    assert replay(scenario(*start, both), FINAL, pages=True).pages == {"main": {"r": "2PDXU"}}


@pytest.mark.parametrize(("kernel", "counter"), [("6.1", "minflt"), ("6.12", "majflt")])
def test_populating_a_protected_page_counts_its_retry_as_the_version_does(
    kernel: str, counter: str
) -> None:
    """Does the retry carry FAULT_FLAG_TRIED, and so count as major, from 6.9 on only?"""
    size = 4 * PAGE
    steps = (
        *(
            mmap(size),
            memset(size),
            UffdWriteprotectStep(line=3, region="r", span=ByteRange(0, size)),
        ),
        advise(Advice.POPULATE_WRITE, size),
    )
    counters = counted(scenario(*steps, kernel=kernel, write_upgrade=False))
    assert counters == {counter: 4, "uffd_wp": 4, "wp_reuse": 4}


def test_a_block_in_which_swap_stops_being_half_full_is_not_taken_for_another() -> None:
    """Is a pass that crosses the threshold forgotten when the like comes without crossing it?"""
    size = 512 * PAGE
    both = [(memset(size, region=r), pageout(size, region=r)) for r in "abcd"]
    steps: tuple[Step, ...] = (
        *(mmap(size, region=r) for r in "abcd"),
        *(*both[0], *both[1], access("read", size, region="b")),
        *(MunmapStep(line=5, region="b", span=ByteRange(0, size)), *both[2], *both[3]),
        *(access("read", size, region="d"), pageout(size, region="d")),
    )
    of = scenario(*steps, kernel="6.10", swap=Swap(backend="zswap", size=1800 * PAGE))
    fast, slow = replay(of, PREPATCH, steps=True, pages=True), naive_replay(of, PREPATCH)
    assert fast.steps == slow.steps
    assert fast.pages == slow.pages
    access_b = Replay(of, PREPATCH)
    access_b.steps(steps[:9], "", None, access_b.record)
    assert access_b.world.device.used == 900, "the pass over b crosses the threshold"
    access_b.steps(steps[9:15], "", None, access_b.record)
    assert access_b.world.device.used == 1024, "the pass over d stays above it"


def test_populate_stops_at_a_hole_as_the_kernel_version_does() -> None:
    """Does MADV_POPULATE_WRITE pass over a hole before 6.9 and stop at it from then on?"""
    hole = MunmapStep(line=2, region="r", span=ByteRange(PAGE, PAGE))
    fill = advise(Advice.POPULATE_WRITE, 3 * PAGE, errno="ENOMEM")
    old = replay(scenario(mmap(3 * PAGE), hole, fill, kernel="6.1"), FINAL, pages=True)
    new = replay(scenario(mmap(3 * PAGE), hole, fill), FINAL, pages=True)
    assert old.pages == {"main": {"r": "1PDX,1-,1PDX"}}
    assert new.pages == {"main": {"r": "1PDX,1-,1D"}}
