"""Does read-write protection by userfaultfd (7.3) do on large folios what it does on pages?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.folios import memory
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.remote import PokeStep
from swaptrace.scenario.schema import ExitStep, MmapStep, RepeatStep, Scenario, Step
from swaptrace.scenario.thp import Thp
from swaptrace.scenario.uffd import UffdWriteprotectStep
from tests.effort import examples, some
from tests.replay.blocks import page_by_page
from tests.replay.strategies import scenarios, spans
from tests.replay.test_blocks import agree, with_large_folios
from tests.replay.test_large_folios import ROOMY
from tests.replay.test_naive import expand

HUGE = "2MiB"


def protecting(steps: tuple[Step, ...]) -> Iterator[Step]:
    """The steps, in which all protection is against reads as well."""
    for step in steps:
        if isinstance(step, RepeatStep):
            yield replace(step, steps=tuple(protecting(step.steps)))
        elif isinstance(step, UffdWriteprotectStep):
            yield replace(step, mode="rwp")
        else:
            yield step


@st.composite
def with_protection(draw: st.DrawFn, scenario: Scenario) -> Scenario:
    """A scenario of 7.3 with some more of these steps, and writes by a debugger, which do not
    wait."""
    first, *others = protecting(scenario.steps)
    ends = (at for at, step in enumerate(others) if isinstance(step, ExitStep))
    assert isinstance(first, MmapStep)
    pages, last = first.size // 4096, next(ends, len(others))
    for at in draw(st.lists(st.integers(0, last), min_size=1, max_size=4)):
        span = draw(spans(pages))
        on = draw(st.sampled_from([True, True, False]))
        step: Step = UffdWriteprotectStep(line=1, region="r", span=span, wp=on, mode="rwp")
        if draw(st.integers(0, 4)) == 0:
            step = PokeStep(line=1, region="r", span=span, value=7)
        others.insert(at, step)
    machine = replace(scenario.machine, kernel="7.3")
    return replace(scenario, machine=machine, steps=(first, *others))


@settings(max_examples=examples(60))
@given(with_large_folios(60, 10).flatmap(with_protection), st.sampled_from(policies.SERIES))
def test_blocks_that_are_looked_up_equal_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, violations and page maps?"""
    agree(scenario, policy)


@settings(max_examples=examples(60))
@given(scenarios().flatmap(with_protection), st.sampled_from(policies.SERIES))
def test_blocks_without_large_folios_are_pages_by_themselves(
    scenario: Scenario, policy: str
) -> None:
    """Where no memory may have large folios, do blocks give what columns give?"""
    swap = Swap(scenario.machine.swap.backend, ROOMY, scenario.machine.swap.page_cluster)
    plain = replace(scenario, machine=replace(scenario.machine, swap=swap))
    blocks = replace(plain, machine=replace(plain.machine, thp=(Thp("64KiB", "always"),)))
    none = mock.patch.object(memory, "orders_of", return_value=())
    with mock.patch.object(Replay, "check_errno"), none:
        try:
            found = engine.replay(blocks, policies.find(policy), steps=True, pages=True)
        except ScenarioError:  # a step that is not modelled with large folios
            reject()
        other = engine.replay(plain, policies.find(policy), steps=True, pages=True)
    assert (found.total, found.pages) == (other.total, other.pages)
    assert expand(found.steps) == expand(other.steps)
    assert {(v.kind, v.line, v.region, v.page) for v in found.violations} == {
        (v.kind, v.line, v.region, v.page) for v in other.violations
    }


def ran(steps: str, size: str, thp: str) -> PolicyResult:
    """Steps in a region `a` that has been written and is read-write protected, as both replays
    have them; all checks must hold."""
    machine = f"machine: {{kernel: '7.3', thp: {thp}}}\n"
    protected = f"steps:\n- {{mmap: a, size: {size}}}\n- {{memset: a, value: 1}}\n"
    protected += "- {uffd_writeprotect: a, mode: rwp}\n"
    scenario = load_text(f"{machine}{protected}{steps}", "a")
    found = engine.replay(scenario, policies.find("merged"), pages=True)
    with page_by_page():
        seen = engine.replay(scenario, policies.find("merged"), pages=True)
    assert (found.total, found.pages, found.checks) == (seen.total, seen.pages, seen.checks)
    assert [check for check in found.checks if not check.ok] == []
    assert found.violations == ()
    return found


HUGE_ENTRY = {
    "a read splits it, and un-protects one page": (
        "- {read: a, length: 4KiB}\n- {madvise: a, advice: PAGEOUT, length: 4KiB}",
        "1SD,511PDXU",
        {"uffd_rwp": 1, "minflt": 2, "thp_split_page": 1},
    ),
    "so does a write": ("- {write: a, length: 4KiB}", "1PDX,511PDXU", {"uffd_rwp": 1, "minflt": 2}),
    "a write of what only a part of was protected": (
        "- {uffd_writeprotect: a, mode: rwp, wp: false, length: 4KiB}\n- {write: a, length: 4KiB}",
        "1PDX,511PDXU",
        {"uffd_rwp": 0, "minflt": 1},
    ),
    "taken away of all it is as before": (
        "- {uffd_writeprotect: a, mode: rwp, wp: false}\n- {write: a}\n"
        "- {madvise: a, advice: PAGEOUT}",
        "512SD",
        {"uffd_rwp": 0, "minflt": 1, "thp_swpout": 1},
    ),
    "mprotect() does not lift it": (
        "- {mprotect: a, prot: none}\n- {mprotect: a, prot: r}\n- {read: a, length: 4KiB}",
        "1PDX,511PDXU",
        {"uffd_rwp": 1, "minflt": 2},
    ),
    "it goes to swap with its bits": (
        "- {madvise: a, advice: PAGEOUT}\n- {read: a, length: 4KiB}",
        "1PDX,511SDU",
        {"uffd_rwp": 1, "majflt": 1, "thp_swpout": 1},
    ),
    "it is not collapsed": (
        "- {read: a, length: 4KiB}\n- {madvise: a, advice: COLLAPSE, errno: EINVAL}",
        "1PDX,511PDXU",
        {"uffd_rwp": 1},
    ),
    "nor is it once nothing of it is there": (
        "- {madvise: a, advice: DONTNEED, length: 4KiB}\n"
        "- {uffd_writeprotect: a, mode: rwp, wp: false}\n"
        "- {madvise: a, advice: COLLAPSE, errno: EBUSY}",
        "1D,511PDX",
        {"uffd_rwp": 0},
    ),
    "a child has none of it, and may read the entry": (
        "- {fork: child}\n- {read: a, process: child}\n- {exit: child}",
        "512PDXU",
        {"uffd_rwp": 0, "minflt": 1},
    ),
    "nor has what mremap() has moved": (
        "- {mremap: a, size: 2MiB, flags: [MREMAP_MAYMOVE, MREMAP_FIXED], to: 0x40000000}\n"
        "- {write: a}",
        "512PDX",
        {"uffd_rwp": 0, "minflt": 2},
    ),
    "the zero page has it, too": (
        "- {madvise: a, advice: DONTNEED}\n- {read: a, length: 4KiB}\n"
        "- {uffd_writeprotect: a, mode: rwp}\n- {write: a, length: 4KiB}",
        "1PDX,511PDU",
        {"uffd_rwp": 1, "zero_page": 1, "wp_copy": 1},
    ),
    "the kernel's own faults split it": (
        "- {madvise: a, advice: POPULATE_READ}",
        "512PDX",
        {"uffd_rwp": 512},
    ),
}


@pytest.mark.parametrize("what", some([*HUGE_ENTRY], 5))
def test_an_entry_of_2_mib_is_protected_whole_until_a_part_is_concerned(what: str) -> None:
    """Is it as on 7.3.4, where each of these was run?"""
    steps, pages, counted = HUGE_ENTRY[what]
    found = ran(steps + "\n", HUGE, HUGE)
    assert found.pages == {"main": {"a": pages}}
    assert {name: found.total.get(name, 0) for name in counted} == counted


FOLIO = {
    "a swap-in brings one page back, as wherever a userfaultfd is": (
        "- {madvise: a, advice: PAGEOUT}\n- {read: a, length: 8KiB}",
        "2PDX,14SDU",
        {"majflt": 2, "uffd_rwp": 2, "mthp_swpout": 1},
    ),
    "a part that is protected is advised by itself": (
        "- {uffd_writeprotect: a, mode: rwp, wp: false, length: 32KiB}\n"
        "- {madvise: a, advice: PAGEOUT}\n- {read: a}",
        "16PDX",
        {"majflt": 16, "uffd_rwp": 8, "mthp_split": 1},
    ),
    "a folio in the swap cache is mapped whole, protected": (
        "- {fork: child}\n- {madvise: a, advice: PAGEOUT}\n- {read: a, length: 4KiB}\n"
        "- {read: a, process: child, length: 4KiB}\n- {exit: child}",
        "1PDX,15PDXU",
        {"uffd_rwp": 1},
    ),
    "what splits a folio keeps it": (
        "- {madvise: a, advice: DONTNEED, length: 4KiB}\n- {madvise: a, advice: PAGEOUT}\n"
        "- {write: a, length: 8KiB}",
        "2PDX,14SDU",
        {"uffd_rwp": 1, "mthp_split": 1},
    ),
}


@pytest.mark.parametrize("what", [*FOLIO])
def test_a_folio_of_64_kib_is_protected_page_by_page(what: str) -> None:
    """Is it as on 7.3.4, where each of these was run?"""
    steps, pages, counted = FOLIO[what]
    found = ran(steps + "\n", "64KiB", "64KiB")
    assert found.pages == {"main": {"a": pages}}
    assert {name: found.total.get(name, 0) for name in counted} == counted
