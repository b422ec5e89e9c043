"""What does a user see whose scenario is wrong?

Each `errors/NAME.yaml` is a wrong scenario, and `errors/NAME.txt` beside it what the loader
says; a line `# --set KEY=VALUE` on top is an override. `pytest --promote` accepts changes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swaptrace.errors import ScenarioError
from swaptrace.scenario.loader import load_text
from tests.goldens import check_golden

ERRORS = Path(__file__).parent / "errors"
NAMES = sorted(path.stem for path in ERRORS.glob("*.yaml"))
OVERRIDE = b"# --set "
VALID = re.compile(r"valid: [\w, .-]+")
"""A list of names, which grows with what there is."""


def problems_of(name: str) -> ScenarioError:
    """The error that a file of the corpus gives."""
    data = (ERRORS / f"{name}.yaml").read_bytes()
    lines = [line for line in data.split(b"\n") if line.startswith(OVERRIDE)]
    pairs = [line.removeprefix(OVERRIDE).decode().partition("=") for line in lines]
    with pytest.raises(ScenarioError) as raised:
        load_text(data, f"{name}.yaml", {key: value for key, _, value in pairs})
    return raised.value


@pytest.mark.parametrize("name", NAMES)
def test_says_where_what_and_how_to_mend_it(name: str, request: pytest.FixtureRequest) -> None:
    """Is every mistake of the file reported in these words, at this place?"""
    check_golden(request, str(ERRORS / f"{name}.txt"), f"{problems_of(name)}\n")


@pytest.mark.parametrize("name", NAMES)
def test_problems_are_in_order_and_safe_to_print(name: str) -> None:
    """Are problems sorted by position, and is nothing printed that a terminal would obey?"""
    error = problems_of(name)
    positions = [(p.line, p.column) for p in error.problems if not p.file.startswith("--set")]
    assert positions == sorted(positions)
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert max(map(len, VALID.sub("", str(error)).split("\n"))) < 300


def test_no_golden_file_is_left_over() -> None:
    """Does every expected message belong to a scenario?"""
    assert sorted(path.stem for path in ERRORS.glob("*.txt")) == NAMES
