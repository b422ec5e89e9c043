"""Is there one table of exit codes, and one order of precedence?"""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from swaptrace.terminal.exitcodes import PRECEDENCE, ExitCode, foremost
from tests.commandline import ROOT


def test_the_reference_has_every_exit_code() -> None:
    """Does the table have the codes of the enumeration, with the one of SIGTERM besides?"""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    table = text.partition("\n## Exit codes\n")[2]
    rows = re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
    codes = [int(code) for row in rows for code in row.split(",")]
    assert codes == [*map(int, ExitCode), 143]


def test_every_code_has_a_precedence() -> None:
    """Is each in the order, once?"""
    assert sorted(PRECEDENCE) == list(ExitCode)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), ExitCode.OK),
        ((ExitCode.OK, ExitCode.SKIPPED), ExitCode.SKIPPED),
        ((ExitCode.SKIPPED, ExitCode.UNDECIDED), ExitCode.UNDECIDED),
        ((ExitCode.UNDECIDED, ExitCode.FAILED), ExitCode.FAILED),
        ((ExitCode.UNDECIDED, ExitCode.FAILED, ExitCode.WRONG), ExitCode.WRONG),
    ],
)
def test_which_of_several_codes_it_is(codes: tuple[ExitCode, ...], expected: ExitCode) -> None:
    """Is it the foremost, in whatever order they come?"""
    assert {foremost(order) for order in permutations(codes)} == {expected}
