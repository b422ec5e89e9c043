"""Do `explore` and `graph` print what they found, in every format, and exit as they should?"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from shutil import which
from xml.etree import ElementTree

import pydot
import pytest
from markdown_it import MarkdownIt

from swaptrace.counters import VIOLATIONS
from swaptrace.result.result import from_json
from swaptrace.scenario.loader import load_text
from tests.commandline import finished, run, start
from tests.effort import exhaustive, some
from tests.goldens import check_golden
from tests.processes import alive, children, until

RFC = ("explore", "--policies", "rfc,final", "--processes", "1", "--ops", "read,write,pageout")
SIMPLE = ("explore", "--policies", "simple", "--processes", "1")
UNLOCKED = ("--ops", "read,write,pageout,clear_refs,willneed")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("fmt", some(["table", "json", "markdown", "dot"], 2))
def test_does_a_format_look_as_it_did(request: pytest.FixtureRequest, fmt: str) -> None:
    """Is every format the same text as before, and exit code 1 for what was found?"""
    result = run(
        "explore", "--policies", "rfc,final", "--processes", "1", *UNLOCKED, "--format", fmt
    )
    assert (result.exit_code, result.stderr) == (1, "")
    check_golden(request, f"cli/explore.{fmt}", result.stdout)


def test_is_it_0_where_nothing_tells_them_apart() -> None:
    """Is the argument of the proof said?"""
    equal = run("explore", "--policies", "final,merged", "--processes", "1")
    assert equal.exit_code == 0
    assert "nothing tells them apart\nproof by equal decisions" in equal.stdout
    shown = run("explore", "--policies", "rework,final", *RFC[3:])
    assert shown.exit_code == 0
    assert "nothing tells them apart\nproof by enumeration" in shown.stdout


def test_is_it_1_for_a_violation_and_0_for_a_warning() -> None:
    """Does a policy alone fail for what it breaks?"""
    broken = run(*SIMPLE, *UNLOCKED)
    assert broken.exit_code == 1
    assert "lost_soft_dirty" in broken.stdout
    warned = run("explore", "--policies", "rfc", "--processes", "1", *UNLOCKED)
    assert warned.exit_code == 0
    assert "spurious_soft_dirty" in warned.stdout
    assert "a warning is no violation" in warned.stdout


def test_is_a_search_that_is_cut_off_said_to_be_no_proof() -> None:
    """Is it exit code 3 with nothing found, and clear that this proves nothing?"""
    result = run(*RFC, "--max-steps", "2")
    assert result.exit_code == 3
    assert "not decided: no difference found\nnot a proof: the search was cut off" in result.stdout
    assert "nothing tells them apart" not in result.stdout
    alone = run("explore", "--policies", "final", *RFC[3:], "--max-states", "3")
    assert alone.exit_code == 3
    assert "not decided: no violation found\nnot a proof" in alone.stdout
    document = json.loads(run(*RFC, "--max-states", "3", "--format", "json").stdout)
    assert (document["complete"], document["states"]) == (False, 3)


def test_is_each_sequence_written_to_a_scenario_that_shows_it(here: Path) -> None:
    """Does `run` replay it with the same values, and do its expectations hold?"""
    command = ("explore", "--policies", "rfc,final", "--processes", "1", *UNLOCKED)
    document = json.loads(run(*command, "--out", "found", "--format", "json").stdout)
    assert len(document["differences"]) == len(list((here / "found").iterdir())) > 3
    for difference in document["differences"]:
        options = ("--policies", "rfc,final", "--format", "json", "--pages")
        replayed = run("run", difference["file"], *options)
        assert replayed.exit_code == 0
        (scenario,) = from_json(replayed.stdout).scenarios
        assert len(scenario.expectations) >= 4
        for name, value in difference["values"].items():
            policy = scenario.policies[name]
            violations = [violation.kind for violation in policy.violations]
            if difference["kind"] == "page_map":
                assert policy.pages is not None
                assert policy.pages["main"]["page"] == value
            else:
                shown = policy.total.get(difference["kind"], 0)
                assert value in (shown, violations.count(difference["kind"]))


def test_are_the_steps_of_the_json_those_of_a_scenario() -> None:
    """Can they be pasted: is the operation the first key?"""
    document = json.loads(run(*RFC, "--format", "json").stdout)
    for difference in document["differences"]:
        load_text(json.dumps({"steps": difference["steps"]}).encode(), "pasted.yaml")


@pytest.mark.parametrize("command", [RFC, ("graph", "--ops", "read,write,pageout")])
def test_does_a_parser_of_dot_read_it(command: tuple[str, ...]) -> None:
    """Is it Graphviz DOT, with a node for each state and an edge between nodes there are?"""
    options = ("--format", "dot") if command is RFC else ()
    graphs = pydot.graph_from_dot_data(run(*command, *options).stdout)
    assert graphs is not None
    graph = graphs[0]
    names = {node.get_name() for node in graph.get_nodes()}
    assert len(names) > 4
    for edge in graph.get_edges():
        assert {edge.get_source(), edge.get_destination()} <= names


BLOCK = ("--processes", "1", "--set", "machine.thp=16KiB", "--ops", "write@all,pageout,read@0")


@pytest.mark.parametrize("fmt", some(["table", "json"], 1))
def test_is_a_block_of_pages_shown_as_it_was(request: pytest.FixtureRequest, fmt: str) -> None:
    """With large folios, is it the same text as before?"""
    result = run("explore", "--policies", "prepatch,final", *BLOCK, "--format", fmt)
    assert (result.exit_code, result.stderr) == (1, "")
    check_golden(request, f"cli/explore-block.{fmt}", result.stdout)


@exhaustive
def test_does_each_sequence_of_a_block_show_it() -> None:
    """Does `run` replay the file, with large folios and without, and do its expectations hold?"""
    command = ("explore", "--policies", "final", "--single-pages", *BLOCK, "--out", "found")
    document = json.loads(run(*command, "--format", "json").stdout)
    assert document["policies"] == ["final", "final@4KiB"]
    assert "kernels" not in document
    differences = [each for each in document["differences"] if each["kind"] != "page_map"]
    assert len(differences) > 5
    for each in differences:
        values = []
        for options in ((), ("--set", "machine.thp.16KiB=never")):
            replayed = run("run", each["file"], "--policies", "final", "--format", "json", *options)
            assert replayed.exit_code == 0 or options
            (scenario,) = from_json(replayed.stdout).scenarios
            values.append(scenario.policies["final"].total.get(each["kind"], 0))
        kinds = each["values"]
        if each["kind"] not in VIOLATIONS:
            assert values == [kinds["final"], kinds["final@4KiB"]]


def test_are_the_states_of_a_block_drawn(request: pytest.FixtureRequest) -> None:
    """Is it said which pages are alike, of which folio, and where their slots are?"""
    options = ("--set", "machine.thp=16KiB", "--ops", "write@all,pageout@all,read@1")
    result = run("graph", "--policy", "final", *options)
    assert result.exit_code == 0
    check_golden(request, "cli/graph-block.dot", result.stdout)


def test_does_a_parser_of_markdown_read_the_table() -> None:
    """Is it one table with a row for each difference?"""
    tokens = (
        MarkdownIt("commonmark").enable("table").parse(run(*RFC, "--format", "markdown").stdout)
    )
    assert sum(token.type == "tr_open" for token in tokens) == 2


def test_is_the_graph_legible(request: pytest.FixtureRequest) -> None:
    """Are the states of a small alphabet in plain words?"""
    result = run("graph", "--policy", "rfc", "--ops", "read,write,pageout")
    assert result.exit_code == 0
    check_golden(request, "cli/graph.dot", result.stdout)


def test_is_the_picture_what_dot_draws(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """Does `--format svg` hand the graph to the program `dot` and write what that gives back?"""
    program(here / "dot", "#!/bin/sh\necho '<svg>'\ncat\necho '</svg>'\n")
    monkeypatch.setenv("PATH", str(here), prepend=":")
    drawn = run("graph", "--ops", "read", "--format", "svg")
    assert drawn.exit_code == 0
    text = run("graph", "--ops", "read").stdout
    assert "".join(drawn.stdout.split()) == "".join(f"<svg>{text}</svg>".split())


def test_is_a_missing_graphviz_a_clear_error(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """Is it said what to install, and nothing written?"""
    monkeypatch.setenv("PATH", str(here))
    result = run("graph", "--ops", "read", "--format", "svg", "--output", "page.svg")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --format svg needs the program `dot`")
    assert not (here / "page.svg").exists()


HANGING = "#!/bin/sh\necho $$ > running\nexec sleep 3600\n"


def test_is_a_picture_that_nobody_can_read_refused(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    """Is it said what is too large, what would be right, and is dot not even started?"""
    program(here / "dot", HANGING)
    monkeypatch.setenv("PATH", str(here), prepend=":")
    result = run("graph", "--format", "svg", "--output", "page.svg")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(r"at most 64 states, and this graph has [\d,]+: choose fewer", result.stderr)
    assert [path.name for path in here.iterdir()] == ["dot"]


@pytest.mark.parametrize(("number", "code"), some([(signal.SIGINT, 130), (signal.SIGKILL, -9)], 1))
def test_does_dot_end_with_the_program(here: Path, number: signal.Signals, code: int) -> None:
    """Even where only the program gets the signal, and without a file?"""
    program(here / "dot", HANGING)
    options = ("--ops", "read", "--format", "svg", "--output", "page.svg")
    process = start("graph", *options, env={"PATH": f"{here}:{os.environ['PATH']}"})
    running = here / "running"
    until(lambda: running.exists() and running.read_text().endswith("\n"), process)
    process.send_signal(number)
    assert finished(process) == (code, "", "")
    until(lambda: not alive(int(running.read_text())))
    assert not (here / "page.svg").exists()


def test_is_it_told_why_dot_failed(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """In its own words?"""
    program(here / "dot", "#!/bin/sh\ncat >/dev/null\necho no fonts >&2\nexit 3\n")
    monkeypatch.setenv("PATH", str(here), prepend=":")
    result = run("graph", "--ops", "read", "--format", "svg")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: dot could not draw the graph: no fonts\n",
    )


def program(path: Path, text: str) -> None:
    """A file that can be executed."""
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing option '--policies'"),
        (["--policies", "rfc,final,simple"], "explore takes one policy or two, not 3"),
        (["--policies", "rfc,fianl"], "did you mean 'final'?"),
        (["--policies", "rfc", "--ops", "raed"], "--ops: there is no operation 'raed'; did you"),
        (["--policies", "rfc", "--processes", "4"], "4 is not in the range 1<=x<=3"),
        (["--policies", "rfc", "--max-steps", "0"], "0 is not in the range x>=1"),
        (
            ["--policies", "rfc", "--set", "machine.swap.page_cluster=3"],
            "machine.swap.page_cluster must be 0: explore looks at one page",
        ),
        (
            ["--policies", "rfc", "--set", "machine.swap.size=64KiB"],
            "machine.swap.size must be at least 64 pages",
        ),
        (
            ["--policies", "rfc", "--set", "machine.swap=none"],
            "machine.swap must not be none: explore looks at what a policy does after swap-in",
        ),
        (
            ["--policies", "rfc", "--set", "machine.memory=64KiB"],
            "machine.memory must not be set: explore looks at one page",
        ),
        (
            ["--policies", "rfc", "--set", "machine.thp=64KiB"],
            "machine.thp must be 16KiB: explore looks at one block of four pages",
        ),
        (
            ["--policies", "rfc", "--set", "machine.thp=16KiB", "--set", "machine.swap.size=1MiB"],
            "machine.swap.size must be at least 2048 pages",
        ),
        (["--policies", "rfc", "--ops", "read@0"], "read@0 is about a page of a large folio; give"),
        (["--policies", "rfc", "--ops", "read@2"], "there is no operation 'read@2'; did you mean"),
        (["--policies", "rfc", "--ops", "fork@0"], "there is no operation 'fork@0'; did you mean"),
        (["--policies", "rfc", "--single-pages"], "--single-pages is for one policy and --set"),
        (["--policies", "rfc", "--set", "machine.swap.siez=1"], "did you mean 'machine.swap.size'"),
        (["--policies", "rfc", "--output", "."], "--output .: is a directory"),
        ([*RFC[1:], "--out", "file/found"], "--out file/found: cannot be made a directory"),
    ],
)
def test_is_a_wrong_input_a_clear_error(here: Path, arguments: list[str], message: str) -> None:
    """Is it exit code 2 and a message that says what would be right?"""
    (here / "file").write_text("")
    result = run("explore", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize(("number", "code"), some([(signal.SIGINT, 130), (signal.SIGKILL, -9)], 1))
def test_does_a_signal_end_it_and_its_workers(
    here: Path, number: signal.Signals, code: int
) -> None:
    """Is every process gone, without a word and without a file?"""
    process = start("explore", "--policies", "rfc,final", "--output", "out")
    until(lambda: len(children(process.pid)) == 2, process)
    workers = children(process.pid)
    process.send_signal(number)
    assert finished(process) == (code, "", "")
    until(lambda: not any(map(alive, workers)))
    assert list(here.iterdir()) == []


def test_are_the_sequences_drawn() -> None:
    """Is there a picture of what `--format dot` says, where Graphviz is there to draw it?"""
    words = ("explore", "-p", "rfc,final", "--processes", "1", "--ops", "read,write,pageout")
    if which("dot") is None:
        pytest.skip("needs Graphviz")
    shown = run(*words, "--format", "svg")
    assert shown.exit_code == 1
    texts = set(ElementTree.fromstring(shown.stdout).itertext())
    assert {"mmap", "write", "pageout", "read"} <= texts
