"""Do `import` and `record` make whole files or none, when they end early too?"""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commandline import SWAPTRACE, environment, finished, on_terminal, run, start
from tests.effort import exhaustive, some
from tests.importers.logs import LACKEY, lines
from tests.processes import completed, until


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.log").write_bytes(LACKEY)
    return tmp_path


def test_what_interrupts_an_import_leaves_nothing() -> None:
    """While it waits for a pipe: 130, and no directory?"""
    process = start("import", "lackey", "-", "-o", "out", stdin=subprocess.PIPE)
    until(lambda: Path("out").exists(), process)
    process.send_signal(signal.SIGINT)
    assert finished(process) == (130, "", "")
    assert sorted(os.listdir()) == ["some.log"]


@pytest.mark.parametrize("number", some([signal.SIGINT, signal.SIGHUP, signal.SIGTERM], 1))
def test_a_signal_that_is_ignored_from_the_start_does_nothing(number: signal.Signals) -> None:
    """As under nohup: does the import come to its end?"""
    process = start(
        *("import", "lackey", "-", "-o", "out"), stdin=subprocess.PIPE, ignoring=[number]
    )
    until(lambda: Path("out").exists(), process)
    process.send_signal(number)
    code, out, err = finished(process, LACKEY)
    assert (code, out) == (0, "")
    assert err.startswith("out/trace.yaml: 5 accesses")


def test_record_says_why_there_is_no_log(here: Path) -> None:
    """Where strace is not allowed to trace?"""
    for tool in ("strace", "valgrind"):
        (here / tool).write_text("#!/bin/sh\necho not permitted >&2\nexit 1\n")
        (here / tool).chmod(0o755)
    env = environment({"PATH": f"{here}:{os.environ['PATH']}"})
    command = [*SWAPTRACE, "record", "-o", "out", "true"]
    done = completed(command, env=env, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("not permitted\nError: strace and valgrind recorded no access")
    assert not Path("out").exists()


def test_record_says_which_package_is_missing(here: Path) -> None:
    """Where there is no valgrind, and where there is no such command?"""
    command = [*SWAPTRACE, "record", "-o", "out", "true"]
    env = environment({"PATH": str(here)})
    done = completed(command, env=env, text=True)
    assert done.returncode == 2
    assert "not installed (Debian: apt install valgrind)" in done.stderr
    assert sorted(os.listdir()) == ["some.log"]


@exhaustive
def test_a_bar_is_on_a_terminal_and_leaves_nothing_on_it() -> None:
    """Is the last that is shown the summary, however narrow?"""
    feed = "cat some.log; until [ -e out ]; do sleep 0.1; done; sleep 0.3; cat some.log"
    code_of = (
        "from swaptrace.terminal import output; output.PATIENCE = 0; "
        "from swaptrace.cli import main; "
    )
    swaptrace = shlex.join([sys.executable, "-c", f"{code_of}main()"])
    command = f"({feed}) | {swaptrace} import lackey - -o out"
    shown, code = on_terminal("bash", "-c", command, env={"COLUMNS": "20"}, progress=True)
    assert code == 0
    assert "\x1b[2K" in shown, "the bar was there and was wiped out"
    assert shown.rpartition("\x1b[2K")[2].lstrip().startswith("out/trace.yaml: 10 accesses")


@pytest.mark.parametrize("kilobytes", [0, 1, 9])
def test_a_full_disk_is_told_with_the_place_and_the_reason(here: Path, kilobytes: int) -> None:
    """Wherever it becomes full, and is nothing left?"""
    (here / "many.log").write_bytes(lines([f" S {4096 * n:08x},8" for n in range(16, 2000)]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, hard))
    try:
        result = run("import", "lackey", "many.log", "-o", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "out" in result.stderr
    assert "File too large" in result.stderr
    assert not (here / "out").exists()
