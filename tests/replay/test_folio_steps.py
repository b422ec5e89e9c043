"""Do guards, all of userfaultfd and missing soft-dirty bits do on large folios as on pages?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.blocks import page_by_page

SIZES = ("{64KiB: always}", "{16KiB: always, 2MiB: always}")


def ran(steps: str, thp: str, more: str = "") -> PolicyResult:
    """The steps in a region of 4 MiB that has been written, as both replays have it; all checks
    must hold."""
    machine = f"machine: {{kernel: '6.18', thp: {thp}{more}}}\n"
    written = "steps:\n- {mmap: a, size: 4MiB}\n- {memset: a, value: 1}\n"
    scenario = load_text(f"{machine}{written}{steps}", "a")
    found = replay(scenario, policies.find("merged"), pages=True)
    with page_by_page():
        seen = replay(scenario, policies.find("merged"), pages=True)
    assert (found.total, found.pages, found.checks) == (seen.total, seen.pages, seen.checks)
    assert [check for check in found.checks if not check.ok] == []
    return found


@pytest.mark.parametrize("thp", SIZES)
def test_a_guard_splits_what_it_has_a_part_of(thp: str) -> None:
    """Does a guard take its page only, so that the next pageout splits the folio?"""
    found = ran(
        "- {madvise: a, advice: GUARD_INSTALL, offset: 8KiB, length: 4KiB}\n"
        "- {read: a, offset: 8KiB, length: 4KiB}\n"
        "- {madvise: a, advice: GUARD_INSTALL, offset: 8KiB, length: 4KiB}\n"
        "- {check: {pages: {a: '2PX,1S,1021PX'}}}\n"
        "- {madvise: a, advice: PAGEOUT}\n"
        "- {madvise: a, advice: GUARD_REMOVE}\n"
        "- {write: a, offset: 8KiB, length: 4KiB}\n"
        "- {check: {pages: {a: '2S,1PX,1021S'}}}\n",
        thp,
    )
    assert (found.total["sigsegv"], found.total["mthp_split"]) == (1, 1)


def test_a_page_table_with_a_guard_stays() -> None:
    """Is there no huge page where MADV_DONTNEED leaves a guard, and is MADV_COLLAPSE refused?"""
    found = ran(
        "- {madvise: a, advice: GUARD_INSTALL, offset: 2MiB}\n"
        "- {madvise: a, advice: GUARD_REMOVE, offset: 2MiB, length: 2044KiB}\n"
        "- {madvise: a, advice: DONTNEED}\n"
        "- {madvise: a, advice: COLLAPSE, offset: 2MiB, errno: EINVAL}\n"
        "- {write: a, length: 2100KiB}\n",
        "{2MiB: always}",
    )
    assert found.total["thp_fault_alloc"] == 3
    assert found.total["minflt"] == 2 + 1 + 13


@pytest.mark.parametrize("thp", SIZES)
def test_missing_pages_come_one_by_one(thp: str) -> None:
    """Is every page of a VMA that is registered for missing ones an event, of whatever size the
    folios are, and are they large again once it is not?"""
    found = ran(
        "- {uffd_register: a, mode: missing, fill: 7}\n"
        "- {madvise: a, advice: DONTNEED}\n"
        "- {uffd_copy: a, value: 5, length: 8KiB}\n"
        "- {uffd_zeropage: a, length: 4KiB, offset: 8KiB}\n"
        "- {write: a, value: 9, offset: 12KiB, length: 8KiB}\n"
        "- {read: a, offset: 2MiB, length: 4KiB}\n"
        "- {uffd_copy: a, offset: 2MiB, errno: EEXIST}\n"
        "- {check: {pages: {a: '2PX,1P,2PX,507-,1PX,511-'}}}\n"
        "- {uffd_unregister: a}\n"
        "- {write: a, offset: 128KiB, length: 16KiB}\n",
        thp,
    )
    assert found.total["uffd_missing"] == 3
    assert found.total["mthp_fault_alloc"] > 0


@pytest.mark.parametrize("thp", SIZES)
def test_a_child_keeps_the_protection_of_large_folios(thp: str) -> None:
    """With EVENT_FORK, is what is write-protected so for the child, too?"""
    found = ran(
        "- {uffd_register: a, mode: wp, features: EVENT_FORK}\n"
        "- {uffd_writeprotect: a, length: 2MiB}\n"
        "- {fork: child}\n"
        "- {write: a, length: 4KiB, process: child}\n"
        "- {check: {pages: {a: '1PX,511PU,512P'}}, process: child}\n"
        "- {madvise: a, advice: PAGEOUT}\n"
        "- {write: a, length: 4KiB}\n",
        thp,
    )
    assert found.total["uffd_wp"] == 2


def test_without_soft_dirty_bits_swap_entries_are_alike() -> None:
    """On a kernel without CONFIG_MEM_SOFT_DIRTY, does a folio come back whole of which one page was
    written by a fault of its own?"""
    steps = (
        "- {mmap: b, size: 64KiB, prot: r}\n"
        "- {poke: b, value: 0}\n"
        "- {madvise: b, advice: PAGEOUT}\n"
        "- {poke: b, value: 17}\n"
        "- {madvise: b, advice: PAGEOUT}\n"
        "- measure: again\n  steps: [{read: b}]\n"
    )
    for soft_dirty, majflt in ("true", 16), ("false", 1):
        found = ran(steps, "64KiB", f", soft_dirty: {soft_dirty}")
        assert found.windows["again"]["majflt"] == majflt
