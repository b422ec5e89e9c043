"""Does `explain` say who split a folio, what came in whole, and why a size was not used?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from unittest import mock

import pytest
from hypothesis import given, settings

from swaptrace import bundled, policies
from swaptrace.counters import ViolationKind
from swaptrace.errors import SwaptraceError
from swaptrace.mm.blockevent import BlockChange, BlockEvent, Isolate, Shrink, SplitPmd, Teller, view
from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.event import Fork, Unmap
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.explain import explain
from swaptrace.replay.telling import StepHistorian
from swaptrace.result.explanation import Explanation, Transition
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import Scenario
from tests.effort import examples
from tests.replay.test_blocks import with_large_folios
from tests.replay.test_large_folios import micro
from tests.work import at_most


def explained(*steps: str, thp: str = "64KiB", policy: str = "final") -> Explanation:
    """The microbenchmark and further steps."""
    return explain(micro(*steps, thp=thp), policies.find(policy))


def transitions(explanation: Explanation) -> Iterator[Transition]:
    """Of all steps."""
    return (each for step in explanation.steps for each in step.transitions)


@pytest.mark.parametrize("policy", policies.SERIES)
def test_what_is_told_adds_up_to_what_is_counted(policy: str) -> None:
    """Does each step count what its transitions do, a time each?"""
    steps = (
        "{fork: child}",
        "{madvise: buf, advice: PAGEOUT, offset: 4KiB, length: 100KiB}",
        "{exit: child}",
        "{madvise: buf, advice: FREE, length: 40KiB}",
        "{madvise: buf, advice: PAGEOUT}",
        "{write: buf}",
        "{munmap: buf, length: 20KiB}",
    )
    for step in explained(*steps, policy=policy).steps:
        total: dict[str, int] = {}
        for each in step.transitions:
            for name, count in each.counters.items():
                total[name] = total.get(name, 0) + count * each.pages // each.at_once
        assert total == dict(step.counters)


@pytest.mark.parametrize(
    ("steps", "function", "pages", "at_once"),
    [
        ((), "alloc_anon_folio", 512, 16),
        ((), "alloc_swap_folio", 512, 16),
        (
            ("{madvise: buf, advice: PAGEOUT, length: 4KiB}",),
            "madvise_cold_or_pageout_pte_range > split_folio",
            16,
            16,
        ),
        (("{madvise: buf, advice: COLD, length: 4KiB}",), "split_folio", 16, 16),
        (("{madvise: buf, advice: FREE, length: 4KiB}",), "split_folio", 16, 16),
    ],
)
def test_the_function_is_named_that_takes_or_splits_a_folio(
    steps: tuple[str, ...], function: str, pages: int, at_once: int
) -> None:
    """Is it among those that decided, for so many pages at a time?"""
    found = [each for each in transitions(explained(*steps)) if function in " > ".join(each.path)]
    assert [(each.pages, each.at_once) for each in found] == [(pages, at_once)]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            ("{mmap: odd, size: 4KiB}", "{write: odd}"),
            "not 64 KiB: it does not lie in the VMA",
        ),
        (
            ("{mmap: b, size: 64KiB}", "{read: b, length: 4KiB}", "{write: b, offset: 4KiB}"),
            "not 64 KiB: a page of it is there already",
        ),
        (
            (
                "{clear_refs: soft_dirty}",
                "{write: buf, length: 4KiB}",
                "{madvise: buf, advice: PAGEOUT}",
                "{read: buf}",
            ),
            "not 64 KiB: not all of it is in swap, in order and with the same bits",
        ),
        (
            (
                "{uffd_writeprotect: buf, wp: false}",
                "{madvise: buf, advice: PAGEOUT}",
                "{read: buf}",
            ),
            "one page, as the VMA is registered with a userfaultfd",
        ),
    ],
)
def test_why_a_size_is_not_used_is_said(steps: tuple[str, ...], reason: str) -> None:
    """Is there the kernel's reason, where there is one and nowhere else?"""
    assert not any(each.reasons for each in transitions(explained()))
    assert any(reason in each.reasons for each in transitions(explained(*steps)))


def test_json_says_of_large_folios_what_there_is_to_say() -> None:
    """Are the further keys there only where folios are large?"""
    keys = {
        thp: {key for step in document["steps"] for each in step["transitions"] for key in each}
        for thp in ("64KiB", "16KiB", "")
        for document in [json.loads(explained(thp=thp).to_json() if thp else plain())]
    }
    assert keys["64KiB"] - keys[""] == keys["16KiB"] - keys[""] == {"at_once"}


def plain() -> str:
    """Without large folios."""
    return explain(micro(), policies.find("final")).to_json()


def test_a_history_shows_the_pages_as_they_are() -> None:
    """Are the pictures of a machine with large folios those of one without, but for the folios?"""
    found = [
        replay(micro(**machine), policies.find("final"), history=StepHistorian).history
        for machine in ({"thp": "16KiB"}, {})
    ]
    kinds = [
        [
            (run.pages, each.states[run.state].kind)
            for frame in each.frames
            for strip in frame.strips
            for run in strip.runs
        ]
        for each in found
        if each is not None
    ]
    assert kinds[0] == kinds[1]


class LooksAtAll(Teller):
    """Checks what is told by a look at every page that an event may concern."""

    def tell(
        self,
        told: list[BlockChange],
        page: BlockPage,
        event: BlockEvent,
        touched: Iterable[int],
        violations: list[tuple[ViolationKind, int, int]],
    ) -> None:
        before, touched = dict(enumerate(self.views)), list(touched)
        whole = isinstance(event, Isolate | Shrink | SplitPmd)
        pages = {*touched, *([] if whole else [page.i])}
        gone = event.process if isinstance(event, Unmap) and event.gone else None
        for folio in self.block.folios.values():
            if gone is None and not isinstance(event, Fork) and pages & {*folio.pages}:
                pages |= {*folio.pages}
        super().tell(told, page, event, touched, violations)
        for i in pages:
            assert self.views[i] == view(self.block, i, gone)
        found = [i for i in pages if before[i] != self.views[i] or (i == page.i and not whole)]
        if found:
            assert told[-1].pages == len(found)


@settings(max_examples=examples(60))
@given(with_large_folios(60, 14))
def test_no_page_that_an_event_has_changed_is_left_out(scenario: Scenario) -> None:
    """Are the pages that are looked at all of those that look otherwise?"""
    with (
        mock.patch("swaptrace.mm.blocktransition.Teller", LooksAtAll),
        mock.patch.object(Replay, "check_errno"),
    ):
        try:
            replay(scenario, policies.find("final"), history=StepHistorian)
        except SwaptraceError:
            return


def test_what_happens_to_two_mebibytes_is_told_page_by_page_in_linear_work() -> None:
    """Are so few functions called for each of 512 pages that no event looks at all of them?"""
    scenario = load_file(str(bundled.scenarios()["read-then-write-2m"]))
    with at_most(1_500_000):
        replay(scenario, policies.find("final"), history=StepHistorian)
