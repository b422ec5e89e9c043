"""Does a region of runs behave like a list of columns?"""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.replay.runs.region import Region, Walk, listed


@st.composite
def walks(draw: st.DrawFn, pages: int) -> Walk:
    """Any walk over some of the pages."""
    if draw(st.integers(0, 3)) == 0:
        order = draw(st.permutations(range(pages)))
        return listed(np.array(order[: draw(st.integers(1, pages))], dtype=np.int64))
    first = draw(st.integers(0, pages - 1))
    stride = draw(st.sampled_from([1, 1, 2, 3, 7]))
    count = draw(st.integers(1, (pages - 1 - first) // stride + 1))
    seed = draw(st.sampled_from([None, None, 1]))
    return Walk(first, count, stride, backward=draw(st.booleans()), seed=seed)


@given(st.data(), st.integers(1, 40))
def test_a_region_is_a_list_of_columns(data: st.DataObject, pages: int) -> None:
    """After any changes, are columns, segments, histograms and runs those of a plain list?"""
    region, plain = Region(pages, 0), [0] * pages
    for _ in range(5):
        walk = data.draw(walks(pages))
        visited = walk.pages().tolist()
        assert region.histogram(walk) == Counter(plain[page] for page in visited)
        segments = list(region.segments(walk))
        assert [c for _, n, c in segments for _ in range(n)] == [plain[page] for page in visited]
        first = min(page for page in visited if plain[page] == plain[visited[0]])
        assert region.first_page(walk, plain[visited[0]]) == first
        step = data.draw(st.integers(1, 4))
        region.replace(walk, lambda ids, step=step: (ids * 3 + step) % 5)  # type: ignore[misc]
        for page in visited:
            plain[page] = (plain[page] * 3 + step) % 5
        assert [c for _, n, c in region.runs() for _ in range(n)] == plain
        assert all(region.ids[1:] != region.ids[:-1]), "equal neighbouring runs are merged"


@given(st.data(), st.integers(1, 30))
def test_the_parts_of_a_walk_are_the_walk(data: st.DataObject, pages: int) -> None:
    """Do a walk's head and tail visit what the walk visits, in its order?"""
    walk = data.draw(walks(pages)).ordered()
    cut = data.draw(st.integers(0, walk.count))
    head, tail = walk.part(0, cut), walk.part(cut, walk.count - cut)
    assert [*head.pages().tolist(), *tail.pages().tolist()] == walk.pages().tolist()


@given(st.data(), st.integers(2, 40))
def test_a_step_split_in_two_changes_no_page_differently(data: st.DataObject, pages: int) -> None:
    """Is a range that is changed in two halves changed like the whole?"""
    region, other = Region(pages, 0), Region(pages, 0)
    walk = data.draw(walks(pages)).ordered()
    cut = data.draw(st.integers(0, walk.count))
    region.replace(walk, lambda ids: ids + 1)
    other.replace(walk.part(0, cut), lambda ids: ids + 1)
    other.replace(walk.part(cut, walk.count - cut), lambda ids: ids + 1)
    assert region.key() == other.key()


def test_a_random_order_is_the_same_for_ever() -> None:
    """Does a seed give the permutation that it always gave?"""
    assert Walk(0, 8, seed=1).pages().tolist() == [1, 2, 7, 4, 6, 0, 3, 5]
