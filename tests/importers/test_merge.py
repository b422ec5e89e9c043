"""Does leaving accesses out change any count?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.importers.accesses import Flags, Pages
from swaptrace.importers.merge import LastAccess, merged
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter
from tests.effort import examples

ACCESSES = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40)
PAGES = 400


def by_hand(accesses: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """The first access to a page after another one, and the first write since."""
    kept: list[tuple[int, bool]] = []
    last, written = -1, False
    for page, write in accesses:
        if page != last:
            kept.append((page, write))
            last, written = page, write
        elif write and not written:
            kept.append((page, write))
            written = True
    return kept


@settings(max_examples=examples(100))
@given(accesses=ACCESSES, cuts=st.lists(st.integers(0, 40), max_size=3))
def test_what_is_kept_of_parts_is_what_is_kept_of_the_whole(
    accesses: list[tuple[int, bool]], cuts: list[int]
) -> None:
    """Wherever a log is cut into blocks, is it the same as one access after another?"""
    bounds = [0, *sorted(min(cut, len(accesses)) for cut in cuts), len(accesses)]
    found: list[tuple[int, bool]] = []
    last = LastAccess()
    for start, end in pairwise(bounds):
        part = accesses[start:end]
        page = np.array([page for page, _ in part], np.uint64)
        page, write, last = merged(page, np.array([write for _, write in part], np.bool_), last)
        found += zip(page.tolist(), write.tolist(), strict=True)
    assert found == by_hand(accesses)


def workload(seed: int) -> tuple[Pages, Flags]:
    """Accesses that stay with a page for a while, as those of programs do."""
    random = np.random.default_rng(seed)
    page = np.repeat(random.integers(0, PAGES, 3000), random.integers(1, 6, 3000))
    return page.astype(np.uint64), random.random(len(page)) < 0.3


@pytest.mark.parametrize("limit", ["", "machine: {memory: 1MiB, swap: {size: 4MiB}}\n"])
@pytest.mark.parametrize("policy", ["prepatch", "final"])
def test_a_replay_counts_the_same(policy: str, limit: str, tmp_path: Path) -> None:
    """Under every access and under those that are kept, also where memory is short?"""
    page, write = workload(seed=7)
    kept = merged(page, write, LastAccess())[:2]
    assert len(kept[0]) < len(page) * 0.7
    totals = []
    for name, (pages, writes) in (("every", (page, write)), ("kept", kept)):
        with TraceWriter(str(tmp_path / f"{name}.npz")) as writer:
            writer.write(Chunk(pages.astype(np.uint32), writes))
        steps = f"- {{mmap: a, size: {PAGES * 4}KiB}}\n- {{trace: {name}.npz, region: a}}\n"
        scenario = load_text(f"{limit}steps:\n{steps}", str(tmp_path / f"{name}.yaml"))
        totals.append(replay(scenario, policies.find(policy)).total)
    assert totals[0] == totals[1]
    assert (totals[0].get("majflt", 0) > 20) is bool(limit)
