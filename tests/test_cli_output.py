"""Is the output the same bytes every time, in the right place, whole or not at all?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from swaptrace import __version__
from swaptrace.cli.program import COMMANDS
from swaptrace.result.result import from_json, to_json
from tests.commandline import LOST, READ_WRITE, run
from tests.goldens import check_golden


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "lost.yaml").write_text(LOST)
    return tmp_path


OUTPUTS = {
    "run.txt": ["run", "rw.yaml", "lost.yaml", "--policies", "old,simple,new"],
    "run.json": ["run", "rw.yaml", "--steps", "--pages", "--format", "json"],
    "run-details.txt": ["run", "lost.yaml", "--steps", "--pages", "--policies", "simple"],
    "compare.txt": ["compare", "rw.yaml", "lost.yaml", "--policies", "old,simple,new"],
    "compare-two.txt": ["compare", "rw.yaml", "--policies", "old,new"],
    "explain.txt": ["explain", "lost.yaml", "--policy", "simple"],
    "explain-step.json": ["explain", "rw.yaml", "--step", "3.0", "--format", "json"],
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_does_a_command_print_what_it_did(request: pytest.FixtureRequest, name: str) -> None:
    result = run(*OUTPUTS[name])
    assert result.stderr == ""
    check_golden(request, f"cli/{name}", result.stdout.replace(f'"{__version__}"', '"VERSION"'))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_does_the_help_fit_80_columns(command: str) -> None:
    words = [command] if command else []
    result = run(*words, "-h")
    assert result.exit_code == 0
    assert result.output == run(*words, "--help").output
    assert all(len(line) <= 80 for line in result.output.splitlines())
    examples = [line for line in result.output.splitlines() if line.startswith("  swaptrace ")]
    assert len(examples) > 1, "each example on a line of its own"


def test_do_the_commands_come_in_the_order_of_their_use() -> None:
    commands = run("-h").output.partition("Commands:\n")[2]
    names = [line.split()[0] for line in commands.splitlines()]
    assert names == [
        *("run", "compare", "sweep", "watch", "diff", "explore", "graph", "explain", "check"),
        *("emit-c", "verify", "import", "record", "policies", "scenarios", "counters", "schema"),
    ]


def test_what_version_says() -> None:
    assert run("--version").output == f"swaptrace {__version__}\n"


def test_is_the_json_the_result_and_the_same_every_time() -> None:
    command = ["run", "rw.yaml", "lost.yaml", "--format", "json", "--steps", "--pages"]
    text = run(*command).stdout
    assert to_json(from_json(text)) == text
    assert run(*command).stdout == text
    assert run(*command, "--output", "-").stdout == text


@pytest.mark.parametrize("fmt", ["json", "table"])
def test_is_a_file_what_standard_output_would_be(here: Path, fmt: str) -> None:
    command = ["run", "rw.yaml", "--format", fmt]
    result = run(*command, "--output", "out")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert (here / "out").read_text() == run(*command).stdout
    assert sorted(os.listdir(here)) == ["lost.yaml", "out", "rw.yaml"]


def test_are_mode_and_link_of_a_replaced_file_kept(here: Path) -> None:
    (here / "old").write_text("before")
    (here / "old").chmod(0o640)
    (here / "link").symlink_to("old")
    assert run("run", "rw.yaml", "--output", "link").exit_code == 0
    assert (here / "link").is_symlink()
    assert "back_in" in (here / "old").read_text()
    assert stat.S_IMODE((here / "old").stat().st_mode) == 0o640


def test_does_a_new_file_have_the_usual_mode(here: Path) -> None:
    (here / "made-by-open").touch()
    run("run", "rw.yaml", "--output", "made-by-swaptrace")
    modes = {(here / f"made-by-{by}").stat().st_mode for by in ("open", "swaptrace")}
    assert len(modes) == 1


def test_does_a_wrong_input_leave_the_file_as_it_was(here: Path) -> None:
    (here / "out").write_text("before")
    assert run("run", "rw.yaml", "none.yaml", "--output", "out").exit_code == 2
    assert (here / "out").read_text() == "before"


def test_does_a_write_that_fails_leave_nothing_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (here / "out").write_text("before")
    monkeypatch.setattr(os, "replace", replace)
    result = run("run", "rw.yaml", "--output", "out")
    assert result.exit_code == 2
    assert result.stderr == "Error: cannot write to out: No space left on device\n"
    assert (here / "out").read_text() == "before"
    assert sorted(os.listdir(here)) == ["lost.yaml", "out", "rw.yaml"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "--output .: is a directory; name a file in it"),
        ("no/out", "--output no/out: there is no directory "),
        ("rw.yaml/out", "--output rw.yaml/out: there is no directory "),
        ("/dev/full", "cannot write to /dev/full: No space left on device"),
        ("\x1b/x", "--output \\x1b/x: there is no directory "),
        ("x" * 300, "cannot write to "),
    ],
)
def test_is_a_file_that_cannot_be_written_told(path: str, message: str) -> None:
    result = run("run", "rw.yaml", "--output", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_is_a_device_written_to_and_not_replaced() -> None:
    assert run("run", "rw.yaml", "--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_are_colours_there_only_when_asked_for() -> None:
    command = ["run", "lost.yaml", "--policies", "simple"]
    assert "\x1b" not in run(*command).stdout
    assert "\x1b" not in run(*command, "--color", "never").stdout
    assert "\x1b[31mviolation: lost_soft_dirty" in run(*command, "--color", "always").stdout


@pytest.mark.parametrize(
    ("name", "value"), [("COLUMNS", "20"), ("FORCE_COLOR", "1"), ("TERM", "dumb")]
)
def test_does_the_environment_change_nothing_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    plain = run("run", "rw.yaml", "--steps").stdout
    monkeypatch.setenv(name, value)
    assert run("run", "rw.yaml", "--steps").stdout == plain
