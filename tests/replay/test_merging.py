"""KSM for a whole process, and the zero page in the place of pages of zeroes."""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text

SCAN = "- ksm_scan: true\n"


def replayed(steps: str, kernel: str = "6.18") -> PolicyResult:
    """The steps under the kernel's own policy; every check must hold."""
    scenario = load_text(f"machine: {{kernel: {kernel}}}\nsteps:\n{steps}", "test.yaml")
    found = replay(scenario, policies.find("merged"))
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_zero_pages_are_shared_and_taken_back() -> None:
    """Is there a fault for each page that is unmerged or written, and the data still zero?"""
    found = replayed(
        "- {mmap: a, size: 16KiB}\n- {memset: a, value: 0}\n- {madvise: a, advice: MERGEABLE}\n"
        "- {ksm_scan: true, zero_pages: true}\n- check: {pages: {a: 4P}, data: {a: zero}}\n"
        "- {madvise: a, advice: UNMERGEABLE, length: 8KiB}\n"
        "- check: {pages: {a: '2PX,2P'}, data: {a: zero}, violations: []}\n"
        "- {read: a}\n- {write: a, offset: 8KiB, length: 4KiB}\n- check: {pages: {a: '3PX,1P'}}\n"
    )
    assert found.total["minflt"] == 4 + 2 + 1


def test_a_zero_page_that_was_read_is_not_unmerged() -> None:
    """Does MADV_UNMERGEABLE leave alone what ksmd has not made (is_ksm_zero_pte())?"""
    head = "- {mmap: a, size: 4KiB}\n- {madvise: a, advice: MERGEABLE}\n- {read: a}\n"
    found = replayed(
        f"{head}- {{madvise: a, advice: UNMERGEABLE}}\n- check: {{pages: {{a: 1P}}}}\n"
    )
    assert found.total["minflt"] == 1


def test_zero_pages_alone_are_not_merged_without_it() -> None:
    """Do equal pages of zeroes share a page of their own else?"""
    steps = "- {mmap: a, size: 8KiB}\n- {memset: a, value: 0}\n- {madvise: a, advice: MERGEABLE}\n"
    found = replayed(f"{steps}{SCAN}- check: {{pages: {{a: 2P}}}}\n- {{write: a}}\n")
    assert found.total["wp_copy"] == 2


def test_a_process_merges_all_and_its_child() -> None:
    """Are regions from before and after merged, of a child as well, and unmerged when it ends?"""
    replayed(
        "- {mmap: a, size: 8KiB}\n- {memset: a, value: 7}\n- {memory_merge: true}\n"
        "- {mmap: b, size: 8KiB}\n- {memset: b, value: 7}\n- fork: child\n"
        "- {mmap: c, size: 4KiB, process: child}\n- {memset: c, value: 7, process: child}\n"
        f"{SCAN}- check: {{pages: {{a: 2P, b: 2P}}}}\n"
        "- check: {pages: {c: 1P}}\n  process: child\n"
        "- {memory_merge: false}\n- check: {pages: {a: 2PX, b: 2PX}, violations: []}\n"
        "- check: {pages: {c: 1P}}\n  process: child\n"
    )


def test_a_new_mapping_is_no_longer_mergeable() -> None:
    """Is what is mapped after PR_SET_MEMORY_MERGE was cleared not merged?"""
    replayed(
        "- {memory_merge: true}\n- {memory_merge: false}\n- {mmap: a, size: 8KiB}\n"
        f"- {{memset: a, value: 7}}\n{SCAN}- check: {{pages: {{a: 2PX}}}}\n"
    )


@pytest.mark.parametrize(
    ("steps", "kernel", "why"),
    [
        ("- {memory_merge: true}\n", "6.1", "memory_merge is modelled as since Linux 6.12"),
        ("- {ksm_scan: true, zero_pages: true}\n", "6.1", "zero_pages is modelled as since"),
        (
            "- {memory_merge: true}\n- {mmap: a, at: 0x10000000, size: 4KiB}\n"
            "- {mmap: b, at: 0x10001000, size: 4KiB}\n",
            "6.18",
            "regions that touch are not modelled with memory_merge",
        ),
    ],
)
def test_what_is_not_modelled_is_an_error(steps: str, kernel: str, why: str) -> None:
    """Does the error say which combination is not?"""
    with pytest.raises(ScenarioError, match=why):
        replayed(steps, kernel)
