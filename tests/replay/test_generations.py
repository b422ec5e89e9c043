"""Are generations shown, and does reclaim by generations do what makes it differ?"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from swaptrace import policies
from swaptrace.errors import ScenarioError, SwaptraceError
from swaptrace.replay.engine import replay
from swaptrace.replay.explain import explain
from swaptrace.report.explain import explain_report
from swaptrace.result.result import PolicyResult, Result, ScenarioResult, from_json, to_json
from swaptrace.scenario.loader import load_text
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter

HOT = """\
machine: {{memory: 512KiB, reclaim: {reclaim}{more}}}
steps:
- {{mmap: buf, size: 1MiB}}
- {{write: buf}}
- {{access: buf, pattern: hot, count: 2000, hot_pages: 51, write_share: 0.5, seed: 1}}
"""


def replayed(reclaim: str, more: str = "") -> PolicyResult:
    """The hot pattern with half the memory."""
    scenario = load_text(HOT.format(reclaim=reclaim, more=more), "hot.yaml")
    return replay(scenario, policies.find("final"), checkpoints=4, pages=True)


def test_every_checkpoint_has_the_generations_and_all_pages_are_in_one() -> None:
    """Are there two to four of them, with no more pages than the limit has?"""
    for point in replayed("mglru", ", lru_drain: 1").checkpoints or ():
        assert point.lru_gen is not None
        numbers = [each.generation for each in point.lru_gen.generations]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert 2 <= len(numbers) <= 4
        assert 64 < sum(each.anon for each in point.lru_gen.generations) <= 128
        assert all(each.lazyfree == 0 for each in point.lru_gen.generations)


def test_the_classic_lru_has_no_generations() -> None:
    """Is nothing shown where there is nothing?"""
    assert all(point.lru_gen is None for point in replayed("classic").checkpoints or ())


def test_generations_come_back_from_json() -> None:
    """Does a result survive being written and read?"""
    found = replayed("mglru")
    result = Result("1", (ScenarioResult("hot", "hot.yaml", {}, {"final": found}, ()),))
    assert from_json(to_json(result)) == result


def test_statistics_do_not_matter_to_generations() -> None:
    """Does nothing depend on when statistics are flushed?"""
    assert replayed("mglru", ", stat_flush: 1") == replayed("mglru")


def test_an_explanation_shows_the_generations_after_each_step() -> None:
    """Are all generations told of, in words and in JSON?"""
    scenario = load_text(HOT.format(reclaim="mglru", more=""), "hot.yaml")
    explanation = explain(scenario, policies.find("final"))
    last = explanation.steps[-1].lru_gen
    assert last is not None
    assert sum(each.anon for each in last.generations) >= 64
    console = Console(width=200, file=StringIO(), record=True)
    console.print(explain_report(explanation))
    oldest = last.generations[0]
    assert f"generation {oldest.generation}: {oldest.anon} anonymous" in console.export_text()
    assert '"generation": ' in explanation.to_json()


def test_other_kernels_are_refused_where_the_scenario_says_so() -> None:
    """Is the way to reclaim pointed at, with what would be right?"""
    text = HOT.format(reclaim="mglru", more=", kernel: '6.1'")
    with pytest.raises(ScenarioError, match=r"hot.yaml:1:.*as in Linux 6.12, not as in 6.1"):
        load_text(text, "hot.yaml")


def test_a_policy_under_another_kernel_is_refused() -> None:
    """Is a kernel that the policy brings along an error as well?"""
    scenario = load_text(HOT.format(reclaim="mglru", more=""), "hot.yaml")
    with pytest.raises(SwaptraceError, match=r"as in Linux 6.12, not as in 6.1"):
        replay(scenario, policies.find("prepatch@6.1"))


def test_hits_are_seen_by_every_walk_over_page_tables(tmp_path: Path) -> None:
    """Do pages that are hit and never fault, all that is used under their PMD entry, stay in memory
    for a whole trace, as they do when it is replayed in short pieces?"""
    rounds, hot, cold = 120, 100, 16
    faulting = 512 + np.arange(rounds * cold).reshape(rounds, cold) % 512
    hits = np.tile(np.arange(hot), (rounds, 2))
    pages = np.hstack([hits, faulting]).ravel().astype(np.uint32)
    with TraceWriter(str(tmp_path / "hot.npz")) as writer:
        writer.write(Chunk(pages, np.ones(len(pages), np.bool_)))
    text = f"""\
machine: {{memory: 1MiB, reclaim: mglru}}
steps:
- {{mmap: buf, size: 4MiB}}
- {{trace: {tmp_path}/hot.npz, region: buf}}
"""
    scenario, policy = load_text(text, "hot.yaml"), policies.find("final")
    whole = replay(scenario, policy, pages=True)
    pieces = replay(scenario, policy, pages=True, checkpoints=len(pages) // 100)
    assert (whole.total, whole.pages) == (pieces.total, pieces.pages)
    assert "pgactivate" not in whole.total
