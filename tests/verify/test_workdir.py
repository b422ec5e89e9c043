"""Does a temporary directory go away, even when its process was killed?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify.workdir import PREFIX, remove_abandoned, work_directory
from tests.processes import begin

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


def test_that_of_a_process_that_was_killed_is_removed(apart: Path) -> None:
    process, left = holder()
    (left / "below").mkdir()
    (left / "below" / "file").touch()
    process.kill()
    process.wait()
    with work_directory() as path:
        assert list(apart.iterdir()) == [path]


def test_nothing_is_killed_for_what_it_is_called(apart: Path) -> None:
    """Does a program go on that runs from a directory that was left behind?"""
    process, left = holder()
    shutil.copy("/bin/sleep", left / "program")
    other = begin([left / "program", "3600"])
    process.kill()
    process.wait()
    with work_directory() as path:
        assert list(apart.iterdir()) == [path]
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(0.2)


EXCHANGE = """\
import itertools, os, sys
name = sys.argv[1]
os.mkdir("directory", 0o700)
os.symlink("victim", "link")
print("begins", flush=True)
for turn in itertools.cycle(["link", "directory"]):
    os.rename(turn, name)
    os.rename(name, turn)
"""
"""Lets a name be a symbolic link and a directory in turn, as fast as that goes."""


def test_a_name_that_others_exchange_hits_nothing(apart: Path) -> None:
    """Is neither a program ended nor a file removed where a link leads to, however often it is
    tried while the name is a link and a directory in turn?"""
    victim = apart / "victim"
    victim.mkdir(0o700)
    shutil.copy("/bin/sleep", victim / "program")
    os.utime(victim, (0, 0))
    program = begin([victim / "program", "3600"])
    command = [sys.executable, "-c", EXCHANGE, f"{PREFIX}0"]
    attacker = begin(command, cwd=apart, stdout=subprocess.PIPE)
    assert attacker.stdout is not None
    attacker.stdout.readline()
    within = os.open(apart, os.O_RDONLY)
    try:
        for _ in range(10_000):
            remove_abandoned(within)
    finally:
        os.close(within)
    assert (program.poll(), attacker.poll()) == (None, None)
    assert (victim / "program").exists()


@pytest.mark.parametrize("kind", ["link", "file", "pipe", "open to all"])
def test_what_is_no_directory_of_ours_is_left_alone(apart: Path, kind: str) -> None:
    path, victim = apart / f"{PREFIX}0", apart / "victim"
    victim.mkdir(0o700)
    (victim / "file").touch()
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "file":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        path.chmod(0o777)
    os.utime(path, (0, 0), follow_symlinks=False)
    with work_directory():
        assert os.path.lexists(path)
        assert (victim / "file").exists()


def test_a_place_where_all_can_exchange_names_is_refused(apart: Path) -> None:
    apart.chmod(0o777)
    with pytest.raises(SwaptraceError, match=r"sticky bit.*TMPDIR"), work_directory():
        pass
    apart.chmod(0o1777)
    with work_directory() as path:
        assert path.stat().st_mode & 0o777 == 0o700


def test_that_of_a_process_that_lives_is_left_alone() -> None:
    process, held = holder()
    with work_directory():
        assert held.is_dir()
    process.terminate()
    process.wait()


def test_one_that_is_just_being_made_is_left_alone(apart: Path) -> None:
    """Is there a moment before the lock is there, and is it not taken for a dead process?"""
    young, old = apart / f"{PREFIX}young", apart / f"{PREFIX}old"
    young.mkdir(0o700)
    old.mkdir(0o700)
    os.utime(old, (0, 0))
    with work_directory():
        assert young.is_dir()
        assert not old.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory to somebody else")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "who"),
    [(65534, 0, 0o700, "user 65534"), (65534, 0, 0o1777, "user 65534"), (0, 65534, 0o770, "group")],
)
def test_a_place_where_somebody_else_can_exchange_names_is_refused(
    apart: Path, owner: int, group: int, mode: int, who: str
) -> None:
    """Its owner, sticky bit or not, or a group?"""
    os.chown(apart, owner, group)
    apart.chmod(mode)
    with pytest.raises(SwaptraceError, match=rf"{who}.* may exchange.*TMPDIR"), work_directory():
        pass
    os.chown(apart, 0, 0)
    apart.chmod(0o770)
    with work_directory():
        pass
