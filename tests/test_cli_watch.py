"""Does `watch` run again when an input changes, and only then?"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path

import pytest

from swaptrace.cli import hint, watch
from tests.commandline import READ_WRITE, finished, run, start
from tests.effort import exhaustive
from tests.ktree.making import RFC, TREE, with_condition
from tests.processes import until
from tests.sweep.test_sweep import COUNTING

TWINS = Path(__file__).parent / "csource" / "twins"
RUNS = "\npolicy"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("t.csv").write_text("page,write\n0,1\n")
    Path("in/a.yaml").write_text("steps:\n- mmap: a\n  size: 64KiB\n- trace: ../t.csv\n")
    Path("mine.py").write_text(COUNTING)


@exhaustive
def test_each_change_of_an_input_is_another_run() -> None:
    """Scenario, trace, policy and what is beside it, a new scenario: is each seen, and is the end
    that of an interrupt?"""
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    with Path("out").open("wb") as out:
        process = start("watch", "in", "-p", "old,mine.py", stdout=out)

        def shown(count: int, text: str) -> None:
            until(lambda: Path("out").read_text().count(RUNS) >= count, process)
            assert text in Path("out").read_text()

        shown(1, "mine")
        Path("t.csv").write_text("page,write\n0,1\n1,1\n2,1\n")
        shown(2, "mine           3")
        Path("mine.py").write_text(COUNTING + "# another\n")
        shown(3, "mine           3")
        Path("helper.py").write_text("ONE = 1\n")
        shown(4, "mine           3")
        Path("in/a.yaml").write_text("steps: nonsense\n")
        # What is wrong is said by the run, and the next change is waited for.
        Path("in/a.yaml").write_text("name: other\nsteps: [{mmap: a, size: 4KiB}, {write: a}]\n")
        shown(5, "other  (in/a.yaml)")
        Path("in/b.yaml").write_text(READ_WRITE)
        shown(6, "read-write  (in/b.yaml)")
        process.send_signal(signal.SIGINT)
        code, _, err = finished(process)
    assert code == 130
    assert err.startswith("watching: run in -p old,mine.py\n")


def test_a_run_that_is_under_way_is_ended() -> None:
    """Does a change come into its own while the last run still computes?"""
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    Path("a.yaml").write_text(READ_WRITE)
    Path("wait").touch()
    Path("mine.py").write_text(COUNTING)
    with Path("out").open("wb") as out:
        process = start("watch", "a.yaml", "-p", "mine.py,old", "--compare", stdout=out)
        time.sleep(0.1)
        Path("wait").unlink()
        Path("mine.py").write_text(COUNTING + "# another\n")
        until(lambda: "back_in" in Path("out").read_text(), process)
        process.send_signal(signal.SIGINT)
        assert finished(process)[0] == 130


@exhaustive
@pytest.mark.parametrize("policy", ["mine.c", "kernel:linux"])
def test_another_policy_in_c_is_seen_in_the_counts(policy: str) -> None:
    """Of a file of its own and of a tree: does the next run count as the new C does?"""
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    shutil.copytree(TREE, "linux")
    before, after = (Path(TWINS / f"{name}.c").read_text() for name in ("prepatch", "rfc"))
    Path("mine.c").write_text(before)
    Path("a.yaml").write_text(READ_WRITE)
    with Path("out").open("wb") as out:
        process = start("watch", "a.yaml", "-p", policy, stdout=out)

        def counted(minor_faults: int) -> None:
            row = re.compile(rf"back_in +{re.escape(policy)} +{minor_faults} ")
            until(lambda: row.search(Path("out").read_text()) is not None, process)

        counted(4)
        Path("mine.c").write_text(after)
        memory = Path("linux/mm/memory.c")
        memory.write_text(with_condition(RFC)(memory.read_text()))
        counted(0)
        process.send_signal(signal.SIGINT)
        assert finished(process)[0] == 130


def test_policies_in_c_and_kernel_trees_are_watched() -> None:
    """Is a changed .c file, a changed tree, or a changed patch of it, another run?"""
    for path in ("linux/Makefile", "linux/mm/memory.c", "linux/include/linux/mm.h", "a.patch"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("")
    Path("mine.c").write_text("")
    options = {"policies": "old,mine.c,kernel:linux+a.patch"}
    before = watch.stamps(["in"], options)
    for path in ("mine.c", "linux/mm/memory.c", "linux/include/linux/mm.h", "a.patch"):
        Path(path).write_text("/* another */\n")
        now = watch.stamps(["in"], options)
        assert now != before, path
        before = now


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-",), "standard input cannot be watched"),
        (("nowhere.yaml",), "nowhere.yaml: no such file"),
        (("in", "-p", "kernel:nowhere"), "no kernel tree or mm/memory.c 'nowhere'"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_watched_is_refused(words: tuple[str, ...], message: str) -> None:
    """Is it exit code 2, at once?"""
    result = run("watch", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_watchfiles_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it?"""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert "pip install 'swaptrace-mm[watch]'" in run("watch", "in").stderr


class AtOnce:
    """A timer for which all time is over at once."""

    def __init__(self, _seconds: float, call: Callable[[str], None], words: tuple[str]) -> None:
        self.call, self.words = call, words

    def start(self) -> None:
        self.call(*self.words)

    def cancel(self) -> None:
        """Too late."""


@pytest.mark.parametrize(
    ("name", "there", "told"),
    [("in/a.yaml", False, 1), ("in/a.yaml", True, 0), ("plain.yaml", False, 0)],
)
def test_numba_is_named_once_where_it_would_help(
    name: str, there: bool, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is it said of a long replay page by page, and not where it is installed or of no use?"""
    Path("plain.yaml").write_text(READ_WRITE)
    monkeypatch.setattr(util, "find_spec", lambda _name: object() if there else None)
    said: list[str] = []
    monkeypatch.setattr(hint, "complain", said.append)
    monkeypatch.setattr("threading.Timer", AtOnce)
    assert run("run", name, "-p", "old,new").exit_code == 0
    assert said == [hint.HINT] * told
    said.clear()
    words = ("--over", "machine.kernel=6.1,6.12", "--cells", "cells", "--jobs", "1")
    assert run("sweep", name, *words, "-p", "old,new").exit_code == 0
    assert said == [hint.HINT] * told


def test_a_sweep_names_numba_while_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, also where it then replays for long?"""
    monkeypatch.setattr(util, "find_spec", lambda _name: None)
    said: list[str] = []
    monkeypatch.setattr(hint, "complain", said.append)
    monkeypatch.setattr("threading.Timer", AtOnce)
    monkeypatch.setattr("swaptrace.sweep.workingset.working_set", lambda _: len(said) << 20)
    words = ("--over", "machine.memory=50%,100%", "--cells", "cells", "--jobs", "1", "-p", "old")
    done = run("sweep", "in/a.yaml", *words)
    assert "working set: 1,048,576 bytes" in done.stdout
    assert said == [hint.HINT]
