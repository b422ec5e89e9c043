"""Is a page that is pinned kept, not shared and not reused by another, and is it seen if it was?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.mm.policy import FolioRefs, Policy
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import PinStep, Scenario
from tests.effort import examples
from tests.replay.building import PAGE
from tests.replay.naive import naive_replay
from tests.replay.strategies import scenarios
from tests.replay.test_naive import agree


class ReusesAnything(Policy):
    """A patch that looks at no reference, as do_wp_page() once looked at the map count alone."""

    name = "reuses"
    title = "reuses whatever is mapped once"
    origin = "a test"

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        return folio.mapcount == 1 and not folio.swap_count


def ran(steps: str, policy: Policy | None = None, kernel: str = "6.12") -> PolicyResult:
    """What steps on a region `buf` of 16 pages come to under both replays; all checks hold."""
    text = f"machine: {{kernel: {kernel}}}\nsteps:\n- {{mmap: buf, size: 64KiB}}\n{steps}"
    under = policy or policies.find("merged")
    found, slow = replay(load_text(text), under), naive_replay(load_text(text), under)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert [check for check in found.checks if not check.ok] == []
    return found


def kinds(result: PolicyResult) -> set[str]:
    return {violation.kind for violation in result.violations}


def test_a_pin_for_writing_makes_pages_the_processes_own() -> None:
    """Are untouched pages faulted in, and shared ones copied, as if they were written?"""
    found = ran(
        "- {write: buf, length: 32KiB}\n- fork: child\n- {pin: buf}\n"
        "- check: {pages: {buf: 16PX}, violations: []}\n"
    )
    assert found.total["wp_copy"] == 8
    assert found.total["zero_fill"] == 16


def test_a_reference_for_reading_takes_pages_as_they_are() -> None:
    """Is the zero page good enough, and a page that is shared?"""
    found = ran(
        "- {write: buf, length: 32KiB}\n- fork: child\n- {pin: buf, mode: get}\n"
        "- check: {pages: {buf: 16P}, violations: []}\n"
    )
    assert found.total["zero_page"] == 8
    assert "wp_copy" not in found.total


def test_a_child_gets_copies_of_pinned_pages_at_fork() -> None:
    """Does the parent's next write take no fault, and reach its own page?"""
    found = ran(
        "- {write: buf, value: 1}\n- {pin: buf, length: 4KiB}\n- fork: child\n"
        "- check: {pages: {buf: '1PX,15P'}}\n- measure: again\n  steps:\n"
        "  - {write: buf, length: 4KiB, value: 2}\n"
        "- check: {pages: {buf: '1PX,15P'}, data: {buf: 1}, violations: []}\n  process: child\n"
    )
    assert found.windows["again"] == {}


def test_a_reference_does_not_keep_a_page_from_being_shared() -> None:
    """Is nothing copied at fork for FOLL_GET, and is the page no longer reused by anybody?"""
    found = ran(
        "- {write: buf}\n- {pin: buf, mode: get}\n- fork: child\n- {munmap: buf}\n"
        "- {write: buf, process: child}\n- check: {violations: []}\n"
    )
    assert found.total["wp_copy"] == 16


def test_reclaim_leaves_pinned_pages_alone() -> None:
    """Do they stay in memory until they are unpinned?"""
    ran(
        "- {write: buf}\n- {pin: buf, length: 8KiB}\n- {madvise: buf, advice: PAGEOUT}\n"
        "- check: {pages: {buf: '2PX,14S'}}\n- {unpin: buf}\n"
        "- {madvise: buf, advice: PAGEOUT}\n- check: {pages: {buf: 16S}}\n"
    )


def test_a_reference_keeps_a_page_in_the_swap_cache() -> None:
    """Is it unmapped and not written, and comes back without a read?"""
    found = ran(
        "- {write: buf}\n- {pin: buf, mode: get}\n- {madvise: buf, advice: PAGEOUT}\n"
        "- check: {pages: {buf: 16S}}\n- {read: buf}\n- check: {data: {buf: unchanged}}\n"
    )
    assert "pswpout" not in found.total
    assert "majflt" not in found.total


@pytest.mark.parametrize(
    ("prepare", "mode", "first", "again"),
    [
        ("write: buf", "longterm", "D", {}),
        ("write: buf", "get", "", {"minflt": 16, "wp_reuse": 16}),
        ("madvise: buf, advice: NORMAL", "longterm", "D", {}),
    ],
)
def test_clear_refs_leaves_pinned_pages_as_they_are(
    prepare: str, mode: str, first: str, again: dict[str, int]
) -> None:
    """Do they stay soft-dirty and writable, since writes through the pin are not seen, until it is
    gone?"""
    found = ran(
        f"- {{{prepare}}}\n- {{pin: buf, mode: {mode}}}\n- {{clear_refs: soft_dirty}}\n"
        f"- check: {{pages: {{buf: 16P{first}X}}, violations: []}}\n"
        "- measure: again\n  steps:\n  - {write: buf}\n"
        "- {unpin: buf}\n- {clear_refs: soft_dirty}\n- check: {pages: {buf: 16PX}}\n"
    )
    assert found.windows["again"] == again


@pytest.mark.parametrize(("kernel", "pages"), [("6.12", "16S"), ("6.16", "16-")])
def test_a_pinned_page_that_was_given_up(kernel: str, pages: str) -> None:
    """Is it kept with the pin, and when that has gone freed where it stayed lazyfree?"""
    ran(
        "- {write: buf}\n- {pin: buf}\n- {madvise: buf, advice: FREE}\n"
        "- {madvise: buf, advice: PAGEOUT}\n- check: {pages: {buf: 16PX}}\n- {unpin: buf}\n"
        f"- {{madvise: buf, advice: PAGEOUT}}\n- check: {{pages: {{buf: {pages}}}}}\n",
        kernel=kernel,
    )


def test_a_pin_that_faults_dirties_what_lies_behind() -> None:
    """Is what MADV_FREE has left clean kept after a page that the pin brings in, and not before?"""
    ran(
        "- {write: buf}\n- {madvise: buf, advice: FREE}\n"
        "- {madvise: buf, advice: DONTNEED, offset: 16KiB, length: 4KiB}\n- {pin: buf}\n"
        "- {unpin: buf}\n- {madvise: buf, advice: PAGEOUT}\n- check: {pages: {buf: '4-,1S,11PX'}}\n"
    )


def test_a_pin_outlives_its_mapping() -> None:
    """Is what is given up, unmapped, or written anew no concern of the pin's?"""
    ran(
        "- {write: buf}\n- {pin: buf}\n- {madvise: buf, advice: DONTNEED, length: 16KiB}\n"
        "- {write: buf}\n- {munmap: buf, offset: 32KiB}\n- check: {violations: []}\n"
        "- {unpin: buf}\n- check: {pages: {buf: '8PX,8-'}}\n"
    )


def test_it_is_all_or_nothing() -> None:
    """Is nothing pinned where a hole is found, or a mapping that may not be written?"""
    ran(
        "- {munmap: buf, offset: 32KiB}\n- {pin: buf, errno: EFAULT}\n- {pin: buf, length: 32KiB}\n"
        "- {unpin: buf}\n- {madvise: buf, advice: PAGEOUT, length: 32KiB}\n"
        "- check: {pages: {buf: '8S,8-'}}\n- {mprotect: buf, prot: r, length: 32KiB}\n"
        "- {pin: buf, length: 32KiB, errno: EFAULT}\n- {pin: buf, mode: get, length: 32KiB}\n"
    )


@pytest.mark.parametrize(
    ("kernel", "errno", "events"), [("6.9", ", errno: EFAULT", 0), ("6.10", "", 8)]
)
def test_a_longterm_pin_waits_for_a_userfaultfd(kernel: str, errno: str, events: int) -> None:
    """From 6.10 on, and is nothing pinned before?"""
    protects = "- {write: buf}\n- {uffd_writeprotect: buf, length: 32KiB}\n"
    found = ran(f"{protects}- {{pin: buf{errno}}}\n", kernel=kernel)
    assert found.total.get("uffd_wp", 0) == events
    found = ran(f"{protects}- {{pin: buf, mode: get}}\n", kernel=kernel)
    assert "uffd_wp" not in found.total


REUSED = """\
- {write: buf}
- {fork: child}
- {pin: buf, mode: get, process: child}
- {munmap: buf, process: child}
- {write: buf}
"""


def test_a_page_that_is_reused_in_spite_of_a_pin_is_a_violation() -> None:
    """Is it that of the process that has the pin, and none where the kernel copies?"""
    (broken,) = ran(REUSED, ReusesAnything()).violations
    assert (broken.kind, broken.process, broken.pages) == ("pin_broken", "child", 16)
    assert kinds(ran(REUSED)) == set()


def test_a_pin_that_a_process_copies_away_from_is_a_violation() -> None:
    """Does a write that goes to a copy show, of a page that lost its mark of exclusivity?"""

    class NeverReuses(Policy):
        name = "copies"

        def can_reuse_anon(self, folio: FolioRefs) -> bool:  # noqa: ARG002
            return False

    steps = (
        "- {write: buf}\n- {fork: child}\n- {exit: child}\n- {pin: buf, mode: get}\n"
        "- {write: buf}\n"
    )
    assert kinds(ran(steps, NeverReuses())) == set()  # no promise of FOLL_GET
    assert ran(steps.replace(", mode: get", ""), NeverReuses()).total["wp_copy"] == 16


@settings(max_examples=examples(60))
@given(scenarios(), st.sampled_from(policies.SERIES), st.sampled_from(["longterm", "get"]))
def test_both_replays_pin_alike(scenario: Scenario, policy: str, mode: str) -> None:
    """Whatever happens to the region, and with a hole in it?"""
    pages = scenario.steps[0].size // PAGE  # type: ignore[union-attr]
    pin = PinStep(line=1, column=9, region="r", span=ByteRange(0, pages * PAGE), mode=mode)  # type: ignore[arg-type]
    agree(replace(scenario, steps=(*scenario.steps[:2], pin, *scenario.steps[2:])), policy)


@pytest.mark.parametrize("size", ["132KiB", "8MiB"])
def test_a_page_may_have_more_folios_than_processes_share_it(size: str) -> None:
    """Is what is pinned, and mapped by nobody, followed as well where slots have positions?"""
    text = (
        f"machine: {{swap: {{backend: disk, size: {size}}}}}\nsteps:\n"
        "- {mmap: buf, size: 64KiB}\n- {write: buf}\n- {fork: child}\n- {pin: buf, mode: get}\n"
        "- {write: buf}\n- {write: buf, process: child}\n- {madvise: buf, advice: MADV_PAGEOUT}\n"
        "- {read: buf}\n- {write: buf, process: child}\n"
    )
    under = policies.find("merged")
    found, slow = replay(load_text(text), under), naive_replay(load_text(text), under)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert (found.total["minflt"], found.total["wp_copy"]) == (64, 32)
