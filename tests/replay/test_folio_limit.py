"""Large folios under a memory limit: which are reclaimed, and what is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random
from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.replay import engine
from swaptrace.replay.folios import memory
from swaptrace.replay.folios.reclaiming import Reclaiming
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import exhaustive
from tests.kernel import foliolimits
from tests.kernel.foliolimits import Observation


def replayed(steps: list[str], policy: str = "merged", **machine: str) -> PolicyResult:
    """The result of steps on such a machine."""
    text = f"steps: [{', '.join(steps)}]"
    overrides = {f"machine.{key.replace('__', '.')}": value for key, value in machine.items()}
    scenario = load_text(text.encode(), "limit", {"machine.kernel": "6.18", **overrides})
    return engine.replay(scenario, policies.find(policy), steps=True, pages=True)


def some_steps(random: Random, pages: int) -> list[str]:
    """A region that is written, and then read, written and given up in parts."""
    steps = [f"{{mmap: a, size: {pages * 4}KiB}}", "{write: a}"]
    for _ in range(random.randint(2, 12)):
        start = random.randrange(pages)
        part = f"offset: {start * 4}KiB, length: {random.randint(1, pages - start) * 4}KiB"
        op = random.choice(["read", "write", "read_write"])
        order = random.choice(["forward", "backward", "random, seed: 3"])
        stride = random.choice([4, 4, 8, 12])
        steps.append(f"{{{op}: a, {part}, stride: {stride}KiB, order: {order}}}")
        if random.random() < 0.6:
            advice = random.choice(["DONTNEED", "PAGEOUT", "FREE", "COLD", "WILLNEED"])
            steps.append(f"{{madvise: a, advice: {advice}, {part}}}")
    return steps


@pytest.mark.parametrize("seed", range(12))
def test_without_large_folios_it_reclaims_as_lists_of_pages_do(seed: int) -> None:
    """Where no VMA may have large folios, are all counters those of the other implementation?"""
    random = Random(seed)
    pages = random.choice([40, 64, 100, 200])
    steps = some_steps(random, pages)
    machine = {
        "kernel": random.choice(["6.13", "6.16", "6.18", "7.3"]),
        "memory": f"{pages * 4 * random.choice([2, 3]) // 4}KiB",
        "stat_flush": random.choice(["never", "1", "7", "64"]),
        "lru_drain": random.choice(["never", "1", "8"]),
        "swap__page_cluster": random.choice(["0", "3"]),
    }
    policy = random.choice(["merged", "prepatch", "final"])
    plain = replayed(steps, policy, **machine)
    with mock.patch.object(memory, "orders_of", return_value=()):
        folios = replayed(steps, policy, **machine, thp="64KiB")
    assert folios.total == plain.total
    assert folios.pages == plain.pages


ADVISED = ["{mmap: a, size: 1MiB}", "{madvise: a, advice: HUGEPAGE}"]


def test_reclaim_takes_large_folios_whole() -> None:
    """Does a fault that needs room for 16 pages swap out two folios, and bring back one?"""
    total = replayed([*ADVISED, "{write: a}", "{read: a}"], thp="64KiB", memory="512KiB").total
    assert total["mthp_swpout"] == total["pswpout"] // 16
    assert total["mthp_swpin"] == total["majflt"] == total["pswpin"] // 16
    assert total["minflt"] == 16
    assert total["pgsteal"] == total["pswpout"]


def test_a_vma_without_advice_does_not_reclaim_for_large_folios() -> None:
    """Are there small pages where the limit is reached, which make room for large folios again?"""
    total = replayed(["{mmap: a, size: 1MiB}", "{write: a}"], thp="64KiB", memory="512KiB").total
    assert total["mthp_fault_alloc"] == 12
    assert total["minflt"] == 12 + 4 * 16


@pytest.mark.parametrize(("thp", "tries"), [("64KiB", 18 + 1), ("16KiB", 1)])
def test_a_charge_that_reclaim_makes_no_room_for(thp: str, tries: int) -> None:
    """Does a folio of more than eight pages give way to a page after 18 tries, a smaller one not
    at all (try_charge_memcg())?"""
    goals: list[int] = []

    def frees_nothing(_: Reclaiming, goal: int) -> int:
        goals.append(goal)
        return 0

    with (
        mock.patch.object(Reclaiming, "direct_reclaim", frees_nothing),
        pytest.raises(SwaptraceError, match="nothing is left to reclaim"),
    ):
        replayed([*ADVISED, "{write: a}"], thp=thp, memory="512KiB")
    assert len(goals) == tries


def test_a_folio_of_which_a_part_is_gone_is_split_by_reclaim() -> None:
    """Are its other pages swapped out one by one?"""
    steps = [*ADVISED, "{write: a, length: 512KiB}"]
    steps += ["{madvise: a, advice: DONTNEED, length: 4KiB}", "{write: a, offset: 512KiB}"]
    result = replayed(steps, thp="64KiB", memory="512KiB")
    assert result.total["mthp_split"] == 1
    assert result.total["pswpout"] == 16 * result.total["mthp_swpout"] + 15
    assert result.violations == ()


def given_up(*parts: str) -> list[str]:
    """As many pages as fit are written, parts of them given up, and then others written."""
    gone = [f"{{madvise: a, advice: DONTNEED, offset: {at}, length: 8KiB}}" for at in parts]
    return [*ADVISED, "{write: a, length: 512KiB}", *gone, "{write: a, offset: 512KiB}"]


@pytest.mark.parametrize(("parts", "priority"), [(("480KiB",), 0), (("416KiB", "480KiB"), 1)])
def test_a_reclaim_in_need_splits_what_is_mapped_in_part(
    parts: tuple[str, ...], priority: int
) -> None:
    """Does do_shrink_slab() leave few folios until it is to scan as many as there are, and are then
    all in the queue split?"""
    seen: list[tuple[int, int]] = []
    shrink_slab = Reclaiming.shrink_slab

    def watched(arena: Reclaiming, priority: int) -> None:
        queued = len(arena.split_queue)
        shrink_slab(arena, priority)
        if len(arena.split_queue) != queued:
            seen.append((priority, queued))

    with mock.patch.object(Reclaiming, "shrink_slab", watched):
        total = replayed(given_up(*parts), thp="64KiB", memory="512KiB").total
    assert seen == [(priority, len(parts))]
    assert total["mthp_split"] == len(parts)


def test_what_nothing_maps_is_freed_but_not_stolen() -> None:
    """Does pgsteal count what was swapped out alone, whoever split the folio?"""
    total = replayed(given_up("8KiB", "480KiB"), thp="64KiB", memory="512KiB").total
    assert total["mthp_split"] == 2
    assert total["pgsteal"] == total["pswpout"]


@pytest.mark.parametrize(
    ("machine", "what"),
    [
        ({"reclaim": "lru"}, "give 'reclaim: classic'"),
        ({"swap": "disk"}, "give 'swap: zram'"),
        ({"thp.2MiB": "always"}, "under a memory limit if they are of 2MiB; give sizes up to 1MiB"),
    ],
)
def test_other_limits_are_errors(machine: dict[str, str], what: str) -> None:
    """Is nothing counted where no model is there for it?"""
    with pytest.raises(SwaptraceError, match=what):
        replayed(["{mmap: a, size: 1MiB}"], memory="512KiB", **{"thp.64KiB": "always"} | machine)


def test_collapse_is_an_error() -> None:
    """The same of MADV_COLLAPSE."""
    steps = [*ADVISED, "{write: a}", "{madvise: a, advice: COLLAPSE}"]
    with pytest.raises(SwaptraceError, match="memory limit"):
        replayed(steps, thp="64KiB", memory="512KiB")


def test_pageout_takes_folios_whole_and_counts_no_scan() -> None:
    """Do four folios go, without what reclaim counts, and come back as if used lately?"""
    steps = [
        *ADVISED,
        "{write: a, length: 256KiB}",
        "{madvise: a, advice: PAGEOUT, length: 256KiB}",
    ]
    total = replayed([*steps, "{read: a, length: 256KiB}"], thp="64KiB", memory="512KiB").total
    assert total["mthp_swpout"] == total["mthp_swpin"] == total["majflt"] == 4
    assert total["workingset_activate"] == total["workingset_refault"] == 64
    assert "pgscan" not in total
    assert "pgsteal" not in total


def test_what_was_written_since_it_was_given_up_is_activated() -> None:
    """Does MADV_PAGEOUT keep a dirty folio, and make it active (activate_locked)?"""
    steps = [*ADVISED, "{write: a, length: 128KiB}", "{madvise: a, advice: FREE, length: 128KiB}"]
    steps += ["{write: a, length: 64KiB}", "{madvise: a, advice: PAGEOUT, length: 128KiB}"]
    result = replayed(steps, thp="64KiB", memory="512KiB")
    assert result.total["pgactivate"] == 16
    assert "pswpout" not in result.total
    plain = replayed(steps, memory="512KiB")
    assert plain.total["pgactivate"] == 16
    assert plain.pages == result.pages


@pytest.mark.parametrize(("length", "split", "pages"), [(128, 0, 32), (100, 1, 25)])
def test_cold_makes_folios_inactive(length: int, split: int, pages: int) -> None:
    """Do folios that were active lose that, whole ones as they are, and one in part split?"""
    steps = [*ADVISED, "{write: a, length: 256KiB}", "{madvise: a, advice: PAGEOUT}"]
    steps += ["{read: a, length: 256KiB}", f"{{madvise: a, advice: COLD, length: {length}KiB}}"]
    steps += ["{read: a, length: 4KiB}"]
    total = replayed(steps, thp="64KiB", memory="512KiB", lru_drain="1").total
    assert (total.get("mthp_split", 0), total["pgdeactivate"]) == (split, pages)


def test_what_was_given_up_is_discarded_by_reclaim() -> None:
    """Is there nothing written of folios that were not written since?"""
    steps = [*ADVISED, "{write: a, length: 512KiB}", "{madvise: a, advice: FREE, length: 512KiB}"]
    total = replayed([*steps, "{write: a, offset: 512KiB}"], thp="64KiB", memory="512KiB").total
    assert total["pgsteal"] == 128
    assert "pswpout" not in total


def test_willneed_reads_single_pages_into_the_swap_cache() -> None:
    """Are there no major faults then, and is each page read by itself?"""
    steps = [*ADVISED, "{write: a, length: 256KiB}", "{madvise: a, advice: PAGEOUT}"]
    steps += ["{madvise: a, advice: WILLNEED}", "{read: a, length: 256KiB}"]
    total = replayed(steps, thp="64KiB", memory="512KiB").total
    assert (total["pswpin"], total.get("majflt", 0), total.get("mthp_swpin", 0)) == (64, 0, 0)


@pytest.mark.parametrize(("kernel", "times"), [("6.12", 0), ("6.18", 1), ("7.2", 1)])
def test_a_swap_in_that_no_room_is_made_for_is_counted(kernel: str, times: int) -> None:
    """As mthp_swpin_fallback, by the kernels that do?"""
    steps = ["{mmap: a, size: 1MiB}", "{write: a, length: 64KiB}", "{madvise: a, advice: PAGEOUT}"]
    steps += ["{write: a, offset: 64KiB, length: 512KiB}", "{read: a, length: 64KiB}"]
    total = replayed(steps, thp="64KiB", memory="512KiB", kernel=kernel).total
    assert (total.get("mthp_swpin_fallback", 0), total.get("mthp_swpin", 0)) == (times, 0)


@exhaustive
@pytest.mark.parametrize("observation", list(foliolimits.observations()), ids=lambda o: o.name)
def test_what_a_kernel_always_counts_is_exact(observation: Observation, tmp_path: Path) -> None:
    """Is what is the same in all runs of the kernel so in the model, and the rest near it?"""
    found = foliolimits.model(observation, tmp_path)
    assert foliolimits.inexact(observation, found) == []
    ends = [run[-1]["majflt"] for run in observation.runs]
    assert min(ends) * 0.99 <= found[-1]["majflt"] <= max(ends) * 1.01
