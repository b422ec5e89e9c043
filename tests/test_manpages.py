"""Are the manual pages those of the commands?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swaptrace.cli.program import COMMANDS
from tests.processes import completed

MAN = Path(__file__).parent.parent / "docs" / "man"
NAMES = ["swaptrace.1", *(f"swaptrace-{name}.1" for name in COMMANDS)]


def test_every_command_has_its_page(request: pytest.FixtureRequest) -> None:
    """Is each page what the help of its command makes it, and is there no other?"""
    pytest.importorskip("click_man")
    from tests.manpages import pages

    made = pages()
    if request.config.getoption("--promote", default=False):
        MAN.mkdir(exist_ok=True)
        for name, text in made.items():
            (MAN / name).write_text(text)
    assert {path.name: path.read_text() for path in MAN.iterdir()} == made


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("name", ["swaptrace.1", "swaptrace-run.1"])
def test_man_shows_it(name: str) -> None:
    """Without a warning, and with the synopsis?"""
    done = completed(["man", "--warnings", "-l", str(MAN / name)], text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "SYNOPSIS" in done.stdout
