"""Do long sequences of accesses count what the same accesses count one by one?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.replay.pages import sequence
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessPatternStep
from swaptrace.traces import patterns
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter
from tests.commandline import run
from tests.effort import examples
from tests.replay.naive import naive_replay

PAGE = 4096


def shown(text: str, directory: Path, policy: str = "final") -> PolicyResult:
    """What is counted, with a scenario's file in the directory."""
    scenario = load_text(text, str(directory / "s.yaml"))
    return replay(scenario, policies.find(policy), pages=True)


def two_regions(middle: str, backend: str = "zram") -> str:
    return f"""\
machine: {{swap: {{backend: {backend}}}}}
steps:
- {{mmap: heap, size: 160KiB}}
- {{write: heap}}
- {{fork: child}}
- {{mmap: stack, size: 40KiB}}
- {{madvise: heap, advice: PAGEOUT, offset: 16KiB}}
{middle}
- {{madvise: stack, advice: PAGEOUT}}
- {{read_write: heap, process: child}}
"""


accesses = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=60,
)


@settings(max_examples=examples(60))
@given(made=accesses, backend=st.sampled_from(["zram", "disk"]), size=st.integers(1, 70))
def test_a_trace_counts_what_its_accesses_count(
    made: list[tuple[int, bool, bool, bool]], backend: str, size: int, tmp_path: Path
) -> None:
    """Of several regions and processes, in chunks of any length, read ahead or not?"""
    names = ("heap", "stack")
    made = [(page, write, region and not child, child) for page, write, region, child in made]
    columns = list(zip(*made, strict=True))
    with TraceWriter(str(tmp_path / "t.npz"), names, ["main", "child"]) as writer:
        page, write, region, process = (np.array(column) for column in columns)
        writer.write(
            Chunk(
                page.astype(np.uint32), write, region.astype(np.uint16), process.astype(np.uint16)
            )
        )
    one_by_one = "\n".join(
        f"- {{{'write' if write else 'read'}: {names[region]}, offset: {page * PAGE}, length: 1, "
        f"process: {('main', 'child')[child]}}}"
        for page, write, region, child in made
    )
    wanted = shown(two_regions(one_by_one, backend), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence, "CHUNK", size)
        found = shown(two_regions("- {trace: t.npz}", backend), tmp_path)
    assert found.total == wanted.total
    assert found.pages == wanted.pages


@pytest.mark.parametrize("pattern", ["uniform", "zipf", "sequential", "hot, hot_pages: 5"])
def test_a_pattern_is_the_trace_of_its_accesses(pattern: str, tmp_path: Path) -> None:
    step = f"access: heap, pattern: {pattern}, count: 500, write_share: 0.4, length: 64KiB"
    made = load_text(two_regions(f"- {{{step}}}")).steps[5]
    assert isinstance(made, AccessPatternStep)
    with TraceWriter(str(tmp_path / "t.npz")) as writer:
        for chunk in patterns.accesses(made, 16):
            writer.write(chunk)
    found = shown(two_regions(f"- {{{step}}}"), tmp_path)
    assert found == shown(two_regions("- {trace: t.npz, region: heap}"), tmp_path)


def trace(directory: Path, text: str, step: str = "trace: t.csv") -> str:
    """A scenario with a trace of this text."""
    (directory / "t.csv").write_text(text)
    return two_regions(f"- {{{step}}}")


SEGFAULT = "page,write,region\n1,1,stack\n10,0,stack\n2,1,stack\n"


def test_an_access_behind_the_region_ends_the_step(tmp_path: Path) -> None:
    """Does it count as a SIGSEGV, and does nothing that follows it happen?"""
    found = shown(trace(tmp_path, SEGFAULT), tmp_path)
    assert found.total["sigsegv"] == 1
    assert found.pages is not None
    assert found.pages["main"]["stack"] == "1D,1SD,8D"


@pytest.mark.parametrize(
    ("text", "step", "message"),
    [
        ("page,write\n1,0\n", "trace: t.csv", "does not say which region its pages lie in"),
        ("page,write\n1,0\n", "trace: t.csv, region: heep", "no region 'heep' here; did you mean"),
        ("page,write,region\n1,0,heep\n", "trace: t.csv", "has a region 'heep', not here; did you"),
        ("page,write,process\n1,0,mian\n", "trace: t.csv, region: heap", "a process 'mian', not"),
        ("page,write,region\n1,0,heap\n-1,0,heap\n", "trace: t.csv", "record 2 (line 3): '-1,0,"),
        ("page,write,region\n1,0,heap\n1,2,heap\n", "trace: t.csv", "record 2: write is 2"),
        ("page,write,region\n", "trace: no.npz", "no.npz: no such trace file"),
    ],
)
def test_what_is_wrong_with_a_trace_is_told_at_its_step(
    text: str, step: str, message: str, tmp_path: Path
) -> None:
    """Does the command line name the file, the line of the step and the trace, and exit with 2?"""
    (tmp_path / "s.yaml").write_text(trace(tmp_path, text, step))
    result = run("run", tmp_path / "s.yaml")
    assert result.exit_code == 2
    assert f"{tmp_path / 's.yaml'}:8:" in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_trace_lies_where_the_scenario_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is its path relative to the scenario's file, and of standard input to the directory?"""
    text = trace(tmp_path, "page,write,region\n1,0,heap\n")
    (tmp_path / "s.yaml").write_text(text)
    assert run("run", tmp_path / "s.yaml").exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert run("run", "-", stdin=text).exit_code == 0


def test_a_file_that_names_regions_leaves_no_choice(tmp_path: Path) -> None:
    """Is a `region` beside one that the file names a mistake that is told?"""
    text = trace(tmp_path, "page,write,region\n1,0,heap\n", "trace: t.csv, region: stack")
    with pytest.raises(ScenarioError, match=r"t\.csv names its regions itself; leave 'region' out"):
        shown(text, tmp_path)


def test_patterns_equal_those_page_by_page_over_many_pages() -> None:
    """Do thousands of accesses to swapped pages count alike, with and without read-ahead?"""
    for backend in ("zram", "disk"):
        for pattern in ("uniform", "zipf", "sequential"):
            step = f"- {{access: heap, pattern: {pattern}, count: 900, write_share: 0.4}}"
            scenario = load_text(two_regions(step, backend))
            policy = policies.find("final")
            assert replay(scenario, policy, steps=True, pages=True) == naive_replay(
                scenario, policy
            )
