"""Does a baseline hold a run to what was counted before, and never get lost on the way?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import LOST, READ_WRITE, run
from tests.goldens import check_golden

RUN = ("run", "rw.yaml", "lost.yaml", "--policies", "old,new", "--baseline", "b.json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with two scenarios and their baseline."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    made = run(*RUN, "--update-baseline")
    assert (made.exit_code, made.stderr) == (0, "baseline b.json: written\n")
    return tmp_path


def larger() -> None:
    """Change a scenario, so that every value of it doubles."""
    text = READ_WRITE.replace("16KiB", "32KiB").split("expect")[0]
    Path("rw.yaml").write_text(text)


def test_is_the_file_what_it_was(request: pytest.FixtureRequest) -> None:
    """Are the bytes those of the golden file?"""
    check_golden(request, "cli/baseline.json", Path("b.json").read_text())


def test_does_an_unchanged_run_pass() -> None:
    """Is it exit code 0, and said?"""
    result = run(*RUN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "b.json -> this run\n\nno difference: 30 values are equal\n" in result.stdout


def test_does_a_changed_run_fail_with_a_table_and_a_diff(request: pytest.FixtureRequest) -> None:
    """Is the difference shown as a table and as a unified diff of the values?"""
    larger()
    result = run(*RUN)
    assert (result.exit_code, result.stderr) == (1, "")
    check_golden(request, "cli/baseline.txt", result.stdout)


@pytest.mark.parametrize("fmt", ["json", "csv", "github-benchmark", "ktap", "junit"])
def test_is_the_difference_told_by_formats_that_have_no_place_for_it(fmt: str) -> None:
    """Does it go to standard error?"""
    larger()
    result = run(*RUN, "--format", fmt)
    assert result.exit_code == 1
    assert "baseline: read-write: prepatch, total: minflt was 8, is 16\n" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["rw.yaml", "--policies", "old,new"], "lost: the scenario is gone"),
        (["rw.yaml", "lost.yaml", "--policies", "old"], "lost: final: the policy is gone"),
        (["rw.yaml", "lost.yaml", "--policies", "old,new,rfc"], "lost: rfc: the policy is new"),
    ],
)
def test_is_what_is_new_or_gone_a_failure(arguments: list[str], what: str) -> None:
    """Can no scenario and no policy be dropped without notice?"""
    result = run("run", *arguments, "--baseline", "b.json", "--format", "json")
    assert result.exit_code == 1
    assert f"baseline: {what}" in result.stderr


def test_does_updating_accept_what_there_is_now() -> None:
    """Is the file written, what changed said, and the next run good?"""
    larger()
    updated = run(*RUN, "--update-baseline")
    assert updated.exit_code == 0
    assert updated.stderr == "baseline b.json: written; 17 of 30 values differ\n"
    assert run(*RUN).exit_code == 0


def test_does_a_failed_expectation_still_count_while_updating() -> None:
    """Is exit code 1 kept for it?"""
    Path("rw.yaml").write_text(READ_WRITE.replace("majflt: 4}", "majflt: 5}"))
    assert run(*RUN, "--update-baseline").exit_code == 1


@pytest.mark.parametrize("update", [[], ["--update-baseline"]])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, not a baseline"),
        ('{"schema": "swaptrace.baseline/1", "sce', "is cut off in line 1; make it again"),
        ('{"schema": "swaptrace.baseline/2"}', "is swaptrace.baseline/2, from another version"),
        ('{"schema": "swaptrace.result/1"}', "is 'swaptrace.result/1', not a swaptrace baseline"),
        ("precious\n", "is not JSON, as a saved baseline must be"),
    ],
)
def test_is_a_file_that_is_no_baseline_left_as_it_is(
    text: str, message: str, update: list[str]
) -> None:
    """Is it an error also where it would be written over?"""
    Path("b.json").write_text(text)
    result = run(*RUN, *update)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert Path("b.json").read_text() == text


def test_is_a_missing_baseline_an_error() -> None:
    """Does the message say how to make one?"""
    Path("b.json").unlink()
    result = run(*RUN)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: --baseline b.json: no such file; make it with --update-baseline\n"
    )


def test_does_updating_need_a_file() -> None:
    """Is --update-baseline alone a usage error?"""
    result = run("run", "rw.yaml", "--update-baseline")
    assert result.exit_code == 2
    assert "--update-baseline needs --baseline FILE" in result.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [(".", "is a directory; name a file in it"), ("none/b.json", "there is no directory")],
)
def test_is_a_place_that_cannot_be_written_refused_before_the_work(path: str, message: str) -> None:
    """Is it said which option is wrong?"""
    result = run("run", "rw.yaml", "--baseline", path, "--update-baseline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: --baseline {path}: {message}")


def test_does_a_wrong_scenario_leave_the_baseline(here: Path) -> None:
    """Is nothing written if an input is wrong?"""
    before = Path("b.json").read_bytes()
    (here / "rw.yaml").write_text("steps: 1\n")
    assert run(*RUN, "--update-baseline").exit_code == 2
    assert Path("b.json").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == ["b.json", "lost.yaml", "rw.yaml"]
