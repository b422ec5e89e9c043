"""The function definitions of a file, and what lies around a place in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters, digits
from typing import Final, NamedTuple

_BRACE: Final = re.compile(r"[{}]")

_WORD: Final = re.compile(r"\w+\Z", re.ASCII)

_HEAD: Final = frozenset(" \t\n*_" + ascii_letters + digits)

LONGEST_HEAD: Final = 200
"""Characters before the name: `static inline vm_fault_t` and attributes."""

LONGEST_PARAMETERS: Final = 2_000
"""Characters between the parentheses: bounds what a file of nothing but those takes."""


class Function(NamedTuple):
    """`code[start:end]` is the definition, `code[body:end]` its body with the braces."""

    name: str
    start: int
    body: int
    end: int


class TextSpan(NamedTuple):
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
    name = _called(code, opened)
    while name is not None and _before(code, name.start()) == ")":
        name = _called(code, name.start())  # what was found is an attribute, as __releases() is
    if name is None:
        return None
    return Function(name.group(), _start(code, name.start()), opened, end)


def _called(code: str, end: int) -> re.Match[str] | None:
    """The name before the parentheses that the text ends with; None if it does not."""
    if _before(code, end) != ")":
        return None
    first = _opening(code, code.rindex(")", 0, end))
    while first > 0 and code[first - 1].isspace():
        first -= 1
    return _WORD.search(code, max(0, first - LONGEST_HEAD), first)


def _before(code: str, at: int) -> str:
    """The last character before the place that is no blank; none if there are only blanks."""
    return code[max(0, at - LONGEST_HEAD) : at].rstrip()[-1:]


def _opening(code: str, last: int) -> int:
    """The parenthesis that the one at `last` closes; 0 if there is none."""
    depth = 0
    for at in range(last, max(-1, last - LONGEST_PARAMETERS), -1):
        depth += (code[at] == ")") - (code[at] == "(")
        if depth == 0:
            return at
        if code[at] in "{};":
            break
    return 0


def _start(code: str, name: int) -> int:
    """Where the words begin that a definition has before its name."""
    start = name
    while start > max(0, name - LONGEST_HEAD) and code[start - 1] in _HEAD:
        start -= 1
    return start + len(code[start:name]) - len(code[start:name].lstrip())


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
