"""Does MADV_COLD of pages that may be active or not come to what it does either way?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest import mock

import pytest

from swaptrace.errors import ScenarioError
from swaptrace.mm.blockbatch import KeptPage
from swaptrace.mm.waiting import Waiting
from swaptrace.result.result import PolicyResult
from tests.effort import examples, some
from tests.replay.keeping import lists
from tests.replay.test_batch import random_steps
from tests.replay.test_batch_large import KERNELS, LARGE, apart, mixed, run

SWAPPED = """\
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {fork: first}
- {exit: first}
- {read: b}
"""


def with_cold(seed: int, steps: str) -> str:
    """The steps with MADV_COLD here and there, before memory is locked, of pages that were in swap
    when they began, none of them marked exclusive."""
    random, lines = Random(seed), steps.splitlines(keepends=True)
    lines[1:1] = SWAPPED.splitlines(keepends=True)
    end = next((at for at, line in enumerate(lines) if "mlock" in line), len(lines))
    for _ in range(random.randint(1, 3)):
        first = random.randrange(40)
        pages = f"offset: {4 * first}KiB, length: {4 * random.randint(1, 40 - first)}KiB"
        lines.insert(random.randint(min(6, end), end), f"- {{madvise: b, advice: COLD, {pages}}}\n")
    return "".join(lines)


@contextmanager
def known(random: Random, chance: float) -> Iterator[None]:
    """As if it were known whether each page is active."""

    def queue_perhaps(page: Waiting, f: int) -> None:
        if random.random() < chance:
            page.queue_inactive(f)
        page.set_folio(f, active=False)

    with (
        mock.patch.object(Waiting, "queue_perhaps", queue_perhaps),
        mock.patch.object(KeptPage, "queue_perhaps", queue_perhaps),
    ):
        yield


def said(kernel: str, steps: str, swap: str, machine: str) -> PolicyResult | None:
    """What is counted, or None where that is not known."""
    try:
        return run(kernel, steps, swap, machine)
    except ScenarioError as error:
        assert "whether it was active is not known" in str(error)  # noqa: PT017
        return None


def same(one: PolicyResult, other: PolicyResult) -> bool:
    """In all that is shown."""
    found = [(each.total, each.pages, each.violations) for each in (one, other)]
    return found[0] == found[1]


@pytest.mark.parametrize("kernel", some(KERNELS, 2))
@pytest.mark.parametrize("machine", ["lru_batch: true", LARGE])
def test_what_is_said_does_not_depend_on_it(kernel: str, machine: str) -> None:
    """Are all counted alike if they are active, if none is, and if some are?"""
    for seed in range(examples(72)):
        random = Random(seed)
        steps = with_cold(seed, mixed(5000 + seed) if machine == LARGE else random_steps(seed))
        found = said(kernel, steps, "zram", machine)
        if found is None:
            continue
        for chance in (0, 0.5, 1):
            if chance in (0, 1) or machine == LARGE:  # else what a column does is remembered
                with known(random, chance):
                    other = run(kernel, steps, "zram", machine)
                assert same(other, found), steps


@pytest.mark.parametrize("swap", some(["zram", "disk, page_cluster: 3"], 1))
def test_all_implementations_know_the_same(swap: str) -> None:
    """Do marks on columns, lists of them and lists of folios give up where the others do?"""
    for seed in range(examples(60)):
        steps = with_cold(seed, apart(random_steps(6000 + seed, more=True)))
        for kernel in KERNELS:
            own = said(kernel, steps, swap, "lru_batch: true")
            with lists():
                other = said(kernel, steps, swap, "lru_batch: true")
            folios = said(kernel, steps, swap, LARGE)
            assert (own is None) == (other is None) == (folios is None), steps
            for each in (other, folios):
                assert own is None or each is None or same(own, each), steps


@pytest.mark.parametrize("machine", ["lru_batch: true", LARGE])
def test_a_batch_that_may_have_been_full_is_not_known(machine: str) -> None:
    """Is an active page copied while it surely waits, and not once others may have filled it?"""
    steps = "- {mmap: b, size: 160KiB}\n- {write: b}\n"
    steps += "- {madvise: b, advice: FREE, length: 16KiB}\n- {write: b, length: 16KiB}\n"
    steps += "- {madvise: b, advice: PAGEOUT}\n- {read: b}\n- {fork: child}\n- {exit: child}\n"
    for length, known in ((40, True), (160, False)):
        cold = f"- {{madvise: b, advice: COLD, length: {length}KiB}}\n"
        found = said("7.2", f"{steps}{cold}- {{write: b, length: 16KiB}}\n", "zram", machine)
        assert (found is not None) == known
        assert found is None or found.total["wp_copy"] == 4
