"""The function definitions of a file, and what lies around a place in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_BRACE: Final = re.compile(r"[{}]")

_HEAD: Final = re.compile(r"(?:\w+[\s*]+)*\Z", re.ASCII)

_WORD: Final = re.compile(r"\w+\s*\Z", re.ASCII)

LONGEST_HEAD: Final = 200
"""Characters before the name: `static inline vm_fault_t` and attributes."""


class Function(NamedTuple):
    """`code[start:end]` is the definition, `code[body:end]` what stands in its braces, with them."""

    name: str
    start: int
    body: int
    end: int


class Span(NamedTuple):
    """A part of a text."""

    start: int
    end: int


def functions(code: str) -> Iterator[Function]:
    """Every definition, in order; the braces are known to match."""
    depth = opened = 0
    for match in _BRACE.finditer(code):
        if match.group() == "{":
            if depth == 0:
                opened = match.start()
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                found = _function(code, opened, match.end())
                if found is not None:
                    yield found


def _function(code: str, opened: int, end: int) -> Function | None:
    """The function whose body this is; None if it is that of a struct or an initialiser."""
    last = len(code[:opened].rstrip()) - 1
    if last < 0 or code[last] != ")":
        return None
    first = _opening(code, last)
    name = _WORD.search(code, max(0, first - LONGEST_HEAD), first)
    if name is None:
        return None
    before = max(0, name.start() - LONGEST_HEAD)
    head = _HEAD.search(code[before : name.start()])
    start = before + head.start() if head is not None else name.start()
    return Function(name.group().strip(), start, opened, end)


def _opening(code: str, last: int) -> int:
    """The parenthesis that the one at `last` closes; 0 if there is none."""
    depth = 0
    for at in range(last, -1, -1):
        depth += (code[at] == ")") - (code[at] == "(")
        if depth == 0:
            return at
    return 0


def statement_start(code: str, at: int) -> int:
    """Where the statement begins that the place is in."""
    before = max(code.rfind(sign, 0, at) for sign in ";{}") + 1
    return before + len(code[before:at]) - len(code[before:at].lstrip())


def block_end(code: str, at: int) -> int:
    """The `}` that closes the block that the place is in; the end of the text if there is none."""
    depth = 0
    for match in _BRACE.finditer(code, at):
        depth += 1 if match.group() == "{" else -1
        if depth < 0:
            return match.start()
    return len(code)


def statement_end(code: str, start: int, at: int) -> int:
    """Behind the `;` or `}` that ends the statement of the place, on the level of `start`.

    No further than the block that `start` is in.
    """
    limit = block_end(code, start)
    depth = 0
    for match in re.compile(r"[{};]").finditer(code, start, limit):
        depth += (match.group() == "{") - (match.group() == "}")
        if match.start() >= at and depth == 0:
            return match.end()
    return limit
