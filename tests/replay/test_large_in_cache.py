"""Large folios that are in the swap cache when a fault finds them there."""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text

WRITTEN = "{mmap: buf, size: 1MiB}, {memset: buf, value: 17}"
OUT = "{madvise: buf, advice: MADV_PAGEOUT}"


def replayed(steps: str, policy: Policy, **machine: str) -> PolicyResult:
    """Steps on a machine with folios of 16 KiB."""
    settings = {"machine.thp": "16KiB"} | {f"machine.{key}": machine[key] for key in machine}
    scenario = load_text(f"steps: [{steps}]".encode(), "cached", settings)
    return replay(scenario, policy, steps=True)


def read(page: int, pages: int = 1) -> str:
    return f"{{read: buf, offset: {4 * page}KiB, length: {4 * pages}KiB}}"


@pytest.mark.parametrize("kernel", ["6.12", "6.18", "7.3"])
def test_a_large_folio_that_is_found_is_nothing_to_readahead(kernel: str) -> None:
    """Does a fault read one page that is next to the large folio which was found before?"""
    swapped = f"{WRITTEN}, {OUT}, {read(8, 248)}, {OUT.replace('buf,', 'buf, offset: 32KiB,')}"
    scattered = ", ".join(read(page) for page in (100, 175, 75, 225, 125, 200, 50, 250))
    steps = f"{swapped}, {scattered}, {read(7)}, {read(8)}"
    found = replayed(steps, policies.find("merged"), kernel=kernel, swap="disk").steps
    assert found is not None
    *_, hit, missed = found
    assert (hit.counters["minflt"], hit.counters.get("swap_ra_hit", 0)) == (1, 0)
    assert (missed.counters["pswpin"], missed.counters.get("swap_ra", 0)) == (1, 0)


@pytest.mark.parametrize("kernel", ["6.12", "7.2", "7.3"])
def test_a_large_folio_that_is_written_leaves_the_swap_cache(kernel: str) -> None:
    """Has it other slots the next time, also where the write goes on to do_wp_page()?"""
    first = "{write: buf, length: 4KiB}"
    steps = f"{WRITTEN}, {{clear_refs: soft_dirty}}, {OUT}, {first}, {OUT}"
    machine = {"kernel": kernel, "swap": "disk", "soft_dirty": "true"}
    total = replayed(steps, policies.find("merged"), **machine).total
    assert (total["mthp_swpout"], total["wp_reuse"], total.get("rewrites", 0)) == (65, 1, 0)


class Looking(Policy):
    """What it is told of references."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        self.seen.append(("swapin_pte", fault.folio.ref_count))
        return super().swapin_pte(fault)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        self.seen.append(("should_free_swap", folio.ref_count))
        return super().should_free_swap(folio, vma, write, swap_full)


@pytest.mark.parametrize(
    ("kernel", "swap", "seen"),
    [
        ("6.12", "zram", [("should_free_swap", 1), ("swapin_pte", 1)]),
        ("7.2", "zram", [("swapin_pte", 5)]),
        ("7.2", "disk", [("swapin_pte", 5), ("should_free_swap", 5)]),
        ("7.3", "disk", [("swapin_pte", 5), ("should_free_swap", 5)]),
    ],
)
def test_no_large_folio_waits_in_a_batch(
    kernel: str, swap: str, seen: list[tuple[str, int]]
) -> None:
    """Are the references to it those of the swap cache, and one of the fault or of all that it
    has mapped?"""
    policy = Looking()
    replayed(f"{WRITTEN}, {OUT}, {read(0, 4)}", policy, kernel=kernel, swap=swap)
    assert policy.seen == seen
