"""Is a compiler found, and does everyone learn what is missing or wrong?"""

from __future__ import annotations

import signal
import stat
import sys
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify.build import PROBE, Compiler, find_compiler
from tests.commandline import finished, run, start
from tests.effort import some
from tests.processes import alive, completed, until
from tests.verify.test_emit import COMPILERS, needs_compiler


def tool(directory: Path, name: str, text: str) -> Path:
    """An executable of the test's own."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@needs_compiler
def test_a_program_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    compiler = find_compiler(tmp_path)
    assert compiler.command == (COMPILERS[0],)
    binary = compiler.build(PROBE, tmp_path, "program")
    assert completed([binary]).returncode == 0


def test_cc_is_taken_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    fake = tool(tmp_path, "mycc", f'echo "$@" >> {seen}')
    monkeypatch.setenv("CC", f"{fake} --sysroot='/a b'")
    assert find_compiler(tmp_path).command == (str(fake), "--sysroot=/a b")
    assert "-std=c11 -O1" in seen.read_text()


def test_what_cannot_link_statically_links_dynamically(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tool(tmp_path, "mycc", 'case "$*" in *-static*) exit 1; esac')
    monkeypatch.setenv("CC", str(fake))
    assert find_compiler(tmp_path) == Compiler((str(fake),), static=False)


def test_without_a_compiler_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is it an error of the command line, not a scenario that was skipped?"""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    result = run("verify", "read-then-write")
    assert result.exit_code == 2
    assert "a C compiler is needed and there is none: install gcc or clang" in result.stderr
    monkeypatch.setenv("CC", "nocc -m32")
    assert "CC='nocc': there is no such compiler" in run("verify", "read-then-write").stderr


def test_what_a_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tool(tmp_path, "mycc", "echo warm >&2; echo 'x.c: error: no\033 libc' >&2; exit 1")
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(SwaptraceError) as caught:
        find_compiler(tmp_path)
    assert str(caught.value) == f"{fake} failed: x.c: error: no\\x1b libc"


@pytest.mark.parametrize("text", ['gcc "', "gcc 'a", "gcc \\"])
def test_a_command_that_cannot_be_split_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Is CC with a quotation that does not end an error in words?"""
    monkeypatch.setenv("CC", text)
    with pytest.raises(SwaptraceError, match="it is split into words as by a shell"):
        find_compiler(tmp_path)


DRIVER = """\
import os, subprocess, sys
with open("pids", "a") as pids:
    child = subprocess.Popen(["sleep", "3600"])
    pids.write(f"{os.getpid()} {child.pid}\\n")
open(os.path.join(os.environ["TMPDIR"], "intermediate.s"), "w").close()
child.wait()
"""
"""A compiler that never ends: a driver with a child of its own and an intermediate file."""


@pytest.mark.parametrize("number", some([signal.SIGTERM, signal.SIGUSR1], 1))
def test_a_compiler_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """When the program is ended during a compilation: are its processes and files gone?"""
    (tmp_path / "driver.py").write_text(DRIVER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    env = {"CC": f"{sys.executable} {tmp_path / 'driver.py'}", "TMPDIR": str(tmp_path / "tmp")}
    process = start("verify", "read-then-write", env=env)
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and pids.read_text().endswith("\n"), process)
    until(lambda: list((tmp_path / "tmp").glob("*/intermediate.s")), process)
    process.send_signal(number)
    assert finished(process)[0] == 128 + number
    assert [pid for pid in map(int, pids.read_text().split()) if alive(pid)] == []
    assert list((tmp_path / "tmp").iterdir()) == []
