"""Where the per-CPU batches are kept: do shared memory and files fill and drain them?"""

from __future__ import annotations

import re
from itertools import product
from unittest import mock

import pytest

from swaptrace.replay.engine import Replay
from tests.effort import examples, some
from tests.replay.keeping import lists
from tests.replay.test_batch import CAPACITY, random_steps, run

OBJECTS = {
    "shared memory": "shared: true",
    "a shared file": "shared: true, file: f",
    "a private file": "file: f",
}


@pytest.mark.parametrize(
    ("kernel", "swap", "what"), some(product(CAPACITY, ["disk", "zram", "zswap"], OBJECTS), 1)
)
def test_lists_of_what_waits_say_the_same_of_objects(kernel: str, swap: str, what: str) -> None:
    """Do counts and pages agree with a second implementation, where half of the memory is that of
    an object?"""
    for seed in range(examples(40)):
        steps = random_steps(2000 + seed, more=True)
        of_object = steps.replace("160KiB}", f"160KiB, {OBJECTS[what]}}}", 1)
        others = re.sub(r"\bc(\d+)", r"d\1", random_steps(3000 + seed, more=True))
        for text in (of_object, of_object + others.replace(": b", ": e")):
            with mock.patch.object(Replay, "check_errno"):
                own = run(kernel, text, swap)
                with lists():
                    other = run(kernel, text, swap)
            assert dict(other.total) == dict(own.total), text
            assert (other.pages, other.violations) == (own.pages, own.violations), text


NEXT_TO_Z = """\
- {mmap: z, size: 4KiB}
- {mmap: s, size: 256KiB, OBJECT}
- {write: z}
- {TOUCH: s, length: SIZE}
- {fork: child}
- {write: z}
"""
"""The page of z is in the batch when it is copied, unless what comes behind it has filled that."""

TOUCHES = {
    "shared memory": ("shared: true", "write", 1),
    "a shared file that is read": ("shared: true, file: f", "read", 1),
    "a private file, of which each page is copied": ("file: f", "write", 2),
    "private memory": ("at: 0x600000000000", "write", 1),
}
"""What is mapped, how it is touched, and how many folios a page adds to the batch."""


@pytest.mark.parametrize("what", TOUCHES)
@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_each_new_page_of_an_object_fills_the_batch(kernel: str, what: str) -> None:
    """Is the first page drained with the batch, or by the write that copies it?"""
    given, touch, each = TOUCHES[what]
    pages = -(-(CAPACITY[kernel] - 1) // each)
    for touched, drains in ((pages - 1, 1), (pages, 0)):
        steps = NEXT_TO_Z.replace("OBJECT", given).replace("TOUCH", touch)
        found = run(kernel, steps.replace("SIZE", f"{4 * touched}KiB"))
        assert found.total.get("lru_drains", 0) == drains


COPIED = """\
- {mmap: s, size: 256KiB, OBJECT}
- {mlock: s, flags: MLOCK_ONFAULT}
- {mmap: b, size: 256KiB}
- {mlock: b, flags: MLOCK_ONFAULT}
- {write: b}
- {fork: child}
- {madvise: b, advice: WILLNEED}
- {write: b}
- {read: s, length: SIZE}
- {write: b, process: child}
"""
"""What the child writes is copied if it waits in the batch of mlock, to be munlocked."""


@pytest.mark.parametrize("kernel", CAPACITY)
def test_each_page_that_a_locked_vma_maps_fills_the_batch_of_mlock(kernel: str) -> None:
    """Is what waited there reused, once one page more has filled it?"""
    full, waiting = CAPACITY[kernel], 2 * 64 % CAPACITY[kernel]
    for pages, copied in ((full - waiting - 1, waiting // 2), (full - waiting, 0)):
        steps = COPIED.replace("OBJECT", "shared: true").replace("SIZE", f"{4 * pages}KiB")
        assert run(kernel, steps).total["wp_copy"] == 64 + copied


@pytest.mark.parametrize("kernel", CAPACITY)
def test_a_read_fault_of_a_file_fills_it_with_the_pages_around(kernel: str) -> None:
    """Does one fault map sixteen pages, each of which waits?"""
    written = "- {mmap: w, size: 256KiB, shared: true, file: f}\n- {write: w}\n"
    steps = written + COPIED.replace("OBJECT", "shared: true, file: f")
    waiting = 2 * 64 % CAPACITY[kernel]
    fits = waiting + 16 < CAPACITY[kernel]
    found = run(kernel, steps.replace("SIZE", "4KiB")).total
    assert found["wp_copy"] == 64 + waiting // 2 * fits
    assert run(kernel, steps.replace("SIZE", "128KiB")).total["wp_copy"] == 64


LAST = {
    "shared memory that nobody maps any more": ("shared: true", "- {munmap: s}\n", True),
    "a file, which has a name": ("shared: true, file: f", "- {munmap: s}\n", False),
    "a part of shared memory": ("shared: true", "- {munmap: s, length: 4KiB}\n", False),
    "a hole": ("shared: true", "- {madvise: s, advice: REMOVE}\n", True),
}


@pytest.mark.parametrize("what", LAST)
def test_truncating_pages_drains(what: str) -> None:
    """Does __folio_batch_release() call lru_add_drain() where unmapping does not (7.x)?"""
    given, step, drained = LAST[what]
    head = f"- {{mmap: s, size: 32KiB, {given}}}\n- {{write: s}}\n"
    steps = f"{head}- {{mmap: z, size: 4KiB}}\n- {{write: z}}\n{step}- {{fork: child}}\n"
    found = run("7.2", steps + "- {write: z}\n").total
    assert found.get("lru_drains", 0) == (not drained)
    untouched = steps.replace("- {write: s}\n", "") + "- {write: z}\n"
    assert run("7.2", untouched).total["lru_drains"] == 1
