"""Are equal pages merged as ksmd merges them, and does a write break that?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.mm.policy import FolioRefs, Policy
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import examples
from tests.replay.naive import naive_replay

TWO = """steps:
- {mmap: a, size: 16KiB}
- {mmap: b, size: 16KiB}
- {madvise: a, advice: MERGEABLE}
- {madvise: b, advice: MERGEABLE}
- {memset: a, value: 17}
- {memset: b, value: 17}
- ksm_scan: true
"""


def ran(steps: str, policy: Policy | None = None, machine: str = "") -> PolicyResult:
    """What steps come to under both replays; all checks hold."""
    scenario = load_text(machine + steps)
    under = policy or policies.find("merged")
    found, slow = replay(scenario, under, pages=True), naive_replay(scenario, under)
    assert (found.total, found.violations) == (slow.total, slow.violations)
    assert found.pages == slow.pages
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_equal_pages_become_one_and_a_write_copies() -> None:
    """Is no page mapped once after a scan, and one that was written then?"""
    found = ran(
        TWO + "- check: {pages: {a: 4P, b: 4P}, data: {a: 0x11}}\n"
        "- {write: a, length: 4KiB, value: 5}\n"
        "- check: {pages: {a: '1PX,3P'}, data: {a: '1:0x05,3:0x11'}, violations: []}\n"
    )
    assert found.total["wp_copy"] == 1


def test_the_last_one_is_mapped_once_and_copied_nevertheless() -> None:
    """Is what is left a KSM folio, which no write reuses?"""
    found = ran(
        TWO + "- {memset: a, value: 18}\n- {memset: b, value: 19, length: 12KiB}\n"
        "- check: {pages: {b: 4PX}}\n- {memset: b, value: 19, offset: 12KiB}\n"
    )
    assert found.total["wp_copy"] == 8
    assert "wp_reuse" not in found.total


def test_only_one_that_is_mapped_once_is_paged_out() -> None:
    """Does MADV_PAGEOUT spare what is shared, and lose that the page was merged?"""
    found = ran(
        TWO + "- {madvise: b, advice: PAGEOUT}\n- check: {pages: {b: 4P}}\n"
        "- {memset: a, value: 18}\n- {memset: b, value: 19, length: 12KiB}\n"
        "- {madvise: b, advice: PAGEOUT}\n- {read: b}\n- {write: b, offset: 12KiB}\n"
    )
    assert found.total["pswpout"] == 4
    assert found.total["wp_copy"] == 7


class ReusesMerged(Policy):
    """A patch that forgot folio_test_ksm()."""

    name = "forgets"
    title = "reuses what is mapped once"
    origin = "a test"

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        assert folio.ksm
        return True


def test_a_policy_that_does_not_ask_shows_others_writes() -> None:
    """Is it asked with `ksm`, and does it lose nothing of its own process alone?"""
    scenario = load_text(TWO + "- {memset: a, value: 18}\n")
    assert replay(scenario, ReusesMerged()).total["wp_reuse"] == 4


def test_unmerging_copies_for_reading() -> None:
    """Are pages mapped once afterwards, read-only, so that a write takes a fault?"""
    found = ran(
        TWO + "- measure: away\n  steps:\n  - {madvise: a, advice: UNMERGEABLE}\n"
        "- check: {pages: {a: 4PX, b: 4P}}\n- measure: write\n  steps:\n  - {write: a}\n"
    )
    assert found.windows["away"] == {"minflt": 4, "wp_copy": 4}
    assert found.windows["write"] == {"minflt": 4, "wp_reuse": 4}


def test_what_is_not_mergeable_is_not_unmerged() -> None:
    """Does a KSM folio that the parent's page became stay in a VMA without VM_MERGEABLE?"""
    found = ran(
        "steps:\n- {mmap: a, size: 12KiB}\n- {madvise: a, advice: MERGEABLE}\n"
        "- {memset: a, value: 17}\n- fork: child\n"
        "- {madvise: a, advice: UNMERGEABLE, process: child}\n- ksm_scan: true\n"
        "- {madvise: a, advice: UNMERGEABLE, process: child}\n",
        machine="machine: {soft_dirty: false}\n",
    )
    assert found.pages == {"main": {"a": "3P"}, "child": {"a": "1PX,1P,1PX"}}
    assert found.total["minflt"] == 3


@pytest.mark.parametrize(("kernel", "kept"), [("7.2", "2PX,1P"), ("7.3", "1PX,1P,1PX")])
def test_what_has_not_changed_since_the_last_scan_merges_first(kernel: str, kept: str) -> None:
    """Do two pages that were merged, and written with the same since, find each other before the
    one between them, but in 7.3, which has forgotten what they were?"""
    first, second, third = (f"offset: {at}KiB, length: 4KiB" for at in (0, 4, 8))
    found = ran(
        "steps:\n- {mmap: a, size: 12KiB}\n- {madvise: a, advice: MERGEABLE}\n"
        f"- {{memset: a, value: 17}}\n- {{memset: a, value: 18, {second}}}\n- ksm_scan: true\n"
        f"- {{memset: a, value: 17, {first}}}\n- {{memset: a, value: 17, {third}}}\n"
        f"- {{memset: a, value: 17, {second}}}\n- fork: child\n"
        "- {madvise: a, advice: UNMERGEABLE, process: child}\n- ksm_scan: true\n",
        machine=f"machine: {{soft_dirty: false, kernel: '{kernel}'}}\n",
    )
    assert found.pages == {"main": {"a": "3P"}, "child": {"a": kept}}


def test_unmerging_was_a_write_in_6_1() -> None:
    """Does a write after it need no fault?"""
    found = ran(
        TWO + "- {madvise: a, advice: UNMERGEABLE}\n- measure: write\n  steps:\n  - {write: a}\n",
        machine="machine: {kernel: 6.1}\n",
    )
    assert found.windows["write"] == {}


def test_a_page_that_is_replaced_loses_its_soft_dirty_bit() -> None:
    """Does replace_page() make a new PTE, and is the loss seen?"""
    found = ran(
        "steps:\n- {mmap: a, size: 8KiB}\n- {madvise: a, advice: MERGEABLE}\n"
        "- clear_refs: soft_dirty\n- {memset: a, value: 17}\n- ksm_scan: true\n"
    )
    assert found.pages == {"main": {"a": "1P,1PD"}}
    assert [v.kind for v in found.violations] == ["lost_soft_dirty"]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ("- {write: a}\n- ksm_scan: true\n", "not all bytes of page 0 of a are known"),
        ("- {pin: a}\n- ksm_scan: true\n", "pinned"),
        ("- {mmap: c, size: 2MiB}\n- {madvise: c, advice: MERGEABLE}\n- {memset: c, value: 3}\n"
         "- ksm_scan: true\n", "more than 256 equal pages"),
    ],
)  # fmt: skip
def test_what_is_not_modelled_is_said(steps: str, why: str) -> None:
    """Is it an error with a place?"""
    with pytest.raises(ScenarioError, match=why):
        replay(load_text(TWO + steps), policies.find("merged"))


def test_a_limit_is_not_modelled() -> None:
    """Is it said rather than left out?"""
    with pytest.raises(ScenarioError, match="memory limit"):
        replay(load_text("machine: {memory: 1MiB}\n" + TWO), policies.find("merged"))


@dataclass
class Frame:
    """A page of memory."""

    content: int
    ksm: bool = False


@dataclass
class Pages:
    """A second model: page by page, by identity, without swap. Of each process, region and page
    the frame, and whether the process may write it."""

    frames: dict[tuple[str, str, int], list[Any]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    merging: set[tuple[str, str]] = field(default_factory=set)
    faults: int = 0
    noted: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def memset(self, who: str, region: str, first: int, last: int, value: int) -> None:
        for key in [(who, region, page) for page in range(first, last)]:
            if key not in self.frames:
                self.frames[key] = [Frame(0), True]
                self.faults += 1
            elif not self.frames[key][1]:
                frame = self.frames[key][0]
                alone = self.mapped(frame) == 1 and not frame.ksm
                self.frames[key] = [frame if alone else Frame(frame.content), True]
                self.faults += 1
            self.frames[key][0].content = value

    def mapped(self, frame: Frame) -> int:
        return sum(each[0] is frame for each in self.frames.values())

    def fork(self, child: str) -> None:
        for (_, region, page), entry in [x for x in self.frames.items() if x[0][0] == "main"]:
            entry[1] = False
            self.frames[child, region, page] = [entry[0], False]
        self.merging |= {(child, region) for who, region in self.merging if who == "main"}
        if "main" in self.order:
            self.order.append(child)

    def unmerge(self, who: str, region: str) -> None:
        for key, entry in self.frames.items():
            if key[:2] == (who, region) and (who, region) in self.merging and entry[0].ksm:
                entry[0] = Frame(entry[0].content)
                self.faults += 1
        self.merging.discard((who, region))

    def scan(self) -> None:
        again = True
        while again:
            again, unstable = False, {}
            merged = {key for key in self.frames if key[:2] in self.merging}
            self.noted = {key: self.noted[key] for key in merged & self.noted.keys()}
            for who in self.order:
                for key in sorted(k for k in self.frames if k[0] == who and k[:2] in self.merging):
                    entry = self.frames[key]
                    content = entry[0].content
                    stable = [e[0] for e in self.frames.values() if e[0].ksm]
                    same = [frame for frame in stable if frame.content == content]
                    if entry[0].ksm:
                        continue
                    if self.noted.get(key) != content:
                        self.noted[key], again = content, True
                    elif same:
                        entry[:] = [same[0], False]
                        again = True
                    elif content not in unstable:
                        unstable[content] = entry
                    elif unstable[content][0] is not entry[0]:
                        entry[0].ksm, entry[1] = True, False
                        unstable[content][:] = [entry[0], False]
                        again = True


MOVES = st.one_of(
    st.tuples(
        st.just("memset"), st.sampled_from("ab"), st.integers(0, 3), st.integers(1, 4),
        st.sampled_from([0, 17, 18]),
    ),
    st.tuples(st.sampled_from(["mergeable", "unmergeable"]), st.sampled_from("ab")),
    st.tuples(st.just("scan")),
    st.tuples(st.just("fork")),
)  # fmt: skip


@settings(max_examples=examples(150))
@given(st.lists(st.tuples(st.sampled_from(["main", "child"]), MOVES), max_size=14))
def test_it_agrees_with_a_model_of_frames(moves: list[tuple[str, Any]]) -> None:
    """Do page maps and faults agree with those of pages told apart by identity alone?"""
    naive, forked = Pages(), False
    steps = ["- {mmap: a, size: 16KiB}", "- {mmap: b, size: 16KiB}"]
    for process, (kind, *how) in moves:
        who = process if forked else "main"
        if kind == "memset":
            region, first, count, value = how
            last = min(4, first + count)
            span = f"offset: {first * 4}KiB, length: {(last - first) * 4}KiB"
            steps.append(f"- {{memset: {region}, {span}, value: {value}, process: {who}}}")
            naive.memset(who, region, first, last, value)
        elif kind == "scan":
            steps.append("- ksm_scan: true")
            naive.scan()
        elif kind == "fork" and not forked:
            steps.append("- fork: child")
            naive.fork("child")
            forked = True
        elif kind == "mergeable":
            steps.append(f"- {{madvise: {how[0]}, advice: MERGEABLE, process: {who}}}")
            naive.merging.add((who, how[0]))
            naive.order += [who] if who not in naive.order else []
        elif kind == "unmergeable":
            steps.append(f"- {{madvise: {how[0]}, advice: UNMERGEABLE, process: {who}}}")
            naive.unmerge(who, how[0])
    found = ran("steps:\n" + "\n".join(steps) + "\n", machine="machine: {soft_dirty: false}\n")
    assert found.pages is not None
    for who, regions in found.pages.items():
        for region, code in regions.items():
            there = (naive.frames.get((who, region, page)) for page in range(4))
            flags = ["-" if e is None else "PX" if naive.mapped(e[0]) == 1 else "P" for e in there]
            runs = [each.lstrip("0123456789") for each in code.split(",")]
            counts = [int(each.rstrip("PX-")) for each in code.split(",")]
            assert [f for f, n in zip(runs, counts, strict=True) for _ in range(n)] == flags
    assert found.total.get("minflt", 0) == naive.faults


UNREADABLE = TWO.replace("- ksm", "- {mprotect: a, prot: w}\n- ksm")
"""With a region that only PROT_WRITE permits to read."""


@pytest.mark.parametrize(
    ("kernel", "faults", "copies"), [("6.1", 4, 0), ("6.2", 8, 4), ("6.3", 4, 4)]
)
def test_what_is_prot_none_is_unmerged_by_faults_alone(
    kernel: str, faults: int, copies: int
) -> None:
    """Does MADV_UNMERGEABLE pass over a page that write-protection has made PROT_NONE in 6.1, and
    take one more fault for it in 6.2? In 6.1 the read that follows takes it (seen on 6.1.192)."""
    steps = (
        "- {uffd_writeprotect: a}\n- measure: it\n  steps:\n"
        "  - {madvise: a, advice: UNMERGEABLE}\n  - {read: a}\n"
    )
    found = ran(UNREADABLE + steps, policies.find("prepatch"), f"machine: {{kernel: '{kernel}'}}\n")
    counts = {"minflt": faults} | ({"wp_copy": copies} if copies else {})
    assert found.windows["it"] == counts


def test_a_scan_of_what_is_prot_none_is_not_modelled() -> None:
    """Is it said, as ksmd finds such a page and then finds it no more?"""
    steps = "- {uffd_writeprotect: a}\n- ksm_scan: true\n"
    with pytest.raises(ScenarioError, match=r"not modelled before Linux 6\.3"):
        ran(UNREADABLE + steps, policies.find("prepatch"), "machine: {kernel: '6.2'}\n")
