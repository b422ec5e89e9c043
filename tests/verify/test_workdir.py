"""Does a temporary directory go away, even when its process was killed?"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from swaptrace.verify.workdir import PREFIX, work_directory
from tests.processes import PATIENCE, begin

HOLDER = """\
import time
from swaptrace.verify.workdir import work_directory
with work_directory() as path:
    print(path, flush=True)
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def holder() -> tuple[subprocess.Popen[str], Path]:
    """Another process with a directory of its own."""
    process = begin([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_gone_in_the_end(apart: Path) -> None:
    with suppress(ZeroDivisionError), work_directory() as path:
        (path / "file").touch()
        raise ZeroDivisionError
    assert list(apart.iterdir()) == []


def test_that_of_a_process_that_was_killed_is_removed_with_what_runs_there(apart: Path) -> None:
    process, left = holder()
    shutil.copy("/bin/sleep", left / "program")
    child = begin([left / "program", "3600"])
    process.kill()
    process.wait()
    with work_directory() as path:
        assert list(apart.iterdir()) == [path]
    assert child.wait(PATIENCE) == -signal.SIGKILL


def test_that_of_a_process_that_lives_is_left_alone() -> None:
    process, held = holder()
    with work_directory():
        assert held.is_dir()
    process.terminate()
    process.wait()


def test_one_that_is_just_being_made_is_left_alone(apart: Path) -> None:
    """Is there a moment before the lock is there, and is it not taken for a dead process?"""
    young, old = apart / f"{PREFIX}young", apart / f"{PREFIX}old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    with work_directory():
        assert young.is_dir()
        assert not old.exists()
