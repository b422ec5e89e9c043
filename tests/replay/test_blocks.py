"""Do blocks that are looked up, and page tables that are jumped over, count what pages do?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.advice import Advice
from swaptrace.errors import SwaptraceError
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.remap import MremapStep, RemapFlag
from swaptrace.scenario.schema import AccessPatternStep, ExitStep, MadviseStep, MmapStep, Scenario
from swaptrace.scenario.thp import Thp
from swaptrace.traces.patterns import accesses
from tests.effort import examples, exhaustive, some
from tests.replay.blocks import page_by_page
from tests.replay.strategies import leaf_steps, scenarios, spans
from tests.replay.test_large_folios import MICRO, micro
from tests.replay.test_naive import expand

THP = (
    (Thp("16KiB", "always"),),
    (Thp("64KiB", "always"),),
    (Thp("16KiB", "always"), Thp("64KiB", "always")),
    (Thp("32KiB", "always"), Thp("1MiB", "always")),
    (Thp("64KiB", "madvise"), Thp("256KiB", "madvise")),
    (Thp("2MiB", "always"),),
    (Thp("64KiB", "madvise"), Thp("2MiB", "always")),
    (Thp("16KiB", "always"), Thp("2MiB", "madvise")),
)
BASES = (None, None, 2 << 20, (2 << 20) + 5 * 4096, (4 << 20) + 9 * 65536)
KERNELS = ("6.13", "6.14", "6.16", "6.18", "7.3")
SELDOM_WITH_ZSWAP = ("6.8", "6.9", "6.10", "6.11", "6.12")


@st.composite
def with_large_folios(draw: st.DrawFn, max_pages: int, max_steps: int) -> Scenario:
    """Any scenario, on a machine that allows some sizes, at an address that may be unaligned."""
    scenario = draw(scenarios(max_pages, max_steps))
    kernel = draw(st.sampled_from(KERNELS + SELDOM_WITH_ZSWAP))
    swap = scenario.machine.swap
    if kernel in SELDOM_WITH_ZSWAP:  # and where not only a large device has room for certain
        backend = "disk" if swap.backend == "zswap" and draw(st.booleans()) else swap.backend
        swap = replace(swap, backend=backend, size=draw(st.sampled_from([swap.size, 1 << 29])))
    machine = replace(scenario.machine, kernel=kernel, swap=swap, thp=draw(st.sampled_from(THP)))
    first, *others = scenario.steps
    assert isinstance(first, MmapStep)
    first = replace(first, at=draw(st.sampled_from(BASES)))
    advice = Advice.HUGEPAGE, Advice.NOHUGEPAGE, Advice.COLLAPSE, Advice.PAGEOUT
    alive = next((at for at, step in enumerate(others) if isinstance(step, ExitStep)), len(others))
    for at in draw(st.lists(st.integers(0, alive), max_size=3)):
        advised, span = draw(st.sampled_from(advice)), draw(spans(first.size // 4096))
        others.insert(at, MadviseStep(line=1, region="r", advice=advised, span=span))
    pages = first.size // 4096
    for at in draw(st.lists(st.integers(0, alive), max_size=2)):
        others.insert(at, draw(moves(pages, pages, f"m{len(others)}")))
    if not any(isinstance(step, ExitStep) for step in others) and draw(st.booleans()):
        smaller = draw(st.integers(1, pages))
        others.append(draw(moves(pages, smaller, "last")))
        others += draw(st.lists(leaf_steps(smaller, "main", False), max_size=4))
    return replace(scenario, machine=machine, steps=(first, *others))


@st.composite
def moves(draw: st.DrawFn, pages: int, least: int, name: str) -> MremapStep:
    """mremap() of the region, to anywhere, often by a multiple of 2 MiB or 64 KiB."""
    number = draw(st.integers(1, 7))
    page = draw(st.sampled_from([0, 0, 0, 16, 48, 5, 511]) | st.integers(0, 511))
    to = draw(st.sampled_from([None, (number << 26) + page * 4096]))
    size = draw(st.sampled_from([least, least, pages + 3, pages + 600])) * 4096
    fixed: tuple[RemapFlag, ...] = () if to is None else ("MREMAP_FIXED",)
    if draw(st.integers(0, 3)) == 0:
        fixed, size = (*fixed, "MREMAP_DONTUNMAP"), pages * 4096
    keeps = "MREMAP_DONTUNMAP" in fixed
    return MremapStep(
        line=1,
        region="r",
        size=size,
        to=to,
        flags=("MREMAP_MAYMOVE", *fixed),
        name=name if keeps else None,
    )


def agree(scenario: Scenario, policy: str) -> None:
    """Both replays give the same, or refuse the same."""

    def result() -> PolicyResult | None:
        try:
            return engine.replay(scenario, policies.find(policy), steps=True, pages=True)
        except SwaptraceError:
            return None

    with mock.patch.object(Replay, "check_errno"):
        with page_by_page():
            slow = result()
        fast = result()
    if fast is None or slow is None:
        assert fast is slow
        return
    assert fast.total == slow.total
    assert fast.pages == slow.pages
    assert fast.violations == slow.violations
    assert expand(fast.steps) == expand(slow.steps)


@settings(max_examples=examples(100))
@given(with_large_folios(60, 14), st.sampled_from(policies.SERIES))
def test_blocks_that_are_looked_up_equal_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, violations and page maps, with large folios?"""
    agree(scenario, policy)


@exhaustive
@settings(max_examples=12)
@given(with_large_folios(4000, 7), st.sampled_from(["prepatch", "final"]))
def test_page_tables_that_are_jumped_over_equal_page_by_page(
    scenario: Scenario, policy: str
) -> None:
    """The same for regions of several page tables, where those that are alike are multiplied."""
    agree(scenario, policy)


GIVEN_UP = """\
steps:
- {mmap: buf, size: 4MiB}
- {write: buf}
- {madvise: buf, advice: MADV_FREE}
- {write: buf, length: 4KiB}
- {madvise: buf, advice: MADV_PAGEOUT}
- {measure: again, steps: [{write: buf}]}
- {measure: out, steps: [{madvise: buf, advice: MADV_PAGEOUT}]}
"""


@pytest.mark.parametrize(
    ("kernel", "discards_pmd", "faults", "folios_out"),
    some(
        [
            ("6.18", "true", 1, 2),
            ("6.13", "true", 1, 2),
            ("6.18", "false", 512, 1),
            ("7.2", "true", 1, 2),
            ("7.3", "true", 512, 1),
        ],
        2,
    ),
)
def test_two_mebibytes_are_given_up_whole(
    kernel: str, discards_pmd: str, faults: int, folios_out: int
) -> None:
    """Do they leave no page table where reclaim discards them at the PMD entry, while those that
    were written since stay?"""
    machine = {"kernel": kernel, "thp": "2MiB", "discards_pmd": discards_pmd}
    overrides = {f"machine.{key}": value for key, value in machine.items()}
    scenario = load_text(GIVEN_UP.encode(), "given-up", overrides)
    windows = engine.replay(scenario, policies.find("merged")).windows
    assert windows["again"]["minflt"] == faults
    assert windows["out"]["mthp_swpout"] == folios_out
    agree(scenario, "merged")


@pytest.mark.parametrize("thp", some(["16KiB", "1MiB", "64KiB"], 2))
@pytest.mark.parametrize("backend", some(["zram", "zswap", "disk"], 2))
def test_a_terabyte_evaluates_no_more_than_megabytes(thp: str, backend: str) -> None:
    """Does the number of evaluations not depend on the size, and do the counts?"""
    found = {}
    for size in ("32MiB", "1TiB"):
        text = MICRO.replace("2MiB", size) + "- {madvise: buf, advice: PAGEOUT}\n- {read: buf}\n"
        machine = {"thp": thp, "kernel": "6.18", "swap.size": "4TiB", "swap.backend": backend}
        overrides = {f"machine.{key}": value for key, value in machine.items()}
        table = Table(policies.find("final"))
        total = engine.replay(load_text(text.encode(), size, overrides), table).total
        found[size] = table.evaluations, total["zero_fill"]
    assert found["32MiB"][0] == found["1TiB"][0]
    assert found["32MiB"][1] << 15 == found["1TiB"][1]


def test_a_terabyte_is_collapsed_as_megabytes_are() -> None:
    """Does MADV_COLLAPSE of equal page tables not look at each?"""
    found = []
    for size in ("32MiB", "1TiB"):
        text = MICRO.replace("2MiB", size) + "- {madvise: buf, advice: COLLAPSE}\n- {write: buf}\n"
        machine = {"machine.kernel": "6.18", "machine.thp": "64KiB", "machine.swap.size": "4TiB"}
        table = Table(policies.find("final"))
        pages = size != "1TiB"  # whose page tables are half a million, one after the other
        result = engine.replay(load_text(text.encode(), size, machine), table, pages=pages)
        found.append((table.evaluations, result.total["pswpin"], result.pages))
    assert found[0][0] == found[1][0]
    assert found[0][1] << 15 == found[1][1]
    assert found[0][2] == {"main": {"buf": f"{1 << 13}PDX"}}


def test_a_repeat_is_jumped_over_where_its_state_recurs() -> None:
    """Does a body that leaves all as it was, but for where slots lie, come to the counts of all of
    its iterations?"""
    body = "repeat: 1000000000\n  steps: [{madvise: buf, advice: PAGEOUT}, {read: buf}]"
    total = engine.replay(micro(body, thp="64KiB"), policies.find("final")).total
    assert total["mthp_swpin"] == 32 * (10**9 + 1)


def test_a_trace_is_played_as_its_accesses_are(tmp_path: Path) -> None:
    """Do the records of a trace count what an `access` step with the same ones counts?"""
    step = AccessPatternStep(
        line=1, region="buf", span=ByteRange(0, 2 << 20), count=700, pattern="uniform"
    )
    chunks = accesses(replace(step, write_share=0.5, seed=3), 512)
    lines = (
        f"{page},{int(write)}\n"
        for chunk in chunks
        for page, write in zip(chunk.page.tolist(), chunk.write.tolist(), strict=True)
    )
    (tmp_path / "trace.csv").write_text("page,write\n" + "".join(lines))
    pattern = "{access: buf, count: 700, pattern: uniform, write_share: 0.5, seed: 3}"
    found = []
    for body in (pattern, "{trace: trace.csv, region: buf}"):
        text = MICRO + "- {madvise: buf, advice: PAGEOUT}\n- " + body + "\n"
        (tmp_path / "scenario.yaml").write_text("name: x\n" + text)
        machine = {"machine.kernel": "6.18", "machine.thp": "64KiB"}
        scenario = load_file(str(tmp_path / "scenario.yaml"), machine)
        result = engine.replay(scenario, policies.find("final"), pages=True, checkpoints=3)
        marks = [each.counters for each in result.checkpoints or ()]
        found.append((result.total, result.pages, marks))
    assert found[0] == found[1]
    assert len(found[0][2]) == 3
