"""Are options and policies called the same everywhere, and are bundled scenarios at hand?"""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

import swaptrace
from swaptrace import bundled
from swaptrace.cli import main
from swaptrace.cli.program import COMMANDS
from tests.commandline import READ_WRITE, run

MINE = "from swaptrace.policies.final import Final\n\n\nclass Mine(Final):\n    pass\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a policy and a patch in it, and an empty directory to be in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.py").write_text(MINE)
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def names_of(*arguments: str) -> list[str]:
    result = run("run", "read-then-write", "--format", "json", *arguments)
    assert result.stderr == ""
    # JSON sorts the names; the table has them in order.
    return sorted(json.loads(result.stdout)["scenarios"][0]["policies"])


def wrong(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def option(name: str, opt: str) -> click.Parameter | None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return next((each for each in command.params if opt in each.opts), None)


@pytest.mark.parametrize("command", COMMANDS)
def test_options_have_one_name_on_all_commands(command: str) -> None:
    """Is --output -o, and are policies -p, --policies and, hidden, --policy, wherever they are?"""
    output, policies = option(command, "--output"), option(command, "--policies")
    assert output is None or "-o" in output.opts
    assert policies == option(command, "--policy") == option(command, "-p")
    shown = run(command, "--help").stdout
    assert "--policy " not in shown
    assert ("-p, --policies " in shown) == (policies is not None)


def test_the_three_names_of_policies_mean_the_same() -> None:
    """Do both kinds of commands take each of them?"""
    for name in ("-p", "--policy", "--policies"):
        assert names_of(name, "old,new") == ["final", "prepatch"]
        assert "under prepatch" in run("explain", "read-then-write", name, "old").stdout


def test_a_label_stands_for_a_policy_in_the_report() -> None:
    """Is a policy called by its label, also one that is there twice under two labels?"""
    assert names_of("-p", "6.10=old,mine=~/mine.py,b-2=final,final") == [
        "6.10",
        "b-2",
        "final",
        "mine",
    ]
    header = run("compare", "read-then-write", "-p", "before=old,after=new").stdout
    assert "before" in header
    assert "after" in header


def test_a_label_is_no_other_policy_nor_given_twice() -> None:
    """Is a label refused that a reader would take for another policy?"""
    assert "'new' is a policy; use another label" in wrong(
        "run", "read-then-write", "-p", "new=rfc"
    )
    assert "both called 'a'" in wrong("run", "read-then-write", "-p", "a=rfc,a=final")
    assert "no policy 'a/b=rfc'" in wrong("run", "read-then-write", "-p", "a/b=rfc")


def test_a_file_whose_name_looks_like_a_label_is_a_file(tmp_path: Path) -> None:
    """Is x=y.py, if there is one, a policy file?"""
    (tmp_path / "here" / "x=y.py").write_text(MINE)
    assert names_of("-p", "x=y.py") == ["x=y"]


def test_a_path_may_begin_at_home(home: Path) -> None:
    """Is `~/` the home directory in a policy's path, a tree's and a patch's, and from Python?"""
    assert names_of("-p", "~/mine.py") == ["mine"]
    assert f"{home}/linux" in wrong("policies", "kernel:~/linux")
    assert f"{home}/fix.patch" in wrong("policies", "kernel:~/mine.py+~/fix.patch")
    assert swaptrace.run("read-then-write", ["~/mine.py"]).rows()[0]["policy"] == "mine"


def test_run_scenarios_takes_the_bundled_ones_where_there_is_no_such_directory(
    tmp_path: Path,
) -> None:
    """Is the README's `run scenarios` right after an installation, and a directory first?"""

    def files() -> set[str]:
        found = json.loads(run("run", "scenarios", "-p", "final", "--format", "json").stdout)
        return {scenario["file"] for scenario in found["scenarios"]}

    assert files() == {f"scenarios/{name}.yaml" for name in bundled.scenarios()}
    (tmp_path / "here" / "scenarios").mkdir()
    (tmp_path / "here" / "scenarios" / "own.yaml").write_text(READ_WRITE)
    assert files() == {"scenarios/own.yaml"}


def test_a_bundled_scenario_is_printed_as_it_is() -> None:
    """Is it the file's text, and a mistyped name told?"""
    text = bundled.scenarios()["mlock"].read_text()
    assert run("scenarios", "mlock").stdout == text
    assert "did you mean 'mlock'?" in wrong("scenarios", "mlok")


def test_bundled_scenarios_are_copied_and_nothing_is_replaced(tmp_path: Path) -> None:
    """Does --copy make the directory, copy one or all of them, and stop before it overwrites?"""
    assert run("scenarios", "mlock", "--copy", "a/b").exit_code == 0
    assert [path.name for path in (tmp_path / "here" / "a" / "b").iterdir()] == ["mlock.yaml"]
    assert "a/b/mlock.yaml: is there already" in wrong("scenarios", "--copy", "a/b")
    assert len(list((tmp_path / "here" / "a" / "b").iterdir())) == 1
    assert run("scenarios", "--copy", "all").exit_code == 0
    copied = {path.stem: path.read_bytes() for path in (tmp_path / "here" / "all").iterdir()}
    assert copied == {name: path.read_bytes() for name, path in bundled.scenarios().items()}
    (tmp_path / "here" / "file").touch()
    assert "file: cannot be made" in wrong("scenarios", "--copy", "file")


def test_a_misspelt_command_is_told_from_its_neighbours() -> None:
    """Is the nearest command named, or all of them?"""
    assert "there is no command 'rum'; did you mean 'run'?" in wrong("rum")
    assert "there is no command 'zzzz'; valid: check, compare," in wrong("zzzz")
