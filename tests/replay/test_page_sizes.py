"""Does everything that depends on the size of a page know it?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.mm.policy import Policy
from swaptrace.reclaim import memory
from swaptrace.reclaim.vmscan import inactive_is_low
from swaptrace.replay.engine import replay
from swaptrace.replay.pages.arena import Arena
from swaptrace.replay.table import Table
from swaptrace.replay.world import World
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.loader import load_text
from tests.effort import exhaustive, some
from tests.replay.naive import naive_replay

KIB, GIB = 1 << 10, 1 << 30
SIZES = [4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB]

READ_AHEAD = """\
machine: {{page_size: {size}, swap: {{backend: disk, size: 4GiB, page_cluster: 5}}}}
steps:
- mmap: buf
  size: {length}
- write: buf
- {{madvise: buf, advice: PAGEOUT}}
- read: buf
- {{madvise: buf, advice: PAGEOUT}}
- read: buf
  stride: {stride}
- read: buf
- {{madvise: buf, advice: PAGEOUT}}
- read: buf
  order: backward
"""


def read_ahead(size: int, pages: int) -> str:
    return READ_AHEAD.format(size=size, length=pages * size, stride=32 * size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("gibibytes", "ratio"), [(0, 1), (1, 3), (2, 4), (4, 6), (10, 10)])
def test_few_inactive_folios_are_so_by_the_memory_that_they_have(
    size: int, gibibytes: int, ratio: int
) -> None:
    """Does inactive_is_low() take its ratio from gibibytes, whatever a page is?"""
    arena = Arena(World(Machine(page_size=size, memory=64 * GIB), Table(policies.find("merged"))))
    folios = gibibytes * GIB // size + 100
    for inactive in (folios // (1 + ratio) - 10, folios // (1 + ratio) + 10):
        arena.v[memory.FLUSHED + memory.INACTIVE_ANON] = inactive
        arena.v[memory.FLUSHED + memory.ACTIVE_ANON] = folios - inactive
        low = inactive_is_low(arena.memory(), memory.INACTIVE_ANON)
        assert low == (inactive * ratio < folios - inactive)


class WideWindow(Policy):
    """Always reads as much as it can, and notes how many hits it is told of."""

    name = "wide"

    def __init__(self) -> None:
        self.most = 0

    def readahead_window(
        self,
        address: int,  # noqa: ARG002
        last: int,  # noqa: ARG002
        hits: int,
        last_window: int,  # noqa: ARG002
        max_window: int,
    ) -> int:
        self.most = max(self.most, hits)
        return max_window


@pytest.mark.parametrize(("size", "most"), list(zip(SIZES, [63, 63, 127, 127, 255], strict=True)))
def test_hits_of_read_ahead_saturate_where_the_bits_of_an_address_end(size: int, most: int) -> None:
    """Does a policy hear of up to SWAP_RA_HITS_MAX hits, which grows with the page?"""
    policy = WideWindow()
    replay(load_text(read_ahead(size, 1024), "hits.yaml"), policy)
    assert policy.most == most


@exhaustive
@pytest.mark.parametrize("size", some([8 * KIB, 16 * KIB], 1))
def test_read_ahead_by_blocks_equals_page_by_page(size: int) -> None:
    """Is a block what one page table of such pages covers, in either direction?"""
    scenario = load_text(read_ahead(size, 2 * size // 8 + 100), "tables.yaml")
    fast = replay(scenario, policies.find("final"), pages=True)
    slow = naive_replay(scenario, policies.find("final"))
    assert fast.total["swap_ra_hit"] > 0
    assert fast.total == slow.total
    assert fast.pages == slow.pages
