"""Which scenarios and policies does a command line mean, and what if there are no such?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swaptrace import bundled
from tests.commandline import LOST, READ_WRITE, run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in, and one bundled scenario, `shipped`."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "shipped.yaml").write_text(READ_WRITE)
    monkeypatch.setattr(bundled, "directory", lambda: tmp_path / "package")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def files_of(*arguments: str) -> list[tuple[str, str]]:
    result = run("run", "--policies", "final", "--format", "json", *arguments)
    assert result.stderr == ""
    return [(s["name"], s["file"]) for s in json.loads(result.stdout)["scenarios"]]


def wrong(*arguments: str, stdin: str | None = None) -> str:
    """The message of a command line that is refused, with nothing on standard output."""
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_do_results_come_in_the_order_given(here: Path) -> None:
    (here / "some").mkdir()
    for name in ("some/b.yaml", "some/a.yaml", "some/c.txt", "z.yaml"):
        (here / name).write_text(LOST)
    assert files_of("z.yaml", "some", "shipped", "./z.yaml", "some/") == [
        ("z", "z.yaml"),
        ("a", "some/a.yaml"),
        ("b", "some/b.yaml"),
        ("read-write", "scenarios/shipped.yaml"),
        ("z", "./z.yaml"),
        ("a", "some/a.yaml"),
        ("b", "some/b.yaml"),
    ]


def test_is_a_file_preferred_to_a_bundled_scenario_of_its_name(here: Path) -> None:
    (here / "shipped").write_text(LOST)
    assert files_of("shipped") == [("shipped", "shipped")]


def test_is_a_dash_standard_input() -> None:
    result = run("run", "-", "--policies", "final", "--format", "json", stdin=LOST)
    scenario = json.loads(result.stdout)["scenarios"][0]
    assert (scenario["name"], scenario["file"]) == ("stdin", "<stdin>")
    assert "<stdin>:1:1" in wrong("check", "-", stdin="")
    assert "standard input can be read only once" in wrong("run", "-", "-", stdin=LOST)


def test_does_compare_without_a_scenario_take_those_here_or_the_bundled(here: Path) -> None:
    def compared() -> list[str]:
        result = run("compare", "--format", "json", "--policies", "old,new")
        return [scenario["file"] for scenario in json.loads(result.stdout)["scenarios"]]

    (here / "shipped").write_text("not meant")
    assert compared() == ["scenarios/shipped.yaml"]
    (here / "scenarios").mkdir()
    assert "scenarios: the directory has no *.yaml in it" in wrong("compare")
    (here / "scenarios" / "mine.yaml").write_text(READ_WRITE)
    assert compared() == ["scenarios/mine.yaml"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("shiped", "no file, directory or bundled scenario 'shiped'; did you mean 'shipped'?"),
        ("good.yml", "good.yml: no such file; did you mean 'good.yaml'?"),
        ("no/where.yaml", "no/where.yaml: no such file, nor a directory 'no'"),
        ("empty", "empty: the directory has no *.yaml in it\n"),
        ("other", "other: the directory has no *.yaml in it; rename x.yml to .yaml"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\x1b[31m.yaml", "a\\x1b[31m.yaml: no such file"),
    ],
)
def test_does_a_scenario_that_is_not_there_get_a_hint(
    here: Path, argument: str, message: str
) -> None:
    (here / "good.yaml").write_text(LOST)
    (here / "empty").mkdir()
    (here / "other").mkdir()
    (here / "other" / "x.yml").write_text(LOST)
    assert message in wrong("run", argument)


def test_is_everything_wrong_in_every_file_told_at_once(here: Path) -> None:
    (here / "good.yaml").write_text(LOST)
    (here / "a.yaml").write_text("steps:\n  - mmap: buf\n  - raed: buf\n")
    (here / "b.yaml").write_text("stepz: []\n")
    for command in ("run", "compare", "check"):
        result = run(command, "a.yaml", "good.yaml", "none.yaml", "b.yaml")
        assert result.exit_code == 2
        for message in ("a.yaml:2", "a.yaml:3", "did you mean 'read'", "none.yaml", "b.yaml:1"):
            assert message in result.stderr
        assert result.stdout == ("good.yaml: ok\n" if command == "check" else "")


def test_does_check_name_every_file_that_is_fine(here: Path) -> None:
    (here / "good.yaml").write_text(LOST)
    result = run("check", "good.yaml", "shipped")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "good.yaml: ok\nscenarios/shipped.yaml: ok\n"


def test_does_set_change_the_machine_and_is_a_wrong_key_told_once(here: Path) -> None:
    (here / "a.yaml").write_text(LOST)
    (here / "b.yaml").write_text(LOST)
    settings = ["--set", "machine.swap.backend=disk", "--set", "machine.soft_dirty = false"]
    result = run("run", "a.yaml", "--policies", "final", "--format", "json", *settings)
    machine = json.loads(result.stdout)["scenarios"][0]["machine"]
    assert machine["swap"]["backend"] == "disk"
    assert machine["soft_dirty"] is False
    message = wrong("run", "a.yaml", "b.yaml", "--set", "machine.sawp.backend=disk")
    assert message.count("unknown key 'machine.sawp.backend'") == 1
    assert "'nonsense' is not KEY=VALUE, as in" in wrong("run", "a.yaml", "--set", "nonsense")


MINE = """\
from swaptrace.mm.policy import Policy


class Mine(Policy):
    title = "mine"
    origin = "here"
"""


def policies_of(text: str) -> list[str]:
    """In the order of the table."""
    result = run("run", "shipped", "--policies", text)
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith("total")]
    return [row[1] for row in rows]


def test_which_policies_are_meant(here: Path) -> None:
    (here / "mine.py").write_text(MINE)
    series = ["prepatch", "rfc", "rework", "suggested", "simple", "final", "merged"]
    assert policies_of("new, old,v2") == ["final", "prepatch", "suggested"]
    assert policies_of("./mine.py,final") == ["mine", "final"]
    assert policies_of("all") == series
    assert policies_of("new,all,mine.py") == ["final", *(set_aside(series, "final")), "mine"]


def set_aside(names: list[str], name: str) -> list[str]:
    return [each for each in names if each != name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("finale", "no policy 'finale'; did you mean 'final'?"),
        ("old,,new", "--policies 'old,,new': a name is missing beside a comma"),
        ("", "--policies '': a name is missing"),
        ("final,new", "'final' and 'new' are both called 'final'; name it once"),
        ("old,final,old", "'old' and 'old' are both called 'prepatch'; name it once"),
        ("final,final.py", "'final' and 'final.py' are both called 'final'; rename final.py"),
        ("nowhere.py", "nowhere.py: no such policy file"),
    ],
)
def test_is_a_wrong_policy_told(here: Path, text: str, message: str) -> None:
    (here / "final.py").write_text(MINE)
    assert message in wrong("run", "shipped", "--policies", text)


def test_does_compare_want_two_policies() -> None:
    message = wrong("compare", "shipped", "--policies", "new")
    assert "compare needs at least two policies, as in --policies old,new" in message
    assert "Try 'swaptrace compare -" in message


@pytest.mark.parametrize("command", ["run", "compare", "check"])
def test_is_a_policy_in_expect_that_does_not_exist_an_error(here: Path, command: str) -> None:
    """With line, column and the nearest name, and nothing printed or passed?"""
    (here / "a.yaml").write_text(READ_WRITE.replace("    new:", "    finall:"))
    result = run(command, "a.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "a.yaml:16:5: expect: no policy 'finall'; did you mean 'final'? "
        "(one of your own is given by --policies)\n        finall: "
    )
    (here / "a.yaml").write_text(READ_WRITE.replace("    new:", "    finall: {}\n    new:"))
    assert run(command, "a.yaml").exit_code == 2


def test_are_thousands_of_policies_that_do_not_exist_told_in_short(here: Path) -> None:
    """Each once, where it is first, and no more than can be read?"""
    names = ", ".join(f"p{number}: {{minflt: 0}}" for number in range(5000))
    (here / "a.yaml").write_text(
        f"steps: [{{mmap: a, size: 4KiB}}]\nexpect: {{total: {{{names}}}}}\n"
    )
    result = run("check", "a.yaml")
    assert result.exit_code == 2
    assert result.stderr.count("expect: no policy") == 100
    assert "expect: … and 4900 policies more" in result.stderr


@pytest.mark.parametrize("command", ["run", "check"])
def test_is_a_policy_of_ones_own_no_error_where_it_is_given(here: Path, command: str) -> None:
    """Is it looked for among the policies of this run?"""
    (here / "mine.py").write_text(MINE)
    (here / "a.yaml").write_text(READ_WRITE.replace("    new:", "    mine:"))
    assert run(command, "a.yaml", "--policies", "rfc,mine.py").exit_code in (0, 1)
    missing = run(command, "a.yaml", "--policies", "rfc")
    assert (missing.exit_code, "a.yaml:16:5: expect: no policy 'mine'" in missing.stderr) == (
        2,
        True,
    )


def test_what_the_lists_show() -> None:
    listed = run("policies").stdout.splitlines()
    assert listed[0].split()[:2] == ["name", "alias"]
    assert [line.split()[:2] for line in listed[2:] if line.startswith(("prepatch", "final"))] == [
        ["prepatch", "old"],
        ["final", "new"],
    ]
    assert run("scenarios").stdout.splitlines()[2:] == [
        "shipped  Swap a buffer out, then read and write it."
    ]


def test_is_the_source_of_a_policy_printed(here: Path) -> None:
    (here / "mine.py").write_text(MINE)
    assert run("policies", "mine.py").stdout == MINE
    assert "class Final(Policy):" in run("policies", "new").stdout
    assert "did you mean 'final'?" in wrong("policies", "finl")


def test_where_are_the_bundled_scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(bundled, "PACKAGE", tmp_path / "swaptrace")
    assert bundled.directory() is None
    assert bundled.scenarios() == {}
    (tmp_path / "scenarios").mkdir()
    assert bundled.directory() is None, "site-packages/scenarios may be anyone's"
    (tmp_path / "pyproject.toml").touch()
    assert bundled.directory() == tmp_path / "scenarios"
    (tmp_path / "swaptrace" / "scenarios").mkdir(parents=True)
    assert bundled.directory() == tmp_path / "swaptrace" / "scenarios"


def test_a_key_of_any_length_is_shortened() -> None:
    """Is a wrong --set told in some words?"""
    for key in ("k" * 100_000, "machine." + "k" * 100_000):
        result = run("run", "read-then-write", "--set", f"{key}=1")
        assert result.exit_code == 2
        assert len(result.stderr) < 1500
