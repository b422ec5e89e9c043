"""Large folios under the multi-generational LRU: is each aged, sorted and evicted whole?"""

from __future__ import annotations

from random import Random
from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.reclaim.memory import BASE, PMD_YOUNG
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.folios import memory
from swaptrace.replay.folios.aging import Aging
from swaptrace.replay.folios.evicting import Evicting
from swaptrace.replay.pages.arena import Arena
from swaptrace.replay.pages.protocol import SinglePages
from swaptrace.replay.tally import Tally
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessStep, Step
from tests.effort import some
from tests.replay.test_folio_limit import ADVISED, replayed, some_steps

MGLRU = {"reclaim": "mglru", "kernel": "6.12", "memory": "512KiB"}
LARGE = {**MGLRU, "thp": "64KiB"}


@pytest.mark.parametrize("seed", some(range(40), 8))
def test_without_large_folios_generations_are_those_of_pages(seed: int) -> None:
    """Where no VMA may have large folios, are all counters those of the other implementation?"""
    random = Random(seed)
    pages = random.choice([40, 64, 100, 200])
    steps = some_steps(random, pages)
    machine = {
        **MGLRU,
        "memory": f"{pages * 4 * random.choice([2, 3]) // 4}KiB",
        "lru_drain": random.choice(["never", "1", "8"]),
        "swap__page_cluster": random.choice(["0", "3"]),
    }
    policy = random.choice(["merged", "prepatch", "final"])
    plain = replayed(steps, policy, **machine)
    with mock.patch.object(memory, "orders_of", return_value=()):
        folios = replayed(steps, policy, **machine, thp="64KiB")
    assert folios.total == plain.total
    assert folios.pages == plain.pages


@pytest.mark.parametrize(("used", "activated"), [(0, None), (4, 0), (8, 16), (64, 16)])
def test_a_folio_of_which_some_ptes_were_used_since_the_walk(
    used: int, activated: int | None
) -> None:
    """Does one young PTE spare a folio, and a second make it active, since the look around the
    first marks it while it is isolated?"""
    steps = [*ADVISED, "{write: a, length: 512KiB}", "{write: a, offset: 512KiB, length: 256KiB}"]
    if used:
        steps.append(f"{{read: a, offset: {512 - used}KiB, length: {used}KiB}}")
    total = replayed([*steps, "{write: a, offset: 768KiB}"], **LARGE).total
    assert total["pgscan"] - total["pgsteal"] == (0 if activated is None else 16)
    assert total.get("pgactivate", 0) == (activated or 0)


def test_parts_that_nothing_maps_are_freed_but_not_stolen() -> None:
    """Is a folio of which five pages are gone reclaimed as one of eleven?"""
    steps = [*ADVISED, "{write: a, length: 512KiB}"]
    steps += ["{madvise: a, advice: DONTNEED, length: 20KiB}", "{write: a, offset: 512KiB}"]
    total = replayed(steps, **LARGE).total
    assert total["mthp_split"] == 1
    assert total["pgscan"] == total["pswpout"] + 5
    assert total["pgsteal"] == total["pswpout"]


def test_populate_without_a_fault_leaves_no_pte_young() -> None:
    """Is a folio not spared that the kernel alone has looked at since the walk?"""
    steps = [*ADVISED, "{write: a, length: 512KiB}", "{write: a, offset: 512KiB, length: 256KiB}"]
    steps += ["{madvise: a, advice: POPULATE_READ, offset: 508KiB, length: 4KiB}"]
    total = replayed([*steps, "{write: a, offset: 768KiB}"], **LARGE).total
    assert total["pgscan"] == total["pgsteal"] == 128


def test_a_large_folio_finds_room_only_beyond_what_is_charged_in_advance() -> None:
    """Are 63 pages charged in advance with a single one, of which three folios leave 15 that no
    folio can be charged with (consume_stock()), until a step of `verify` drains them?"""
    overrides = {f"machine.{key}": value for key, value in LARGE.items()}
    arena = Replay(
        load_text("steps: [{mmap: a, size: 1MiB}]", "one", overrides), policies.find("merged")
    ).world.arena
    assert isinstance(arena, Evicting)
    for pages, left in ((1, 63), (16, 47), (16, 31), (16, 15), (16, 63)):
        assert arena.make_room(pages, may_reclaim=True)
        assert arena.stock == left
    arena.drain_stock()
    assert arena.stock == 0


def entry_is_young(arena: SinglePages) -> bool:
    """Whether the PMD entry of the only page table is."""
    if isinstance(arena, Arena):
        return bool(arena.nodes["flags"][int(arena.v[BASE])] & PMD_YOUNG)
    assert isinstance(arena, Aging)
    return not arena.old_entries


@pytest.mark.parametrize("machine", [MGLRU, LARGE])
def test_an_access_leaves_the_entry_young_after_its_fault(machine: dict[str, str]) -> None:
    """Does an access set the accessed bit of its PMD entry again, where its fault walked the page
    tables?"""
    accesses = [f"{{write: a, offset: {64 * at}KiB, length: 4KiB}}" for at in range(16)]
    text = f"steps: [{', '.join([*ADVISED, *accesses, '{read: a}', *accesses])}]"
    scenario = load_text(text, "limit", {f"machine.{key}": value for key, value in machine.items()})
    seen: list[bool] = []

    def look(_path: str, step: Step, _tally: Tally) -> None:
        if isinstance(step, AccessStep):
            assert run.world.arena is not None
            seen.append(entry_is_young(run.world.arena))

    run = Replay(scenario, policies.find("merged"), observe=look)
    run.steps(scenario.steps, "", None, run.record)
    assert seen == [True] * 33


def test_generations_and_tiers_count_pages() -> None:
    """Are counters of reclaim multiples of a folio's pages, and checkpoints within the limit?"""
    steps = [*ADVISED, "{write: a}", "{access: a, pattern: uniform, count: 300, seed: 1}"]
    text = f"steps: [{', '.join(steps)}]"
    scenario = load_text(text, "limit", {f"machine.{key}": value for key, value in LARGE.items()})
    result = replay(scenario, policies.find("merged"), checkpoints=4)
    names = ("pgscan", "pgsteal", "pgactivate", "workingset_refault", "workingset_restore")
    assert all(result.total[name] and result.total[name] % 16 == 0 for name in names)
    for point in result.checkpoints or ():
        assert point.lru_gen is not None
        assert sum(each.anon for each in point.lru_gen.generations) in range(80, 129, 16)
        assert all(each.evicted % 16 == 0 for each in point.lru_gen.tiers)
