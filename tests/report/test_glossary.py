"""Is every counter explained, and by nothing but the one table of counters?"""

from __future__ import annotations

import re

import pytest

from swaptrace.counters import ALL_COUNTERS, NAMED, VIOLATIONS, ViolationKind
from swaptrace.report import glossary
from tests.commandline import run


@pytest.mark.parametrize("name", [*ALL_COUNTERS, *VIOLATIONS])
def test_every_name_is_in_the_glossary(name: str) -> None:
    """Is it listed with its meaning, and explained alone?"""
    listed = next(
        line for line in run("counters").stdout.splitlines() if line.split()[:1] == [name]
    )
    alone = run("counters", name).stdout.splitlines()
    assert alone[0] == name
    meaning = alone[1].removeprefix("violation: ").removeprefix("warning: ")
    assert meaning.removeprefix("this promise is broken: ") in listed


def test_meanings_are_sentences_and_all_different() -> None:
    """Does each say something of its own, and end?"""
    meanings = [each.meaning for each in NAMED] + [kind.promise for kind in ViolationKind]
    assert len(set(meanings)) == len(meanings)
    assert all(re.fullmatch(r"[A-Z].+\.", text) for text in meanings)


def test_a_mistyped_name_gets_the_nearest() -> None:
    """Is it one error with a hint, and nothing on standard output?"""
    result = run("counters", "minfl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'minflt'?" in result.stderr


@pytest.mark.parametrize("fmt", ["table", "markdown", "text"])
@pytest.mark.parametrize("command", ["run", "compare"])
def test_verbose_explains_what_the_tables_show(command: str, fmt: str) -> None:
    """Are the meanings of the shown counters below, and none of the others?"""
    plain = run(command, "read-then-write", "-p", "old,new", "--format", fmt).stdout
    text = run(command, "read-then-write", "-p", "old,new", "--format", fmt, "-v").stdout
    assert text.startswith(plain.rstrip("\n"))
    added = " ".join(text[len(plain) :].split())
    for each in NAMED:
        assert (each.meaning in added) == (each in {"minflt", "majflt", *used()}), each


def used() -> set[str]:
    """What the microbenchmark counts under both policies."""
    return {"pswpin", "pswpout", "zero_fill", "wp_reuse"}


def test_a_format_without_a_place_for_it_refuses_verbose() -> None:
    """Is -v never dropped in silence?"""
    result = run("run", "read-then-write", "-v", "--format", "csv")
    assert result.exit_code == 2
    assert "no place for --verbose" in result.stderr


def test_names_complete() -> None:
    """Does the shell know everything that can be asked for?"""
    assert set(glossary.names()) == {*ALL_COUNTERS, *VIOLATIONS}
