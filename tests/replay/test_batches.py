"""When do advice and mlock reach the LRU lists, under a memory limit?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text

MAPS = """\
machine: {memory: 1MiB, reclaim: RECLAIM, swap: {backend: zram, page_cluster: 0}}
steps:
- {mmap: buf, size: 64KiB}
- {mmap: other, size: 4MiB}
"""
POPULATED = "- {madvise: buf, advice: MADV_POPULATE_WRITE}\n"
DRAINED = "- {madvise: other, advice: MADV_DONTNEED}\n"


def counted(steps: str, counter: str, reclaim: str = "classic") -> list[int]:
    """What each step after the first two counts."""
    scenario = load_text(MAPS.replace("RECLAIM", reclaim) + steps)
    result = replay(scenario, policies.find("final"), steps=True)
    assert result.steps is not None
    return [step.counters.get(counter, 0) for step in result.steps[2:]]


def test_a_page_that_is_populated_twice_is_activated() -> None:
    """Does MADV_POPULATE mark what it finds as accessed, and drain the batch of it?"""
    assert counted(POPULATED * 2, "pgactivate") == [0, 16]


def test_cold_pages_are_inactive_when_their_batch_is_drained() -> None:
    """Does MADV_COLD leave the pages in a batch?"""
    steps = POPULATED * 2 + "- {madvise: buf, advice: MADV_COLD}\n" + DRAINED
    assert counted(steps, "pgdeactivate") == [0, 0, 0, 16]


def test_a_full_batch_is_drained() -> None:
    """Are the first 31 of 40 pages inactive at once?"""
    steps = "".join(
        f"- {{madvise: other, length: 160KiB, advice: {advice}}}\n"
        for advice in ("MADV_POPULATE_WRITE", "MADV_POPULATE_WRITE", "MADV_COLD")
    )
    assert counted(steps + DRAINED, "pgdeactivate") == [0, 0, 31, 9]


def test_pages_swapped_into_locked_memory_stay_on_a_list() -> None:
    """Does reclaim look once more at the pages that mlock() has swapped in, than at those that it
    has made or found?"""
    written = "- {write: buf}\n- {madvise: buf, advice: MADV_PAGEOUT}\n- {mlock: buf}\n"
    made = "- {mlock: buf}\n"
    fill = "- {write: other, length: 3MiB}\n"
    swapped = counted(written + fill, "pgscan", "mglru")[-1]
    assert swapped - counted(made + fill, "pgscan", "mglru")[-1] == 16


FILL = "- {write: other, length: 3MiB}\n"


@pytest.mark.parametrize("reclaim", ["classic", "mglru", "lru"])
def test_mlock_takes_pages_off_the_lists(reclaim: str) -> None:
    """Is what mlock() finds never looked at, as what it makes?"""
    found = "- {write: buf}\n- {mlock: buf}\n" + FILL
    made = counted("- {mlock: buf}\n" + FILL, "pgscan", reclaim)[-1]
    assert counted(found, "pgscan", reclaim)[-1] == made


@pytest.mark.parametrize("reclaim", ["mglru", "lru"])
def test_munlock_puts_pages_on_a_list(reclaim: str) -> None:
    """Are they evicted then?"""
    for unlock, read in (("", 0), ("- {munlock: buf}\n", 16)):
        steps = f"- {{write: buf}}\n- {{mlock: buf}}\n{unlock}{FILL}- {{read: buf}}\n"
        assert counted(steps, "majflt", reclaim)[-1] == read


def test_what_a_locked_vma_finds_in_the_swap_cache_leaves_its_list() -> None:
    """Is only a page that somebody has mapped before, mlocked when such a VMA maps it?"""
    swapped = "- {write: buf}\n- {madvise: buf, advice: MADV_PAGEOUT}\n- {fork: child}\n"
    locked = "- {mlock: buf, flags: MLOCK_ONFAULT}\n"
    scanned = {
        first: counted(swapped + locked + first + "- {read: buf}\n" + FILL, "pgscan", "mglru")[-1]
        for first in ("- {read: buf, process: child}\n", "- {read: buf}\n")
    }
    known, new = scanned.values()
    assert new - known == 16


def test_a_registration_drains_nothing() -> None:
    """Do pages that wait for the inactive list go on waiting when a VMA is registered?"""
    steps = POPULATED * 2 + "- {madvise: buf, advice: MADV_COLD}\n"
    steps += "- {uffd_writeprotect: other, wp: true, length: 4KiB}\n" + DRAINED
    assert counted(steps, "pgdeactivate") == [0, 0, 0, 0, 16]
