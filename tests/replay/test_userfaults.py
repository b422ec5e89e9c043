"""Does what is registered with a userfaultfd take the faults, and keep the marks, it should?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.mm.policy import Policy, SwapinFault, SwapinPte
from swaptrace.replay.engine import replay
from swaptrace.replay.explain import explain
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.naive import naive_replay


def ran(steps: str, policy: Policy | None = None, machine: str = "{}") -> PolicyResult:
    """What steps on a region `buf` of 16 pages come to under both replays; all checks hold."""
    text = f"machine: {machine}\nsteps:\n- {{mmap: buf, size: 64KiB}}\n{steps}"
    under = policy or policies.find("merged")
    found, slow = replay(load_text(text), under), naive_replay(load_text(text), under)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_a_missing_page_comes_from_the_handler() -> None:
    """Is a first read or write one event and one minor fault, and the page full of its byte?"""
    found = ran(
        "- {uffd_register: buf, mode: missing, fill: 7}\n"
        "- {read: buf, length: 32KiB}\n- {write: buf, offset: 32KiB, value: 9}\n"
        "- check: {pages: {buf: 16PX}, data: {buf: '8:7,8:9'}, violations: []}\n"
        "- {madvise: buf, advice: MADV_PAGEOUT}\n- {read: buf}\n"
        "- {madvise: buf, advice: MADV_DONTNEED}\n- {read: buf, length: 4KiB}\n"
        "- check: {pages: {buf: '1PX,15-'}, data: {buf: '1:7,15:zero'}}\n"
    )
    assert found.total == {
        "minflt": 17,
        "uffd_missing": 17,
        "majflt": 16,
        "pswpin": 16,
        "pswpout": 16,
    }


def test_a_marker_protects_a_page_that_is_not_there() -> None:
    """Is it in the page map, does a page that comes keep it, and do zapping and un-protecting
    take it away?"""
    ran(
        "- {uffd_register: buf, mode: wp, features: WP_UNPOPULATED}\n"
        "- {uffd_writeprotect: buf}\n- check: {pages: {buf: 16SU}}\n"
        "- {madvise: buf, advice: MADV_DONTNEED, length: 16KiB}\n"
        "- {uffd_writeprotect: buf, offset: 16KiB, length: 16KiB, wp: false}\n"
        "- {madvise: buf, advice: MADV_PAGEOUT}\n- {madvise: buf, advice: MADV_FREE}\n"
        "- {read: buf, offset: 48KiB}\n- check: {pages: {buf: '8-,4SU,4PU'}}\n"
    )


def test_without_unpopulated_what_is_not_there_is_not_protected() -> None:
    steps = "- {uffd_register: buf, mode: wp}\n- {uffd_writeprotect: buf}\n"
    ran(f"{steps}- check: {{pages: {{buf: 16-}}}}\n")


def test_an_asynchronous_write_takes_the_mark_away_without_an_event() -> None:
    """One fault makes the page, one takes the mark; a page that is there takes only the latter."""
    found = ran(
        "- {uffd_register: buf, mode: wp, features: WP_ASYNC}\n- {write: buf, length: 32KiB}\n"
        "- {uffd_writeprotect: buf}\n"
        "- measure: w\n  steps: [{write: buf}]\n- check: {pages: {buf: 16PX}, violations: []}\n"
    )
    assert found.windows["w"] == {"minflt": 8 + 2 * 8, "wp_reuse": 16, "zero_fill": 8}


class Forgets(Policy):
    """A patch that maps what it swaps in writable, whatever is protected."""

    name, title, origin = "forgets", "writable", "a test"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        return SwapinPte(fault.carry_bits(fault.pte)._replace(write=True), True, True)


def test_a_write_that_leaves_the_mark_is_lost() -> None:
    """Does a patch that lets writes through show, where no event would tell of them?"""
    found = ran(
        "- {uffd_register: buf, mode: wp, features: WP_ASYNC}\n- {write: buf}\n"
        "- {uffd_writeprotect: buf}\n- {madvise: buf, advice: MADV_PAGEOUT}\n- {write: buf}\n",
        Forgets(),
    )
    assert {v.kind: v.pages for v in found.violations} == {"lost_uffd_wp": 16}


@pytest.mark.parametrize(("features", "maps"), [("EVENT_FORK", "8PU,8SU"), ("[]", "8P,8-")])
def test_a_child_is_registered_only_with_event_fork(features: str, maps: str) -> None:
    """Are marks and markers inherited, and events raised in the child, or none of them?"""
    more = "WP_UNPOPULATED" if features == "[]" else f"WP_UNPOPULATED, {features}"
    found = ran(
        f"- {{uffd_register: buf, mode: wp, features: [{more}]}}\n"
        "- {write: buf, length: 32KiB}\n- {uffd_writeprotect: buf}\n- fork: child\n"
        f"- check: {{pages: {{buf: '{maps}'}}}}\n  process: child\n"
        "- {write: buf, process: child}\n"
    )
    assert found.total.get("uffd_wp", 0) == (16 if "EVENT_FORK" in features else 0)


def test_leaving_takes_all_protection_away() -> None:
    ran(
        "- {uffd_register: buf, mode: wp, features: WP_UNPOPULATED}\n"
        "- {write: buf, length: 32KiB}\n- {uffd_writeprotect: buf}\n"
        "- {uffd_unregister: buf, offset: 16KiB, length: 32KiB}\n"
        "- check: {pages: {buf: '4PXU,4PX,4-,4SU'}}\n"
        "- {uffd_writeprotect: buf, errno: ENOENT}\n"
        "- {uffd_register: buf, mode: wp, features: WP_ASYNC, errno: EBUSY}\n"
    )


@pytest.mark.parametrize(("kernel", "errno"), [("7.2", ""), ("7.3", ", errno: EBUSY")])
def test_a_mode_that_has_markers_cannot_be_left_out(kernel: str, errno: str) -> None:
    """Is it so since 7.3, and may a mode be added, or only MISSING be left out?"""
    ran(
        "- {uffd_register: buf, mode: [missing, wp], features: WP_UNPOPULATED}\n"
        f"- {{uffd_register: buf, mode: missing, features: WP_UNPOPULATED{errno}}}\n"
        "- {uffd_unregister: buf}\n"
        "- {uffd_register: buf, mode: missing, features: WP_UNPOPULATED}\n"
        "- {uffd_register: buf, mode: [missing, wp], features: WP_UNPOPULATED}\n"
        "- {uffd_register: buf, mode: wp, features: WP_UNPOPULATED}\n",
        machine=f"{{kernel: '{kernel}'}}",
    )


def test_user_space_gives_pages_only_where_there_are_none() -> None:
    """UFFDIO_COPY takes a marker's place, UFFDIO_ZEROPAGE does not; each stops at what is there."""
    ran(
        "- {uffd_copy: buf, errno: ENOENT}\n"
        "- {uffd_register: buf, mode: missing}\n- {uffd_copy: buf, wp: true, errno: EINVAL}\n"
        "- {uffd_unregister: buf}\n"
        "- {uffd_register: buf, mode: [missing, wp], features: WP_UNPOPULATED}\n"
        "- {uffd_writeprotect: buf, length: 8KiB}\n- {uffd_zeropage: buf, errno: EEXIST}\n"
        "- {uffd_copy: buf, length: 4KiB, value: 5}\n"
        "- {uffd_copy: buf, length: 16KiB, offset: 8KiB, value: 6, wp: true}\n"
        "- {uffd_copy: buf, offset: 4KiB, errno: EAGAIN}\n"
        "- {uffd_zeropage: buf, offset: 24KiB}\n"
        "- check: {pages: {buf: '2PX,4PXU,10P'}, data: {buf: '1:5,1:zero,4:6,10:zero'}}\n"
    )


@pytest.mark.parametrize(
    ("machine", "steps", "message"),
    [
        ("{kernel: 6.10}", "", "since Linux 6.12"),
        ("{memory: 1MiB}", "", "under a memory limit"),
        (
            "{}",
            "- {uffd_register: buf, mode: wp, features: WP_ASYNC, offset: 32KiB}\n",
            "one userfaultfd at a time",
        ),
    ],
)
def test_what_is_not_modelled_is_said(machine: str, steps: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        ran(f"{steps}- {{uffd_register: buf, mode: missing, length: 4KiB}}\n", None, machine)


def test_it_is_told_in_words() -> None:
    text = (
        "steps:\n- {mmap: buf, size: 16KiB}\n"
        "- {uffd_register: buf, mode: [missing, wp], features: WP_ASYNC}\n"
        "- {uffd_copy: buf, value: 5, wp: true, length: 4KiB}\n"
        "- {uffd_zeropage: buf, length: 4KiB, offset: 4KiB}\n"
        "- {uffd_writeprotect: buf, offset: 8KiB}\n- {read: buf}\n"
    )
    told = [
        t for s in explain(load_text(text), policies.find("merged")).steps for t in s.transitions
    ]
    events = " | ".join(each.event for each in told)
    assert "userfaultfd copies a page full of 0x05, write-protected" in events
    assert "userfaultfd maps the zero page" in events
    assert any("a uffd-wp marker" in view for each in told for view in each.after)
    assert any("uffd-missing uffd-unpopulated uffd-async" in view for t in told for view in t.after)
    assert any("handle_userfault" in each.path for each in told)


UNREADABLE = (
    "- {write: buf}\n- {mprotect: buf, prot: w}\n- {uffd_writeprotect: buf, length: 32KiB}\n"
)
"""What PROT_WRITE alone permits, half of it write-protected."""


@pytest.mark.parametrize(
    ("steps", "before", "since"),
    [
        ("{read: buf}, {read: buf}", {"minflt": 8}, {}),
        (
            "{write: buf}",
            {"minflt": 8, "majflt": 8, "uffd_wp": 8, "wp_reuse": 8},
            {"majflt": 8, "uffd_wp": 8},
        ),
        ("{uffd_writeprotect: buf, wp: false}, {read: buf}", {}, {}),
        ("{uffd_unregister: buf}, {read: buf}", {}, {}),
        ("{mprotect: buf, prot: rw}, {read: buf}", {}, {}),
        ("{madvise: buf, advice: MADV_FREE}, {read: buf}", {"minflt": 8}, {}),
    ],
)
def test_what_cannot_be_read_faults_once_more_before_6_3(
    steps: str, before: dict[str, int], since: dict[str, int]
) -> None:
    """Is a write-protected page of a VMA with PROT_WRITE alone PROT_NONE, until it is touched or
    protected otherwise (seen on 6.1.192)?"""
    for kernel, counts in (("6.1", before), ("6.2", before), ("6.3", since)):
        measured = f"{UNREADABLE}- measure: it\n  steps: [{steps}]\n"
        found = ran(measured, policies.find("prepatch"), f"{{kernel: '{kernel}'}}")
        assert found.windows["it"] == counts, kernel
