"""Loops under a memory limit with large folios, the state of which recurs."""

from __future__ import annotations

from itertools import count
from random import Random
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.replay import engine
from swaptrace.replay.engine import world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.folios.limited import LimitedFolios
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from tests.effort import examples, exhaustive

PAGES = 160
"""More than the limit lets be in memory."""


@st.composite
def steps(draw: st.DrawFn) -> list[str]:
    """Accesses and advice, of all or a part."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.sampled_from([0, 0, 3, 16, 40]))
        pages = draw(st.sampled_from([PAGES, PAGES, 1, 16, 60, 100]))
        where = f"offset: {4 * first}KiB, length: {4 * min(pages, PAGES - first)}KiB"
        read = f"{{read: a, {where}, stride: {draw(st.sampled_from([4, 4, 12, 64]))}KiB}}"
        advice = draw(st.sampled_from(["PAGEOUT", "COLD", "FREE", "DONTNEED", "WILLNEED"]))
        uniform = f"{{access: a, {where}, count: 60, pattern: uniform, write_share: 0.3}}"
        advised = f"{{madvise: a, {where}, advice: {advice}}}"
        found.append(draw(st.sampled_from([read, f"{{write: a, {where}}}", uniform, advised])))
    return found


@st.composite
def loops(draw: st.DrawFn) -> Scenario:
    """A loop of them, and what follows."""
    body, after = draw(steps()), draw(steps())
    machine = {
        "machine.kernel": draw(st.sampled_from(["6.12", "6.18", "7.3"])),
        "machine.thp": draw(st.sampled_from(["16KiB", "64KiB"])),
        "machine.memory": draw(st.sampled_from(["400KiB", "480KiB"])),
        "machine.lru_drain": draw(st.sampled_from(["never", "7"])),
        "machine.stat_flush": draw(st.sampled_from(["never", "50"])),
    }
    loop = f"{{repeat: {draw(st.integers(5, 40))}, steps: [{', '.join(body)}]}}"
    all_steps = [f"{{mmap: a, size: {4 * PAGES}KiB}}", "{write: a}", loop, *after]
    return load_text(f"steps: [{', '.join(all_steps)}]".encode(), "loops", machine)


def replayed(scenario: Scenario) -> PolicyResult | str:
    """What comes of it, or why nothing does."""
    try:
        return engine.replay(scenario, policies.find("final"), pages=True)
    except SwaptraceError as error:
        return str(error)


@settings(max_examples=examples(40))
@given(loops())
def test_loops_equal_all_of_their_iterations(scenario: Scenario) -> None:
    """Does what is left out after a recurrence, and what follows, count as if it were replayed?"""
    with mock.patch.object(LimitedFolios, "key", side_effect=((n,) for n in count())):
        whole = replayed(scenario)
    found = replayed(scenario)
    if isinstance(found, str) or isinstance(whole, str):
        assert found == whole
        return
    assert (found.total, found.pages) == (whole.total, whole.pages)
    assert found.violations == whole.violations


OPS = (
    *("{read: a}", "{read: a, length: 64KiB}", "{read: a, offset: 8KiB, length: 4KiB}"),
    *("{read: a, offset: 64KiB, length: 96KiB}", "{read: a, offset: 100KiB, length: 60KiB}"),
    *("{write: a, length: 4KiB}", "{write: a, offset: 48KiB, length: 64KiB}"),
    *("{read: a, stride: 20KiB, order: backward}", "{read: a, stride: 16KiB}"),
    *("{madvise: a, length: 48KiB, advice: PAGEOUT}", "{madvise: a, length: 64KiB, advice: COLD}"),
    *("{madvise: a, offset: 32KiB, length: 12KiB, advice: DONTNEED}", "{madvise: a, advice: FREE}"),
    *("{madvise: a, advice: DONTNEED}", "{madvise: a, advice: DONTNEED, length: 128KiB}"),
)
"""Few things to do with few pages, so that states recur."""


@exhaustive
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flush", ["never", "2", "40"])
def test_after_equal_keys_the_same_happens(flush: str, seed: int) -> None:
    """Whatever happened before, does a step count the same, and lead to states with equal keys?"""
    random, steps = Random(seed), ", ".join(OPS)
    machine = {"kernel": "6.18", "thp": "16KiB", "memory": "128KiB", "stat_flush": flush}
    machine |= {"lru_drain": flush} if seed % 2 else {}
    text = f"steps: [{{mmap: a, size: 160KiB}}, {steps}]"
    settings = {f"machine.{key}": value for key, value in machine.items()}
    scenario = load_text(text.encode(), "walk", settings)
    mmap, *ops = scenario.steps
    world = world_of(scenario.machine, Table(policies.find("merged")))
    execute(world, Tally(), mmap)
    seen: dict[tuple[str, int], tuple[object, ...]] = {}
    met, before = 0, repr(world.state_key())
    for _ in range(250):
        for number in [random.randrange(len(ops)) for _ in range(random.randint(1, 3))] * 5:
            tally = Tally()
            assert execute(world, tally, ops[number]) is None
            after = repr(world.state_key())
            shown = tuple(tally.counts), dict(tally.reclaim), after
            met += (before, number) in seen
            assert seen.setdefault((before, number), shown) == shown
            before = after
    assert met > 300


def test_a_loop_that_recurs_ends() -> None:
    """Does a thousand million times over more than there is memory for end?"""
    text = "steps: [{mmap: a, size: 640KiB}, {write: a}, {repeat: 1000000000, steps: [{read: a}]}]"
    machine = {"machine.kernel": "6.18", "machine.thp": "64KiB", "machine.memory": "512KiB"}
    found = engine.replay(load_text(text.encode(), "loop", machine), policies.find("final"))
    assert found.total["majflt"] > 10**9
