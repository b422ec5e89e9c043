"""KTAP version 1 (Documentation/dev-tools/ktap.rst): the one writer of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from swaptrace.errors import printable
from swaptrace.report.cases import Case, by_scenario
from swaptrace.report.reports import Report

NOTHING_ASKED = "SKIP nothing to check"


UNDECIDED = "undecided"
"""None of the directives that KTAP defines: tools take those for a pass."""


class Test(NamedTuple):
    """A line of KTAP: `notes` are the lines before it, `directive` what follows `#`, if anything.

    `subtests` is None for a test that has none.
    """

    name: str
    passes: bool
    directive: str = ""
    notes: Sequence[str] = ()
    subtests: Sequence[Test] | None = None


def written(tests: Sequence[Test]) -> str:
    """The tests as a document."""
    return "".join(f"{line}\n" for line in _lines(tests))


def _lines(tests: Sequence[Test], within: str | None = None) -> Iterator[str]:
    yield "KTAP version 1"
    if within is not None:
        yield f"# Subtest: {_name(within)}"
    yield f"1..{len(tests)}"
    for number, test in enumerate(tests, start=1):
        if test.subtests is not None:
            yield from (f"  {line}" for line in _lines(test.subtests, test.name))
        yield from (f"# {printable(note)}" for note in test.notes)
        directive = f" # {printable(test.directive)}" if test.directive else ""
        yield f"{'ok' if test.passes else 'not ok'} {number} {_name(test.name)}{directive}"


def _name(text: str) -> str:
    """A name; a # would begin a directive."""
    return printable(text).replace("#", "\\x23")


def ktap(report: Report) -> str:
    """A report of `run`, `compare` or `diff`: a test for each scenario, with a subtest for each
    policy."""
    return written([_scenario(name, cases) for name, cases in by_scenario(report).items()])


def _scenario(name: str, cases: Sequence[Case]) -> Test:
    skipped = all(case.skipped for case in cases)
    return Test(
        name,
        all(case.passes for case in cases),
        NOTHING_ASKED if skipped else "",
        subtests=[_policy(case) for case in cases],
    )


def _policy(case: Case) -> Test:
    directive = NOTHING_ASKED if case.skipped else ""
    if case.undecided and not case.failures:
        directive = UNDECIDED
    doubts = (f"not decided: {why}" for why in case.undecided)
    return Test(case.name, case.passes, directive, (*case.failures, *doubts, *case.notes))
