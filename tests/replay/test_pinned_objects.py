"""Pins of shared memory and of files."""

from __future__ import annotations

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text


def replayed(steps: str, kernel: str = "6.18") -> PolicyResult:
    """The steps under the kernel's own policy; every check must hold."""
    scenario = load_text(f"machine: {{kernel: {kernel}}}\nsteps:\n{steps}", "test.yaml")
    found = replay(scenario, policies.find("merged"))
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_a_pin_of_shared_memory_sees_what_another_writes() -> None:
    """Does a child's write, and one after MADV_DONTNEED, show through the pin?"""
    replayed(
        "- {mmap: s, size: 4KiB, shared: true}\n- {write: s}\n- fork: child\n- pin: s\n"
        "- {write: s, process: child}\n- check: {violations: []}\n"
        "- {madvise: s, advice: MADV_DONTNEED}\n- {write: s}\n- check: {violations: []}\n"
    )


def test_a_pinned_page_of_an_object_is_unmapped_and_not_swapped_out() -> None:
    """Does MADV_PAGEOUT leave it in the page cache, and write it once the pin is gone?"""
    head = "- {mmap: s, size: 4KiB, shared: true}\n- {write: s}\n- {pin: s, mode: get}\n"
    out = "- {madvise: s, advice: MADV_PAGEOUT}\n"
    kept = replayed(f"{head}{out}- check: {{pages: {{s: 1-}}}}\n- {{read: s}}\n")
    assert (kept.total.get("pswpout", 0), kept.total.get("majflt", 0), kept.total["minflt"]) == (
        0,
        0,
        2,
    )
    gone = replayed(f"{head}- {{unpin: s}}\n{out}- {{read: s}}\n")
    assert (gone.total["pswpout"], gone.total["majflt"]) == (1, 1)


def test_a_longterm_pin_to_read_of_a_private_file_copies() -> None:
    """Has the process an anonymous page then, which its writes reach, and not with FOLL_GET, nor
    before 6.2?"""
    head = "- {mmap: f, size: 4KiB, file: f}\n- {read: f}\n"
    copied = replayed(
        f"{head}- {{pin: f, mode: longterm_read}}\n- {{write: f}}\n- check: {{violations: []}}\n"
    )
    assert copied.total["wp_copy"] == 1
    before = replayed(f"{head}- {{pin: f, mode: longterm_read}}\n", "6.1")
    assert before.total.get("wp_copy", 0) == 0
    read = replayed(f"{head}- {{pin: f, mode: get}}\n- check: {{violations: []}}\n")
    assert read.total.get("wp_copy", 0) == 0


def test_a_shared_page_is_pinned_to_read_as_it_is() -> None:
    """Does a longterm pin to read of shared memory take no fault that copies?"""
    found = replayed(
        "- {mmap: s, size: 4KiB, shared: true}\n- {read: s}\n- {pin: s, mode: longterm_read}\n"
        "- {write: s}\n- check: {violations: []}\n"
    )
    assert found.total.get("wp_copy", 0) == 0


def test_the_last_unmapping_of_a_pinned_object_breaks_nothing() -> None:
    """Is what the pin reads kept when MADV_REMOVE takes the page from the object?"""
    replayed(
        "- {mmap: s, size: 4KiB, shared: true}\n- {write: s}\n- pin: s\n"
        "- {madvise: s, advice: MADV_REMOVE}\n- {write: s}\n- check: {violations: []}\n"
        "- unpin: s\n- {read: s}\n"
    )
