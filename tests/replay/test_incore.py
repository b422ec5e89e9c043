"""Does mincore() tell what is in memory: mapped, or in the swap cache or the page cache?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text


def holds(steps: str) -> None:
    """Replay the steps, whose checks must hold."""
    scenario = load_text("machine: {kernel: 6.18}\nsteps:\n" + steps, "test.yaml")
    checks = replay(scenario, policies.find("merged")).checks
    assert checks
    assert [check for check in checks if not check.ok] == []


def test_what_is_mapped_is_in_memory() -> None:
    """Are the zero page and written pages in memory, and those in swap not?"""
    holds(
        "- {mmap: a, size: 16KiB}\n- {write: a, length: 8KiB}\n"
        "- {madvise: a, advice: MADV_PAGEOUT, length: 4KiB}\n"
        "- {read: a, offset: 8KiB, length: 4KiB}\n"
        "- {mincore: a}\n- check: {scan: {regions: 1, walk_end: 16KiB, pages: '1-,2P,1-'}}\n"
    )


def test_the_swap_cache_is_memory() -> None:
    """Is a page in memory that MADV_WILLNEED has read into the swap cache?"""
    holds(
        "- {mmap: a, size: 8KiB}\n- {write: a}\n- {madvise: a, advice: MADV_PAGEOUT}\n"
        "- {madvise: a, advice: MADV_WILLNEED, length: 4KiB}\n"
        "- {mincore: a}\n- check: {scan: {pages: '1P,1-'}}\n"
    )


@pytest.mark.parametrize("how", ["shared: true", "file: f"])
def test_what_the_object_has_is_in_memory(how: str) -> None:
    """Are pages of the page cache in memory where the process has nothing mapped?"""
    holds(
        f"- {{mmap: a, size: 8KiB, {how}}}\n- {{read: a, length: 4KiB}}\n"
        "- {madvise: a, advice: MADV_DONTNEED}\n- check: {pages: {a: 2-}}\n"
        "- {mincore: a}\n- check: {scan: {pages: '1P,1-'}}\n"
    )


@pytest.mark.parametrize(
    ("given", "errno"),
    [("offset: 1", "EINVAL"), ("length: 12KiB", "ENOMEM"), ("vec: false", "EFAULT")],
)
def test_is_refused(given: str, errno: str) -> None:
    """Does it fail as the kernel does, and say so where the scenario does not?"""
    head = "steps:\n- {mmap: a, size: 8KiB}\n"
    replay(load_text(f"{head}- {{mincore: a, {given}, errno: {errno}}}\n"), policies.find("merged"))
    with pytest.raises(ScenarioError, match="mincore succeeds here"):
        replay(load_text(f"{head}- {{mincore: a, errno: {errno}}}\n"), policies.find("merged"))
