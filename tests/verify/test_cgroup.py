"""Is a memory cgroup found, made and removed again, whatever happens, and why can it not be had?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swaptrace.verify import cgroup, zram
from swaptrace.verify.cgroup import NoCgroup, hierarchy, own_cgroup, remove
from swaptrace.verify.journal import Entries, journal
from tests.processes import begin, completed

V1 = "31 28 0:27 / /c/memory rw shared:8 - cgroup cgroup rw,memory\n"


class Machine:
    """Files as in /proc and /sys/fs/cgroup; a blank in the path of the hierarchy, for the worse."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = root / "c group"
        self.place.mkdir()
        self.mounts, self.controllers = root / "mountinfo", root / "cgroups"
        where = str(self.place).replace(" ", "\\040")
        self.mounts.write_text(f"{V1}32 28 0:28 / {where} rw - cgroup2 cgroup2 rw\n")
        self.controllers.write_text("#subsys_name\thierarchy\tnum_cgroups\nmemory\t0\t41\t1\n")
        self.has("memory cpu", "memory")

    def has(self, controllers: str, handed_down: str) -> None:
        (self.place / "cgroup.controllers").write_text(f"{controllers}\n")
        (self.place / "cgroup.subtree_control").write_text(f"{handed_down}\n")

    def hierarchy(self) -> Path:
        return hierarchy(self.mounts, self.controllers)

    def left(self) -> list[str]:
        """The cgroups that there are."""
        return [path.name for path in self.place.iterdir() if path.is_dir()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_hierarchy_with_a_memory_controller_is_found(machine: Machine) -> None:
    assert machine.hierarchy() == machine.place


def test_it_is_told_why_there_can_be_no_memory_cgroup(machine: Machine) -> None:
    machine.has("memory", "cpu")
    with pytest.raises(NoCgroup, match="does not hand its memory controller down"):
        machine.hierarchy()
    machine.has("cpu", "cpu")
    with pytest.raises(NoCgroup, match="the kernel has its memory controller switched off"):
        machine.hierarchy()
    machine.controllers.write_text("memory\t4\t41\t1\n")
    with pytest.raises(NoCgroup, match=r"memory controller is in a cgroup v1 hierarchy, not in"):
        machine.hierarchy()
    (machine.place / "cgroup.controllers").unlink()
    with pytest.raises(NoCgroup, match="No such file"):
        machine.hierarchy()
    machine.mounts.write_text(V1)
    with pytest.raises(NoCgroup, match="no cgroup v2 hierarchy is mounted"):
        machine.hierarchy()


def test_a_cgroup_is_noted_while_it_is_there(machine: Machine) -> None:
    with journal(machine.root / "notes") as notes:
        with own_cgroup(notes, machine.place) as directory:
            assert machine.left() == [directory.name]
            assert notes.entries.cgroup == str(directory)
        assert (machine.left(), notes.entries) == ([], Entries())


def test_it_is_removed_after_an_error(machine: Machine) -> None:
    with journal(machine.root / "notes") as notes:
        with pytest.raises(KeyError), own_cgroup(notes, machine.place):
            raise KeyError
        assert (machine.left(), notes.entries) == ([], Entries())


def test_one_that_cannot_be_made_is_no_longer_noted(machine: Machine) -> None:
    missing = machine.root / "missing"
    with journal(machine.root / "notes") as notes:
        with pytest.raises(NoCgroup, match="no cgroup can be made in"), own_cgroup(notes, missing):
            pass
        assert notes.entries == Entries()


def test_one_that_something_stays_in_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is that not passed over, nor waited for without end?"""
    monkeypatch.setattr(cgroup, "PATIENCE", 0.0)
    monkeypatch.setattr(Path, "rmdir", lambda _: os.rmdir("/"))  # EBUSY
    with pytest.raises(OSError, match="busy"):
        remove(machine.place)


KILLED = """\
import os, signal, sys
from pathlib import Path
from swaptrace.verify.cgroup import own_cgroup
from swaptrace.verify.journal import journal
number, count = int(sys.argv[1]), 0
def killed(call):
    def replacement(*arguments, **options):
        global count
        count += 1
        if 2 * count - 1 == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        if 2 * count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return replacement
with journal(Path(sys.argv[2])) as notes:
    os.replace, os.mkdir, os.rmdir, os.unlink = map(
        killed, (os.replace, os.mkdir, os.rmdir, os.unlink)
    )
    with own_cgroup(notes, Path(sys.argv[3])):
        pass
"""


@pytest.mark.parametrize("number", range(1, 10))
def test_killed_at_any_step_the_next_run_removes_it(machine: Machine, number: int) -> None:
    """The note, the directory, its removal, the note's: before and after each, and not at all."""
    notes = machine.root / "notes"
    command = [sys.executable, "-c", KILLED, str(number), str(notes), str(machine.place)]
    done = completed(command)
    assert done.returncode == (-signal.SIGKILL if number < 9 else 0), done.stderr
    with journal(notes) as found:
        zram.undo(found)
        assert (machine.left(), found.entries) == ([], Entries())


def unified() -> Path | None:
    """The real hierarchy, with a memory controller or not, if cgroups can be made there."""
    try:
        place = cgroup._mounted(cgroup.MOUNTS)
    except NoCgroup:
        return None
    return place if os.access(place, os.W_OK) and os.geteuid() == 0 else None


@pytest.mark.skipif(unified() is None, reason="cgroups (v2) can be made only by root")
def test_what_is_in_a_real_cgroup_is_killed(tmp_path: Path) -> None:
    """May a process be left in it?"""
    place = unified()
    assert place is not None
    sleeper = begin(["sleep", "1000"], stdout=subprocess.DEVNULL)
    with journal(tmp_path / "notes") as notes:
        with own_cgroup(notes, place) as directory:
            (directory / "cgroup.procs").write_text(str(sleeper.pid))
        assert not directory.exists()
    assert sleeper.wait() == -signal.SIGKILL
