"""A parser of KTAP version 1, from Documentation/dev-tools/ktap.rst of the kernel alone.

No package parses KTAP's nesting by version lines. Unlike the kernel's own parser, this one forgives
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

RESULT = re.compile(r"(ok|not ok) (\d+) ([^#]*?)(?: # (SKIP|ERROR)(?: (.*))?)?")
PLAN = re.compile(r"1\.\.(\d+)")


class Test(NamedTuple):
    """One test with its subtests; `status` is pass, fail or skip."""

    name: str
    status: str
    notes: tuple[str, ...]
    subtests: tuple[Test, ...]


def parse(text: str) -> tuple[Test, ...]:
    """All tests of a document. Raises AssertionError where it is not KTAP."""
    assert text.endswith("\n")
    lines = iter(text.splitlines())
    assert next(lines) == "KTAP version 1"
    return _tests(list(lines), "")


def _tests(lines: list[str], indent: str) -> tuple[Test, ...]:
    plan, *rest = lines
    if plan.startswith(f"{indent}# Subtest: "):
        plan, *rest = rest
    match = PLAN.fullmatch(plan.removeprefix(indent))
    assert match, plan
    tests = tuple(_read(rest, indent))
    assert len(tests) == int(match[1])
    return tests


def _read(lines: list[str], indent: str) -> Iterator[Test]:
    inner: list[str] = []
    notes: list[str] = []
    number = 0
    for line in lines:
        assert line.startswith(indent), line
        text = line.removeprefix(indent)
        if text.startswith("  "):
            inner.append(line)
        elif text.startswith("# "):
            notes.append(text.removeprefix("# "))
        else:
            match = RESULT.fullmatch(text)
            assert match, line
            number += 1
            assert int(match[2]) == number
            yield _test(match, notes, inner, indent)
            notes, inner = [], []
    assert not inner
    assert not notes


def _test(match: re.Match[str], notes: list[str], inner: list[str], indent: str) -> Test:
    subtests: tuple[Test, ...] = ()
    if inner:
        assert inner[0] == f"{indent}  KTAP version 1"
        subtests = _tests(inner[1:], f"{indent}  ")
    status = "skip" if match[4] == "SKIP" else {"ok": "pass", "not ok": "fail"}[match[1]]
    if subtests:
        failed = any(test.status == "fail" for test in subtests)
        assert failed == (status == "fail"), match[0]
    return Test(match[3], status, tuple(notes), subtests)
