"""Does a memory limit reclaim what it should, and keep its books?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.counters import RECLAIM_COUNTERS
from swaptrace.errors import ScenarioError
from swaptrace.reclaim import memory
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.pages.arena import Arena
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import MGLRU_KERNEL, Machine
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessStep, MmapStep, Scenario
from tests.effort import examples
from tests.replay.generations import naive_arena
from tests.replay.naive import replay_pattern
from tests.replay.strategies import PAGE, scenarios

HUGE = 1 << 40


def limited(scenario: Scenario, pages: int, **how: object) -> Scenario:
    """The scenario on a machine with a memory limit, whose kernel knows the way to reclaim."""
    if how.get("reclaim") == "mglru":
        how["kernel"] = MGLRU_KERNEL
    machine = replace(scenario.machine, memory=pages * PAGE, **how)  # type: ignore[arg-type]
    return replace(scenario, machine=machine)


def replayed(scenario: Scenario, policy: str) -> PolicyResult | str:
    """The result; which errno a random call gives is not the question here."""
    with mock.patch.object(Replay, "check_errno"):
        try:
            return replay(scenario, policies.find(policy), pages=True)
        except ScenarioError:
            return "out of memory"


def of_pages(result: PolicyResult) -> dict[str, int]:
    """The counters that are there without a limit as well."""
    return {name: n for name, n in result.total.items() if n and name not in RECLAIM_COUNTERS}


@settings(max_examples=examples(50))
@given(scenarios(), st.sampled_from(policies.SERIES), st.sampled_from(["classic", "mglru", "lru"]))
def test_a_limit_that_is_never_reached_changes_nothing(
    scenario: Scenario, policy: str, how: str
) -> None:
    """Do pages one by one in an arena count what runs of pages count?"""
    under = limited(scenario, HUGE // PAGE, reclaim=how)
    machine = replace(scenario.machine, kernel=under.machine.kernel)
    free = replayed(replace(scenario, machine=machine), policy)
    held = replayed(under, policy)
    assert isinstance(free, PolicyResult)
    assert isinstance(held, PolicyResult)
    assert of_pages(held) == of_pages(free)
    assert held.pages == free.pages
    assert held.violations == free.violations


@st.composite
def tight(draw: st.DrawFn) -> Scenario:
    """A scenario whose pages do not all fit."""
    scenario = draw(scenarios(max_pages=90, max_steps=10))
    first = scenario.steps[0]
    assert isinstance(first, MmapStep)
    pages = first.size // PAGE
    return limited(
        scenario,
        draw(st.integers(3, pages + 3)),
        reclaim=draw(st.sampled_from(["classic", "mglru", "lru"])),
        stat_flush=draw(st.sampled_from([0, 1, 7, 64])),
        lru_drain=draw(st.sampled_from([0, 1, 5])),
    )


@settings(max_examples=examples(40))
@given(tight(), st.sampled_from(policies.SERIES))
def test_arrays_reclaim_what_lists_of_objects_do(scenario: Scenario, policy: str) -> None:
    """Does the arena agree with a second implementation that knows no arrays?"""
    agree_by_lists(scenario, policy)


def agree_by_lists(scenario: Scenario, policy: str) -> None:
    """It counts the same, or is out of memory, too."""
    fast = replayed(scenario, policy)
    with (
        mock.patch("swaptrace.replay.pages.arena.Arena", naive_arena),
        mock.patch("swaptrace.replay.pages.sequence.replay_pattern", replay_pattern),
    ):
        slow = replayed(scenario, policy)
    assert fast == slow


@settings(max_examples=examples(30))
@given(tight(), st.sampled_from(["prepatch", "final"]))
def test_every_folio_is_in_one_place_and_charged_once(scenario: Scenario, policy: str) -> None:
    """Do lists, batch, flags and charges fit the columns, after every step?"""
    run = Replay(scenario, policies.find(policy))

    def observe(*_: object) -> None:
        assert isinstance(run.world.arena, Arena)
        consistent(run.world.arena)

    run.observe = observe
    with mock.patch.object(Replay, "check_errno"):
        try:
            run.steps(scenario.steps, "", None, run.record)
        except ScenarioError:
            return


def consistent(arena: Arena | None) -> None:
    """Every folio of every column is on a ring, in the batch or unevictable, and counted there."""
    assert arena is not None
    v, flags, width = arena.v, arena.nodes["flags"], int(arena.v[memory.WIDTH])
    base = int(v[memory.BASE])
    columns = arena.world.table.columns
    folios = {
        base + page * width + k
        for page, column in enumerate(arena.column.tolist())
        if lives(arena, page)
        for k in range(len(columns[column].folios))
    }
    where = {node: int(flags[node]) & memory.WHERE for node in folios}
    assert 0 not in where.values()
    rings = [ring(arena, which) for which in range(memory.HEADS)]
    assert Counter(node for nodes in rings for node in nodes) == Counter(
        node for node, place in where.items() if place == memory.LISTED
    )
    if arena.generations:
        of_generations(arena, rings)
    else:
        assert [len(nodes) for nodes in rings[:4]] == v[memory.SIZE : memory.SIZE + 4].tolist()
    rows = v[memory.BATCHES :].reshape(memory.BATCH_KINDS, -1).tolist()
    batches = [row[1 : 1 + row[0]] for row in rows]
    dead = sum(batch.count(memory.DEAD) for batch in batches)
    entering = {*batches[memory.LRU_ADD], *batches[memory.MLOCK]}
    batched = {node for node, place in where.items() if place == memory.BATCHED}
    assert batched <= entering
    assert {node for node in batches[memory.LRU_ADD] if node >= 0} <= batched
    assert v[memory.USED] == len(folios) + dead
    assert v[memory.USED] <= v[memory.CAPACITY]


def of_generations(arena: Arena, rings: list[list[int]]) -> None:
    """Sizes are by the generation in the flags, which is never older than that of the list."""
    flags, v = arena.nodes["flags"].tolist(), arena.v
    found: Counter[int] = Counter()
    for which, nodes in enumerate(rings):
        for node in nodes:
            gen = (flags[node] >> memory.GEN_SHIFT & 7) - 1
            assert gen >= 0
            found[gen * 2 + which % 2] += 1
    assert [found[which] for which in range(8)] == v[memory.GEN_PAGES :][:8].tolist()
    assert v[memory.MIN_SEQ] <= v[memory.MIN_SEQ + 1] <= v[memory.MAX_SEQ] - 1
    assert v[memory.MAX_SEQ] - v[memory.MIN_SEQ] < memory.MAX_NR_GENS


def lives(arena: Arena, page: int) -> bool:
    """Whether a process still has the region."""
    return bool(arena.locate(page).members)


def ring(arena: Arena, head: int) -> list[int]:
    """The nodes of a list, newest first, and the same backwards."""
    forward, backward = [], []
    node = int(arena.nodes["next"][head])
    while node != head:
        forward.append(node)
        node = int(arena.nodes["next"][node])
    node = int(arena.nodes["prev"][head])
    while node != head:
        backward.append(node)
        node = int(arena.nodes["prev"][node])
    assert forward == backward[::-1]
    return forward


def test_a_page_takes_less_than_sixteen_bytes() -> None:
    """What does the arena keep of each of a million pages, however many accesses come?"""
    pages = 1 << 20
    machine = Machine(memory=pages // 2 * PAGE)
    run = Replay(
        Scenario("size", "", machine, (MmapStep(line=1, region="r", size=pages * PAGE),)),
        policies.find("final"),
    )
    run.steps(run.scenario.steps, "", None, run.record)
    arena = run.world.arena
    assert isinstance(arena, Arena)
    by_page = [arena.column, *arena.nodes.values()]
    assert sum(array.nbytes for array in by_page) < 16 * pages


def test_an_exact_lru_evicts_what_was_used_longest_ago() -> None:
    """Is it page 1, after 0, 1, 2 were written and 0 was read again?"""
    steps = (
        MmapStep(line=1, region="r", size=4 * PAGE),
        AccessStep(line=2, op="write", region="r", span=ByteRange(0, 3 * PAGE), stride=PAGE),
        AccessStep(line=3, op="read", region="r", span=ByteRange(0, PAGE), stride=PAGE),
        AccessStep(line=4, op="write", region="r", span=ByteRange(3 * PAGE, PAGE), stride=PAGE),
    )
    machine = Machine(memory=3 * PAGE, reclaim="lru")
    result = replay(Scenario("lru", "", machine, steps), policies.find("final"), pages=True)
    assert result.pages == {"main": {"r": "1PDX,1SD,2PDX"}}


def test_where_nothing_can_be_reclaimed_the_step_is_named() -> None:
    """Does the error of a full swap device point at the line?"""
    text = """\
machine: {memory: 1MiB, swap: {size: 64KiB}}
steps:
- {mmap: buf, size: 4MiB}
- {write: buf}
"""
    with pytest.raises(ScenarioError, match=r"full.yaml:4:4: .*nothing can be reclaimed"):
        replay(load_text(text.encode(), "full.yaml"), policies.find("final"))


def test_too_large_a_region_is_refused_at_once() -> None:
    """Is a terabyte, which has no runs under a limit, an error at its line?"""
    text = "machine: {memory: 1MiB}\nsteps: [{mmap: a, size: 8TiB}]\n"
    with pytest.raises(ScenarioError, match=r"big.yaml:2:10: .* under a memory limit; at most"):
        replay(load_text(text.encode(), "big.yaml"), policies.find("final"))


EVICTED_MEANWHILE = """\
machine:
  {kernel: '6.1', soft_dirty: false, hw_dirty: false, swap: {backend: zswap}, memory: 12KiB}
steps:
  - {mmap: r, size: 16KiB}
  - {write: r}
  - fork: child
  - {read: r, length: 4KiB}
  - exit: main
  - {fork: other, process: child}
  - {write: r, process: child, order: backward}
  - {read: r, process: other}
"""


def test_a_fault_that_read_is_major_whatever_reclaim_took_meanwhile() -> None:
    """Where read-ahead evicts another process's page of the same place, in the midst of a fault?"""
    scenario = load_text(EVICTED_MEANWHILE, "evicted.yaml")
    fast = replay(scenario, policies.find("final"), steps=True)
    with mock.patch("swaptrace.replay.pages.arena.Arena", naive_arena):
        slow = replay(scenario, policies.find("final"), steps=True)
    assert fast.steps is not None
    assert fast == slow
    assert sum(step.counters.get("majflt", 0) for step in fast.steps) > 0
