"""Does a limit on swap leave in memory what does not fit, and is half of it full?

Linux 6.18.15 and 7.3.4 agree with what is counted here of 3, 4 and 16 pages, and with the page
maps, on a disk and on zram, where the program runs in a cgroup with a memory.swap.max of 32 KiB;
6.18.15 also with 40 random scenarios under such limits (`swaptrace verify --random`). Under a
memory limit as well 6.18.15 agrees with eleven random scenarios, swap being full in some, and
7.2.12 with four.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import check_runnable, machine_for
from swaptrace.verify.limiting import Unfit
from tests.effort import examples
from tests.replay.strategies import PAGE, scenarios
from tests.replay.test_limit import agree_by_lists, tight
from tests.replay.test_naive import agree
from tests.verify.programs import FACTS

LIMITED = """\
machine: {kernel: 6.18, swap_max: 32KiB, swap: {backend: disk, page_cluster: 0}}
steps:
- {mmap: buf, size: 64KiB}
- {write: buf, length: WRITTEN}
- {madvise: buf, advice: MADV_PAGEOUT}
- {madvise: buf, advice: MADV_PAGEOUT}
- {read: buf, length: WRITTEN}
"""


def of_final(written: str) -> PolicyResult:
    """What the policy `final` gives where so much was written."""
    scenario = load_text(LIMITED.replace("WRITTEN", written), "limited")
    return replay(scenario, policies.find("final"), pages=True)


def test_no_more_slots_are_in_use_than_the_limit_allows() -> None:
    """Do only 8 of 16 pages go to swap?"""
    assert of_final("64KiB").total["pswpout"] == 8


@pytest.mark.parametrize(("written", "swapped_again"), [("12KiB", 3), ("16KiB", 4)])
def test_half_of_the_limit_is_full(written: str, swapped_again: int) -> None:
    """Does a fault give the slot back from half of the limit on (usage * 2 >= max)?"""
    scenario = load_text(
        LIMITED.replace("WRITTEN", written)
        + "- {madvise: buf, advice: MADV_PAGEOUT}\n- {madvise: buf, advice: MADV_PAGEOUT}\n",
        "limited",
    )
    free = replace(scenario, machine=replace(scenario.machine, swap_max=None))
    found = [replay(each, policies.find("final")).total["pswpout"] for each in (scenario, free)]
    assert found[1] == swapped_again
    assert (found[0] > found[1]) == (written == "16KiB")


@settings(max_examples=examples(30))
@given(
    scenarios(),
    st.sampled_from(policies.SERIES),
    st.sampled_from(["6.16", "6.18", "7.2", "7.3"]),
    st.integers(1, 40),
)
def test_both_replays_agree_under_a_limit_on_swap(
    scenario: Scenario, policy: str, kernel: str, slots: int
) -> None:
    """Does the replay by runs count what the one page by page does?"""
    swap = replace(scenario.machine.swap, size=PAGE << 20, backend="disk")
    machine = replace(scenario.machine, kernel=kernel, swap=swap, swap_max=slots * PAGE)
    agree(replace(scenario, machine=machine), policy)


@settings(max_examples=examples(40))
@given(
    tight(),
    st.sampled_from(policies.SERIES),
    st.sampled_from(["6.16", "6.18", "7.2", "7.3"]),
    st.integers(3, 60),
)
def test_both_replays_agree_under_limits_on_memory_and_swap(
    scenario: Scenario, policy: str, kernel: str, slots: int
) -> None:
    """Do arrays reclaim what lists of objects do, where half of the slots or all are in use?"""
    machine = replace(scenario.machine, kernel=kernel, swap_max=slots * PAGE)
    if machine.reclaim == "mglru":
        machine = replace(machine, reclaim="classic")
    swap = replace(machine.swap, size=PAGE << 20)
    agree_by_lists(replace(scenario, machine=replace(machine, swap=swap)), policy)


def test_reclaim_leaves_in_memory_what_swap_has_no_room_for() -> None:
    """Is the cgroup killed once both are full, and not before?"""
    said = {"machine.kernel": "6.18", "machine.memory": "64KiB", "machine.swap_max": "32KiB"}
    steps = "[{mmap: buf, size: 128KiB}, {write: buf, length: LENGTH}]"

    def after(length: str) -> PolicyResult:
        scenario = load_text(f"steps: {steps.replace('LENGTH', length)}", "limited", said)
        return replay(scenario, policies.find("final"))

    assert after("96KiB").total["pswpout"] == 8
    with pytest.raises(ScenarioError, match=r"give machine\.memory more or machine\.swap_max"):
        after("100KiB")


def test_a_slot_is_in_use_until_its_folio_is_back() -> None:
    """Does a refault, as long as it has the last slot, leave active pages out of the working set?

    Linux 6.18.15 counts the same.
    """
    text = (
        "machine: {kernel: '6.18', memory: 304KiB, swap_max: 216KiB, stat_flush: 1, lru_drain: 1}\n"
        "steps:\n- {mmap: a, size: 512KiB}\n- {write: a}\n"
        "- {write: a, offset: 132KiB, length: 344KiB, order: random, seed: 3}\n"
    )
    *_, last = replay(load_text(text, "limited"), policies.find("merged"), steps=True).steps or ()
    expected = {"majflt": 29, "pgscan": 104, "pgdeactivate": 46, "workingset_activate": 2}
    assert expected.items() <= last.counters.items()


def test_programs_limit_swap() -> None:
    """Does one write memory.swap.max before its processes run in the cgroup, and is the document
    the same scenario; is an older kernel not compared?"""
    scenario = load_text(LIMITED.replace("WRITTEN", "4KiB"), "limited")
    assert load_text(to_yaml(scenario), "limited").machine == scenario.machine
    check_runnable(scenario)
    program = emit_c(scenario)
    assert "#define SWAP_LIMIT (32 * KiB)" in program
    assert "Its swap limit is 32KiB, for which it takes an empty memory cgroup" in program
    both = replace(scenario, machine=replace(scenario.machine, memory=64 << 10))
    assert "Its memory limit is 64KiB and swap limit is 32KiB, for which" in emit_c(both)
    with pytest.raises(Unfit, match=r"swap_max is modelled from Linux 6\.15 on, not in 6\.12"):
        machine_for(scenario, replace(FACTS, page_cluster=0))
