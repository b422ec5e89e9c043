"""Which exit code, and does every failure say why, without a traceback?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from swaptrace.cli import replays
from swaptrace.errors import SwaptraceError
from swaptrace.replay import engine
from tests.commandline import LOST, READ_WRITE, run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    (tmp_path / "wrong.yaml").write_text(READ_WRITE.replace("majflt: 4}", "majflt: 3}"))
    return tmp_path


def test_is_it_0_when_all_expectations_hold() -> None:
    result = run("run", "rw.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "expect: 4 of 4 hold" in result.stdout


@pytest.mark.parametrize("command", ["run", "compare"])
def test_is_it_1_when_an_expectation_fails(command: str) -> None:
    result = run(command, "wrong.yaml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "expect: back_in, prepatch: majflt is 4, expected 3" in result.stdout
    assert "expect: 2 of 4 hold" in result.stdout


@pytest.mark.parametrize("options", [["--format", "json"], ["--output", "out.txt"]])
def test_is_the_failed_expectation_told_where_no_table_tells_it(options: list[str]) -> None:
    result = run("run", "wrong.yaml", "--policies", "new", *options)
    assert result.exit_code == 1
    assert result.stderr == "expect: read-write: back_in, final: majflt is 4, expected 3\n"


def test_is_an_expectation_checked_only_of_policies_that_run() -> None:
    assert run("run", "wrong.yaml", "--policies", "rfc").exit_code == 0
    assert "expect:" not in run("run", "wrong.yaml", "--policies", "rfc").stdout


def test_does_a_window_that_never_came_count_as_zero(here: Path) -> None:
    text = READ_WRITE.replace("back_in:\n    prep", "total:\n    prep")
    (here / "total.yaml").write_text(text.replace("minflt: 4, majflt: 4", "wp_copy: 0"))
    result = run("run", "total.yaml", "--policies", "old")
    assert "expect: 1 of 1 hold" in result.stdout


@pytest.mark.parametrize(
    ("scenario", "policies", "kinds", "code"),
    [
        ("rw.yaml", "old,new", ["decrease"], 1),
        ("rw.yaml", "old,new", ["increase"], 0),
        ("rw.yaml", "new,old", ["increase"], 1),
        ("rw.yaml", "new,old", ["decrease", "violation"], 0),
        ("rw.yaml", "new,rfc", ["change"], 1),
        ("rw.yaml", "new,rfc", ["increase", "decrease"], 0),
        ("rw.yaml", "final,merged", ["change", "violation"], 0),
        ("lost.yaml", "final,merged,simple", ["violation"], 1),
        ("lost.yaml", "simple,final", ["violation"], 0),
        ("lost.yaml", "simple,final", ["any-violation"], 1),
        ("lost.yaml", "simple,prepatch,final", ["violation"], 0),
        ("lost.yaml", "final,prepatch", ["any-violation"], 0),
        ("lost.yaml", "final,rfc", ["violation"], 0),
        ("rw.yaml", "old,new", [], 0),
    ],
)
def test_what_fail_on_calls_a_failure(
    scenario: str, policies: str, kinds: list[str], code: int
) -> None:
    options = [word for kind in kinds for word in ("--fail-on", kind)]
    result = run("compare", scenario, "--policies", policies, *options)
    assert result.exit_code == code, result.output
    assert ("--fail-on" in result.stderr) == (code == 1)


def test_does_a_failure_name_the_counter_and_both_policies() -> None:
    result = run("compare", "rw.yaml", "--policies", "old,new", "--fail-on", "decrease")
    assert result.stderr.splitlines()[0] == (
        "--fail-on decrease: read-write: back_in: minflt 4 under prepatch, 0 under final"
    )
    result = run("compare", "lost.yaml", "--policies", "final,simple", "--fail-on", "violation")
    assert result.stderr == (
        "--fail-on violation: lost: lost_soft_dirty under simple in step 5, line 10\n"
    )


def test_is_a_bug_that_both_policies_share_no_failure_of_the_new_one() -> None:
    """Does the bundled set pass where the kernel's own bug is all that is broken?"""
    shared = ("compare", "madv-free-after-fork", "--policies", "prepatch,final", "--fail-on")
    assert run(*shared, "violation").exit_code == 0
    every = run(*shared, "any-violation")
    assert every.exit_code == 1
    assert [line.split(" under ")[1].split()[0] for line in every.stderr.splitlines()] == [
        "prepatch",
        "final",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "rw.yaml", "--format", "yaml"],
        ["run", "rw.yaml", "--fail-on", "change"],
        ["compare", "rw.yaml", "--fail-on", "anything"],
        ["check"],
        ["nothing"],
        ["--nothing"],
    ],
)
def test_is_it_2_when_the_command_line_is_wrong(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def test_is_it_2_and_nothing_printed_when_the_kernel_says_another_errno(here: Path) -> None:
    (here / "errno.yaml").write_text(
        "steps:\n  - mmap: buf\n    size: 16KiB\n  - munmap: buf\n    errno: EINVAL\n"
    )
    result = run("run", "rw.yaml", "errno.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("errno.yaml:4:")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SwaptraceError("this is wrong"), 2, "Error: this is wrong\n"),
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 2, "Error: not enough memory for this\n"),
        (RecursionError(), 2, "Error: the input is nested too deeply\n"),
        (OSError(5, "Input/output error"), 2, "Error: [Errno 5] Input/output error\n"),
        (SwaptraceError("\x1b[31mred"), 2, "Error: \\x1b[31mred\n"),
    ],
)
def test_what_an_exception_in_the_middle_becomes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def replay(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(engine, "replay", replay)
    result = run("run", "rw.yaml", "--output", "out.txt")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", message)
    assert not Path("out.txt").exists()


def test_does_a_fault_of_our_own_ask_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "stdin", lambda *_: 1 / 0)
    result = run("run", "rw.yaml")
    assert result.exit_code == 2
    assert "internal error: ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("SWAPTRACE_TRACEBACK", "1")
    assert isinstance(run("run", "rw.yaml").exception, ZeroDivisionError)
