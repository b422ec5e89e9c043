"""Does PAGEMAP_SCAN find, report and protect the pages that a kernel does?"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.pagescan import PagemapScanStep
from swaptrace.scenario.schema import MmapStep, Scenario
from swaptrace.verify.compare import Beside
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.random_uffd import scan_step
from tests.replay.naive import naive

ASYNC = "- {uffd_register: buf, mode: wp, features: WP_ASYNC}\n"


def ran(steps: str, machine: str = "{}", size: str = "64KiB") -> PolicyResult:
    """What steps on a region `buf` come to under both replays; all checks hold."""
    text = f"machine: {machine}\nsteps:\n- {{mmap: buf, size: {size}}}\n{steps}"
    under = policies.find("merged")
    found = replay(load_text(text), under)
    with naive():
        slow = replay(load_text(text), under)
    assert (found.total, found.checks) == (slow.total, slow.checks)
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_every_kind_of_page_is_told() -> None:
    """Present, in swap, zero page, marker, written or not: of which categories is each?"""
    ran(
        f"{ASYNC}- {{uffd_writeprotect: buf, length: 32KiB}}\n- {{read: buf, length: 8KiB}}\n"
        "- {write: buf, offset: 8KiB, length: 8KiB}\n- {write: buf, offset: 40KiB, length: 8KiB}\n"
        "- {madvise: buf, advice: MADV_PAGEOUT, offset: 40KiB}\n"
        "- {pagemap_scan: buf, return: [WPALLOWED, WRITTEN, PRESENT, SWAPPED, PFNZERO]}\n"
        "- check: {scan: {regions: 6, pages: '2APZ,2AWP,4AS,2AW,2AWS,4AW'}}\n"
    )


@pytest.mark.parametrize(
    ("masks", "pages"),
    [
        ("category: [WRITTEN, PRESENT]", "8WP,8-"),
        ("category: WRITTEN, return: []", "16."),
        ("category: WRITTEN, inverted: WRITTEN, return: [PRESENT, SWAPPED]", "16-"),
        ("anyof: [SWAPPED, PFNZERO]", "16-"),
        ("category: WRITTEN, inverted: PRESENT, anyof: PRESENT, return: WRITTEN", "8-,8W"),
    ],
)
def test_the_masks_decide_what_is_found(masks: str, pages: str) -> None:
    ran(
        f"{ASYNC}- {{write: buf, length: 32KiB}}\n- {{pagemap_scan: buf, {masks}}}\n"
        f"- check: {{scan: {{pages: '{pages}'}}}}\n"
    )


def test_what_is_found_is_protected_as_far_as_it_is_found() -> None:
    """Do a limit of pages, one of regions, and no buffer at all, end what is protected, too?"""
    ran(
        f"{ASYNC}- {{write: buf, stride: 8KiB}}\n"
        "- {pagemap_scan: buf, category: [WRITTEN, PRESENT], wp: true, max_pages: 3}\n"
        "- check: {scan: {regions: 3, walk_end: 24KiB}, pages: {buf: '1PXU,1-,1PXU,1-,1PXU,1-,"
        "1PX,1-,1PX,1-,1PX,1-,1PX,1-,1PX,1-'}}\n"
        "- {pagemap_scan: buf, category: [WRITTEN, PRESENT], wp: true, vec_len: 2}\n"
        "- check: {scan: {regions: 2, walk_end: 40KiB}}\n"
        "- {pagemap_scan: buf, category: WRITTEN, wp: true, vec: false}\n"
        "- check: {scan: {regions: 0, walk_end: 64KiB}}\n"
        "- {pagemap_scan: buf, category: WRITTEN}\n- check: {scan: {regions: 0, pages: 16-}}\n"
        "- {pagemap_scan: buf, category: WRITTEN, length: 0}\n"
        "- check: {scan: {regions: 0, walk_end: 0}}\n"
    )


def test_the_end_of_a_scan_in_portions_is_that_of_the_last_full_one() -> None:
    """do_pagemap_scan() does not set walk_end anew where the rest fits; so 6.18 was seen to do."""
    ran(
        f"{ASYNC}- {{uffd_writeprotect: buf}}\n- {{write: buf, stride: 8KiB}}\n"
        "- {pagemap_scan: buf, category: WRITTEN}\n"
        "- check: {scan: {regions: 550, walk_end: 4MiB}}\n",
        size="4400KiB",
    )


def test_calls_are_refused_as_by_a_kernel() -> None:
    ran(
        "- {pagemap_scan: buf, category: PRESENT, wp: true, errno: EPERM}\n"
        "- {pagemap_scan: buf, category: PRESENT, flags: PM_SCAN_WP_MATCHING}\n"
        "- check: {scan: {regions: 0}}\n"
        "- {pagemap_scan: buf, category: [PRESENT, 0x800], errno: EINVAL}\n"
        "- {pagemap_scan: buf, return: 0x1000, errno: EINVAL}\n"
        "- {pagemap_scan: buf, flags: 4, errno: EINVAL}\n"
        "- {pagemap_scan: buf, vec: false, vec_len: 1, errno: EINVAL}\n"
    )


@pytest.mark.parametrize(
    ("machine", "steps", "message"),
    [
        ("{kernel: 6.10}", "- {pagemap_scan: buf}\n", "since Linux 6.12"),
        ("{}", "- {pagemap_scan: buf, category: WRITTEN}\n", "depends on page tables"),
        (
            "{}",
            f"{ASYNC}- {{pagemap_scan: buf, category: PRESENT, wp: true, vec: false}}\n",
            "depends on page tables",
        ),
        ("{kernel: 7.3}", "- {pagemap_scan: buf, category: 0x200}\n", "PAGE_IS_ACCESSED"),
    ],
)
def test_what_is_not_modelled_is_said(machine: str, steps: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        ran(steps, machine)


def test_in_7_3_only_what_is_registered_is_written() -> None:
    steps = "- {write: buf}\n- {pagemap_scan: buf, anyof: [WRITTEN, PRESENT]}\n"
    ran(f"{steps}- check: {{scan: {{pages: 16WP}}}}\n", "{kernel: 7.2}")
    ran(f"{steps}- check: {{scan: {{pages: 16P}}}}\n", "{kernel: 7.3}")


def test_huge_pages_are_told_until_they_are_split() -> None:
    """Is a PMD entry PAGE_IS_HUGE, protected whole, and split by the first write after that?"""
    every = "return: [WPALLOWED, WRITTEN, PRESENT, HUGE]"
    steps = (
        f"- {{memset: buf, value: 1, length: 2MiB}}\n{ASYNC}- {{pagemap_scan: buf, {every}}}\n"
        "- check: {scan: {pages: '512AWPH,512AW'}}\n"
        "- {pagemap_scan: buf, category: WRITTEN, wp: true}\n"
        f"- {{pagemap_scan: buf, {every}}}\n- check: {{scan: {{pages: '512APH,512A'}}}}\n"
        f"- {{write: buf, length: 1}}\n- {{pagemap_scan: buf, {every}}}\n"
        "- check: {scan: {pages: '1AWP,511AP,512A'}}\n- {memset: buf, value: 1}\n"
        "- {pagemap_scan: buf, category: WRITTEN, max_pages: 700, wp: true}\n"
        "- check: {scan: {regions: 1, pages: '700W,324-'}}\n"
    )
    text = "machine: {kernel: 6.18, thp: 2MiB}\nsteps:\n- {mmap: buf, size: 4MiB}\n"
    found = replay(load_text(text + steps), policies.find("merged"))
    assert [check for check in found.checks if not check.ok] == []


def test_a_huge_page_that_is_told_is_not_protected_in_part() -> None:
    text = (
        "machine: {kernel: 6.18, thp: 2MiB}\nsteps:\n- {mmap: buf, size: 2MiB}\n- {write: buf}\n"
        f"{ASYNC}- {{pagemap_scan: buf, category: [WRITTEN, HUGE], wp: true, max_pages: 3}}\n"
    )
    with pytest.raises(ScenarioError, match="splits what it tells to be huge"):
        replay(load_text(text), policies.find("merged"))


def test_a_check_that_does_not_hold_says_what_was_found() -> None:
    text = "steps:\n- {mmap: b, size: 8KiB}\n- check: {scan: {regions: 1}}\n"
    (check,) = replay(load_text(text), policies.find("merged")).checks
    assert (check.kind, check.expected, check.actual) == ("scan", "regions 1", "none")
    assert not check.ok


@pytest.mark.parametrize("seed", range(20))
def test_a_scan_is_written_as_it_is_read(seed: int) -> None:
    """Does the text of a random scan load as the same?"""
    step = scan_step(Random(seed), "buf", "main", ByteRange(0, 65536))
    made = Scenario("x", "", load_text("steps: [{mmap: b, size: 4KiB}]").machine, ())
    whole = replace(made, steps=(MmapStep(line=1, region="buf", size=65536), step))
    again = load_text(to_yaml(whole)).steps[1]
    assert isinstance(again, PagemapScanStep)
    assert replace(again, line=1, column=1) == step


def test_model_and_kernel_are_compared_by_what_a_scan_found() -> None:
    text = "steps:\n- {mmap: b, size: 8KiB}\n- {pagemap_scan: b, category: PRESENT}\n"
    scenario = load_text(text)
    beside = Beside(scenario, Table(policies.find("merged")))
    shown = [beside.show(str(i), step, frozenset()) for i, step in enumerate(scenario.steps)]
    assert [each.scan for each in shown] == ["", "regions 0, walk_end 8192, pages 2-"]
