"""Are errors readable, whatever they quote?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.errors import (
    LISTED,
    TEXT_WIDTH,
    Problem,
    ScenarioError,
    did_you_mean,
    listed,
    nearest,
    printable,
    quote,
)


def shown(text: str, column: int) -> list[str]:
    """The lines of a problem in this source line."""
    return str(Problem("a.yaml", 3, column, "wrong", text)).split("\n")


def test_points_at_the_column() -> None:
    """Does the caret stand under the character meant?"""
    assert shown("- reed: buf", 3) == ["a.yaml:3:3: wrong", "    - reed: buf", "      ^"]
    assert shown("", 1) == ["a.yaml:3:1: wrong"]
    assert shown("end", 4) == ["a.yaml:3:4: wrong", "    end", "       ^"]


@pytest.mark.parametrize(
    ("text", "column", "line", "caret"),
    [
        ("a\tb", 3, "a b", 2),
        ("a\x1b[2Jb", 6, r"a\x1b[2Jb", 8),
        ("日本b", 3, "日本b", 4),
        ("e\u0301b", 3, "e\u0301b", 1),
        ("a\u202eb", 3, r"a\u202eb", 7),
        ("\ud800b", 2, r"\ud800b", 6),
    ],
)
def test_points_at_the_column_as_a_terminal_shows_it(
    text: str, column: int, line: str, caret: int
) -> None:
    """Does it after characters that take no column, two, or an escape?"""
    assert Problem("f", 1, column, "m", text).excerpt() == (line, caret)


@given(st.text(max_size=300), st.integers(1, 310))
def test_shows_the_part_around_the_column(text: str, column: int) -> None:
    """Is a line of any length cut so that the character meant is still there?"""
    line, caret = Problem("f", 1, column, "m", text).excerpt()
    assert line.isprintable()
    assert 0 <= caret <= 10 * TEXT_WIDTH
    plain = "".join(c for c in text if c.isascii() and c.isprintable() and c != " ")
    line, caret = Problem("f", 1, column, "m", plain).excerpt()
    assert len(line) <= TEXT_WIDTH
    if column <= len(plain) and line[caret] != "…":
        assert line[caret] == plain[column - 1]


def test_a_scenario_error_prints_every_problem() -> None:
    """Are its problems all in its text?"""
    error = ScenarioError(Problem("f", n, 1, f"wrong {n}") for n in (1, 2))
    assert str(error) == "f:1:1: wrong 1\nf:2:1: wrong 2"
    assert [problem.line for problem in error.problems] == [1, 2]


def test_names_what_was_meant() -> None:
    """Is the nearest name found, or are all listed, but not hundreds?"""
    ops = ["mmap", "munmap", "madvise"]
    assert did_you_mean("mmpa", ops) == "did you mean 'mmap'?"
    assert did_you_mean("MMAP", ops) == "did you mean 'mmap'?"
    assert did_you_mean("pageout", ["MADV_PAGEOUT", "MADV_COLD"]) == "did you mean 'MADV_PAGEOUT'?"
    assert did_you_mean("xyz", ops) == "valid: madvise, mmap, munmap"
    assert did_you_mean("xyz", []) == ""
    assert did_you_mean("q", map(str, range(99))).endswith("26 and 79 more")
    assert nearest("a" * 65, ["a" * 64]) is None


def test_quotes_are_short_and_printable() -> None:
    """Can a value from an input fill the terminal, or drive it?"""
    assert quote("a b") == "'a b'"
    assert quote("x" * 1000) == f"'{'x' * 39}…'"
    assert printable("\x1b]0;title\x07 ü\n") == r"\x1b]0;title\x07 ü\n"


def test_a_long_list_of_names_is_cut_and_counted() -> None:
    """Does a message stay short, whatever it lists, and say how much is left out?"""
    names = [f"mm/file{number}.c" for number in range(50_000)]
    assert listed(names[:2]) == "mm/file0.c, mm/file1.c"
    assert listed(names).endswith(f" and {50_000 - LISTED} more")
    assert len(listed(names)) < 1000
