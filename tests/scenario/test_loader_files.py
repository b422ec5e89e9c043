"""Which files are read at all?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from swaptrace.errors import ScenarioError
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.source import MAX_BYTES, MAX_REPORTED

GOOD = "steps: [clear_refs: soft_dirty]\n"


def error_of(path: str | Path) -> str:
    """What the loader says of a path."""
    with pytest.raises(ScenarioError) as raised:
        load_file(str(path))
    return str(raised.value)


def test_a_file_is_named_by_its_stem(tmp_path: Path) -> None:
    """Does a scenario without a name have that of its file, and keep the path as given?"""
    path = tmp_path / "read.then-write.yaml"
    path.write_text(GOOD)
    scenario = load_file(str(path), {"machine.kernel": "6.10"})
    assert (scenario.name, scenario.file) == ("read.then-write", str(path))
    assert scenario.machine.kernel == "6.10"


def test_a_name_from_the_file_system_is_safe_to_print(tmp_path: Path) -> None:
    """Can the name of a file send an escape sequence to the terminal?"""
    path = tmp_path / "\x1b[31mred.yaml"
    path.write_text(GOOD)
    assert load_file(str(path)).name == r"\x1b[31mred"
    path.write_text("steps: 3\n")
    assert "\x1b" not in error_of(path)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    """Is it said what stands there, without reading from it?"""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert error_of(tmp_path / "socket").endswith("this is a socket, not a scenario file")
    assert error_of(tmp_path).endswith("this is a directory, not a scenario file")
    assert "this is a FIFO (`-` reads standard input)" in error_of(tmp_path / "fifo")
    assert error_of("/dev/zero") == "/dev/zero:1:1: this is a device, not a scenario file"


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    """Does the message say why the system refuses?"""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert error_of(tmp_path / "none.yaml").endswith("cannot be read: No such file or directory")
    assert error_of("").endswith("cannot be read: No such file or directory")
    assert "Too many levels" in error_of(tmp_path / "loop")
    assert error_of(tmp_path / "file" / "x").endswith("cannot be read: Not a directory")
    assert error_of("x" * 5000).endswith("cannot be read: File name too long")
    assert error_of("a\0b") == r"a\x00b:1:1: cannot be read: no file can have this name"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a refused open reported as any other? (Whoever runs the tests may read every file.)"""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.yaml"
    path.write_text(GOOD)
    monkeypatch.setattr("os.open", refuse)
    assert error_of(path).endswith("secret.yaml:1:1: cannot be read: Permission denied")


def test_no_file_is_too_large_by_a_byte(tmp_path: Path) -> None:
    """Is the limit where it says, and does nobody look at a file beyond it?"""
    path = tmp_path / "large.yaml"
    path.write_text(GOOD + "#" * (MAX_BYTES - len(GOOD)))
    assert load_file(str(path)).steps
    path.write_text(GOOD + "#" * (MAX_BYTES - len(GOOD) + 1))
    assert error_of(path) == f"{path}:1:1: too large: a scenario file has at most 4MiB"
    with path.open("r+") as file:
        file.truncate(1 << 40)
    assert "too large" in error_of(path)


def test_only_so_many_problems_are_reported() -> None:
    """Does a file full of mistakes end with how many more there are?"""
    with pytest.raises(ScenarioError) as raised:
        load_text("steps:\n" + "- read: buf\n" * (MAX_REPORTED + 7))
    problems = raised.value.problems
    assert len(problems) == MAX_REPORTED + 1
    assert problems[-1].message == "… and 7 more, of which this is the first"
    assert problems[-1].line == MAX_REPORTED + 2


def test_an_override_cannot_reach_the_terminal_either() -> None:
    """Are control characters of the command line escaped, and does the caret stay right?"""
    with pytest.raises(ScenarioError) as raised:
        load_text(GOOD, overrides={"machine.\x1b[2J": "a\nb", "machine.kernel": "\x1b[31m"})
    assert str(raised.value).splitlines()[-2:] == [
        r"    machine.kernel=\x1b[31m",
        "                   ^",
    ]
    assert all(line.isprintable() for line in str(raised.value).split("\n"))
