"""Do long commands say on a terminal how far they are, and how long it will still take?"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.commandline import on_terminal
from tests.effort import exhaustive
from tests.sweep.test_sweep import WORK

AT_ONCE = """\
import sys
from swaptrace.terminal import output
output.PATIENCE = 0
from swaptrace.cli import main
main(sys.argv[1:], prog_name="swaptrace")
"""

COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WIDE = {"COLUMNS": "160"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Long enough for the bar to be drawn several times.
    Path("work.yaml").write_text(WORK.replace("count: 1500", "count: 60000"))


def shown_by(*words: str) -> str:
    """What a command that shows its progress at once has drawn until its end, without colors."""
    command = (sys.executable, "-c", AT_ONCE, *words)
    shown, code = on_terminal(*command, env=WIDE, progress=True)
    assert code == 0, shown
    return COLORS.sub("", shown)


@exhaustive
def test_a_sweep_says_its_share_and_the_time_left() -> None:
    """Of the cells that are to be computed, and nothing where all are kept?"""
    sweep = ("sweep", "work.yaml", "--over", "machine.memory=25%..70%/10", "-p", "old")
    words = (*sweep, "--cells", "cells", "--jobs", "1", "-o", "out")
    shown = shown_by(*words)
    assert "cells under 1 policy " in shown
    assert re.search(r" [2-9]/10 +[2-9]0% +\d:\d\d:\d\d", shown), shown
    assert "cells under" not in shown_by(*words)


@exhaustive
@pytest.mark.skipif(
    shutil.which("valgrind") is None or shutil.which("strace") is None,
    reason="needs valgrind and strace",
)
def test_record_says_how_much_it_has_read_and_since_when() -> None:
    """How much will come nobody knows before the command ends."""
    shown = shown_by("record", "-o", "traces", "sh", "-c", "exit 0")
    assert re.search(r"the accesses of sh ━+ [\d.]+/\? (bytes|kB|MB) +\d:\d\d:\d\d", shown)
