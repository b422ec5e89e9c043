"""Are pins, and pages that wait to be made inactive, references that the per-CPU batches know?"""

from __future__ import annotations

import pytest

from tests.replay.test_batch import CAPACITY, ORPHANED, run


@pytest.mark.parametrize("kernel", CAPACITY)
def test_what_fork_copies_of_pinned_pages_waits(kernel: str) -> None:
    """Do the child's pages fill the batch, so that one place later another folio does?"""
    waiting = 64 % CAPACITY[kernel]
    pinned = (
        "- {mmap: b, size: 256KiB}\n- {write: b}\n- {pin: b}\n"
        "- {madvise: b, advice: WILLNEED}\n- {fork: child}\n- {unpin: b}\n"
        "- {mmap: c, size: 256KiB, at: 0x600000000000}\n"
    )
    alone = "- {exit: other}\n" if kernel == "7.3" else ""
    for room, drains in ((1, 1), (0, 0), (-1, 1)):
        pages = CAPACITY[kernel] - waiting - room
        last = f"- {{write: c, offset: {4 * (pages - 1)}KiB, length: 4KiB}}\n"
        written = f"- {{write: c, length: {4 * pages}KiB}}\n- {{fork: other}}\n"
        found = run(kernel, pinned + written + alone + last)
        assert found.total.get("lru_drains", 0) == drains


UNMAPPED = {
    "an advice": ("main", "- {madvise: b, advice: DONTNEED_LOCKED}\n", "child"),
    "munmap": ("main", "- {munmap: b}\n", "child"),
    "exit": ("child", "- {exit: child}\n", "main"),
}
"""Who has locked the pages, how it unmaps them, and who writes then."""


@pytest.mark.parametrize("what", UNMAPPED)
@pytest.mark.parametrize("kernel", CAPACITY)
def test_what_a_locked_vma_unmaps_waits_where_that_does_not_drain(kernel: str, what: str) -> None:
    """Does the entry of mlock's batch make a write copy from 7.0 on, and not before, where freeing
    pages drains? (These kernels were seen to copy as many.)"""
    who, unmaps, writer = UNMAPPED[what]
    steps = (
        "- {mmap: b, size: 256KiB}\n- {write: b}\n- {fork: child}\n"
        f"- {{mlock: b, flags: MLOCK_ONFAULT, process: {who}}}\n{unmaps}"
        f"- {{write: b, process: {writer}}}\n"
    )
    found = run(kernel, steps).total
    waiting = 64 % CAPACITY[kernel] if kernel > "7" else 0
    assert (found.get("wp_copy", 0), found["wp_reuse"]) == (waiting, 64 - waiting)


@pytest.mark.parametrize("kernel", CAPACITY)
def test_a_pin_to_read_makes_a_write_copy(kernel: str) -> None:
    """Of a page that is nobody else's, also where it was not in the batch, and not without it?"""
    steps = ORPHANED.replace("- {madvise: b, advice: FREE}\n", "- {pin: b, mode: get}\n")
    assert run(kernel, steps + "- {write: b}\n").total["wp_copy"] == 64
    assert run(kernel, steps + "- {unpin: b}\n- {write: b}\n").total["wp_reuse"] == 64


ACTIVE = {
    "left in the swap cache": ("disk", "pageout fork read exit", False),
    "new": ("zram", "fork exit", False),
    "copied": ("zram", "pageout fork read write exit fork exit", False),
    "made inactive before": ("zram", "FREE write pageout fork exit COLD", False),
    "locked and left": ("disk", "POPULATE_READ pageout fork read exit", False),
    "lazyfree": ("zram", "pageout fork read exit FREE", False),
    "written while lazyfree": ("zram", "FREE write pageout fork exit", True),
}
"""On which device, what happens to the pages, and whether they are active then."""


@pytest.mark.parametrize("what", ACTIVE)
@pytest.mark.parametrize("kernel", CAPACITY)
def test_an_active_page_waits_to_be_made_inactive(kernel: str, what: str) -> None:
    """Does MADV_COLD of it make a write copy what has not left the batch, and only of it?"""
    swap, happens, active = ACTIVE[what]
    steps, children = "- {mmap: b, size: 256KiB}\n- {write: b}\n", iter("abc")
    for name in happens.split():
        if name == "fork":
            child = next(children)
            steps += f"- {{fork: {child}}}\n"
        elif name == "exit":
            steps += f"- {{exit: {child}}}\n"
        elif name in ("read", "write"):
            steps += f"- {{{name}: b}}\n"
        else:
            steps += f"- {{madvise: b, advice: {name.upper()}}}\n"
    found = run(kernel, f"{steps}- {{madvise: b, advice: COLD}}\n- {{write: b}}\n", swap).steps
    waiting = 64 % CAPACITY[kernel] if active else 0
    last = (found or ())[-1].counters
    assert (last.get("wp_copy", 0), last.get("wp_reuse", 0)) == (waiting, 64 - waiting)
