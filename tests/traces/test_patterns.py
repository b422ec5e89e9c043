"""Are the patterns what they say, and the same for ever, however they are cut into chunks?"""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import AccessPatternStep, Pattern
from swaptrace.traces import generator, patterns
from swaptrace.traces.chunk import Chunk
from tests.effort import examples

WORD = (1 << 64) - 1


def step(pattern: Pattern, count: int = 1000, **keys: float) -> AccessPatternStep:
    return AccessPatternStep(
        line=1,
        region="buf",
        span=ByteRange(0, 4096),
        count=count,
        pattern=pattern,
        **keys,  # type: ignore[arg-type]
    )


def whole(of: AccessPatternStep, pages: int) -> Chunk:
    """All accesses as one chunk."""
    chunks = list(patterns.accesses(of, pages))
    return Chunk(*(np.concatenate([chunk[i] for chunk in chunks]) for i in (0, 1)))


def mixed(number: int) -> int:
    """SplitMix64's finalizer, with Python's integers."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB & WORD
    return number ^ number >> 31


FIRST: dict[Pattern, tuple[list[int], int]] = {
    "sequential": ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 272),
    "uniform": ([52, 30, 94, 88, 66, 34, 39, 60, 81, 8], 272),
    "zipf": ([80, 17, 20, 96, 68, 17, 98, 14, 36, 8], 272),
    "hot": ([26, 98, 97, 80, 74, 98, 37, 34, 80, 8], 272),
}
"""The first ten pages of a hundred and how many of a thousand accesses write, for the seed 7."""


@pytest.mark.parametrize("pattern", FIRST)
def test_a_seed_gives_the_accesses_that_it_always_gave(pattern: Pattern) -> None:
    hot = {"hot_pages": 10} if pattern == "hot" else {}
    found = whole(step(pattern, seed=7, write_share=0.3, **hot), 100)
    assert (found.page[:10].tolist(), int(found.write.sum())) == FIRST[pattern]


@given(st.integers(0, WORD >> 32), st.integers(0, 2), st.integers(0, 1 << 70), st.integers(0, 9))
def test_draws_are_those_of_splitmix64(seed: int, stream: int, first: int, count: int) -> None:
    """Is each draw what whole numbers of any size give, wherever one begins?"""
    golden = generator.GOLDEN
    key = mixed(seed + stream * golden & WORD)
    wanted = [mixed(key + (first + i + 1) * golden & WORD) for i in range(count)]
    assert generator.draws(seed, stream, first, count).tolist() == wanted


@settings(max_examples=examples(30))
@given(st.data())
def test_chunks_are_parts_of_one_sequence(data: st.DataObject) -> None:
    """Is what is made in chunks of any length the same as what is made at once?"""
    pages = data.draw(st.integers(2, 300))
    pattern = data.draw(st.sampled_from(get_args(Pattern)))
    hot = {"hot_pages": data.draw(st.integers(1, pages - 1))} if pattern == "hot" else {}
    of = step(pattern, data.draw(st.integers(1, 500)), seed=data.draw(st.integers(0, 9)), **hot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "CHUNK", data.draw(st.integers(1, 600)))
        cut = whole(of, pages)
    at_once = whole(of, pages)
    assert cut.page.tolist() == at_once.page.tolist()
    assert cut.write.tolist() == at_once.write.tolist()
    assert len(at_once.page) == of.count
    assert int(at_once.page.max()) < pages


def chi_squared(found: np.ndarray[Any, Any], share: np.ndarray[Any, Any]) -> float:
    """How far counts are from what is expected, in standard deviations of the statistic."""
    expected = share * found.sum()
    statistic = float(((found - expected) ** 2 / expected).sum())
    freedom = len(found) - 1.0
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("exponent", [0, 0.8, 1, 1.5])
def test_a_zipf_rank_is_as_popular_as_it_should_be(seed: int, exponent: float) -> None:
    """Of the pages in the order of the seed, does the k-th get its share k^-exponent?"""
    pages, of = 200, step("zipf", 200_000, seed=seed, exponent=exponent)
    found = np.bincount(whole(of, pages).page, minlength=pages)[generator.order(seed, pages)]
    share = np.arange(1, pages + 1) ** -float(exponent)
    assert abs(chi_squared(found, share / share.sum())) < 5


@pytest.mark.parametrize("pages", [1, 2, 3, 100, 5000])
@pytest.mark.parametrize("exponent", [0, 0.8, 1, 10])
def test_a_zipf_rank_is_the_first_whose_limit_is_above_the_draw(
    pages: int, exponent: float
) -> None:
    """Is what the table of upper bits says what the limits say, at the limits as well?"""
    limits = generator.zipf_limits(pages, exponent)
    drawn = np.append(generator.draws(5, 0, 0, 20_000), np.array([0, WORD], np.uint64))
    near = np.minimum(limits, np.uint64((1 << 53) - 1)) << np.uint64(11)
    drawn = np.concatenate([drawn, near, near - np.uint64(1)])
    ranks = np.searchsorted(limits, drawn >> np.uint64(11), side="right")
    found = patterns.zipf(step("zipf", seed=3, exponent=exponent), pages)(drawn, 0)
    assert found.tolist() == generator.order(3, pages)[ranks].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_uniform_pages_are_as_popular_as_each_other(seed: int) -> None:
    found = np.bincount(whole(step("uniform", 200_000, seed=seed), 300).page, minlength=300)
    assert abs(chi_squared(found, np.full(300, 1 / 300))) < 5


@pytest.mark.parametrize("seed", range(5))
def test_hot_pages_get_their_share_and_are_not_neighbours(seed: int) -> None:
    """Do the first of the seed's order get the share, one as much as the other?"""
    of = step("hot", 200_000, seed=seed, hot_pages=50, hot_share=0.7)
    ordered = generator.order(seed, 250)
    found = np.bincount(whole(of, 250).page, minlength=250)[ordered]
    share = np.concatenate([np.full(50, 0.7 / 50), np.full(200, 0.3 / 200)])
    assert abs(chi_squared(found, share)) < 5
    assert sorted(ordered[:50]) != list(range(50))


@pytest.mark.parametrize("pattern", ["uniform", "zipf", "hot"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_whether_an_access_writes_depends_on_nothing_else(pattern: Pattern, share: float) -> None:
    """Do pages of every popularity get their share of the writes?"""
    hot = {"hot_pages": 30} if pattern == "hot" else {}
    found = whole(step(pattern, 300_000, seed=3, write_share=share, **hot), 100)
    for half in (found.page < 50, found.page >= 50):
        writes = found.write[half]
        deviation = (share * (1 - share) / len(writes)) ** 0.5
        assert abs(float(writes.mean()) - share) < 5 * deviation


@pytest.mark.parametrize(("share", "writes"), [(0, 0), (1, 100_000)])
def test_none_and_all_are_exact(share: float, writes: int) -> None:
    assert int(whole(step("uniform", 100_000, write_share=share), 9).write.sum()) == writes


@given(st.integers(0, 1000), st.integers(0, 99))
def test_an_order_has_every_page_once(count: int, seed: int) -> None:
    assert sorted(generator.order(seed, count).tolist()) == list(range(count))


def test_orders_are_as_likely_as_each_other() -> None:
    """Do 12,000 seeds put three pages into each of their six orders about as often?"""
    found: dict[tuple[int, ...], int] = {}
    for seed in range(12_000):
        order = tuple(generator.order(seed, 3).tolist())
        found[order] = found.get(order, 0) + 1
    assert len(found) == 6
    assert abs(chi_squared(np.array(list(found.values())), np.full(6, 1 / 6))) < 5


def test_powers_are_those_of_libm_within_rounding() -> None:
    bases = np.arange(1, 100_001, dtype=np.float64)
    for exponent in (-10.0, -1.2, -1.0, -0.8, -0.1, 0.0):
        np.testing.assert_allclose(generator.power(bases, exponent), bases**exponent, rtol=1e-13)
