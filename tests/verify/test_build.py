"""Is a compiler found, and does everyone learn what is missing or wrong?"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify.build import PROBE, Compiler, find_compiler
from tests.commandline import run
from tests.processes import completed
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
