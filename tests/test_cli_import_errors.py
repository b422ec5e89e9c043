"""Does `import` refuse what is wrong, say where it is, and leave nothing?"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from swaptrace.importers.accesses import MOST_PAGES
from swaptrace.replay.runs.walk import MAX_LISTED
from tests.commandline import run
from tests.importers.logs import LACKEY


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.log").write_bytes(LACKEY)
    return tmp_path


WRONG = {
    "malformed": (b" L 00001000,8\n L 1000\n", "log:2:1: this is no access as lackey prints them"),
    "cut off": (b" L 00001000,8\n L 0000", "log:2:1: the log ends within this line"),
    "foreign": (b"Hello\nWorld\n", "log: no line is an access, as ' L 1ffefff588,8'; was it made"),
    "empty": (b"", "log: no line is an access"),
    "damaged": (b"\x1f\x8b\x08\x00nonsense", "log: the compressed data are damaged or cut off"),
    "kernel": (b" L ffffffff81000000,8\n", "no access is to memory that a program can have: 1 to"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_log_is_told_and_leaves_nothing(here: Path, case: str) -> None:
    """With file and line, and no directory behind?"""
    text, message = WRONG[case]
    (here / "log").write_bytes(text)
    result = run("import", "lackey", "log", "-o", "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(os.listdir()) == ["log", "some.log"]


@pytest.mark.parametrize(
    ("fmt", "text", "message"),
    [
        ("perf", "a 1 2.5: cycles: 7f10\n", "log:1:1: event 'cycles' is no access"),
        ("perf", f"a 1 2.5: {'e' * 999}: 7f10\n", f"log:1:1: event '{'e' * 39}…' is no access"),
        ("perf", "# a header\n", "log: no line is an access"),
        ("drmemtrace", "1 1: 4 read 8\n", "log: no line is an access"),
        ("csv", "addr,write\n1,1\n", "log:1:1: 'addr' is no column; did you mean 'address'?"),
        ("csv", "address,page\n1,1\n", "log:1:1: the header must be address,write or page,write"),
        ("csv", "page,write\n1,1\n2\n", "log:3:1: a row has 2 fields"),
        ("csv", "page,write\n1,1\n2\n3,4,5\n", "log:3:1: a row has 2 fields"),
        ("csv", "page,write\n1,2\n", "log:2:1: write is 2; it is 0 or 1"),
        ("csv", "page,write\n-1,1\n", "log:2:1: page: '-1' is no number"),
        ("csv", "page,write\n1.5,1\n", "log:2:1: page: '1.5' is no number"),
        ("csv", "page,write\n,1\n", "log:2:1: page: '' is no number"),
        ("csv", "page,write\n", "log: no line is an access"),
        ("csv", "page,write\n1,1\n4294967296,0\n", "log:3:1: page is 4294967296; the pages of"),
        (
            "csv",
            "address,write\n0x1000,1\n",
            "no access is to memory that a program can have: 1 to addresses below 64 KiB",
        ),
    ],
)
def test_a_wrong_log_of_another_format_is_told(
    here: Path, fmt: str, text: str, message: str
) -> None:
    """With the line, and what would be right?"""
    (here / "log").write_text(text)
    result = run("import", fmt, "log", "-o", "out")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("lackey none.log -o out", "none.log: No such file or directory"),
        ("lackey some.log --strace none -o out", "none: No such file or directory"),
        ("lackey some.log --strace some.log -o out", "some.log: no line is a system call"),
        ("perf some.log --strace some.log -o out", "--strace goes with lackey; perf is imported"),
        ("lackey - --strace - -o out", "-: standard input can be read only once"),
        ("lackey some.log -o no/out", "-o no/out: there is no directory"),
        ("lackey some.log -o some.log", "-o some.log: is no directory"),
        ("lackey some.log -o out --name a/b", "a file's name without a directory"),
        ("lackey some.log", "Missing option '-o'"),
        ("lacky some.log -o out", "'lacky' is not one of 'lackey', 'perf', 'drmemtrace', 'csv'"),
    ],
)
def test_a_wrong_command_line_is_told(words: str, message: str) -> None:
    """Before any work is done?"""
    result = run("import", *shlex.split(words))
    assert result.exit_code == 2
    assert message in result.stderr


def test_more_pages_than_can_be_replayed_are_refused(here: Path) -> None:
    """By the import, not by the run of what it makes?"""
    assert MOST_PAGES == MAX_LISTED
    (here / "a.csv").write_text(f"page,write\n{MOST_PAGES},0\n")
    assert "a.csv:2:1: page is 67108864" in run("import", "csv", "a.csv", "-o", "out").stderr
    (here / "a.csv").write_text(f"page,write\n{MOST_PAGES - 1},0\n")
    assert run("import", "csv", "a.csv", "-o", "out").exit_code == 0


def test_a_name_that_no_terminal_shows_is_refused(here: Path) -> None:
    """Also of a log, whose name the files get?"""
    result = run("import", "lackey", "some.log", "-o", "out", "--name", "a\nb")
    assert result.exit_code == 2
    assert "'a\\nb' has characters that no terminal shows" in result.stderr
    (here / "a\n\x1b.log").write_bytes(LACKEY)
    assert run("import", "lackey", "a\n\x1b.log", "-o", "out").exit_code == 0
    assert run("run", "out", "--policies", "final").exit_code == 0


MALFORMED = [
    "mmap(NULL, 1) = 1",
    "munmap(0x1) = 0",
    "munmap(a, b) = 0",
    "brk(99999999999999999999999) = 0x1",
    "madvise(0x4034000, 4096) = 0",
    "mlock(0x4034000, 08) = 0",
    f"munmap({'1' * 4400}, 1) = 0",
    f"munmap(1, 1) = {'1' * 4400}",
]


@pytest.mark.parametrize("call", MALFORMED)
@pytest.mark.parametrize("between", [False, True])
def test_a_call_with_odd_arguments_is_told(here: Path, call: str, between: bool) -> None:
    """With the file and the line, in either log?"""
    (here / "log").write_bytes(b" L 04034e40,8\n" + call.encode() * between + b"\n" * between)
    (here / "calls").write_bytes(b"+++ exited\n" + call.encode() + b"\n")
    words = [] if between else ["--strace", "calls"]
    result = run("import", "lackey", "log", *words, "-o", "out")
    assert result.exit_code == 2
    assert f"{'log' if between else 'calls'}:2:1: these are no arguments" in result.stderr


def test_a_directory_without_a_name_is_refused(tmp_path: Path) -> None:
    """And nothing is written to the current one instead?"""
    log = tmp_path / "a.lackey"
    log.write_text(" S 10000000,8\n")
    before = sorted(tmp_path.iterdir())
    result = run("import", "lackey", log, "-o", "")
    assert (result.exit_code, "a directory has a name" in result.stderr) == (2, True)
    assert sorted(tmp_path.iterdir()) == before
