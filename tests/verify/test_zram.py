"""Is what a killed predecessor left undone, and what belongs to others left alone?"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify import journal, swap, zram
from swaptrace.verify.journal import Entries, Journal, WrittenSetting
from swaptrace.verify.zram import remove, undo
from tests.processes import PATIENCE, begin

OURS, THEIRS = "11" * 16, "22" * 16


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zram device number 3 of files; `done` collects what was done to it."""
    block = tmp_path / "block" / "zram3"
    block.mkdir(parents=True)
    for name in ("dev", "control"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(zram, "BLOCK", tmp_path / "block")
    monkeypatch.setattr(zram, "DEV", tmp_path / "dev")
    monkeypatch.setattr(zram, "CONTROL", tmp_path / "control")
    monkeypatch.setattr(swap.active, "__defaults__", (tmp_path / "swaps",))
    monkeypatch.setattr(swap, "off", lambda device: (tmp_path / "off").write_text(str(device)))
    (tmp_path / "swaps").write_text("Filename Type Size Used Priority\n")
    (block / "disksize").write_text("0\n")
    return tmp_path


def formatted(machine: Path, uuid: str) -> Path:
    """The device, with a swap area of that UUID."""
    (machine / "block" / "zram3" / "disksize").write_text("65536\n")
    device = machine / "dev" / "zram3"
    device.write_bytes(bytes(65536))
    swap.make(device, 32768, bytes.fromhex(uuid))
    return device


def removed(machine: Path) -> bool:
    return (machine / "control" / "hot_remove").exists()


def test_a_device_with_our_area_is_removed(machine: Path) -> None:
    device = formatted(machine, OURS)
    (machine / "swaps").write_text(f"Filename Type Size Used Priority\n{device} p 1 0 9\n")
    remove(3, OURS)
    assert (machine / "off").read_text() == str(device)
    assert (machine / "block" / "zram3" / "reset").read_text() == "1"
    assert (machine / "control" / "hot_remove").read_text() == "3"


def test_a_device_that_was_given_to_somebody_else_since_is_left_alone(machine: Path) -> None:
    before = formatted(machine, THEIRS).read_bytes()
    remove(3, OURS)
    assert not removed(machine)
    assert (machine / "dev" / "zram3").read_bytes() == before
    assert not (machine / "off").exists()


@pytest.mark.parametrize("size", [0, 65536])
def test_a_device_that_was_just_added_is_removed(machine: Path, size: int) -> None:
    """May the program be killed before it has written anything to the device?"""
    (machine / "block" / "zram3" / "disksize").write_text(f"{size}\n")
    (machine / "dev" / "zram3").write_bytes(bytes(65536))
    remove(3, OURS)
    assert removed(machine)


def test_a_device_that_is_not_there_is_no_error(machine: Path) -> None:
    remove(7, OURS)
    assert not removed(machine)


def test_settings_are_put_back_unless_somebody_changed_them_since(machine: Path) -> None:
    mine, theirs = machine / "mine", machine / "theirs"
    mine.write_text("0\n")
    theirs.write_text("5\n")
    notes = Journal(machine / "journal.json")
    settings = {str(mine): WrittenSetting("3", "0"), str(theirs): WrittenSetting("3", "0")}
    notes.write(Entries(settings=settings))
    undo(Journal(machine / "journal.json"))
    assert (mine.read_text(), theirs.read_text()) == ("3", "5\n")
    assert not (machine / "journal.json").exists()


def test_what_was_noted_before_the_machine_was_booted_is_over(machine: Path) -> None:
    notes = Journal(machine / "journal.json")
    notes.write(Entries(3, OURS, {"/x": WrittenSetting("a", "b")}))
    assert Journal(notes.path).entries == notes.entries
    boot = journal.BOOT_ID.read_text().strip()
    notes.path.write_text(notes.path.read_text().replace(boot, "another"))
    assert Journal(notes.path).entries == Entries()


def test_a_damaged_journal_is_told(machine: Path) -> None:
    (machine / "journal.json").write_text("{")
    with pytest.raises(SwaptraceError, match=r"journal\.json is damaged"):
        Journal(machine / "journal.json")


WAITER = """\
import sys
from pathlib import Path
from swaptrace.verify.journal import journal
with journal(Path(sys.argv[1])):
    print("has it")
"""


def test_only_one_at_a_time_holds_the_journal(tmp_path: Path) -> None:
    """Does another one wait, and say so?"""
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiter = begin(
            [sys.executable, "-c", WAITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiter.stderr is not None
        assert "waiting until it ends" in waiter.stderr.readline()
    assert waiter.communicate(timeout=PATIENCE)[0] == "has it\n"


def test_the_header_is_that_of_mkswap() -> None:
    """Magic, version, the last page, the UUID: is each where the kernel looks for it?"""
    page = swap.header(64, bytes.fromhex(OURS))
    assert len(page) == os.sysconf("SC_PAGESIZE")
    assert page[-10:] == b"SWAPSPACE2"
    assert struct.unpack_from("=III", page, 1024) == (1, 64, 0)
    assert page[1036:1052].hex() == OURS


@pytest.mark.skipif(os.geteuid() == 0, reason="root may make a device")
def test_only_root_can_set_swap_up() -> None:
    with pytest.raises(SwaptraceError, match="--setup-zram needs root"), zram.own_swap():
        pass
