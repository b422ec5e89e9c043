"""Is machine code that is kept for the next run that of the sources as they are?"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from swaptrace.reclaim import compiled
from tests.effort import exhaustive
from tests.processes import completed

PROGRAM = "import sys; from loop import answer; print(answer(), 'numba.np.linalg' in sys.modules)"
LOOP = """\
from compiled import compiled
from numbers_of_it import ANSWER

@compiled
def answer():
    return ANSWER
"""


@exhaustive
@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_a_constant_of_another_file_that_changes_is_seen(tmp_path: Path) -> None:
    """Does a function whose own file is unchanged count with the new constant, and is numba made
    ready to compile only where it has to?"""
    shutil.copy(compiled.__file__, tmp_path / "compiled.py")
    (tmp_path / "loop.py").write_text(LOOP)
    environment = {**os.environ, "SWAPTRACE_INTERPRETED": ""}
    seen: list[str] = []
    for answer in (18, 14, 14):
        (tmp_path / "numbers_of_it.py").write_text(f"ANSWER = {answer}{' ' * (answer == 14)}\n")
        run = [sys.executable, "-B", "-c", PROGRAM]
        done = completed(run, cwd=tmp_path, env=environment, text=True, check=True)
        seen.append(done.stdout.strip())
    assert seen == ["18 True", "14 True", "14 False"]
