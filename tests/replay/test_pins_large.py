"""Is a large folio kept whole, in memory and out of children's sight while one page is pinned?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.features import Feature, has_model
from swaptrace.mm.policy import FolioRefs, Policy
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.explain import explain
from swaptrace.replay.folios import memory
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.remote import MigrateStep
from swaptrace.scenario.schema import ExitStep, MmapStep, PinMode, PinStep, Scenario, UnpinStep
from swaptrace.scenario.thp import Thp
from tests.effort import examples, exhaustive
from tests.replay.blocks import page_by_page
from tests.replay.naive import naive_replay
from tests.replay.strategies import scenarios, spans
from tests.replay.test_blocks import agree, with_large_folios

ROOMY = 1 << 32
MODES: Final[tuple[PinMode, ...]] = ("longterm", "longterm", "longterm_read", "get")


@st.composite
def with_pins(draw: st.DrawFn, scenario: Scenario, modes: Sequence[PinMode] = MODES) -> Scenario:
    """A scenario, with one pin or two of a region, one after the other, and perhaps migration."""
    first, *others = scenario.steps
    assert isinstance(first, MmapStep)
    alive = next((at for at, step in enumerate(others) if isinstance(step, ExitStep)), len(others))
    for _ in range(draw(st.integers(1, 2))):
        mode = draw(st.sampled_from(modes))
        begin, end = sorted((draw(st.integers(0, alive)), draw(st.integers(0, alive))))
        others.insert(end, UnpinStep(line=1, region="r"))
        span = draw(spans(first.size // 4096))
        if has_model(scenario.machine.kernel, Feature.MIGRATE) and draw(st.booleans()):
            moved = MigrateStep(line=1, region="r", span=draw(spans(first.size // 4096)))
            others.insert(draw(st.integers(begin, end)), moved)
        others.insert(begin, PinStep(line=1, region="r", span=span, mode=mode))
        alive = begin
    return replace(scenario, steps=(first, *others))


@settings(max_examples=examples(150))
@given(with_large_folios(60, 14).flatmap(with_pins), st.sampled_from(policies.SERIES))
def test_blocks_with_pins_equal_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, violations and page maps?"""
    agree(scenario, policy)


@exhaustive
@settings(max_examples=12)
@given(with_large_folios(4000, 7).flatmap(with_pins), st.sampled_from(["prepatch", "final"]))
def test_page_tables_with_pins_are_jumped_over(scenario: Scenario, policy: str) -> None:
    """The same for regions of several page tables, where those that are alike are multiplied?"""
    agree(scenario, policy)


@settings(max_examples=examples(100))
@given(scenarios().flatmap(with_pins), st.sampled_from(policies.SERIES))
def test_pins_of_small_folios_are_those_of_single_pages(scenario: Scenario, policy: str) -> None:
    """Where no memory may have large folios, do blocks with pins give what columns give?"""
    swap = Swap(scenario.machine.swap.backend, ROOMY, scenario.machine.swap.page_cluster)
    machine = replace(scenario.machine, kernel="6.18", swap=swap)
    plain = replace(scenario, machine=machine)
    blocks = replace(plain, machine=replace(machine, thp=(Thp("64KiB", "always"),)))
    none = mock.patch.object(memory, "orders_of", return_value=())
    with mock.patch.object(Replay, "check_errno"), none:
        try:
            found = engine.replay(blocks, policies.find(policy), pages=True)
        except ScenarioError:  # a step that is not modelled with large folios
            return
        expected = naive_replay(plain, policies.find(policy))
    assert (found.total, found.pages) == (expected.total, expected.pages)
    assert found.violations == expected.violations


def ran(steps: str, policy: Policy | None = None, **machine: str) -> PolicyResult:
    """What steps on a region `buf` of 16 pages, in one folio, come to; all checks hold."""
    scenario = of(steps, **machine)
    under = policy or policies.find("merged")
    found = engine.replay(scenario, under)
    with page_by_page():
        slow = engine.replay(scenario, under)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert [check for check in found.checks if not check.ok] == []
    return found


def of(steps: str, size: str = "64KiB", **machine: str) -> Scenario:
    kernel = {"machine.kernel": "6.18", "machine.thp": size}
    text = f"steps:\n- {{mmap: buf, size: {size}}}\n- {{write: buf}}\n{steps}"
    given_machine = {f"machine.{key}": value for key, value in machine.items()}
    return load_text(text.encode(), "pins", kernel | given_machine)


OUT = "- {madvise: buf, advice: PAGEOUT}\n"


@pytest.mark.parametrize("mode", ["longterm", "get"])
def test_one_pinned_page_keeps_a_folio_in_memory(mode: str) -> None:
    """Is it neither split by advice for a part, nor written as a whole, until it is unpinned?"""
    ran(
        f"- {{pin: buf, length: 4KiB, mode: {mode}}}\n"
        f"- {{madvise: buf, advice: PAGEOUT, offset: 32KiB}}\n{OUT}"
        "- check: {pages: {buf: 16PDX}}\n"
        f"- {{unpin: buf}}\n{OUT}- check: {{pages: {{buf: 16SD}}}}\n"
    )


def test_all_exclusive_pages_of_a_pinned_folio_are_copied_at_fork() -> None:
    """Does the parent write without a fault, and the child see what was there?"""
    found = ran(
        "- {write: buf, value: 1}\n- {pin: buf, length: 4KiB}\n- fork: child\n"
        "- measure: again\n  steps: [{write: buf, value: 2}]\n"
        "- check: {data: {buf: 1}, violations: []}\n  process: child\n"
    )
    assert found.windows["again"] == {}


def test_a_reference_lets_a_fork_share_and_nobody_reuse() -> None:
    """Is each page copied by the process that writes, though the other one has gone?"""
    found = ran(
        "- {pin: buf, length: 4KiB, mode: get}\n- fork: child\n- {exit: child}\n"
        "- measure: again\n  steps: [{write: buf}]\n- check: {violations: []}\n"
    )
    assert found.windows["again"]["wp_copy"] == 16


@pytest.mark.parametrize(("mode", "split"), [("longterm", 512), ("get", 0)])
def test_a_fork_splits_the_entry_of_pinned_two_mebibytes(mode: str, split: int) -> None:
    """Are all pages copied, where for a mere reference the entry is shared?"""
    found = ran(
        f"- {{pin: buf, length: 4KiB, mode: {mode}}}\n- fork: child\n"
        "- measure: child\n  steps: [{write: buf, process: child}]\n",
        size="2MiB",
    )
    assert found.windows["child"].get("wp_copy", 0) == 512 - split


@pytest.mark.parametrize("size", ["64KiB", "2MiB"])
@pytest.mark.parametrize(("kernel", "kept"), [("6.13", True), ("6.18", False), ("7.3", False)])
def test_a_pinned_folio_that_was_given_up(size: str, kernel: str, kept: bool) -> None:
    """Is it kept with the pin, and when that has gone freed where it stayed lazyfree?"""
    pages = {"64KiB": 16, "2MiB": 512}[size]
    after = f"{pages}SD" if kept else f"{pages}-"
    ran(
        "- {pin: buf, length: 4KiB}\n- {madvise: buf, advice: FREE}\n"
        f"{OUT}- check: {{pages: {{buf: {pages}PDX}}}}\n- {{unpin: buf}}\n"
        f"{OUT}- check: {{pages: {{buf: {after}}}}}\n",
        size=size,
        kernel=kernel,
    )


def test_a_pin_to_read_copies_single_pages_of_a_shared_folio() -> None:
    """Is what two processes map unshared page by page?"""
    found = ran(
        "- fork: child\n- {pin: buf, length: 8KiB, mode: longterm_read}\n"
        "- check: {pages: {buf: '2PDX,14PD'}}\n"
    )
    assert found.total["wp_copy"] == 2


@pytest.mark.parametrize(("mode", "copies"), [("longterm_read", 1), ("longterm", 1)])
def test_a_pin_of_the_huge_zero_page_makes_a_folio(mode: str, copies: int) -> None:
    """Does one take its place whole?"""
    steps = "- {{madvise: buf, advice: DONTNEED}}\n- {{read: buf}}\n- {{pin: buf, mode: {}}}\n"
    found = ran(steps.format(mode), size="2MiB")
    assert found.total["wp_copy"] == copies
    assert found.total["thp_fault_alloc"] == 2


def test_pinned_pages_are_not_collapsed() -> None:
    """Is the error EAGAIN, until they are unpinned?"""
    ran(
        "- {madvise: buf, advice: DONTNEED, length: 4KiB}\n- {read: buf}\n"
        "- {pin: buf, length: 8KiB, mode: get}\n"
        "- {madvise: buf, advice: COLLAPSE, errno: EAGAIN}\n- {unpin: buf}\n"
        "- {madvise: buf, advice: COLLAPSE}\n- check: {pages: {buf: 512PDX}}\n",
        size="2MiB",
    )


def test_a_pinned_folio_in_the_swap_cache_stays_mapped() -> None:
    """Where a disk has brought it back?"""
    ran(
        f"{OUT}- {{pin: buf, mode: get}}\n{OUT}- {{read: buf}}\n- {{unpin: buf}}\n"
        f"- {{pin: buf}}\n{OUT}- check: {{pages: {{buf: 16PDX}}}}\n- {{unpin: buf}}\n"
        f"{OUT}- check: {{pages: {{buf: 16SD}}}}\n",
        swap="disk",
    )


class ReusesAnything(Policy):
    """A patch that looks at no reference."""

    name = "reuses"

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return folio.mapcount == 1 and not folio.swap_count


def test_a_page_that_is_reused_in_spite_of_a_pin_is_a_violation() -> None:
    """Where it is one of the single pages beside large folios?"""
    steps = (
        "- {madvise: buf, advice: FREE, length: 4KiB}\n- fork: child\n"
        "- {pin: buf, length: 4KiB, mode: get, process: child}\n"
        "- {munmap: buf, process: child}\n- {write: buf}\n"
    )
    (broken,) = ran(steps, ReusesAnything()).violations
    assert (broken.kind, broken.process, broken.pages) == ("pin_broken", "child", 1)
    assert ran(steps).violations == ()


def test_soft_dirty_bits_of_a_pinned_folio_stay() -> None:
    """Of all of its pages, but not where one entry maps it?"""
    steps = "- {pin: buf, length: 4KiB}\n- {clear_refs: soft_dirty}\n- check: {pages: {buf: "
    ran(steps + "16PDX}}\n")
    ran(steps + "512PX}}\n", size="2MiB")


def test_explain_names_the_pin() -> None:
    """Does it say why a folio is neither split, written nor migrated?"""
    scenario = of(
        "- {pin: buf, length: 4KiB}\n- {madvise: buf, advice: PAGEOUT, length: 8KiB}\n"
        f"{OUT}- {{migrate: buf}}\n"
    )
    steps = explain(scenario, policies.find("merged")).steps[-3:]
    reasons = [each.reasons for step in steps for each in step.transitions]
    assert reasons == [
        ("the folio of 16 pages is not split: it is pinned",),
        ("the folio of 16 pages is not written: it is pinned",),
        ("the folio of 16 pages is not migrated: it is pinned",),
    ]


SPLITS = {
    "a reference": ("- {pin: buf, offset: 8KiB, length: 4KiB, mode: get}\n", "64KiB", 1),
    "for long": ("- {pin: buf, offset: 8KiB, length: 4KiB}\n", "64KiB", 0),
    "for long, after pages that may be shared": (
        "- fork: child\n- {exit: child}\n- {memset: buf, value: 3, offset: 8KiB, length: 4KiB}\n"
        "- {pin: buf, offset: 8KiB, length: 4KiB}\n",
        "64KiB",
        1,
    ),
    "for long, the first of those": (
        "- fork: child\n- {exit: child}\n- {memset: buf, value: 3, length: 4KiB}\n"
        "- {pin: buf, length: 4KiB}\n",
        "64KiB",
        0,
    ),
    "a reference to what one entry maps": ("- {pin: buf, mode: get}\n", "2MiB", 0),
}
"""A pin, the size of the folio, and whether migration queues it to be split. 6.18.44, 6.12.117 and
7.3.4 show the same."""


@pytest.mark.parametrize("case", SPLITS)
@pytest.mark.parametrize("kernel", ["6.17", "6.18", "7.3"])
def test_a_pinned_large_folio_is_not_migrated(case: str, kernel: str) -> None:
    """Does it stay as it is, except that it is split once it is unpinned if a part of it was
    unmapped before the kernel knew?"""
    pin, size, split = SPLITS[case]
    found = ran(
        f"- {{memset: buf, value: 3}}\n{pin}- measure: moved\n  steps: [{{migrate: buf}}]\n"
        f"- check: {{data: {{buf: 3}}, violations: []}}\n- {{unpin: buf}}\n"
        f"- measure: out\n  steps: [{{madvise: buf, advice: PAGEOUT}}]\n",
        size=size,
        kernel=kernel,
    )
    assert found.windows["moved"] == {}
    assert found.windows["out"].get("mthp_split", 0) == split


def test_a_pinned_large_folio_that_is_queued_is_not_split_by_migration() -> None:
    """Is it once the pin has gone?"""
    found = ran(
        "- {memset: buf, value: 3}\n- {pin: buf, length: 4KiB, mode: get}\n"
        "- measure: pinned\n  steps: [{migrate: buf}, {migrate: buf}]\n- {unpin: buf}\n"
        "- measure: then\n  steps: [{migrate: buf}]\n- check: {pages: {buf: 16PDX}}\n"
    )
    assert (found.windows["pinned"], found.windows["then"]) == ({}, {"mthp_split": 1})


def test_migration_makes_a_huge_entry_soft_dirty_in_spite_of_a_reference() -> None:
    """As it comes back, but not where a pin for long keeps it from going?"""
    steps = "- {{clear_refs: soft_dirty}}\n- {{pin: buf, length: 4KiB{}}}\n- {{migrate: buf}}\n"
    ran(steps.format(", mode: get") + "- check: {pages: {buf: 512PDX}}\n", size="2MiB")
    ran(steps.format("") + "- check: {pages: {buf: 512PX}}\n", size="2MiB")


@pytest.mark.parametrize(("step", "dirty"), [("mlock: buf", 1), ("pin: buf", 0)])
def test_a_fault_for_the_process_dirties_a_huge_entry(step: str, dirty: int) -> None:
    """Which MADV_FREE has left clean, where a pin takes it by the page table alone?"""
    found = ran(
        "- {madvise: buf, advice: FREE}\n- measure: then\n  steps: [{" + step + "}]\n",
        size="2MiB",
    )
    assert found.windows["then"].get("spurious_dirty", 0) == dirty
