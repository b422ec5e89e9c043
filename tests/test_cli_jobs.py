"""Is the output of several processes that of one, and does nothing of them stay?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swaptrace import bundled
from swaptrace.cli.options import FORMATS
from tests.commandline import LOST, READ_WRITE, ROOT, environment, finished, run, start
from tests.effort import exhaustive, part, some
from tests.processes import alive, completed, until

SLOW = """\
import os, time
from swaptrace.mm.policy import Policy

class Slow(Policy):
    title = "never answers"
    origin = "a test"

    def swapin_pte(self, fault):
        with open("workers", "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(3600)
"""

DEAD = SLOW.replace("time.sleep(3600)", "os.kill(os.getpid(), 9)")
WRONG = SLOW.replace("time.sleep(3600)", "return 7")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scenarios, and policies that misbehave."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    for name, text in (("slow", SLOW), ("dead", DEAD), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("fmt", some(FORMATS, 1))
def test_are_the_bytes_the_same_with_one_process_and_with_two(
    fmt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For bundled scenarios under several policies, at any width?"""
    monkeypatch.chdir(ROOT)
    names = part(bundled.scenarios(), 9, first=FORMATS.index(fmt))
    command = ["run", *names, "--policies", "old,simple,new", "--format", fmt]
    first = run(*command)
    monkeypatch.setenv("COLUMNS", "40")
    assert first.exit_code == 0
    assert run(*command, "--jobs", "2").stdout == first.stdout
    assert run(*command).stdout == first.stdout


HASHES = """\
import hashlib, sys
from swaptrace.cli.options import FORMATS
from tests.commandline import run
for fmt in FORMATS:
    output = run("run", *sys.argv[1:], "--policies", "old,simple", "--format", fmt).stdout
    print(fmt, hashlib.sha256(output.encode()).hexdigest())
"""


@exhaustive
def test_are_the_bytes_the_same_from_run_to_run() -> None:
    """Does nothing depend on the order of sets, whose hashes differ between processes?"""
    first, second = (
        completed(
            [sys.executable, "-c", HASHES, *part(bundled.scenarios(), 3)],
            env=environment({"PYTHONHASHSEED": seed}),
            cwd=ROOT,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert first.count("\n") == len(FORMATS)
    assert first == second


def test_are_policies_from_files_replayed_in_workers() -> None:
    """Does a policy that cannot be sent to another process work all the same?"""
    text = SLOW.replace("time.sleep(3600)", "return super().swapin_pte(fault)")
    Path("mine.py").write_text(text)
    command = ["compare", "rw.yaml", "lost.yaml", "--policies", "old,mine.py", "--steps", "--pages"]
    assert run(*command, "--jobs", "3").stdout == run(*command).stdout
    assert len(set(Path("workers").read_text().split())) > 1


def test_is_an_error_in_a_worker_the_same_error() -> None:
    """Is it the first in the order of one process, with the place in the scenario?"""
    refused = "madvise: buf\n    advice: FREE\n    errno: EIO"
    text = READ_WRITE.replace("memset: buf\n    value: 0x11", refused)
    Path("rw.yaml").write_text(text)
    command = ["run", "lost.yaml", "rw.yaml", "--policies", "old,wrong.py"]
    alone, together = run(*command), run(*command, "--jobs", "2")
    assert alone.exit_code == together.exit_code == 2
    assert alone.stderr == together.stderr != ""
    only = ["run", "rw.yaml", "lost.yaml", "--policies", "old,new"]
    alone, together = run(*only), run(*only, "--jobs", "2")
    assert "rw.yaml:" in together.stderr
    assert alone.stderr == together.stderr


def test_is_a_killed_worker_an_error() -> None:
    """Does it end, and say what may help?"""
    result = run("run", "rw.yaml", "lost.yaml", "--policies", "old,dead.py", "--jobs", "2")
    assert result.exit_code == 2
    assert "a process of --jobs was killed" in result.stderr


@pytest.mark.parametrize(
    ("number", "code"),
    some([(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)], 1),
)
def test_does_a_signal_end_it_and_its_workers(number: signal.Signals, code: int) -> None:
    """Is every process gone, without a word and without a file?"""
    process = start(
        *("run", "rw.yaml", "lost.yaml", "--policies", "old,slow.py", "--jobs", "2"),
        *("--output", "out"),
    )
    workers = wait_for_workers(process, 2)
    process.send_signal(number)
    assert finished(process) == (code, "", "")
    until(lambda: not any(map(alive, workers)))
    assert not Path("out").exists()


def test_is_an_ignored_interrupt_none_to_the_workers() -> None:
    """As under nohup: does a run in several processes come to its end?"""
    text = SLOW.replace("time.sleep(3600)", "while not os.path.exists('go'): time.sleep(0.01)")
    Path("mine.py").write_text(f"{text}        return super().swapin_pte(fault)\n")
    command = ("run", "rw.yaml", "lost.yaml", "--policies", "old,mine.py", "--jobs", "2")
    process = start(*command, ignoring=[signal.SIGINT])
    wait_for_workers(process, 2)
    os.killpg(process.pid, signal.SIGINT)
    Path("go").touch()
    code, out, err = finished(process)
    assert (code, err) == (0, "")
    assert out == run(*command).stdout


def wait_for_workers(process: subprocess.Popen[bytes], count: int) -> list[int]:
    """The processes that are at work, as soon as so many are."""
    seen = Path("workers")
    until(lambda: seen.exists() and lines_of(seen) >= count, process)
    return [int(pid) for pid in seen.read_text().split()]


def lines_of(path: Path) -> int:
    """How many lines are there as a whole."""
    return path.read_text().count("\n")


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_is_a_wrong_number_refused(number: str) -> None:
    """Is there at least one process?"""
    assert run("run", "rw.yaml", "--jobs", number).exit_code == 2
