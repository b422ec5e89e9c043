"""Do the bundled scenarios show what they say?"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest

from swaptrace import bundled, policies
from swaptrace.counters import WARNINGS
from swaptrace.mm.transition import transition
from swaptrace.replay.engine import replay
from swaptrace.replay.scenarios import expectations
from swaptrace.replay.table import Table
from swaptrace.result.result import Counters, PolicyResult
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import MeasureStep, MmapStep, RepeatStep, Scenario, Step
from tests.effort import part
from tests.replay import naive
from tests.replay.test_naive import expand

FILES = bundled.scenarios()
README = Path(__file__).parent.parent / "scenarios" / "README.md"
LISTED = re.compile(r"^\d+\. \[([\w-]+)\]\(\1\.yaml\): (.*?\?)$", re.MULTILINE | re.DOTALL)
LARGE = 64 << 20
"""A region of more bytes is not replayed page by page."""

PATCHED = tuple(name for name in policies.SERIES if name != "prepatch")


@cache
def loaded(name: str) -> Scenario:
    return load_file(str(FILES[name]))


@cache
def table(policy: str) -> Table:
    return Table(policies.find(policy))


@cache
def result(name: str, policy: str) -> PolicyResult:
    return replay(loaded(name), table(policy), steps=True, pages=True)


def window(name: str, policy: str, label: str) -> Counters:
    return result(name, policy).windows[label]


def kinds(name: str, policy: str) -> set[str]:
    """The violations and warnings."""
    return {violation.kind for violation in result(name, policy).violations}


def broken(name: str) -> set[str]:
    """The policies under which a promise is broken, warnings aside."""
    return {policy for policy in policies.SERIES if kinds(name, policy) - WARNINGS}


def opening(name: str) -> list[str]:
    """The paragraphs of the comment that the file opens with."""
    lines = FILES[name].read_text().split("\n")
    comment = "\n".join(line[1:].strip() for line in lines[: lines.index(f"name: {name}")])
    return [" ".join(paragraph.split()) for paragraph in comment.split("\n\n")]


def largest_region(steps: tuple[Step, ...]) -> int:
    inner = chain.from_iterable(s.steps for s in steps if isinstance(s, MeasureStep | RepeatStep))
    sizes = (s.size for s in chain(steps, inner) if isinstance(s, MmapStep))
    return max(sizes, default=0)


SMALL = [
    name
    for name in FILES
    if largest_region(loaded(name).steps) <= LARGE and not loaded(name).machine.thp
]

every_scenario = pytest.mark.parametrize("name", FILES)
every_policy = pytest.mark.parametrize("policy", policies.SERIES)


@every_scenario
def test_it_opens_with_a_question_and_the_answer(name: str) -> None:
    """Does the reader learn from the first lines what this is about?"""
    question, *answer = opening(name)
    assert question.endswith("?")
    assert question.count("?") == 1
    assert answer


@every_scenario
def test_it_describes_itself_and_says_what_to_expect(name: str) -> None:
    """Is there a description of one sentence, and an expectation for several policies?"""
    scenario = loaded(name)
    assert scenario.name == name
    assert re.fullmatch(r"[A-Z].*[^.]\.", scenario.description)
    assert {"prepatch", "rfc", "final"} <= {expected.policy for expected in scenario.expect}


@every_scenario
def test_what_it_expects_holds(name: str) -> None:
    """Does the replay count what the file says, under every policy?"""
    for policy in policies.SERIES:
        checked = list(expectations(loaded(name), {policy: result(name, policy)}))
        assert checked, policy
        assert [each for each in checked if not each.ok] == []


@pytest.mark.parametrize("name", part(SMALL, 6))
def test_page_by_page_it_is_the_same(name: str) -> None:
    """Does the slow replay agree, under whatever policy?"""
    # A pure function need be asked only once. `typed`, for events of two kinds may be equal tuples.
    with mock.patch.object(naive, "transition", lru_cache(None, typed=True)(transition)):
        for policy in part(policies.SERIES, 3, first=SMALL.index(name)):
            fast = result(name, policy)
            slow = naive.naive_replay(loaded(name), table(policy).policy)
            assert (slow.total, slow.windows) == (fast.total, fast.windows)
            assert (slow.pages, slow.violations) == (fast.pages, fast.violations)
            assert expand(slow.steps) == expand(fast.steps)


def test_only_one_is_too_large_for_that() -> None:
    """Is none left out by mistake? With large folios pages are not by themselves."""
    assert {n for n in set(FILES) - set(SMALL) if not loaded(n).machine.thp} == {"one-tebibyte"}


def test_the_list_has_each_scenario_once_with_its_question() -> None:
    """Does scenarios/README.md say what the files ask?"""
    listed = [(name, " ".join(text.split())) for name, text in LISTED.findall(README.read_text())]
    assert len(listed) == len(FILES)
    assert dict(listed) == {name: opening(name)[0] for name in FILES}


def test_the_only_promises_broken_are_those_of_two_scenarios() -> None:
    """simple loses a soft-dirty write; Linux itself loses data in madv-free-after-fork."""
    found = {name: broken(name) for name in FILES if broken(name)}
    assert found == {
        "soft-dirty": {"simple"},
        "madv-free-after-fork": set(policies.SERIES) - {"rfc"},
    }


@pytest.mark.parametrize("policy", PATCHED)
def test_every_draft_saves_the_minor_faults_of_the_microbenchmark(policy: str) -> None:
    """512 before, none after; the major faults stay."""
    before = window("read-then-write", "prepatch", "read_write_data")
    after = window("read-then-write", policy, "read_write_data")
    assert (before["minflt"], after.get("minflt", 0)) == (512, 0)
    assert before["majflt"] == after["majflt"] == 512


@every_policy
def test_who_writes_again_what_was_only_read(policy: str) -> None:
    """rfc on a disk; any draft where pte_mkwrite() dirties; nobody on zram."""
    rewrites = {
        name: window(name, policy, "second_pageout").get("rewrites", 0)
        for name in ("read-then-pageout", "mkwrite-dirties", "read-then-pageout-zram")
    }
    assert rewrites == {
        "read-then-pageout": 512 if policy == "rfc" else 0,
        "mkwrite-dirties": 0 if policy == "prepatch" else 512,
        "read-then-pageout-zram": 0,
    }


def test_simple_loses_the_soft_dirty_write_and_rfc_invents_one() -> None:
    """Which step shows it, and on how many pages?"""
    (lost,) = result("soft-dirty", "simple").violations
    (spurious,) = result("soft-dirty", "rfc").violations
    assert (lost.kind, lost.step, lost.pages) == ("lost_soft_dirty", "5.0", 512)
    assert (spurious.kind, spurious.step, spurious.pages) == ("spurious_soft_dirty", "4.0", 512)
    assert spurious.is_warning
    assert all(not kinds("soft-dirty", p) for p in policies.SERIES if p not in ("simple", "rfc"))


@every_scenario
def test_suggested_and_final_differ_only_where_a_page_is_soft_dirty_already(name: str) -> None:
    """One scenario tells them apart, and none tells final from merged."""
    assert result(name, "final") == result(name, "merged")
    same = result(name, "suggested") == result(name, "final")
    assert same == (name != "soft-dirty-already")


@every_policy
def test_userfaultfd_gets_its_events_at_one_fault_or_two(policy: str) -> None:
    """512 events either way."""
    counted = window("uffd-wp", policy, "write_data")
    cheap = policy in ("suggested", "final", "merged")
    assert counted["uffd_wp"] == 512
    assert counted.get("minflt", 0) == (0 if cheap else 512)


@pytest.mark.parametrize(
    "name",
    ["write-only", "fork-before-pageout", "fork-after-pageout", "madv-dontneed", "mlock"],
)
def test_some_ways_are_the_same_under_every_policy(name: str) -> None:
    """Where there is nothing to save, is nothing changed?"""
    assert len({tuple(result(name, policy).total.items()) for policy in policies.SERIES}) == 1


def test_madv_free_after_fork_needs_all_its_parts() -> None:
    """Is the loss due to zram's direct path, and to the page being shared?"""
    overrides = [{"machine.swap.backend": backend} for backend in ("zswap", "disk")]
    for machine in overrides:
        scenario = load_file(str(FILES["madv-free-after-fork"]), machine)
        assert replay(scenario, table("final")).violations == ()
    (lost,) = result("madv-free-after-fork", "final").violations
    assert (lost.kind, lost.process, lost.page) == ("lost_write", "main", 0)
