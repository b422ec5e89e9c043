"""What comes from strangers is read in time and obeyed by nobody: neither a terminal, nor a
spreadsheet, nor TeX."""

from __future__ import annotations

import csv
import json
import os
import signal
from io import StringIO
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.workers import elsewhere
from swaptrace.importers import perf
from swaptrace.result.jsonfile import parse
from swaptrace.terminal import output
from tests.commandline import READ_WRITE, run
from tests.importers.logs import blocks_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    return tmp_path


def test_the_source_of_a_policy_sends_nothing_to_a_terminal(here: Path) -> None:
    """Are control characters shown as what they are, in Python and in C?"""
    (here / "mine.py").write_text(
        "from swaptrace.mm.policy import Policy\nclass Mine(Policy):\n"
        "\ttitle = '\x1b]0;evil\x07'\n\torigin = 'here'\n",
        newline="\r\n",
    )
    shown = run("policies", "mine.py").stdout
    assert "\ttitle = '\\x1b]0;evil\\x07'\n" in shown
    (here / "mine.c").write_text("/* \x1b[2J */\npte = pte_mkyoung(pte);\n")
    assert "\x1b" not in run("policies", "mine.c").output


def test_no_cell_of_csv_is_a_formula(here: Path) -> None:
    """Has a name that begins as one an apostrophe before it, and no number?"""
    for name in ("=cmd|' /C calc'!A0", "+1+2", "-2+3", "@SUM(1)"):
        (here / "rw.yaml").write_text(
            READ_WRITE.replace("name: read-write", f"name: {json.dumps(name)}")
        )
        for words in (["run"], ["compare", "--policies", "old,new"]):
            found = run(*words, "rw.yaml", "--format", "csv").stdout
            rows = list(csv.reader(StringIO(found)))
            assert rows[1][0] == f"'{name}"
            assert not [cell for row in rows[1:] for cell in row[1:] if cell.startswith("'")]
    assert any(cell.startswith("-") for row in rows for cell in row), "a difference is a number"


@pytest.mark.parametrize(
    "amount", ["1e999999999%", "1e5", "nan", "inf", "-1", "9" * 30, "1" * 5000]
)
def test_a_threshold_is_a_number_of_some_digits(amount: str) -> None:
    """Is any other refused where the option is parsed?"""
    words = ["--policies", "old,new", "--fail-on", "increase"]
    result = run("compare", "rw.yaml", *words, "--threshold", f"minflt={amount}")
    assert result.exit_code == 2
    assert "minflt: " in result.stderr
    assert "is not a number from 0 on" in result.stderr


def test_a_number_in_json_is_one_that_is_counted() -> None:
    """Is a count of four thousand digits told, in a short message?"""
    root = parse(f'{{"schema": "a/1", "n": {"9" * 4000}, "m": {1 << 62}}}', "file", "a/1")
    assert root.key("m").count() == 1 << 62
    with pytest.raises(SwaptraceError, match="n: must be a whole number of at most") as caught:
        root.key("n").count()
    assert len(str(caught.value)) < 100


def test_many_keys_twice_are_told_as_fast_as_one() -> None:
    """Is the work in proportion to the file? (Once for each pair, this would take a minute.)"""
    keys = [f'"k{n}": 1' for n in range(60_000)]
    with pytest.raises(SwaptraceError, match="the key 'k59999' stands twice"):
        parse(f"{{{', '.join([*keys, keys[-1]])}}}", "file", "a/1")


def test_many_unknown_policies_are_told_in_some_lines(here: Path) -> None:
    """Are the first ones told one by one, and of the rest how many?"""
    expected = "".join(f"    p{n}: {{minflt: 0}}\n" for n in range(10_000))
    text = READ_WRITE.partition("expect:")[0]
    (here / "rw.yaml").write_text(f"{text}expect:\n  total:\n{expected}")
    result = run("check", "rw.yaml")
    assert result.exit_code == 2
    assert result.stderr.count("no policy") == 100
    assert "and 9900 policies more" in result.stderr


def test_a_line_of_spaces_is_no_sample() -> None:
    """Is a perf log read in time that is in proportion to it?"""
    spaces = b" " * 200_000
    text = b"a 1 2.5: page-faults: 7f10000" + b"\n" + spaces + b"x\na" + spaces + b"1 2.5: b x\n"
    found = [perf.parse(block) for block in blocks_of(text)]
    assert sum(len(each.page) for each in found) == 1
    assert sum(len(each.others) for each in found) == 2


def test_a_picture_takes_no_settings_from_where_it_is_drawn(here: Path) -> None:
    """Does a matplotlibrc have no TeX run, and are names no mathematics?"""
    pytest.importorskip("matplotlib")
    (here / "matplotlibrc").write_text("text.usetex: True\nsavefig.facecolor: red\n")
    (here / "rw.yaml").write_text(
        'name: "$\\\\frac{$ _x"\nsteps:\n- {mmap: a, size: 64KiB}\n'
        "- {access: a, pattern: uniform, count: 9, seed: 1, write_share: 1}\n"
    )
    result = run("run", "rw.yaml", "--plot", "a.svg", "--policies", "final")
    assert result.exit_code == 0, result.stderr
    assert "$\\frac{$ _x" in (here / "a.svg").read_text()


def test_a_worker_that_was_killed_is_told() -> None:
    """Whether it is asked something, or should answer?"""

    class Service:
        def number(self) -> int:
            return os.getpid()

    with elsewhere(Service()) as worker:
        worker.ask("number")
        pid = worker.answer()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        for question in (lambda: worker.ask("number"), worker.answer):
            with pytest.raises(SwaptraceError, match="a process of the exploration was killed"):
                question()


def test_what_is_being_done_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """May a name have brackets in it?"""
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(output, "PATIENCE", -1.0)
    with output.status() as tell:
        tell("[/nothing] [link=x]")
    assert "[/nothing] [link=x]" in terminal.getvalue()


def test_whatever_goes_wrong_in_a_log_is_an_error_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what nobody has thought of, with the file and the line?"""

    def stumble(_block: object) -> None:
        raise IndexError("list index out of range")

    for fmt in ("lackey", "perf", "drmemtrace"):
        monkeypatch.setattr(f"swaptrace.importers.{fmt}.parse", stumble)
        (here / "log").write_text("anything\n")
        result = run("import", fmt, "log", "-o", "out")
        assert result.exit_code == 2
        assert "log:1:1: the log is not understood from here on (list index" in result.stderr
        assert not (here / "out").exists()
