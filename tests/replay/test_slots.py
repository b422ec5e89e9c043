"""Does a swap device that fills take slots back as the kernel does, and only where it can?

The counts are those of Debian's cloud kernels 6.12.117 and 6.18.15.
"""

from __future__ import annotations

from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.explain import explain
from swaptrace.replay.folios.kept import KeptFolios
from swaptrace.replay.pages.placed import is_placed
from swaptrace.replay.table import Table
from swaptrace.replay.world import World
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario

MERGED = policies.find("merged")

OLD_AND_NEW = """\
machine: {swap: {backend: disk, size: 400KiB, page_cluster: 0}}
steps:
- {mmap: old, size: 160KiB}
- {mmap: new, size: 320KiB}
- {write: old}
- {madvise: old, advice: MADV_PAGEOUT}
- {read: old}
- {write: new}
- {madvise: new, advice: MADV_PAGEOUT}
- {madvise: old, advice: MADV_PAGEOUT}
"""
"""40 pages are in the swap cache alone when 80 others fill the 100 slots."""

HALF = """\
machine: {swap: {backend: disk, size: 2400KiB}}
steps:
- {mmap: r0, size: 1200KiB}
- {write: r0}
- {madvise: r0, advice: MADV_PAGEOUT}
- {read: r0}
- {madvise: r0, advice: MADV_PAGEOUT}
- {mmap: r1, size: 40KiB}
- {read: r0}
- {write: r1}
- {madvise: r1, advice: MADV_PAGEOUT}
- {madvise: r0, advice: MADV_PAGEOUT}
"""
"""300 of 600 slots: with what a per-CPU cache holds more than half."""


BATCHES = """\
machine: {lru_batch: true, swap: {backend: disk, size: 400KiB, page_cluster: 2}}
steps:
- {mmap: old, size: 160KiB}
- {mmap: new, size: 240KiB}
- {write: new}
- {madvise: new, advice: PAGEOUT}
- {fork: child}
- {write: old}
- {madvise: old, advice: PAGEOUT, length: 80KiB}
- {read_write: old, process: child}
- {read: new, process: child, length: 80KiB}
- {mmap: last, size: 16KiB}
- {write: last}
- {fork: second}
- {exit: second}
- {write: last}
"""
"""60 slots of 100, and 20 more; each fault then frees a slot that it can free."""


def made(text: str, kernel: str) -> Scenario:
    """The scenario on a kernel."""
    return load_text(text, "slots", {"machine.kernel": kernel})


@pytest.mark.parametrize(
    ("text", "kernel", "pswpout"),
    [
        (OLD_AND_NEW, "6.10", 100),
        (OLD_AND_NEW, "6.12", 140),
        (OLD_AND_NEW, "7.3", 140),
        (HALF, "6.12", 439),
        (HALF, "6.18", 310),
    ],
)
def test_what_is_taken_back_is_written_once_more(text: str, kernel: str, pswpout: int) -> None:
    """Does the kernel write again what the allocator took back, from 6.12 on?"""
    assert replay(made(text, kernel), MERGED).total["pswpout"] == pswpout


def test_explain_says_whose_slots_were_taken_back() -> None:
    """Is the page that gives its slot up told beside those that are written?"""
    steps = explain(made(OLD_AND_NEW, "6.18"), MERGED).steps
    (told,) = [t for t in steps[6].transitions if t.region == "old"]
    assert (told.event, told.pages) == ("its slot is taken back for another page", 40)
    assert told.path == ("__try_to_reclaim_swap", "folio_free_swap")


@pytest.mark.parametrize(
    ("text", "kernel", "placed"),
    [
        (OLD_AND_NEW, "6.11", False),
        (OLD_AND_NEW, "6.12", True),
        (OLD_AND_NEW.replace("disk", "zswap"), "6.12", True),
        (OLD_AND_NEW.replace("disk", "zram"), "6.12", False),
        (OLD_AND_NEW.replace("disk", "zram") + "- {fork: child}\n", "6.12", True),
        (OLD_AND_NEW.replace("400KiB", "960KiB"), "7.3", False),
        (OLD_AND_NEW.replace("400KiB", "956KiB"), "7.3", True),
    ],
)
def test_slots_have_positions_only_where_one_can_be_taken_back(
    text: str, kernel: str, placed: bool
) -> None:
    """Is it cheap where less than half of the device can be in use, or nothing stays cached?"""
    scenario = made(text, kernel)
    assert is_placed(scenario, scenario.machine) is placed
    assert (Replay(scenario, MERGED).world.arena is not None) is placed


READ_AHEAD = """\
machine: {swap: {backend: disk, size: 124KiB}}
steps:
- {mmap: r0, size: 84KiB}
- {read_write: r0, offset: 24KiB, length: 60KiB}
- {madvise: r0, offset: 0, length: 68KiB, advice: MADV_PAGEOUT}
- {memset: r0, value: 34}
"""
"""11 of 31 slots, of zeroes, so that nothing stays in the swap cache; faults read eight pages."""


@pytest.mark.parametrize("kernel", ["7.2", "7.3"])
def test_kept_batches_count_the_same_with_blocks_where_the_device_fills(kernel: str) -> None:
    """Is it known how many slots are in use, as long as none is taken back?"""
    scenario = made(BATCHES, kernel)
    found = replay(scenario, MERGED, pages=True)

    def blocks(machine: Machine, table: Table, *_: bool) -> World:
        world = World(machine, table)
        world.arena = kept = KeptFolios(world)
        world.batch = kept.batches
        return world

    with mock.patch.object(engine, "world_of", blocks):
        slow = replay(scenario, MERGED, pages=True)
    assert (found.total, found.pages) == (slow.total, slow.pages)
    assert is_placed(scenario, scenario.machine)
    assert found.total["lru_drains"] > 0


@pytest.mark.parametrize(
    ("kernel", "message"),
    [("6.12", "fills before Linux 6.15"), ("7.3", "slots that only the swap cache holds")],
)
def test_kept_batches_are_an_error_where_slots_are_taken_back(kernel: str, message: str) -> None:
    """Or may be, where a CPU sets slots aside?"""
    scenario = load_text(
        OLD_AND_NEW, "slots", {"machine.kernel": kernel, "machine.lru_batch": "true"}
    )
    with pytest.raises(ScenarioError, match=message):
        replay(scenario, MERGED)


@pytest.mark.parametrize("kernel", ["6.12", "7.2", "7.3"])
def test_faults_that_read_ahead_count_the_same_where_slots_have_positions(kernel: str) -> None:
    """Is a fault that reads page by page the one event that it is elsewhere: major, and, since
    7.3, in the swap cache still, as what it reads waits in the batch? Two are, of eleven pages
    in swap, on 7.3."""
    small, large = (
        replay(load_text(READ_AHEAD, "slots", {"machine.kernel": kernel, **more}), MERGED)
        for more in ({}, {"machine.swap.size": "8MiB"})
    )
    scenario = made(READ_AHEAD, kernel)
    assert is_placed(scenario, scenario.machine)
    assert small.total["majflt"] == 2
    assert small.total == large.total


@pytest.mark.parametrize("thp", ["", "thp: {16KiB: always}, "])
def test_each_fault_asks_anew_whether_swap_is_full(thp: str) -> None:
    """Is what the swap cache holds kept once half of the device is free, with large folios too?
    7.3.4 writes one page of six again."""
    text = (
        f"machine: {{kernel: '7.3', {thp}swap: {{backend: disk, size: 40KiB}}}}\n"
        "steps:\n- {mmap: r0, size: 24KiB}\n- {write: r0}\n"
        "- {madvise: r0, advice: MADV_PAGEOUT}\n- {read: r0}\n"
        "- {madvise: r0, advice: MADV_PAGEOUT}\n"
    )
    assert replay(load_text(text), MERGED).total["pswpout"] == 7
