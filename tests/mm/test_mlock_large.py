"""Is a large folio mlocked when the kernel's functions would have marked it?

What is expected follows from mm/mlock.c, mm/rmap.c, mm/huge_memory.c and mm/migrate.c by hand.
"""

from __future__ import annotations

from typing import NamedTuple
from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.replay import engine
from swaptrace.replay.folios import chosen
from swaptrace.replay.world import World
from swaptrace.scenario.loader import load_text
from tests.replay.blocks import NaiveFolios

LOCK = "- {mlock: buf, flags: MLOCK_ONFAULT}\n"
OUT = "- {madvise: buf, advice: MADV_PAGEOUT}\n"
CHILD = "- {fork: child}\n"
CHILD_LOCKS = "- {mlock: buf, flags: MLOCK_ONFAULT, process: child}\n"
PINNED = LOCK + "- {write: buf}\n- {pin: buf, length: 4KiB}\n- {migrate: buf}\n"
REFERRED = PINNED.replace("4KiB", "4KiB, mode: get")
PART = "offset: 16KiB, length: 8KiB"


class Marked(NamedTuple):
    """A folio's pages, PG_mlocked, and how often it is mlocked."""

    pages: int
    mlocked: bool
    times: int


WHOLE, UNMARKED = Marked(16, True, 1), Marked(16, False, 0)
SMALL, BARE = Marked(1, True, 1), Marked(1, False, 0)

STEPS = {
    "what a locked VMA allocates": ("64KiB", LOCK + "- {write: buf}\n", [WHOLE]),
    "what mlock() finds whole": ("64KiB", "- {write: buf}\n" + LOCK, [WHOLE]),
    "what mlock() finds in part": (
        "64KiB",
        f"- {{write: buf}}\n- {{mlock: buf, flags: MLOCK_ONFAULT, {PART}}}\n",
        [UNMARKED],
    ),
    "locked half by half": (
        "64KiB",
        "- {write: buf}\n"
        "- {mlock: buf, flags: MLOCK_ONFAULT, length: 32KiB}\n"
        "- {mlock: buf, flags: MLOCK_ONFAULT, offset: 32KiB, length: 32KiB}\n",
        [UNMARKED],
    ),
    "unlocked in part": (
        "64KiB",
        f"- {{write: buf}}\n{LOCK}- {{munlock: buf, {PART}}}\n",
        [UNMARKED],
    ),
    "swapped in": ("64KiB", "- {write: buf}\n" + OUT + LOCK + "- {read: buf}\n", [UNMARKED]),
    "locked by two": (
        "64KiB",
        "- {write: buf}\n" + CHILD + LOCK + CHILD_LOCKS,
        [Marked(16, True, 2)],
    ),
    "locked by two, one of which unmaps it": (
        "64KiB",
        "- {write: buf}\n" + CHILD + LOCK + CHILD_LOCKS + "- {munmap: buf}\n",
        [WHOLE],
    ),
    "locked by two, and unmapped in two parts by one": (
        "64KiB",
        "- {write: buf}\n"
        + CHILD
        + LOCK
        + CHILD_LOCKS
        + "- {munmap: buf, length: 4KiB}\n- {munmap: buf, offset: 32KiB, length: 4KiB}\n",
        [UNMARKED],
    ),
    "locked by two, one of which lost a page in the middle": (
        "64KiB",
        "- {write: buf}\n"
        + CHILD
        + LOCK
        + CHILD_LOCKS
        + f"- {{munmap: buf, {PART}}}\n- {{munmap: buf}}\n",
        [UNMARKED],
    ),
    "locked by two, one of which copies a page": (
        "64KiB",
        "- {write: buf}\n" + CHILD + LOCK + CHILD_LOCKS + "- {write: buf, length: 4KiB}\n",
        [WHOLE, SMALL],
    ),
    "a part advised to go, with a locked part": (
        "16KiB",
        "- {write: buf}\n- {mlock: buf, flags: MLOCK_ONFAULT, length: 4KiB}\n"
        "- {madvise: buf, advice: MADV_COLD, offset: 4KiB, length: 4KiB}\n",
        [SMALL, BARE, BARE, BARE],
    ),
    "read ahead, and mapped before it is locked": (
        "16KiB",
        "- {write: buf}\n"
        + CHILD
        + OUT
        + "- {exit: child}\n"
        + OUT
        + "- {madvise: buf, advice: MADV_WILLNEED}\n"
        + LOCK
        + "- {read: buf}\n",
        [BARE] * 4,
    ),
    "2 MiB of a locked VMA": ("2MiB", LOCK + "- {write: buf}\n", [Marked(512, True, 1)]),
    "2 MiB, the PMD entry of which is split": (
        "2MiB",
        LOCK + "- {write: buf}\n- {mprotect: buf, prot: r, length: 4KiB}\n",
        [Marked(512, False, 0)],
    ),
    "2 MiB that are locked by one entry": (
        "2MiB",
        "- {write: buf}\n" + CHILD + LOCK + CHILD_LOCKS,
        [Marked(512, True, 2)],
    ),
    "collapsed": (
        "2MiB",
        "- {madvise: buf, advice: MADV_NOHUGEPAGE}\n" + LOCK + "- {write: buf}\n"
        "- {madvise: buf, advice: MADV_HUGEPAGE}\n- {madvise: buf, advice: MADV_COLLAPSE}\n",
        [Marked(512, True, 1)],
    ),
    "moved twice, the second time split": (
        "16KiB",
        LOCK + "- {write: buf}\n- {migrate: buf}\n- {migrate: buf}\n- {munlock: buf}\n",
        [BARE] * 4,
    ),
    "moved": ("64KiB", LOCK + "- {write: buf}\n- {migrate: buf}\n", [UNMARKED]),
    "kept by a reference": ("64KiB", REFERRED, [UNMARKED]),
    "kept by a pin": ("64KiB", PINNED, [Marked(16, True, 0)]),
    "2 MiB, kept by a reference": ("2MiB", REFERRED, [Marked(512, True, 0)]),
}
"""The size of folios, what is done, and what has become of the folios of the first size."""


def marks(size: str, steps: str, kernel: str) -> list[Marked]:
    """The folios in the order of their pages, as a replay without any memory of states has them."""
    seen: list[NaiveFolios] = []

    def noted(world: World, collapsing: bool) -> NaiveFolios:
        seen.append(NaiveFolios(world, collapsing))
        return seen[-1]

    region = "2MiB" if size == "2MiB" else size
    machine = f"{{kernel: '{kernel}', thp: {size}, swap: zram}}"
    text = f"machine: {machine}\nsteps:\n- {{mmap: buf, size: {region}, at: '0x4000000'}}\n{steps}"
    with mock.patch.object(chosen, "Folios", noted):
        engine.replay(load_text(text.encode(), "x"), policies.find("merged"))
    (blocks,) = seen[0].blocks.values()
    found = [folio for block in blocks for folio in block.folios.values()]
    found.sort(key=lambda folio: (folio.first, -folio.nr_pages))
    return [Marked(folio.nr_pages, folio.mlocked, folio.mlock_count) for folio in found]


@pytest.mark.parametrize("kernel", ["6.12", "7.3"])
@pytest.mark.parametrize("what", STEPS)
def test_large_folios_are_marked_as_by_the_functions_of_the_kernel(what: str, kernel: str) -> None:
    """Is each folio mlocked, and as often, as the kernel makes it?"""
    size, steps, expected = STEPS[what]
    assert marks(size, steps, kernel) == expected
