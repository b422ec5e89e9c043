"""Does `explain` take one scenario, one policy and one step, and say what else there is?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commandline import READ_WRITE, run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)


def test_explains_under_final_unless_told_otherwise() -> None:
    """Is the policy that is in the kernel the default?"""
    assert "under final" in run("explain", "rw.yaml").stdout
    assert "under prepatch" in run("explain", "rw.yaml", "--policy", "old").stdout


def test_one_step_is_told_alone() -> None:
    """Does --step leave the others out?"""
    told = run("explain", "rw.yaml", "--step", "3.0").stdout
    assert told.count("step ") == 1
    assert "do_swap_page" in told


def test_a_window_and_a_repetition_are_all_their_steps() -> None:
    """Is what lies within a path told, and nothing that only begins like it?"""
    more = "  - repeat: 2\n    steps:\n    - {read: buf}\n    - {madvise: buf, advice: COLD}\n"
    text = READ_WRITE.replace("expect:", more + "  - {read: buf}\n" * 40 + "expect:")
    Path("long.yaml").write_text(text)
    for step, count in (("3", 1), ("4", 2), ("4[0]", 2), ("4[0].0", 1)):
        told = run("explain", "long.yaml", "--step", step).stdout
        assert told.count("step ") == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rw.yaml", "--step", "7"), "no step '7' was replayed; valid: 0, 1, 2, 3.0"),
        (("rw.yaml", "--policy", "finale"), "no policy 'finale'; did you mean 'final'?"),
        (("rw.yaml", "--set", "machine.swap.size=0"), "size"),
        (("nothing-of-this-name",), "nothing-of-this-name"),
        ((".",), "explain takes one scenario; there are 2: read-write, read-write"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple[str, ...], message: str) -> None:
    """Does the error say what there is, with exit code 2 and nothing printed?"""
    Path("more.yaml").write_text(READ_WRITE)
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
