"""Does the running kernel say why a job cannot run on it, and does a program that hangs end?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from swaptrace.backends import BACKENDS
from swaptrace.verify import host, swap
from swaptrace.verify.cgroup import NoCgroup
from swaptrace.verify.children import running
from swaptrace.verify.host import Host, execute, existing_backend, in_own_cgroup, unfit
from swaptrace.verify.journal import journal
from swaptrace.verify.place import Ending, Job, JobOutcome
from swaptrace.verify.zram import OwnSwap
from tests.processes import alive, until

HEADER = "Filename\tType\tSize\tUsed\tPriority\n"


def job(binary: Path = Path("/bin/true"), backend: str = "zram", timeout: float = 10) -> Job:
    assert backend in BACKENDS
    return Job("job", binary, backend, 1 << 20, 3, timeout)


class Machine:
    """A machine of files: what swap is active, on what, and whether zswap is on."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        monkeypatch.setattr(swap.active, "__defaults__", (root / "swaps",))
        monkeypatch.setattr(host, "BLOCK", root / "block")
        monkeypatch.setattr(host, "ZSWAP", root / "zswap")
        self.swaps()

    def swaps(self, *devices: str) -> None:
        lines = (f"/dev/{name} partition 1024 0 -2\n" for name in devices)
        (self.root / "swaps").write_text(HEADER + "".join(lines))

    def disk(self, name: str, rotational: int) -> None:
        """A disk, and its first partition, which has no queue of its own."""
        queue = self.root / "devices" / name / "queue"
        queue.mkdir(parents=True)
        (queue / "rotational").write_text(f"{rotational}\n")
        partition = self.root / "devices" / name / f"{name}1"
        partition.mkdir()
        (self.root / "block").mkdir(exist_ok=True)
        (self.root / "block" / name).symlink_to(queue.parent)
        (self.root / "block" / partition.name).symlink_to(partition)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_without_swap_every_job_is_skipped_and_told_how_to_get_one(machine: Machine) -> None:
    machine.swaps()
    (outcome,) = Host().run([job()])
    assert outcome.ending is Ending.SKIPPED
    assert outcome.reason == (
        "no swap area is active; `--setup-zram 256M` makes one for the run (root)"
    )


def test_a_machine_without_swap_has_no_swap_area_active(machine: Machine) -> None:
    """Does a job that wants no swap run where none is active, and only there?"""
    assert [outcome.ending for outcome in Host().run([job(backend="none")])] == [Ending.COMPLETED]
    machine.swaps("zram0")
    (outcome,) = Host().run([job(backend="none")])
    assert outcome.ending is Ending.SKIPPED
    assert outcome.reason == "it wants a machine without swap, and /dev/zram0 is active"


def test_what_the_active_swap_amounts_to(machine: Machine) -> None:
    """Are zram, an SSD, zswap and what is not modelled told apart, partitions included?"""
    machine.disk("sda", rotational=0)
    machine.disk("sdb", rotational=1)
    found = {}
    for names in ("zram0", "sda", "sda1", "sdb1", "sdc", "zram0 sda"):
        machine.swaps(*names.split())
        found[names] = existing_backend()
    assert found == {
        "zram0": "zram",
        "sda": "disk",
        "sda1": "disk",
        "sdb1": "a rotational disk, where read-ahead follows slots",
        "sdc": "a file, of which nothing is known",
        "zram0 sda": "swap areas of several kinds are active: disk, zram",
    }
    (machine.root / "zswap").write_text("Y\n")
    machine.swaps("sda1")
    assert existing_backend() == "zswap"
    machine.swaps("zram0")
    assert existing_backend() == "zswap is on, in front of zram"


@pytest.mark.parametrize(
    ("backend", "existing", "reason"),
    [
        ("zram", "zram", None),
        ("disk", "disk", None),
        ("zram", "disk", "it wants swap on zram, and what is active is disk; `--setup-zram 256M`"),
        ("disk", "zram", "it wants swap on disk, and what is active is zram; try --set"),
        ("zram", "zswap is on, in front of zram", "zswap is on, in front of zram; `--setup-zram"),
    ],
)
def test_swap_must_fit_the_back_end(backend: str, existing: str, reason: str | None) -> None:
    found = unfit(job(backend=backend), existing)
    assert found == reason or (reason is not None and found is not None and reason in found)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("text", "stdout", "ending", "reason"),
    [
        ("echo a", "a\n", Ending.COMPLETED, ""),
        ("echo a; exit 1", "a\n", Ending.COMPLETED, ""),
        ("exit 4", "", Ending.COMPLETED, ""),
        ("exit 3", "", Ending.FAILED, "the program ended with exit code 3"),
        ("echo a; kill -KILL $$", "a\n", Ending.FAILED, "the program was killed by SIGKILL"),
        ("kill -40 $$", "", Ending.FAILED, "the program was killed by signal 40"),
    ],
)
def test_how_a_program_ended(
    tmp_path: Path, text: str, stdout: str, ending: Ending, reason: str
) -> None:
    """Is it told from a program that says itself what is missing?"""
    found = execute(job(script(tmp_path / "program", text)))
    assert found == JobOutcome("job", stdout, ending, reason)


def test_what_a_program_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    """Does nobody wait for a child that holds the output open, and is it gone afterwards?"""
    os.chdir(tmp_path)
    text = "sleep 600 & echo $! > child; echo a"
    assert execute(job(script(tmp_path / "program", text), timeout=600)).stdout == "a\n"
    until_gone(tmp_path / "child")


def test_what_was_killed_here_did_not_end_by_itself() -> None:
    """Is it remembered who ended a program, however often it is asked to end?"""
    with running(["sleep", "600"]) as hanging:
        hanging.kill()
        hanging.wait()
        hanging.kill()
        assert not hanging.ended_by_itself
    with running(["true"]) as done:
        done.wait()
        done.kill()
        assert done.ended_by_itself


def test_a_program_that_hangs_ends_with_all_its_processes(tmp_path: Path) -> None:
    """Is what it printed kept, and is the process that it started gone as well?"""
    text = "echo before; sleep 600 & echo $! > child; wait"
    os.chdir(tmp_path)
    outcome = execute(job(script(tmp_path / "program", text), timeout=0.5))
    reason = "it did not end within 0.5 seconds (--timeout)"
    assert outcome == JobOutcome("job", "before\n", Ending.NOT_RUN, reason)
    until_gone(tmp_path / "child")


def until_gone(number: Path) -> None:
    """Wait for the end of the process whose number is in a file."""
    child = int(number.read_text())
    until(lambda: not alive(child))


def test_a_job_with_a_memory_limit_is_skipped_where_it_can_have_no_cgroup(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without swap of its own, and where cgroups cannot be made?"""
    machine.swaps("zram0")
    limited = job()._replace(limited="classic")
    (outcome,) = Host().run([limited])
    assert outcome.reason == (
        "its limit takes a memory cgroup: --setup-zram makes one for the run, with swap of "
        "its own (root)"
    )

    def none() -> Path:
        raise NoCgroup("there is none")

    monkeypatch.setattr(host, "hierarchy", none)
    with journal(machine.root / "notes") as notes:
        (outcome,) = Host(OwnSwap(notes), 1 << 20).run([limited])
    assert outcome.ending is Ending.SKIPPED
    assert outcome.reason == "its limit takes a memory cgroup: there is none"


def test_a_program_with_a_memory_limit_is_given_its_cgroup(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its argument; and is it gone afterwards?"""
    program = machine.root / "program"
    program.write_text('#!/bin/sh\necho "$1"; test -d "$1" && echo there\n')
    program.chmod(0o755)
    monkeypatch.setattr(host, "hierarchy", lambda: machine.root)
    with journal(machine.root / "notes") as notes:
        outcome = in_own_cgroup(OwnSwap(notes), job(program)._replace(limited="classic"))
    directory, there = outcome.stdout.splitlines()
    assert (Path(directory).parent, there) == (machine.root, "there")
    assert not Path(directory).exists()
