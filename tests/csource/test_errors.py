"""What does a user see whose C is not understood?

Each `errors/NAME.c` is such a file, and `errors/NAME.txt` beside it what is said. Everything is
said when the file is read, not when a replay gets there. `pytest --promote` accepts changes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.csource.cfile import blocks_of
from swaptrace.csource.elsewhere import ELSEWHERE
from swaptrace.csource.functions import FUNCTIONS, UNCHANGED
from swaptrace.csource.ignored import ALL_IGNORED
from swaptrace.csource.policy import policy_of
from swaptrace.csource.preprocess import ENABLED
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.inert import ALL_INERT
from swaptrace.ktree.faults.tables import PRIMITIVES
from swaptrace.ktree.faults.windows import WINDOWS
from tests.commandline import run
from tests.goldens import check_golden

ERRORS = Path(__file__).parent / "errors"
NAMES = sorted(path.stem for path in ERRORS.glob("*.c"))


def message(name: str) -> str:
    """What is said about a file of the corpus."""
    text = (ERRORS / f"{name}.c").read_bytes().decode("utf-8", "surrogateescape")
    with pytest.raises(PolicyError) as raised:
        policy_of(name, "", "", blocks_of(f"{name}.c", text, ()))
    return str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_says_where_and_what(name: str, request: pytest.FixtureRequest) -> None:
    """Are these the words, with the place, the line and a caret under it?"""
    said = message(name)
    check_golden(request, str(ERRORS / f"{name}.txt"), f"{said}\n")
    where, *shown = said.split("\n")
    file, line, column, _ = where.split(":", 3)
    assert (file, int(line) > 0, int(column) > 0) == (f"{name}.c", True, True)
    assert all(part.isprintable() for part in (where, *shown))
    assert not shown or shown[-1].strip() == "^"


def test_no_golden_file_is_left_over() -> None:
    """Does every expected message belong to a file?"""
    assert sorted(path.stem for path in ERRORS.glob("*.txt")) == NAMES


@pytest.mark.parametrize("command", ["run", "compare", "explain", "explore", "graph", "policies"])
def test_every_command_says_it_with_exit_code_2(command: str) -> None:
    """Is it an error of the input, and no traceback, wherever the file is named?"""
    file = str(ERRORS / "unknown-function.c")
    words: dict[str, list[str]] = {
        "run": ["read-then-write", "--policies", file],
        "compare": ["read-then-write", "--policies", f"old,{file}"],
        "explain": ["read-then-write", "--policy", file],
        "explore": ["--policies", file],
        "graph": ["--policy", file],
        "policies": [file],
    }
    done = run(command, *words[command])
    assert done.exit_code == 2
    assert f"{file}:3:8: the model has no function 'pte_mkwrit'" in done.output


def test_what_belongs_elsewhere_is_all_that_a_whole_tree_has_besides() -> None:
    """Is no function of a whole tree called unknown in a decision by itself, nor one too many?"""
    whole = {*PRIMITIVES, *ALL_INERT, *FAULTS.roots, *WINDOWS.roots}
    whole |= {"should_try_to_free_swap", "wp_can_reuse_anon_folio", "wp_page_reuse"}
    known = {*FUNCTIONS, *UNCHANGED, *ALL_IGNORED, *ENABLED}
    assert whole - known == ELSEWHERE
