"""Does ksmd split large folios for what it merges, and no others?"""

from __future__ import annotations

from random import Random

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import examples
from tests.replay.blocks import page_by_page

KERNELS = ("6.8", "6.11", "6.12", "6.18", "7.3")
A, B = "0x600000000000", "0x600000400000"


def ran(steps: str, machine: str = "thp: 64KiB", kernel: str = "6.18") -> PolicyResult:
    """What steps come to, page by page as well; all checks hold."""
    head = f"machine: {{kernel: '{kernel}', soft_dirty: false, {machine}}}\nsteps:\n"
    scenario = load_text(head + steps, "test.yaml")
    found = replay(scenario, policies.find("merged"), pages=True)
    with page_by_page():
        slow = replay(scenario, policies.find("merged"), pages=True)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert found.pages == slow.pages
    assert [check for check in found.checks if not check.ok] == []
    return found


def region(name: str, at: str, *filled: tuple[int, int]) -> str:
    """A mergeable region with runs of pages of a byte each."""
    pages = sum(count for count, _ in filled)
    steps = f"- {{mmap: {name}, size: {4 * pages}KiB, at: {at}}}\n"
    steps += f"- {{madvise: {name}, advice: MERGEABLE}}\n"
    at_page = 0
    for count, byte in filled:
        span = f"offset: {4 * at_page}KiB, length: {4 * count}KiB"
        steps += f"- {{memset: {name}, {span}, value: {byte}}}\n"
        at_page += count
    return steps


SCAN = "- ksm_scan: true\n"
DIFFERENT = tuple((1, 30 + page) for page in range(16))
"""A folio of which no pages are equal."""


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", ["64KiB", "2MiB"])
def test_equal_pages_of_a_folio_become_one(kernel: str, size: str) -> None:
    """Is the folio split once, and is a write to each page a copy then?"""
    rest = "" if size == "64KiB" else "- {madvise: a, advice: DONTNEED, offset: 64KiB}\n"
    pages = 16 if size == "64KiB" else 512
    steps = region("a", A, (pages, 7)) + rest + SCAN
    steps += "- check: {pages: {a: '16P'}}\n" if pages == 16 else ""
    found = ran(steps + "- {memset: a, value: 8, length: 64KiB}\n", f"thp: {size}", kernel)
    assert (found.total["mthp_split"], found.total["wp_copy"]) == (1, 16)


def test_a_folio_without_equal_pages_stays_whole() -> None:
    """Is nothing split of it, while that of another page's equal is?"""
    other = tuple((1, 90 + page) for page in range(15))
    steps = region("a", A, *DIFFERENT, *other, (1, 30)) + SCAN
    found = ran(steps + "- check: {pages: {a: '1P,30PX,1P'}}\n")
    assert found.total["mthp_split"] == 2
    assert "mthp_split" not in ran(region("a", A, *DIFFERENT, (1, 1)) + SCAN).total


@pytest.mark.parametrize(("kernel", "pages"), [("6.11", "16PX"), ("6.12", "1PX,15P")])
def test_a_split_leaves_nothing_of_zeroes_to_merge(kernel: str, pages: str) -> None:
    """Do they become the zero page since 6.12, which MADV_UNMERGEABLE does not take back?"""
    steps = region("a", A, (1, 7), (15, 0)) + SCAN + "- {madvise: a, advice: UNMERGEABLE}\n"
    found = ran(steps + f"- check: {{pages: {{a: '{pages}'}}}}\n", kernel=kernel)
    assert found.total.get("wp_copy", 0) == (15 if kernel == "6.11" else 0)


def test_the_first_folio_with_one_page_of_zeroes_is_spared() -> None:
    """Is the one that comes to the unstable tree first not split, as those are that equal it?"""
    one = ((1, 0), *DIFFERENT[:15])
    folios = region("a", A, *one) + region("b", B, *((1, b + 50) for _, b in DIFFERENT[1:]), (1, 0))
    found = ran(folios + SCAN + "- check: {pages: {a: 16PX, b: '15PX,1P'}}\n")
    assert found.total["mthp_split"] == 1


def test_locked_zeroes_merge() -> None:
    """Are they kept by a split, and shared?"""
    lock = "- {mlock: a}\n"
    ran(region("a", A, (1, 7), (15, 0)) + lock + SCAN + "- check: {pages: {a: '1PX,15P'}}\n")


def test_a_small_page_is_given_back_where_a_large_one_has_gone() -> None:
    """Does break_cow() copy it, and not for a fault of the process?"""
    small = "- {mmap: b, size: 4KiB, at: 0x600000400000}\n- {madvise: b, advice: MERGEABLE}\n"
    steps = region("a", A, (1, 0), *DIFFERENT[:15]) + small + "- {memset: b, value: 0}\n" + SCAN
    found = ran(steps + "- check: {pages: {a: '1P,15PX', b: 1PX}, data: {b: zero}}\n")
    assert (found.total["wp_copy"], found.total["minflt"]) == (1, 2)


def test_zero_pages_of_large_folios_are_not_ksmds() -> None:
    """Is what the split maps an ordinary zero page with use_zero_pages as well?"""
    scan = "- {ksm_scan: true, zero_pages: true}\n"
    steps = region("a", A, (1, 7), (15, 0)) + scan + "- {madvise: a, advice: UNMERGEABLE}\n"
    found = ran(steps + "- check: {pages: {a: '1PX,15P'}}\n")
    assert "wp_copy" not in found.total


def test_the_second_of_a_folio_becomes_the_shared_one() -> None:
    """Is it the third page that is kept, as the second has only had the folio split?"""
    steps = region("a", A, (16, 7)) + "- {fork: child}\n- {madvise: a, advice: UNMERGEABLE, "
    steps += "process: child}\n" + SCAN
    found = ran(steps)
    assert found.pages == {"main": {"a": "16P"}, "child": {"a": "2PX,1P,13PX"}}


@pytest.mark.parametrize(
    ("kernel", "kept"), [("6.10", "1PX,1P,2PX,12P"), ("6.11", "2PX,1P,1PX,12P")]
)
def test_up_to_6_10_a_page_merges_before_it_has_a_checksum(kernel: str, kept: str) -> None:
    """Does the fourth page then split the folio a scan earlier, so that the first two merge?"""
    steps = region("b", B, (2, 50)) + SCAN + region("a", A, (3, 7), (1, 50), *DIFFERENT[:12])
    steps += "- {fork: child}\n- {madvise: a, advice: UNMERGEABLE, process: child}\n" + SCAN
    found = ran(steps, kernel=kernel)
    assert found.pages is not None
    assert found.pages["child"]["a"] == kept


def test_merged_pages_go_to_swap_and_come_back() -> None:
    """Do blocks know that the last one is mapped once, so that it is paged out?"""
    steps = region("a", A, (16, 7)) + SCAN + "- {madvise: a, advice: PAGEOUT}\n"
    steps += "- check: {pages: {a: 16P}}\n- {madvise: a, advice: DONTNEED, length: 60KiB}\n"
    steps += "- {madvise: a, advice: PAGEOUT}\n- check: {pages: {a: '15-,1S'}}\n- {read: a}\n"
    found = ran(steps + "- {write: a, offset: 60KiB, value: 8}\n")
    assert (found.total["pswpout"], found.total.get("wp_copy", 0)) == (1, 0)


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ("memory: 1MiB, thp: 64KiB", "under a memory limit"),
        ("lru_batch: true, thp: 64KiB", "with large folios"),
        ("swap: {size: 1MiB}", "swap is twice as large"),
    ],
)
def test_what_is_not_modelled_is_said(machine: str, why: str) -> None:
    """Does each machine have its own words?"""
    steps = region("a", A, *DIFFERENT * 16) + "- {fork: child}\n" + SCAN
    with pytest.raises(ScenarioError, match=why):
        ran(steps, machine, "7.2")


def test_a_pin_of_another_page_is_not_modelled() -> None:
    """Is it said of a folio with a pin, whichever page has it?"""
    with pytest.raises(ScenarioError, match="pinned"):
        ran(region("a", A, *DIFFERENT) + "- {pin: a, length: 4KiB}\n- {madvise: a, advice: "
            "UNMERGEABLE, length: 4KiB}\n" + SCAN)  # fmt: skip


ADVICE = ("MERGEABLE", "UNMERGEABLE", "PAGEOUT", "DONTNEED", "FREE")


def random_steps(random: Random, values: tuple[int, ...], advice: tuple[str, ...] = ADVICE) -> str:
    """Regions that are full, and what changes them."""
    steps, names, processes = "", "ab"[: random.choice((1, 2))], ["main"]
    for name in names:
        steps += f"- {{mmap: {name}, size: 128KiB, at: {A if name == 'a' else B}}}\n"
        steps += f"- {{madvise: {name}, advice: MERGEABLE}}\n- {{memset: {name}, value: 7}}\n"
    for _ in range(random.randint(3, 16)):
        name, first = random.choice(names), random.randrange(32)
        count = min(random.choice((1, 2, 16, 20)), 32 - first)
        where = f"offset: {4 * first}KiB, length: {4 * count}KiB"
        where += f", process: {random.choice(processes)}"
        kinds = ("memset",) * 4 + ("scan", "fork") + ("advice",) * bool(advice)
        kind = random.choice(kinds)
        if kind == "memset":
            steps += f"- {{memset: {name}, value: {random.choice(values)}, {where}}}\n"
        elif kind == "scan":
            steps += "- {ksm_scan: true}\n"
        elif kind == "fork" and len(processes) < 3:
            steps += f"- {{fork: child{len(processes)}}}\n"
            processes.append(f"child{len(processes)}")
        elif kind == "advice":
            steps += f"- {{madvise: {name}, advice: {random.choice(advice)}, {where}}}\n"
    return steps + "- {ksm_scan: true}\n"


def test_a_second_replay_agrees() -> None:
    """Do counts, pages and violations agree with blocks that are visited page by page?"""
    for seed in range(examples(100)):
        random = Random(seed)
        kernel, size = random.choice(KERNELS), random.choice(("16KiB", "64KiB", "2MiB"))
        try:
            ran(random_steps(random, (0, 7, 8, 9)), f"thp: {size}", kernel)
        except ScenarioError as error:
            why = str(error)
        else:
            continue
        assert "in the swap cache is not modelled" in why


def test_pages_are_merged_as_small_ones_are() -> None:
    """Do page maps agree, whatever was split, where no split drops pages of zeroes, and all that
    map a folio may be merged?"""
    for seed in range(examples(100)):
        random = Random(seed)
        kernel = random.choice(KERNELS)
        values = (0, 7, 8, 9) if kernel in ("6.8", "6.11") else (7, 8, 9)
        steps = random_steps(random, values, ())
        large, small = ran(steps, kernel=kernel), ran(steps, "lru_batch: false", kernel)
        assert large.pages == small.pages, steps
