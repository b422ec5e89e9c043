"""Are ranges of pages kept as sets of single pages would keep them?"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.importers.space import Kind, MappedArea, Ranges, Space
from tests.effort import examples

SPAN = st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda pair: (pair[0], sum(pair)))
OPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), SPAN), max_size=25)
KINDS = st.sampled_from(["anonymous", "file", "shared"])


@settings(max_examples=examples(80))
@given(ops=OPS, asked=SPAN)
def test_ranges_are_a_set_of_pages(
    ops: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    """Is what is in, what was removed, and what lies in a range the same as of a set?"""
    ranges, pages = Ranges(), set[int]()
    for op, (start, end) in ops:
        span = set(range(start, end))
        if op == "add":
            ranges.add(start, end)
            pages |= span
        else:
            removed = {page for part in ranges.remove(start, end) for page in range(*part)}
            assert removed == pages & span
            pages -= span
        parts = list(ranges)
        assert {page for part in parts for page in range(*part)} == pages
        assert all(before[1] < after[0] for before, after in pairwise(parts))
    inside = {page for part in ranges.within(*asked) for page in range(*part)}
    assert inside == pages & set(range(*asked))


@settings(max_examples=examples(80))
@given(maps=st.lists(st.tuples(SPAN, st.none() | KINDS), max_size=20))
def test_a_space_is_a_map_of_pages(maps: list[tuple[tuple[int, int], Kind | None]]) -> None:
    """Does every page lie in what was mapped there last, and in nothing after it was unmapped?"""
    space, pages = Space(), dict[int, Kind]()
    for (start, end), kind in maps:
        gone = {
            page: area.kind
            for area in space.unmap(start, end)
            for page in range(area.start, area.end)
        }
        assert gone == {page: pages[page] for page in range(start, end) if page in pages}
        pages = {page: pages[page] for page in pages if not start <= page < end}
        if kind is not None:
            space.put(MappedArea(start, end, kind))
            pages |= dict.fromkeys(range(start, end), kind)
    index = space.locate(np.arange(45, dtype=np.uint64)).tolist()
    found = {page: space.areas[at].kind for page, at in enumerate(index) if at >= 0}
    assert found == pages


def test_pages_that_moved_away_keep_their_place_in_the_model() -> None:
    """Does what is mapped where they were get pages of its own?"""
    space = Space([MappedArea(100, 110, "anonymous")])
    (moved,) = space.unmap(100, 110)
    space.put(MappedArea(200, 210, "anonymous", moved.start - 200))
    fresh = space.put(MappedArea(104, 120, "anonymous"))
    assert space.within(200, 210)[0].model == (100, 110)
    assert fresh.model[0] > 210
    space.unmap(200, 210)
    space.unmap(104, 120)
    assert space.put(MappedArea(104, 120, "anonymous")).model == (104, 120)
