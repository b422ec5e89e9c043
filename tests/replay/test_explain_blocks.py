"""Does `explain` say who split a folio, what came in whole, and why a size was not used?"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.replay.explain import explain
from swaptrace.replay.telling import StepHistorian
from swaptrace.result.explanation import Explanation, Transition
from tests.replay.test_large_folios import micro


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
