"""Is a grid what single runs are, whoever computes it, and is nothing computed twice?"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from swaptrace.csource.policy import CPolicy
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.result.schemas import sweep_schema
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import AccessPatternStep
from swaptrace.sweep.identity import OF_C
from swaptrace.sweep.workingset import working_set
from swaptrace.traces.patterns import accesses
from tests.commandline import finished, run, start
from tests.effort import ALL, exhaustive, some
from tests.processes import alive, children, completed, until
from tests.schemas import closed, mistakes

WORK = """\
steps:
- mmap: buf
  size: 256KiB
- measure: work
  steps:
  - access: buf
    count: 1500
    pattern: zipf
    write_share: 1
"""
SIZES = 4 if ALL else 2
MEMORY = f"machine.memory=25%..{'100%' if ALL else '75%'}/{SIZES}"
GRID = ("--over", MEMORY, "--over", "machine.reclaim=classic,lru")
CELLS = SIZES * 2 * 2
SWEEP = ("sweep", "work.yaml", *GRID, "-p", "old,new", "--jobs", "1", "--cells", "cells")

OLD = ("--set", "machine.kernel=6.1")

COUNTING = """\
import os
import time
from swaptrace.mm.policy import Policy

class Mine(Policy):
    title = "as the default, noted"
    origin = "a test"

    def swapin_pte(self, fault):
        while os.path.exists("wait"):
            time.sleep(0.01)
        return super().swapin_pte(fault)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("work.yaml").write_text(WORK)


def computed(stderr: str) -> int:
    """How many cells were replayed, as standard error says."""
    return int(stderr.split(" cells: ")[1].split(" replayed")[0])


def document(*more: str) -> Any:
    return json.loads(run(*SWEEP, "--format", "json", *more).stdout)


@exhaustive
def test_a_cell_is_what_a_run_of_its_machine_counts() -> None:
    """Has each the counters of `run --set`, and does the whole fit its schema?"""
    whole = document()
    assert mistakes(closed(sweep_schema()), whole) == []
    assert len(whole["cells"]) == CELLS
    for cell in whole["cells"]:
        machine = cell["machine"]
        settings = (f"machine.memory={machine['memory']}", f"machine.reclaim={machine['reclaim']}")
        words = [word for each in settings for word in ("--set", each)]
        ran = run("run", "work.yaml", "-p", cell["policy"], *words, "--format", "json")
        (scenario,) = json.loads(ran.stdout)["scenarios"]
        assert scenario["machine"] == machine
        assert scenario["policies"] == {cell["policy"]: cell["counted"]}


@pytest.mark.parametrize("fmt", some(["table", "json", "csv"], 1))
def test_the_bytes_are_the_same_whoever_computes_and_whatever_was_kept(fmt: str) -> None:
    """With one process, with two, and from the files alone?"""
    words = ("--format", fmt)
    alone = run(*SWEEP, *words)
    together = run(*SWEEP[:-1], "others", *words, "--jobs", "2")
    again = run(*SWEEP, *words)
    assert [computed(each.stderr) for each in (alone, together, again)] == [CELLS, CELLS, 0]
    assert alone.stdout == together.stdout == again.stdout != ""


def test_the_miss_ratio_is_that_of_an_exact_lru() -> None:
    """Does a list in the order of use miss as often, first touches included?"""
    (_, measured) = load_file("work.yaml").steps
    (step,) = measured.steps  # type: ignore[union-attr]
    assert isinstance(step, AccessPatternStep)
    pages = [int(page) for chunk in accesses(step, 64) for page in chunk.page]
    for cell in document()["cells"]:
        if cell["machine"]["reclaim"] == "lru":
            room, used, misses = cell["machine"]["memory"] // 4096, OrderedDict[int, None](), 0
            for page in pages:
                misses += page not in used
                used[page] = None
                used.move_to_end(page)
                if len(used) > room:
                    used.popitem(last=False)
            assert cell["misses"] == {"work": misses, "total": misses}
            assert cell["accesses"] == {"work": 1500, "total": 1500}


def test_the_working_set_is_what_there_is_at_once() -> None:
    """Do pages in swap count, those that were given back not, and a shared one once?"""
    text = """\
steps:
- mmap: a
  size: 64KiB
- memset: a
  value: 1
- madvise: a
  advice: MADV_PAGEOUT
- fork: child
- write: a
  length: 16KiB
- exit: child
- munmap: a
- mmap: b
  size: 32KiB
- read: b
- memset: b
  value: 1
"""
    Path("more.yaml").write_text(text)
    assert working_set(load_file("more.yaml")) == (16 + 4) * 4096


def test_a_change_of_an_input_is_a_change_of_the_cell() -> None:
    """Is all that counts looked at: scenario, machine, policy, and the content of a trace?"""
    Path("mine.py").write_text(COUNTING)
    Path("t.csv").write_text("page,write\n0,1\n1,1\n0,0\n")
    Path("work.yaml").write_text("steps:\n- mmap: a\n  size: 64KiB\n- trace: t.csv\n")
    words = ("sweep", "work.yaml", "--over", "machine.memory=4KiB,8KiB", "--cells", "cells")
    command = (*words, "-p", "mine.py")
    assert computed(run(*command).stderr) == 2
    assert computed(run(*command).stderr) == 0
    Path("t.csv").write_text("page,write\n0,1\n2,1\n0,0\n")
    assert computed(run(*command).stderr) == 2
    Path("mine.py").write_text(COUNTING + "# another\n")
    assert computed(run(*command).stderr) == 2
    Path("work.yaml").write_text("steps:\n- mmap: b\n  size: 64KiB\n- trace: t.csv\n")
    assert computed(run(*command).stderr) == 2
    assert computed(run(*command, "--set", "machine.swap=disk").stderr) == 2
    assert computed(run(*words, "-p", "LABEL=mine.py").stderr) == 0


def test_a_policy_in_c_is_its_c() -> None:
    """Is another text another cell, and the same text the same?"""
    text = "{ if (pte_swp_soft_dirty(vmf->orig_pte))\n\tpte = pte_mksoft_dirty(pte);\n%s}\n"
    words = ("sweep", "work.yaml", "--over", "machine.memory=25%", "--cells", "cells", "-p")
    assert {CPolicy.__module__, TreePolicy.__module__} == OF_C
    counts = []
    for more in ("", "pte = pte_mkdirty(pte);", "pte = pte_mkdirty(pte);"):
        Path("a.c").write_text(text % more)
        counts.append(computed(run(*words, "a.c").stderr))
    assert counts == [1, 1, 0]


@pytest.mark.parametrize(
    "spoil",
    some(
        [
            lambda text: text[: len(text) // 2],
            lambda _text: "",
            lambda text: text.replace('"minflt": ', '"minflt": 1', 1),
            lambda text: text.replace("swaptrace.cell/1", "swaptrace.cell/2"),
            lambda _text: "\udcff",
        ],
        1,
    ),
)
def test_a_spoilt_file_is_computed_again(spoil: Any) -> None:
    """Whatever is in it: are the bytes the same, and is the file mended?"""
    first = run(*SWEEP)
    path = sorted(Path("cells").iterdir())[3]
    whole = path.read_bytes()
    path.write_bytes(spoil(whole.decode()).encode(errors="surrogateescape"))
    second = run(*SWEEP)
    assert f"Warning: cells/{path.name}" in second.stderr
    assert computed(second.stderr) == 1
    assert second.stdout == first.stdout
    assert path.read_bytes() == whole


@pytest.mark.parametrize("number", some([signal.SIGINT, signal.SIGKILL], 1))
def test_what_was_computed_before_it_was_ended_is_not_computed_again(
    number: signal.Signals,
) -> None:
    """Killed half-way: is the rest, and only the rest, computed by the same command?"""
    Path("mine.py").write_text(COUNTING)
    Path("wait").touch()
    command = ("sweep", "work.yaml", "--over", "machine.memory=100%,50%,25%,200%", "-p", "mine.py")
    process = start(*command, "--cells", "cells", "--jobs", "2")
    # The cells that fit into memory never ask the policy.
    until(lambda: Path("cells").exists() and len([*Path("cells").iterdir()]) >= 1, process)
    process.send_signal(number)
    code, _, err = finished(process)
    assert code == (130 if number == signal.SIGINT else -number)
    assert ("cells more are kept" in err) == (number == signal.SIGINT)
    kept = len([*Path("cells").iterdir()])
    Path("wait").unlink()
    again = run(*command, "--cells", "cells")
    assert 1 <= kept < 4
    assert computed(again.stderr) == 4 - kept
    assert again.stdout == run(*command, "--cells", "others").stdout


@pytest.mark.parametrize("interrupted", [True, False])
def test_it_ends_while_the_working_set_is_measured(interrupted: bool) -> None:
    """Is ^C, or a process that is killed, the end of all?"""
    Path("work.yaml").write_text(WORK.replace("1500", "1000000000"))
    process = start(*SWEEP, "--jobs", "2")
    until(lambda: len(children(process.pid)) == 2, process)
    workers = children(process.pid)
    os.kill(process.pid if interrupted else workers[0], signal.SIGINT if interrupted else 9)
    code, _, err = finished(process)
    assert code == (130 if interrupted else 2)
    assert interrupted or "a process of --jobs was killed" in err
    assert not any(map(alive, workers))


def test_who_takes_all_from_before_needs_no_replay() -> None:
    """Is what a replay imports left alone?"""
    over = ("--over", "machine.memory=64KiB")
    words = ("sweep", "work.yaml", *over, "--cells", "cells", "--jobs", "1")
    first = run(*words)
    code = "import sys; from swaptrace.cli import main; main(standalone_mode=False)"
    program = f"{code}; sys.exit('numpy' in sys.modules)"
    again = completed([sys.executable, "-c", program, *words], text=True)
    assert (again.returncode, again.stdout) == (0, first.stdout)


def test_a_machine_that_is_too_small_costs_its_cell_alone() -> None:
    """Is it said where the kernel would kill, and are the others there?"""
    words = ("--over", "machine.memory=8KiB,256KiB", "--set", "machine.swap.size=4KiB")
    result = run("sweep", "work.yaml", *words, "-p", "old", "--cells", "cells")
    assert result.exit_code == 0
    assert "memory=8KiB, prepatch: line 6: the memory limit is reached" in result.stdout
    made = ("sweep", "work.yaml", *words, "-p", "old", "--cells", "cells", "--format")
    assert "8KiB,8192,prepatch,total,out_of_memory,1" in run(*made, "csv").stdout
    whole = json.loads(run(*made, "json").stdout)
    assert mistakes(closed(sweep_schema()), whole) == []
    assert ["killed" in cell for cell in whole["cells"]] == [True, False]


@pytest.mark.parametrize(
    "more",
    some(
        [(), ("--counter", "minflt,majflt"), ("--along", "machine.reclaim"), ("--window", "work")],
        1,
    ),
)
def test_curves_have_a_line_for_each_policy(more: tuple[str, ...]) -> None:
    """Is it the same picture each time, with what was asked for in it?"""
    run(*SWEEP, "--plot", "a.svg", *more)
    run(*SWEEP, "--plot", "b.svg", *more)
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    words = " ".join(ElementTree.parse("a.svg").getroot().itertext())
    expected = [
        "prepatch",
        "final",
        "work",
        *(more[1].removeprefix("machine.").split(",") if more else ["miss ratio"]),
    ]
    assert [word for word in expected if word not in words] == []


@pytest.mark.parametrize(
    ("over", "ticks"),
    [
        ("machine.memory=4MiB..64MiB/8", ["16MiB", "32MiB", "48MiB", "64MiB"]),
        ("machine.memory=256KiB", ["256KiB"]),
        ("machine.memory=256KiB..1MiB*3", ["256KiB", "512KiB", "1MiB"]),
    ],
)
def test_sizes_are_read_where_they_are_round(over: str, ticks: list[str]) -> None:
    """Does an axis of sizes have few ticks, and none at 9.537MiB?"""
    run("sweep", "work.yaml", "--over", over, "--cells", "cells", "-p", "old", "--plot", "a.svg")
    texts = ElementTree.parse("a.svg").getroot().itertext()
    assert [text for text in texts if "iB" in text] == ticks


def test_no_curve_leaves_its_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has each row a scale that is wide enough for all of its panels, from 0 on?"""
    figures: list[Any] = []

    def kept(draw: Any, _kind: str) -> bytes:
        figures.append(draw())
        return b""

    monkeypatch.setattr("swaptrace.report.curves.pictured", kept)
    run(*SWEEP, "--plot", "a.svg", "--along", "machine.reclaim", "--counter", "majflt")
    (figure,) = figures
    assert len(figure.axes) == SIZES
    assert len({panel.get_ylim() for panel in figure.axes}) == 1
    low, high = figure.axes[0].get_ylim()
    counts = [y for panel in figure.axes for line in panel.lines for y in line.get_ydata()]
    assert low == 0
    assert max(counts) <= high


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing option '--over'"),
        (("--over", "memory=1"), "unknown key 'memory'"),
        (("--over", "machine.reclaim=lru"), "--over machine.reclaim=lru:1:17: reclaim: means"),
        (
            ("--over", "machine.memory=1MiB", "--over", "machine.reclaim=lru,mglru", *OLD),
            "modelled as in Linux 6.12",
        ),
        (("--over", "machine.memory=1MiB", "--counter", "majfl"), "did you mean 'majflt'?"),
        (("--over", "machine.memory=1MiB", "--window", "wrk"), "did you mean 'work'?"),
        (("--over", "machine.memory=1MiB", "--along", "memory"), "--along needs --plot"),
        (("--over", "machine.memory=1MiB", "--plot", "a.gif"), "must end with .svg or .png"),
        (
            ("--over", "machine.memory=1MiB", "--plot", "a.svg", "--along", "machine.memry"),
            "did you mean 'machine.memory'?",
        ),
        (("--over", "machine.memory=1MiB", "--cells", "work.yaml"), "is a file"),
        (("--over", "machine.memory=1MiB", "--jobs", "0"), "0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], message: str) -> None:
    """Is it exit code 2 and a message that says what would be right?"""
    result = run("sweep", "work.yaml", *words)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


def test_one_scenario_is_swept() -> None:
    """Is a directory of several refused, and standard input read once for all machines?"""
    Path("other.yaml").write_text(WORK)
    words = ("--over", "machine.memory=50%,100%", "--over", "machine.page_size=4KiB,8KiB")
    assert "there are 2" in run("sweep", ".", *words).stderr
    given = run("sweep", "-", *words, "-p", "old", stdin=WORK)
    assert given.exit_code == 0
    assert computed(given.stderr) == 4


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is replayed?"""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(*SWEEP, "--plot", "a.svg")
    assert "install the extra 'plot'" in result.stderr
    assert not Path("cells").exists()
