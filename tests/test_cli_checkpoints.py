"""Does a long step show its counts along the way, in tables and pictures?"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.counters import ALL_COUNTERS
from swaptrace.report.checkpoints import BLOCKS, sparkline
from swaptrace.result.result import from_json, to_json
from tests.commandline import run, start
from tests.effort import exhaustive, some
from tests.goldens import check_golden

LONG = """\
machine: {memory: 256KiB, stat_flush: 100}
steps:
- mmap: buf
  size: 512KiB
- memset: buf
  value: 1
- access: buf
  count: 1001
  write_share: 0.3
- repeat: 2
  steps:
  - access: buf
    pattern: sequential
    count: 64
"""
TABLE = ["run", "long.yaml", "--policies", "old,new", "--checkpoints", "3"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.yaml").write_text(LONG)
    (tmp_path / "short.yaml").write_text("steps: [{mmap: a, size: 4KiB}, {read: a}]\n")
    return tmp_path


@pytest.mark.parametrize(("name", "more"), [("txt", []), ("md", ["--format", "markdown"])])
def test_the_table_shows_counts_so_far_and_their_course(
    request: pytest.FixtureRequest, name: str, more: list[str]
) -> None:
    """Is each part there, for each policy, and each execution of a repeated step?"""
    result = run(*TABLE, *more)
    assert result.stderr == ""
    check_golden(request, f"cli/checkpoints.{name}", result.stdout)


def test_the_last_checkpoint_is_what_the_step_counts() -> None:
    """Do parts of unequal length end with the step, and does JSON keep them all?"""
    result = run(*TABLE, "--steps", "--format", "json")
    for policy in json.loads(result.stdout)["scenarios"][0]["policies"].values():
        points = {p["step"]: p for p in policy["checkpoints"]}  # the last of each
        steps = {s["step"]: s["counters"] for s in policy["steps"]}
        assert {name: p["counters"] for name, p in points.items()} == {n: steps[n] for n in points}
        assert [p["accesses"] for p in policy["checkpoints"]][:3] == [333, 667, 1001]
    assert to_json(from_json(result.stdout)) == result.stdout
    assert run(*TABLE, "--steps", "--format", "json", "--jobs", "2").stdout == result.stdout


@pytest.mark.parametrize("fmt", ["text", "csv", "ktap", "junit", "github-benchmark"])
def test_a_format_without_a_place_for_them_says_so(fmt: str) -> None:
    """Is it an error, as with --steps?"""
    result = run(*TABLE, "--format", fmt)
    assert result.exit_code == 2
    assert "has no place for --checkpoints; table, json, markdown and html have" in result.stderr


def test_an_encoding_without_blocks_gets_digits() -> None:
    """Is a sparkline legible in ASCII?"""
    process = start(*TABLE, env={"PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate()
    lines = out.decode("ascii").splitlines()
    course = next(line for line in lines if line.startswith("prepatch  majflt"))
    assert set(course.split()[-1]) <= set("12345678")


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_a_sparkline_is_highest_where_most_is_counted(values: list[int]) -> None:
    """Has each value its block, in order of size?"""
    line = sparkline(values)
    heights = [BLOCKS.index(block) for block in line]
    assert len(heights) == len(values)
    assert all(
        (a < b) <= (p <= q)
        for a, p in zip(values, heights, strict=True)
        for b, q in zip(values, heights, strict=True)
    )
    assert all((value == 0) == (height == 0) for value, height in zip(values, heights, strict=True))


@exhaustive
@pytest.mark.parametrize("kind", some(["svg", "png"], 1))
def test_a_picture_is_drawn_and_the_table_stays_as_it_was(kind: str) -> None:
    """Is it a picture, the same each time, beside the same output?"""
    plain = run(*TABLE[:4])
    result = run(*TABLE[:4], "--plot", f"a.{kind}")
    run(*TABLE[:4], "--plot", f"b.{kind}")
    assert result.stdout == plain.stdout
    data = Path(f"a.{kind}").read_bytes()
    assert data == Path(f"b.{kind}").read_bytes()
    if kind == "png":
        assert data.startswith(b"\x89PNG")
    else:
        words = " ".join(ElementTree.fromstring(data).itertext())
        assert all(word in words for word in ("prepatch", "final", "majflt", "minflt", "accesses"))


def test_iterations_that_are_not_replayed_are_drawn_as_often_as_they_are() -> None:
    """Does the table, and the picture, say how many iterations a course stands for?"""
    text = LONG.replace("machine: {memory: 256KiB, stat_flush: 100}\n", "").replace(
        "at: 2", "at: 7"
    )
    Path("long.yaml").write_text(text)
    said = "3[1-6].0: access of line 11, 6 times"
    assert said in run(*TABLE).stdout
    run(*TABLE, "--plot", "a.svg")
    assert said in " ".join(ElementTree.parse("a.svg").getroot().itertext())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["long.yaml", "--plot", "a.gif"], "must end with .svg or .png"),
        (["long.yaml", "--plot", "nowhere/a.png"], "there is no directory"),
        (["long.yaml", "--checkpoints", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: list[str], message: str) -> None:
    """Is it exit code 2, with no picture left?"""
    result = run("run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(Path().glob("*.png"))


WINDOWS = """\
name: $of x$
steps:
- mmap: buf
  size: 16KiB
- memset: buf
  value: 1
- madvise: buf
  advice: PAGEOUT
- measure: back_in
  steps:
  - read_write: buf
"""


@pytest.mark.parametrize(("more", "what"), some([([], "back_in"), (["--steps"], "3.0")], 1))
@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_scenario_without_long_steps_is_drawn_by_window_or_step(
    command: str, more: list[str], what: str
) -> None:
    """Do counters that differ come first, are ticks whole, and names no mathematics?"""
    Path("windows.yaml").write_text(WINDOWS)
    words = [command, "windows.yaml", "-p", "old,rfc", *more]
    drawn, plain = run(*words, "--plot", "a.svg"), run(*words)
    assert drawn.stdout == plain.stdout
    shown = list(ElementTree.parse("a.svg").getroot().itertext())
    assert {"$of x$", what, "prepatch", "rfc"} <= set(shown)
    titles = [word for word in shown if word in ALL_COUNTERS]
    assert titles == ["minflt", "wp_reuse", "spurious_dirty", "majflt", "pswpin", "pswpout"]
    assert not [word for word in shown if re.fullmatch(r"\d+\.\d*[1-9]", word)]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does the error say what to install, before anything is replayed?"""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(*TABLE[:4], "--plot", "a.png")
    assert result.exit_code == 2
    assert "install the extra 'plot'" in result.stderr


@pytest.mark.parametrize("command", some(["run", "compare", "explain"], 1))
def test_what_is_approximate_is_said_once(command: str) -> None:
    """Is it told of the multi-generational LRU, and of no other reclaim?"""
    policies = "old,new" if command == "compare" else "old"
    for reclaim, times in (("mglru", 1), ("classic", 0), ("lru", 0)):
        words = (command, "long.yaml", "-p", policies, "--set", f"machine.reclaim={reclaim}")
        assert run(*words).stderr.count("mglru is approximate") == times
