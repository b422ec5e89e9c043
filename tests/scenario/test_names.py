"""Is what stays mapped of a region right after any sequence of munmaps?"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from swaptrace.scenario.addresses import without
from swaptrace.scenario.base import ByteRange

SPANS = st.lists(st.builds(ByteRange, st.integers(0, 30), st.integers(1, 12)), max_size=12)


@given(SPANS)
def test_unmapped_ranges_leave_the_rest(spans: list[ByteRange]) -> None:
    """Are the parts those that a set of pages would give, in order and without a seam?"""
    mapped: tuple[tuple[int, int], ...] = ((0, 42),)
    pages = set(range(42))
    for span in spans:
        mapped = without(mapped, span.offset, span.offset + span.length)
        pages -= set(range(span.offset, span.offset + span.length))
        assert [page for low, high in mapped for page in range(low, high)] == sorted(pages)
        assert all(low < high for low, high in mapped)
        assert all(before[1] < after[0] for before, after in pairwise(mapped))
