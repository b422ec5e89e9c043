"""What are large folios to the per-CPU batches?"""

from __future__ import annotations

from random import Random

import pytest

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import examples, some
from tests.ktree.wholes import SMALL
from tests.replay.test_batch import random_steps

KERNELS = ("6.12", "7.2", "7.3")

LARGE = "lru_batch: true, thp: {16KiB: madvise}"

BASE = "at: 0x600000000000"


def run(
    kernel: str,
    steps: str,
    swap: str = "zram",
    machine: str = LARGE,
    policy: str = "merged",
) -> PolicyResult:
    """A replay, with read-ahead only where `swap` says so."""
    cluster = "" if ":" in swap else ", page_cluster: 0"
    settings = f'kernel: "{kernel}", {machine}, swap: {{backend: {swap}{cluster}}}'
    text = f"machine: {{{settings}}}\nsteps:\n{steps}"
    return replay(load_text(text, "batch"), policies.from_argument(policy), steps=True, pages=True)


@pytest.mark.parametrize("large", ["", "locked", "none"])
@pytest.mark.parametrize("small", ["", "locked"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_large_folio_empties_the_batch_that_it_is_put_into(
    kernel: str, small: str, large: str
) -> None:
    """Is a page that waits in that of new folios, or of mlock, on its list after one came to the
    same, and does a write drain for it otherwise?"""
    lock = "- {{mlock: {}, flags: MLOCK_ONFAULT}}\n"
    steps = f"- {{mmap: s, size: 4KiB, {BASE}}}\n- {{mmap: l, size: 16KiB, at: 0x600000200000}}\n"
    steps += lock.format("s") * bool(small) + lock.format("l") * (large == "locked")
    steps += "- {madvise: l, advice: HUGEPAGE}\n- {write: s}\n"
    steps += "- {write: l}\n" * (large != "none")
    # In 7.3 a page with another owner is copied without a drain; in 6.12 exit_mmap() drains.
    steps += "- {fork: child}\n" + "- {exit: child}\n" * (kernel == "7.3") + "- {write: s}\n"
    found = run(kernel, steps).total
    assert found.get("mthp_fault_alloc", 0) == (large != "none")
    assert found.get("lru_drains", 0) == (small != large)


FREED = f"""\
- {{mmap: b, size: 32KiB, {BASE}}}
- {{write: b, length: 16KiB}}
- {{madvise: b, advice: HUGEPAGE}}
- {{write: b, offset: 16KiB}}
- {{fork: child}}
- {{exit: child}}
"""
"""Four folios of one page, and behind them one of four."""


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_large_folio_empties_that_of_madv_free(kernel: str) -> None:
    """Is a page before it in the range reused, and copied where the range ends before it?"""
    for length, counter in (("16KiB", "wp_copy"), ("32KiB", "wp_reuse")):
        steps = f"{FREED}- {{madvise: b, advice: FREE, length: {length}}}\n"
        found = run(kernel, steps + "- {write: b, length: 16KiB}\n").total
        assert {name: found[name] for name in ("wp_copy", "wp_reuse") if name in found} == {
            counter: 4
        }


def test_what_pageout_leaves_waits_in_the_order_of_the_range() -> None:
    """Is a page before a large folio on its list again, and one behind it not?"""
    steps = FREED.replace("16KiB}", "12KiB}", 1).replace("32KiB", "48KiB")
    steps = steps.partition("- {fork")[0].replace("offset: 16KiB}", "offset: 16KiB, length: 16KiB}")
    steps += "- {madvise: b, advice: NOHUGEPAGE}\n- {write: b, offset: 32KiB}\n"
    for offset, drains in ((0, 0), (32, 1)):
        write = f"- {{write: b, offset: {offset}KiB, length: 4KiB}}\n"
        found = run("7.2", f"{steps}- {{madvise: b, advice: PAGEOUT}}\n{write}", "disk").total
        assert found.get("lru_drains", 0) == drains


@pytest.mark.parametrize("machine", ["lru_batch: true", LARGE])
def test_what_pageout_finds_in_use_is_active(machine: str) -> None:
    """Does MADV_COLD put it into a batch, so that a write copies it?"""
    steps = f"- {{mmap: b, size: 16KiB, {BASE}}}\n- {{write: b}}\n"
    steps += "- {madvise: b, advice: FREE}\n- {write: b}\n- {madvise: b, advice: PAGEOUT}\n"
    steps += "- {fork: child}\n- {exit: child}\n"
    for cold, counter in (("", "wp_reuse"), ("- {madvise: b, advice: COLD}\n", "wp_copy")):
        assert run("7.2", steps + cold + "- {write: b}\n", machine=machine).total[counter] == 4


def apart(steps: str) -> str:
    """Where large folios fit, and without pins, which are not modelled with them."""
    lines = steps.replace("size: 160KiB", f"size: 160KiB, {BASE}").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("- {pin"))


def mixed(seed: int, more: bool = True) -> str:
    """Random steps, between which parts of the region begin to allow large folios, or no more."""
    random, lines = Random(seed), apart(random_steps(seed, more)).splitlines(keepends=True)
    for _ in range(4):
        first = random.randrange(40)
        pages = f"offset: {4 * first}KiB, length: {4 * random.randint(1, 40 - first)}KiB"
        advice = random.choice(["HUGEPAGE", "HUGEPAGE", "NOHUGEPAGE"])
        at = random.randint(1, min(6, len(lines)))
        lines.insert(at, f"- {{madvise: b, advice: {advice}, {pages}}}\n")
    return "".join(lines)


@pytest.mark.parametrize("kernel", some(KERNELS, 2))
@pytest.mark.parametrize("swap", some(["disk, page_cluster: 3", "zram"], 2))
def test_where_no_folio_is_large_all_is_as_without_them(kernel: str, swap: str) -> None:
    """Do folios in lists come to what columns with marks do?"""
    for seed in range(examples(48)):
        steps = apart(random_steps(2000 + seed, more=True))
        small, either = (run(kernel, steps, swap, m) for m in ("lru_batch: true", LARGE))
        assert (small.total, small.pages) == (either.total, either.pages), steps
        assert small.violations == either.violations, steps


@pytest.mark.parametrize("swap", some(["disk, page_cluster: 3", "zram"], 2))
def test_reuse_does_not_depend_on_what_waits(swap: str) -> None:
    """Without MADV_FREE and mlock, is only lru_drains told from empty batches?"""
    for seed in range(examples(48)):
        steps = mixed(3000 + seed, more=False)
        for kernel in KERNELS:
            kept = run(kernel, steps, swap)
            default = run(kernel, steps, swap, LARGE.replace("true", "false"))
            counted = {name: n for name, n in kept.total.items() if name != "lru_drains"}
            assert (counted, kept.pages) == (dict(default.total), default.pages), steps


@pytest.mark.parametrize(("name", "kernel"), [("large", "6.12"), ("large-after", "7.3")])
def test_the_c_of_a_tree_sees_the_same_batches(name: str, kernel: str) -> None:
    """Do folio_test_lru(), lru_add_drain() and the references come to the same counts?"""
    for seed in range(examples(36)):
        steps = mixed(4000 + seed)
        for swap in ("zram", "disk, page_cluster: 3"):
            own = run(kernel, steps, swap)
            other = run(kernel, steps, swap, policy=f"kernel:{SMALL / name}")
            assert (own.total, own.pages) == (other.total, other.pages), steps
