"""Are shared memory and files faulted, swapped and given up as on a kernel?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.features import Feature, has_model
from swaptrace.replay.engine import replay
from swaptrace.replay.syscalls import OF_ANONYMOUS
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.remote import MigrateStep
from swaptrace.scenario.schema import (
    AccessPatternStep,
    MadviseStep,
    RepeatStep,
    Scenario,
    Step,
)
from swaptrace.scenario.uffd import (
    UffdCopyStep,
    UffdRegisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)
from tests.effort import examples
from tests.replay.naive import naive_replay
from tests.replay.strategies import scenarios
from tests.replay.test_naive import agree

SHARED = "- {mmap: a, size: 128KiB, shared: true}\n"
FILE = "- {mmap: a, size: 128KiB, file: f}\n"


def ran(steps: str, machine: str = "kernel: 6.18") -> PolicyResult:
    """What steps come to under both replays; all checks hold, and no promise is broken."""
    text = f"machine: {{{machine}}}\nsteps:\n{steps}"
    found = replay(load_text(text), policies.find("merged"), pages=True, steps=True)
    slow = naive_replay(load_text(text), policies.find("merged"))
    assert (found.total, found.pages) == (slow.total, slow.pages)
    assert [check for check in found.checks if not check.ok] == []
    assert found.violations == slow.violations == ()
    return found


def counted(result: PolicyResult) -> list[Mapping[str, int]]:
    """What the last step counts, and those before, the last first."""
    return [step.counters for step in reversed(result.steps or ())]


def test_a_child_sees_what_its_parent_writes() -> None:
    """Is a byte that either writes read by both, and mapped twice?"""
    result = ran(
        SHARED + "- {memset: a, value: 1}\n- fork: c\n- check: {pages: {a: 32PX}}\n"
        "- {memset: a, value: 2, process: c}\n- {read: a}\n"
        "- check: {data: {a: 0x02}, pages: {a: 32P}}\n"
    )
    assert "wp_copy" not in result.total


def test_a_read_maps_what_the_page_cache_has_around_it() -> None:
    """Is one fault enough for 16 aligned pages, and are holes left alone?"""
    result = ran(
        SHARED + "- {write: a, stride: 8KiB}\n- {madvise: a, advice: DONTNEED}\n"
        "- {read: a, offset: 8KiB, length: 4KiB}\n"
    )
    assert counted(result)[0] == {"minflt": 1, "fault_around": 7}
    assert result.pages == {"main": {"a": "1PDX,1D," * 7 + "1PDX,17D"}}


def test_the_window_begins_with_the_vma_and_ends_with_it() -> None:
    """Does a VMA that starts off an aligned page have its window from there on?"""
    result = ran(
        "- {mmap: a, size: 128KiB, shared: true, at: 0x10003000}\n- {memset: a, value: 1}\n"
        "- {madvise: a, advice: DONTNEED}\n- {read: a, length: 4KiB}\n"
    )
    assert result.pages == {"main": {"a": "16PDX,16D"}}


def test_a_read_leaves_shared_memory_writable() -> None:
    """Does a write after it take no fault, unless soft-dirty bits are watched?"""
    result = ran(SHARED + "- {read: a}\n- {write: a}\n- {madvise: a, advice: DONTNEED}\n"
                 "- {clear_refs: soft_dirty}\n- {read: a}\n- {write: a}\n")  # fmt: skip
    assert counted(result)[4] == {}
    assert counted(result)[0] == {"minflt": 32, "wp_reuse": 32}


def test_it_is_swapped_by_the_page_cache() -> None:
    """Is what only one process maps written, and found by both in the object's entry?"""
    result = ran(
        SHARED + "- {memset: a, value: 3}\n- fork: c\n- {madvise: a, advice: PAGEOUT}\n"
        "- check: {pages: {a: 32-}}\n- {read: a, process: c}\n- {read: a}\n"
        "- check: {data: {a: 0x03}}\n"
    )
    assert (result.total["pswpout"], result.total["pswpin"], result.total["majflt"]) == (32,) * 3
    assert counted(result)[1] == {"minflt": 2, "fault_around": 30}


def test_what_was_never_written_is_dropped() -> None:
    """Are clean pages of zeroes no write to swap?"""
    result = ran(SHARED + "- {read: a}\n- {madvise: a, advice: PAGEOUT}\n- {read: a}\n")
    assert result.total == {"minflt": 64}


def test_dontneed_loses_nothing_and_remove_all() -> None:
    """Are data there after the one, and zeroes after the other, for a child as well?"""
    ran(
        SHARED + "- {memset: a, value: 3}\n- fork: c\n- {madvise: a, advice: DONTNEED}\n"
        "- {read: a}\n- check: {data: {a: 0x03}}\n- {madvise: a, advice: REMOVE, length: 64KiB}\n"
        "- {read: a, process: c}\n- check: {data: {a: '16:zero,16:0x03'}}\n"
        "- {mprotect: a, prot: r}\n- {madvise: a, advice: REMOVE}\n"
    )


@pytest.mark.parametrize(
    ("mapped", "advice", "errno"),
    [
        (SHARED, "FREE", "EINVAL"),
        (SHARED, "WIPEONFORK", "EINVAL"),
        (FILE, "FREE", "EINVAL"),
        (FILE, "REMOVE", "EACCES"),
        ("- {mmap: a, size: 4KiB}\n", "REMOVE", "EINVAL"),
    ],
)
def test_advice_is_refused(mapped: str, advice: str, errno: str) -> None:
    ran(f"{mapped}- {{madvise: a, advice: {advice}, errno: {errno}}}\n")


def test_a_private_file_is_copied_on_write() -> None:
    """Does a first write copy at once, one after a read by do_wp_page(), and is the copy
    anonymous?"""
    result = ran(
        FILE + "- {read: a, length: 64KiB}\n- {write: a, value: 5}\n"
        "- {madvise: a, advice: PAGEOUT}\n- check: {pages: {a: 32S}}\n- {read: a}\n"
        "- {madvise: a, advice: DONTNEED}\n- {read: a}\n- check: {data: {a: zero}}\n"
    )
    assert (result.total["cow_fault"], result.total["wp_copy"]) == (16, 16)
    assert counted(result)[1] == {"minflt": 2, "fault_around": 30}


def test_mlock_reads_shared_memory_and_writes_a_private_file() -> None:
    """Does the kernel fault in for writing only what is private?"""
    assert counted(ran(SHARED + "- mlock: a\n"))[0] == {"minflt": 32}
    assert ran(FILE + "- mlock: a\n").total["cow_fault"] == 32


def test_slots_are_free_once_nobody_maps_the_object() -> None:
    """Has a device of 64 pages room for as many again, once both halves are unmapped?"""
    steps = (
        SHARED + "- {memset: a, value: 1}\n- {madvise: a, advice: PAGEOUT}\n"
        "- {munmap: a, length: 64KiB}\n- munmap: a\n- {mmap: b, size: 256KiB}\n"
        "- {memset: b, value: 1}\n- {madvise: b, advice: PAGEOUT}\n"
    )
    found = replay(
        load_text(f"machine: {{kernel: 6.10, swap: {{size: 256KiB}}}}\nsteps:\n{steps}"),
        policies.find("merged"),
    )
    assert found.total["pswpout"] == 96


def test_shared_memory_reads_ahead_by_slots_before_6_14() -> None:
    """Is that said rather than left out, and is one page at a time modelled?"""
    steps = SHARED + "- {memset: a, value: 3}\n- {madvise: a, advice: PAGEOUT}\n- {read: a}\n"
    with pytest.raises(ScenarioError, match="with what lies in slots nearby"):
        ran(steps, "kernel: 6.12")
    assert ran(steps, "kernel: 6.12, swap: {page_cluster: 0}").total["majflt"] == 32


PROTECTED = (
    "- {uffd_register: a, mode: wp, features: [WP_ASYNC, WP_HUGETLBFS_SHMEM]}\n"
    "- {uffd_writeprotect: a}\n"
)


def test_a_marker_protects_a_page_of_an_object() -> None:
    """Is there one without WP_UNPOPULATED, does a read keep the protection and map no neighbour,
    and does a write copy first and lose it with a second fault?"""
    result = ran(
        FILE + "- {uffd_register: a, mode: wp}\n- {uffd_writeprotect: a}\n"
        "- check: {pages: {a: 32SU}}\n- {uffd_unregister: a}\n" + PROTECTED
        + "- {read: a, length: 4KiB}\n- {write: a, length: 8KiB}\n"
        "- check: {pages: {a: '2PX,30SU'}}\n"
    )  # fmt: skip
    assert counted(result)[1:3] == [
        {"minflt": 3, "wp_copy": 1, "cow_fault": 1, "wp_reuse": 1},
        {"minflt": 1},
    ]


@pytest.mark.parametrize("zap", ["DONTNEED", "PAGEOUT", "REMOVE"])
def test_protection_survives_what_takes_the_page(zap: str) -> None:
    """Is a marker left of a protected page of shared memory, and none of one that is not?"""
    ran(
        SHARED + PROTECTED + "- {write: a, length: 8KiB}\n- {read: a}\n"
        f"- {{madvise: a, advice: {zap}}}\n- check: {{pages: {{a: '2-,30SU'}}}}\n"
        "- {write: a}\n- check: {pages: {a: 32PX}}\n"
    )


def test_an_event_comes_before_shared_memory_is_written() -> None:
    """Is there one for each page, whether it is there or not, and is none of a private copy
    forgotten by MADV_DONTNEED?"""
    plain = "- {uffd_writeprotect: a}\n- {write: a}\n"
    assert ran(SHARED + "- {write: a, length: 64KiB}\n" + plain).total["uffd_wp"] == 32
    again = "- {uffd_writeprotect: a}\n- {madvise: a, advice: DONTNEED}\n- {write: a}\n"
    assert ran(FILE + plain + again).total["uffd_wp"] == 64


def test_unprotected_shared_memory_faults_once_more() -> None:
    """Is a dirty page left read-only, though the protection is gone, and with it a next write?"""
    off = "- {uffd_writeprotect: a, wp: false}\n- {write: a}\n"
    result = ran(SHARED + "- {write: a}\n- {uffd_writeprotect: a}\n" + off)
    assert counted(result)[0] == {"minflt": 32, "wp_reuse": 32}


def test_a_scan_tells_a_page_of_the_page_cache() -> None:
    """Is PAGE_IS_FILE what the page cache has, not a copy and not a marker?"""
    ran(
        FILE + PROTECTED + "- {read: a, length: 8KiB}\n- {write: a, length: 4KiB}\n"
        "- {pagemap_scan: a, return: [WRITTEN, FILE, PRESENT, SWAPPED]}\n"
        "- check: {scan: {regions: 3, pages: '1WP,1FP,30S'}}\n"
    )


def test_a_registered_child_shares_what_is_written() -> None:
    """Does EVENT_FORK copy the page table of shared memory, clean but writable?"""
    ran(
        SHARED + "- {write: a, length: 8KiB}\n"
        "- {uffd_register: a, mode: wp, features: EVENT_FORK}\n- fork: c\n"
        "- {check: {pages: {a: '2P,30-'}}, process: c}\n- {write: a, process: c}\n"
        "- {write: a}\n- check: {pages: {a: 32P}}\n"
    )


def test_a_pattern_of_a_file_faults_as_single_accesses_do() -> None:
    """Do accesses by a pattern count what reads one after another count?"""
    pattern = ran(FILE + "- {access: a, count: 40, pattern: sequential}\n")
    reads = ran(FILE + "- {read: a}\n- {read: a}\n")
    assert pattern.total == reads.total
    written = ran(FILE + "- {access: a, count: 9, pattern: sequential, write_share: 1}\n")
    assert written.total["cow_fault"] == min(9, written.total["minflt"])


@pytest.mark.parametrize(
    ("steps", "machine", "why"),
    [
        (SHARED, "memory: 1MiB", "memory limit"),
        (SHARED + "- uffd_writeprotect: a\n", "kernel: 6.1", "before Linux 6.12, of shared memory"),
        (
            SHARED + "- {uffd_register: a, mode: missing}\n",
            "kernel: 6.18",
            "for anything but write",
        ),
        (SHARED + "- {uffd_writeprotect: a, mode: rwp}\n", "kernel: 7.3", "for anything but write"),
        (
            SHARED + "- {uffd_register: a, mode: wp}\n- {uffd_copy: a}\n",
            "kernel: 6.18",
            "UFFDIO_COPY or UFFDIO_ZEROPAGE of shared memory",
        ),
    ],
)
def test_what_is_not_modelled_is_said(steps: str, machine: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        ran(steps, machine)


OBJECTS = ((True, None), (False, "f"), (True, "f"))


def modelled(scenario: Scenario) -> bool:
    """Whether objects can have all of it: what is left out is an error."""
    inner = [s for step in scenario.steps if isinstance(step, RepeatStep) for s in step.steps]
    return not any(left_out(s, scenario) for s in (*scenario.steps, *inner))


def left_out(step: Step, scenario: Scenario) -> bool:
    """Whether a step is not modelled of objects."""
    match step:
        case UffdWriteprotectStep():
            return step.mode == "rwp" or not has_model(
                scenario.machine.kernel, Feature.UFFD_REGISTER
            )
        case UffdRegisterStep():
            return "missing" in step.mode
        case MadviseStep():
            return step.advice.effect in OF_ANONYMOUS
        case _:
            return isinstance(
                step, AccessPatternStep | MigrateStep | UffdCopyStep | UffdZeropageStep
            )


@settings(max_examples=examples(200))
@given(scenarios(objects=OBJECTS).filter(modelled), st.sampled_from(["prepatch", "merged"]))
def test_replay_by_runs_equals_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, promises and page maps?"""
    agree(without_readahead(scenario), policy)


@settings(max_examples=examples(150))
@given(scenarios(registers=True, objects=OBJECTS).filter(modelled))
def test_userfaultfd_and_scans_by_runs_equal_page_by_page(scenario: Scenario) -> None:
    """The same with write-protection, asynchronous or not, and PAGEMAP_SCAN."""
    agree(without_readahead(scenario), "merged")


@settings(max_examples=examples(40))
@given(
    scenarios(2600, 6, objects=OBJECTS).filter(modelled), st.sampled_from(["prepatch", "merged"])
)
def test_several_page_tables_equal_page_by_page(scenario: Scenario, policy: str) -> None:
    """The same where blocks of pages are jumped over."""
    agree(without_readahead(scenario), policy)


def without_readahead(scenario: Scenario) -> Scenario:
    """On a device that is large enough, and reads one page at a time."""
    swap = Swap(scenario.machine.swap.backend, 1 << 30, 0)
    return replace(scenario, machine=replace(scenario.machine, swap=swap))
