"""How does the program behave as a process: in pipes, on terminals, when interrupted or full?"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.commandline import (
    LOST,
    READ_WRITE,
    SWAPTRACE,
    environment,
    finished,
    on_terminal,
    run,
    start,
)
from tests.effort import exhaustive, some
from tests.processes import completed

POLICY = """\
import signal, time
from swaptrace.mm.policy import Policy


class Mine(Policy):
    title = "as before the patch, after a while"
    origin = "a test"

    def swapin_pte(self, fault):
        {first}
        return super().swapin_pte(fault)
"""

IMPATIENT = """\
import sys
from swaptrace.terminal import output
output.PATIENCE = 0.05
from swaptrace.cli import main
main(sys.argv[1:], prog_name="swaptrace")
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    return tmp_path


def test_does_interrupting_it_end_it_without_a_word(here: Path) -> None:
    (here / "mine.py").write_text(POLICY.format(first="print('here', flush=True); signal.pause()"))
    process = start("run", "rw.yaml", "--policies", "mine.py", "--output", "out")
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    assert finished(process) == (130, "", "")
    assert sorted(os.listdir(here)) == ["lost.yaml", "mine.py", "rw.yaml"]


@pytest.mark.parametrize(
    "arguments", some([["run", "rw.yaml"], ["check", "rw.yaml"], ["policies", "final"]], 1)
)
def test_does_it_end_in_one_line_when_nobody_reads(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(*arguments, stdout=writer)
    os.close(writer)
    message = "Error: standard output was closed before all was written\n"
    assert finished(process) == (2, "", message)


@pytest.mark.parametrize(
    "arguments",
    some([["run", "rw.yaml"], ["run", "rw.yaml", "--format", "json"], ["check", "rw.yaml"]], 1),
)
def test_is_a_full_disk_told(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        process = start(*arguments, stdout=full)
        message = "Error: cannot write to standard output: No space left on device\n"
        assert finished(process) == (2, "", message)


@pytest.mark.parametrize("arguments", some([["--help"], ["run", "-h"], ["--version"]], 1))
def test_is_help_for_a_full_disk_no_traceback(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, _, message = finished(start(*arguments, stdout=full))
    assert code == 2
    assert message == "Error: [Errno 28] No space left on device\n"


@exhaustive
def test_does_it_work_without_standard_streams() -> None:
    command = " ".join([*SWAPTRACE, "run", "rw.yaml"])

    def shell(redirections: str) -> tuple[int, str, str]:
        words = ["sh", "-c", f"exec {command} {redirections}"]
        done = completed(words, stdin=b"", env=environment())
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    closed = "Error: cannot write to standard output: it is closed\n"
    assert shell(">&-") == (2, "", closed)
    assert shell("2>&-")[0] == 0
    assert shell("none.yaml 2>/dev/full")[0] == 2
    assert shell("- <&-") == (2, "", "Error: <stdin>: standard input is closed\n")


def test_is_what_the_encoding_lacks_escaped(here: Path) -> None:
    (here / "rw.yaml").write_text(READ_WRITE.replace("read-write", "größe"), encoding="utf-8")
    code, out, err = finished(start("run", "rw.yaml", env={"PYTHONIOENCODING": "ascii"}))
    assert (code, err) == (0, "")
    assert out.startswith("gr\\xf6\\xdfe  (rw.yaml)")


def test_is_a_file_name_that_is_not_utf_8_shown(here: Path) -> None:
    (here / "rw.yaml").rename(os.fsdecode(b"\xff.yaml"))
    code, out, _ = finished(start("check", os.fsdecode(b"\xff.yaml")))
    assert (code, out) == (0, "\\xff.yaml: ok\n")


def test_is_a_pipe_plain_and_as_wide_as_it_needs() -> None:
    code, out, err = finished(start("compare", "rw.yaml", "--policies", "all"))
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) > 120


@pytest.mark.parametrize("columns", some([40, 120], 1))
def test_does_a_table_fit_the_terminal(columns: int) -> None:
    text, code = on_terminal(
        *SWAPTRACE, "compare", "rw.yaml", "lost.yaml", "--policies", "all", "--color", "never",
        env={"COLUMNS": str(columns)},
    )  # fmt: skip
    assert code == 0
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= columns
    assert "lost_soft_dirty" in text


@exhaustive
def test_are_there_colours_on_a_terminal_unless_unwanted() -> None:
    command = [*SWAPTRACE, "run", "lost.yaml", "--policies", "simple"]
    assert "\x1b[31mviolation" in on_terminal(*command)[0]
    assert "\x1b" not in on_terminal(*command, env={"NO_COLOR": "1"})[0]
    assert "\x1b" not in on_terminal(*command, env={"TERM": "dumb"})[0]
    assert "\x1b[31m" in on_terminal(*command, "--color", "always", env={"NO_COLOR": "1"})[0]


def test_is_a_wide_result_on_a_dumb_terminal_not_cut() -> None:
    command = [*SWAPTRACE, "compare", "rw.yaml", "--policies", "all"]
    text, _ = on_terminal(*command, env={"TERM": "dumb", "COLUMNS": "200"})
    assert max(map(len, text.splitlines())) > 100


@exhaustive
def test_does_a_progress_bar_appear_only_where_and_when_it_helps(here: Path) -> None:
    # Longer than it takes to import the progress bar and to draw it twice.
    (here / "slow.py").write_text(POLICY.format(first="time.sleep(0.6)"))
    impatient = [sys.executable, "-c", IMPATIENT]
    command = ["run", "rw.yaml", "--policies", "old,slow.py", "--output", "out"]
    text, code = on_terminal(*impatient, *command, progress=True)
    assert code == 0
    assert "read-write under slow" in text
    assert "1/2" in text
    patient = [sys.executable, "-c", IMPATIENT.replace("0.05", "3600")]
    assert on_terminal(*patient, *command, progress=True) == ("", 0)
    piped = completed([*impatient, *command], env=environment(), check=True)
    assert (piped.stdout, piped.stderr) == (b"", b"")


MODULES = """\
import sys
from swaptrace.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""

LIBRARIES = """\
import click, rich.console, sys, yaml
print(*sys.modules, file=sys.stderr)
"""


def imported(code: str, *arguments: str) -> set[str]:
    """The modules that a program has imported at its end."""
    process = completed([sys.executable, "-c", code, *arguments], env=environment())
    return set(process.stderr.decode().split())


def test_does_it_start_without_what_it_does_not_need() -> None:
    slow = {"rich.table", "rich.progress", "pygments", "importlib.metadata", "difflib", "inspect"}
    slow |= {"pycparser", "numpy", "numba", "swaptrace.reclaim.memory"}
    slow |= {"swaptrace.replay.rare", "swaptrace.mm.rare"}
    assert not (imported(MODULES, "run", "rw.yaml") - imported(LIBRARIES)) & slow
    assert not imported(MODULES, "check", "rw.yaml") & {"numpy", "rich"}
    unhelpful = {"numpy", "rich", "yaml", "json", "secrets", "subprocess", "ctypes"}
    helped = imported(MODULES, "--help")
    assert not helped & (unhelpful | {"swaptrace.scenario.schema"})
    assert "pathlib" not in helped - imported("import sys; print(*sys.modules, file=sys.stderr)")


def test_does_a_shell_complete_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def offered(words: str, number: int) -> str:
        monkeypatch.setenv("_SWAPTRACE_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(number))
        return run().stdout

    assert offered("swaptrace c", 1) == "plain,compare\nplain,check\nplain,counters\n"
    assert offered("swaptrace run --format t", 3) == "plain,table\nplain,text\n"
    assert offered("swaptrace run --policies old,fi", 3) == "plain,old,final\n"
    assert "plain,machine.swap.backend=\n" in offered("swaptrace run --set machine.swap", 3)
    assert offered("swaptrace run rw.y", 2).startswith("file,rw.y\n")


INTERRUPTED_EARLY = """\
import os, signal, sys
from swaptrace.__main__ import main

NTH = int(sys.argv[1])

class Finder:
    number = 0

    def find_spec(self, *_):
        Finder.number += 1
        if Finder.number == NTH:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["run", "rw.yaml", "--output", "out"]
main()
"""


@pytest.mark.parametrize("nth", some([1, 2, 9, 30, 80, 150], 2))
def test_does_interrupting_it_while_it_starts_end_it_without_a_word(here: Path, nth: int) -> None:
    """Whichever module is being imported then?"""
    command = [sys.executable, "-c", INTERRUPTED_EARLY, str(nth)]
    done = completed(command, text=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    assert not (here / "out").exists()


def test_an_interruption_while_a_class_is_made_is_130(here: Path) -> None:
    """CPython 3.11 remembers one within exec(): does the program still end by itself?"""
    (here / "p.py").write_text('exec("raise KeyboardInterrupt")\n')
    process = start("policies", "./p.py")
    assert finished(process) == (130, "", "")


def test_a_progress_bar_knows_how_far_one_long_replay_is() -> None:
    """Is the share that of the accesses of all iterations, and the total asked for only when the
    bar is seen?"""
    from swaptrace.replay.scenarios import accesses_of
    from swaptrace.scenario.loader import load_text
    from swaptrace.terminal.output import _Bar

    text = "steps:\n- {mmap: a, size: 64KiB}\n- repeat: 3\n  steps:\n"
    scenario = load_text(f"{text}  - {{access: a, pattern: uniform, count: 100}}\n")
    assert accesses_of(scenario) == 300
    bar = _Bar(2, "never")
    bar.begin("one", "final")
    tell = bar.within(lambda: accesses_of(scenario))
    tell(100)
    assert bar.done == 0
    bar.timer.cancel()
    bar.appear()
    tell(50)
    assert bar.done == 0.5
    bar.begin("one", "merged")
    assert bar.done == 1
    bar.close()


CALLBACK = """\
import time, weakref
from swaptrace.terminal.interruption import leave_at_once, raise_instead

leave_at_once()
raise_instead()


class Gone:
    pass


def interrupted(_):
    raise {error}


gone = Gone()
reference = weakref.ref(gone, interrupted)
del gone
try:
    while {error} is KeyboardInterrupt:
        time.sleep(600)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("error", "out", "told"), [("KeyboardInterrupt", "interrupted\n", 0), ("ValueError", "", 1)]
)
def test_an_interrupt_that_comes_in_a_callback_is_not_lost(error: str, out: str, told: int) -> None:
    """Does it end even a sleep, without a word, and is any other exception told?"""
    done = completed([sys.executable, "-c", CALLBACK.format(error=error)], text=True)
    assert (done.returncode, done.stdout) == (0, out)
    assert done.stderr.count("Exception ignored") == told
