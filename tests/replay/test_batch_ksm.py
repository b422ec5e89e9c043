"""Where the per-CPU batches are kept: does same-page merging drain and fill them?"""

from __future__ import annotations

from itertools import product
from unittest import mock

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.replay.engine import Replay
from tests.effort import examples, some
from tests.replay.keeping import lists
from tests.replay.test_batch import CAPACITY, random_steps, run

MERGED = """\
- {mmap: b, size: 256KiB}
- {memset: b, value: 7}
- {madvise: b, advice: MERGEABLE}
- {ksm_scan: true}
"""
"""All pages map one folio."""


@pytest.mark.parametrize(("kernel", "swap"), some(product(CAPACITY, ["disk", "zram", "zswap"]), 1))
def test_lists_of_what_waits_say_the_same_of_merged_pages(kernel: str, swap: str) -> None:
    """Do counts and pages agree with a second implementation, up to MADV_UNMERGEABLE?"""
    for seed in range(examples(60)):
        first, rest = random_steps(4000 + seed, more=True).split("\n", 1)
        rest = rest.replace("COLD", "FREE")  # of a merged page nobody knows whether it is active
        text = MERGED.replace("256", "160") + rest + "- {madvise: b, advice: UNMERGEABLE}\n"
        assert first.startswith("- {mmap: b")
        with mock.patch.object(Replay, "check_errno"):
            own = run(kernel, text, swap)
            with lists():
                other = run(kernel, text, swap)
        assert dict(other.total) == dict(own.total), text
        assert (other.pages, other.violations) == (own.pages, own.violations), text


@pytest.mark.parametrize(("scan", "drains"), [("", 1), ("- {ksm_scan: true}\n", 0)])
def test_a_scan_drains(scan: str, drains: int) -> None:
    """Does a page wait no more once ksmd has begun (lru_add_drain_all())?"""
    steps = f"- {{mmap: z, size: 4KiB}}\n- {{write: z}}\n{scan}- {{fork: child}}\n- {{write: z}}\n"
    assert run("7.2", steps).total.get("lru_drains", 0) == drains


COPIED = """\
- {mmap: a, size: 256KiB, at: 0x600000000000}
- {mlock: a, flags: MLOCK_ONFAULT}
- {mlock: b, flags: MLOCK_ONFAULT}
- {write: a}
- {fork: child}
- {madvise: a, advice: WILLNEED}
- {write: a}
- {write: b, length: SIZE}
- {write: a, process: child}
"""
"""Pages of the child wait to be munlocked when a locked VMA loses merged ones."""


@pytest.mark.parametrize("kernel", CAPACITY)
def test_a_copy_of_a_merged_page_puts_two_into_the_batch_of_mlock(kernel: str) -> None:
    """The copy, and the folio that a locked VMA maps once less: does the last that fits fill it?"""
    full, waiting = CAPACITY[kernel], 2 * 64 % CAPACITY[kernel]
    fitting = (full - waiting - 1) // 2
    for pages, copied in ((fitting, waiting // 2), (fitting + 1, 0)):
        found = run(kernel, MERGED + COPIED.replace("SIZE", f"{4 * pages}KiB")).steps or ()
        assert found[-1].counters.get("wp_copy", 0) == copied


NOT_KNOWN = {
    "locked memory": (
        "- {mlock: c}\n- {madvise: c, advice: MERGEABLE}\n- {ksm_scan: true}\n",
        "of locked memory is not modelled",
    ),
}


@pytest.mark.parametrize("what", NOT_KNOWN)
def test_what_is_not_known_of_merged_pages_is_an_error(what: str) -> None:
    """Is it said?"""
    steps, message = NOT_KNOWN[what]
    alone = "- {mmap: c, size: 4KiB}\n- {memset: c, value: 7}\n- {munmap: b, length: 252KiB}\n"
    with pytest.raises(SwaptraceError, match=message):
        run("7.2", MERGED + alone + steps)


def test_a_merged_page_is_copied_active_or_not() -> None:
    """Is MADV_COLD of one no error, as a write asks for no references that could decide?"""
    alone = "- {mmap: c, size: 4KiB}\n- {memset: c, value: 7}\n- {munmap: b, length: 252KiB}\n"
    steps = alone + "- {madvise: b, advice: COLD, offset: 252KiB}\n- {write: b, offset: 252KiB}\n"
    assert run("7.2", MERGED + steps).total["wp_copy"] == 1
