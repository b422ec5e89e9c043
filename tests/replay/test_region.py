"""Does a region of runs behave like a list of columns?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.replay.runs import region as regions
from swaptrace.replay.runs.lists import RunLists
from swaptrace.replay.runs.region import Region, RegionPart
from swaptrace.replay.runs.walk import Walk, listed


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


@contextmanager
def keeping(few: int) -> Iterator[None]:
    """So many runs are kept in lists at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "FEW", few)
        yield


@pytest.mark.parametrize("few", [0, 3, regions.FEW])
@given(st.data(), st.integers(1, 40))
def test_a_region_is_a_list_of_columns(few: int, data: st.DataObject, pages: int) -> None:
    """After any changes, are columns, segments, histograms and runs those of a plain list, in lists
    as in arrays?"""
    region, plain = Region(pages, 0), [0] * pages
    with keeping(few):
        for _ in range(5):
            walk = data.draw(walks(pages))
            visited = walk.pages().tolist()
            assert region.histogram(walk) == Counter(plain[page] for page in visited)
            segments = list(region.segments(walk))
            assert [c for _, n, c in segments for _ in range(n)] == [
                plain[page] for page in visited
            ]
            first = min(page for page in visited if plain[page] == plain[visited[0]])
            assert region.first_page(walk, plain[visited[0]]) == first
            step = data.draw(st.integers(1, 4))
            region.change(walk, lambda column, step=step: (column * 3 + step) % 5)  # type: ignore[misc]
            for page in visited:
                plain[page] = (plain[page] * 3 + step) % 5
            assert [c for _, n, c in region.runs() for _ in range(n)] == plain
            columns = [column for _, _, column in region.runs()]
            assert all(a != b for a, b in pairwise(columns)), "equal neighbouring runs are merged"


def resize(region: Region, pages: int, column: int) -> None:
    """Another number of pages."""
    region.resize(pages, column)


def change_part(region: Region, first: int, column: int) -> None:
    """A part of the region, from a page on, is changed."""
    part = RegionPart(region, first % region.pages, -(-(region.pages - first % region.pages) // 2))
    part.change(Walk(0, part.pages), lambda old: (old * 3 + column) % 5)


def put_runs(region: Region, low: int, column: int) -> None:
    """Runs that alternate take the place of the pages from one on."""
    pages = range(low % region.pages, region.pages, 2)
    region.splice_lists(pages[0], region.pages, RunLists([*pages], [column + p % 3 for p in pages]))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([resize, change_part, put_runs]), st.integers(1, 40), st.integers(0, 4)
        ),
        max_size=8,
    )
)
def test_few_runs_are_kept_as_many_are(
    changes: list[tuple[Callable[[Region, int, int], None], int, int]],
) -> None:
    """Does a region in lists become the same as one in arrays?"""
    one, other = Region(20, 0), Region(20, 0)
    for change, number, column in changes:
        for region, few in ((one, 0), (other, regions.FEW)):
            with keeping(few):
                change(region, number, column)
    assert one.pages == other.pages
    assert one.key() == other.key()
    assert one.copy().numbers() == other.copy().numbers()
    for page in range(one.pages):
        assert one.column_at(page) == other.column_at(page)
        assert one.uniform_around(page) == other.uniform_around(page)
        assert one.listed(page, one.pages) == other.listed(page, other.pages)


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
    region.change(walk, lambda column: column + 1)
    other.change(walk.part(0, cut), lambda column: column + 1)
    other.change(walk.part(cut, walk.count - cut), lambda column: column + 1)
    assert region.key() == other.key()


def test_a_random_order_is_the_same_for_ever() -> None:
    """Does a seed give the permutation that it always gave?"""
    assert Walk(0, 8, seed=1).pages().tolist() == [1, 2, 7, 4, 6, 0, 3, 5]
