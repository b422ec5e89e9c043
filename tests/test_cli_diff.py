"""Does `diff` match two saved results, say what is new and gone, and fail as it is told?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from swaptrace.cli.options import FORMATS
from tests.commandline import LOST, READ_WRITE, run
from tests.goldens import check_golden


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two results: of the same scenario under other policies, with one more and one less."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    (tmp_path / "late.yaml").write_text(READ_WRITE.replace("16KiB", "32KiB").split("expect")[0])
    saved("old.json", "rw.yaml", "lost.yaml", "--policies", "old,new")
    os.rename("late.yaml", "rw.yaml")
    saved("new.json", "rw.yaml", "--policies", "old,rfc")
    return tmp_path


def saved(name: str, *arguments: str) -> None:
    assert run("run", *arguments, "--format", "json", "--output", name).exit_code == 0


def test_does_it_print_what_differs(request: pytest.FixtureRequest) -> None:
    """Is what differs shown, equal rows hidden, and what is new or gone said?"""
    result = run("diff", "old.json", "new.json")
    assert (result.exit_code, result.stderr) == (0, "")
    check_golden(request, "cli/diff.txt", result.stdout)


def test_does_all_show_equal_rows() -> None:
    """Are unchanged rows hidden unless asked for?"""
    assert "majflt" not in run("diff", "old.json", "old.json").stdout
    shown = run("diff", "old.json", "old.json", "--all").stdout
    assert "majflt" in shown
    assert shown.splitlines()[-1].startswith("no difference: ")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--fail-on", "increase"], 1),
        (["--fail-on", "decrease"], 0),
        (["--fail-on", "violation"], 0),
        (["--fail-on", "change"], 1),
        (["--fail-on", "increase", "--threshold", "minflt=100%,majflt=4"], 0),
        (["--fail-on", "increase", "--threshold", "minflt=99%,majflt=4"], 1),
        (["--fail-on", "increase", "--threshold", "minflt=100%"], 1),
        (["--fail-on", "increase", "--threshold", "minflt=100%,majflt=4,pswpout=3"], 1),
    ],
)
def test_which_exit_code(options: list[str], code: int) -> None:
    """Does it fail as told, and say why?"""
    result = run("diff", "old.json", "new.json", *options)
    assert result.exit_code == code
    assert bool(result.stderr) == (code == 1)


def test_is_a_new_violation_a_failure_and_an_old_one_none() -> None:
    """Is a broken promise that the old result kept a failure?"""
    saved("kept.json", "lost.yaml", "--policies", "final")
    saved("broken.json", "lost.yaml", "--policies", "simple")
    for name in ("kept.json", "broken.json"):
        text = Path(name).read_text()
        Path(name).write_text(text.replace('"final"', '"mine"').replace('"simple"', '"mine"'))
    broken = run("diff", "kept.json", "broken.json", "--fail-on", "violation")
    assert broken.exit_code == 1
    assert "--fail-on violation: lost: mine: new: lost_soft_dirty" in broken.stderr
    for old, new in (("broken.json", "kept.json"), ("broken.json", "broken.json")):
        assert run("diff", old, new, "--fail-on", "violation").exit_code == 0
    kept = run("diff", "broken.json", "broken.json", "--fail-on", "any-violation")
    assert kept.exit_code == 1
    assert kept.stderr.startswith("--fail-on any-violation: lost: mine: lost_soft_dirty, process ")
    assert run("diff", "broken.json", "kept.json", "--fail-on", "any-violation").exit_code == 0


def test_is_another_machine_said() -> None:
    """Does a result of another machine explain itself?"""
    saved("disk.json", "rw.yaml", "--policies", "old", "--set", "machine.swap.backend=disk")
    shown = run("diff", "new.json", "disk.json").stdout
    assert 'read-write: machine.swap.backend was "zram", is "disk"' in shown


def test_does_the_json_say_the_same() -> None:
    """Is `swaptrace.diff/1` complete?"""
    document = json.loads(run("diff", "old.json", "new.json", "--format", "json").stdout)
    assert document["schema"] == "swaptrace.diff/1"
    assert {"scenario": "lost"} in document["gone"]
    assert {"scenario": "read-write", "policy": "rfc"} in document["added"]
    change = next(each for each in document["changes"] if each["window"] == "total")
    assert change == {
        "scenario": "read-write",
        "policy": "prepatch",
        "window": "total",
        "counter": "minflt",
        "old": 8,
        "new": 16,
        "difference": 8,
        "percent": 100.0,
    }
    everything = run("diff", "old.json", "new.json", "--format", "json", "--all").stdout
    whole = json.loads(everything)
    assert len(whole["changes"]) == len(document["changes"]) + document["equal"]


def test_can_a_baseline_be_diffed() -> None:
    """Is a baseline as good as a result on either side?"""
    run("run", "rw.yaml", "--policies", "old,rfc", "--baseline", "b.json", "--update-baseline")
    assert "no difference" in run("diff", "b.json", "new.json", "--fail-on", "change").stdout
    assert run("diff", "new.json", "b.json", "--fail-on", "change").exit_code == 0


@pytest.mark.parametrize("fmt", FORMATS)
def test_does_every_format_go_to_a_file(fmt: str) -> None:
    """Is the file what standard output would be?"""
    shown = run("diff", "old.json", "new.json", "--format", fmt)
    run("diff", "old.json", "new.json", "--format", fmt, "--output", "out")
    assert Path("out").read_text() == shown.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.json: is empty, not a result"),
        ('{"schema": "swaptrace.result/1", "ver', "bad.json: is cut off in line 1; make it again"),
        ('{"schema": "swaptrace.result/2"}', "bad.json: is swaptrace.result/2, from another vers"),
        ("steps:\n", "bad.json:1:1: is not JSON, as a saved result must be"),
        ('{"schema": "x/1"}', "bad.json: is 'x/1', not a swaptrace result (swaptrace.result/1)"),
    ],
)
def test_is_a_wrong_file_a_clear_error(text: str, message: str) -> None:
    """Is it exit code 2 and a message that names the file, on either side?"""
    Path("bad.json").write_text(text)
    for files in (["bad.json", "new.json"], ["old.json", "bad.json"]):
        result = run("diff", *files, "--output", "out")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"Error: {message}")
        assert not Path("out").exists()


def test_is_a_file_that_cannot_be_read_a_clear_error() -> None:
    """A missing file, a directory, bytes that are no text?"""
    Path("binary").write_bytes(b"\xff\xfe\x00")
    for path, message in (
        ("none.json", "none.json: cannot be read: No such file or directory"),
        (".", ".: cannot be read: it is a directory, not a regular file"),
        ("binary", "binary: is not UTF-8 text"),
    ):
        result = run("diff", "old.json", path)
        assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")


@pytest.mark.parametrize("command", [["compare", "rw.yaml"], ["diff", "old.json", "new.json"]])
def test_is_a_threshold_that_nothing_looks_at_refused(command: list[str]) -> None:
    """Is a threshold without --fail-on, or of no counter, a usage error?"""
    alone = run(*command, "--threshold", "minflt=1")
    assert alone.exit_code == 2
    assert "--threshold needs --fail-on" in alone.stderr
    wrong = run(*command, "--fail-on", "change", "--threshold", "minfault=1")
    assert wrong.exit_code == 2
    assert "there is no counter 'minfault'" in wrong.stderr


def test_does_compare_honour_a_threshold() -> None:
    """Do 16 faults more pass if 16 are allowed?"""
    more = ["compare", "rw.yaml", "--policies", "new,old", "--fail-on", "increase", "--threshold"]
    assert run(*more, "minflt=8").exit_code == 0
    assert run(*more, "minflt=7").exit_code == 1


def test_a_saved_result_that_is_not_decided_is_none_later() -> None:
    """Does `diff` say what was not decided when it was saved, on either side, with exit code 3?"""
    saved = json.loads(Path("old.json").read_text())
    saved["scenarios"][0]["policies"]["prepatch"]["undecided"] = ["more than is known"]
    Path("doubted.json").write_text(json.dumps(saved))
    for names in (("old.json", "doubted.json"), ("doubted.json", "old.json")):
        result = run("diff", *names, "--fail-on", "change")
        assert (result.exit_code, result.stderr) == (
            3,
            "Not decided: doubted.json: prepatch: more than is known\n",
        )
