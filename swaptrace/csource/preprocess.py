"""`#ifdef` and the like, resolved by the names that are defined.

A name is defined by `--define`, or because the model has what it stands for (`MODELLED`). As for
cpp, every other name is undefined. No other directive is understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from swaptrace.csource.source import CPlace, CSource
from swaptrace.csource.tokens import MAX_DEPTH, Token, tokens_of
from swaptrace.csource.words import words
from swaptrace.errors import PolicyError, quote

MODELLED: Final = words(
    """
    CONFIG_64BIT CONFIG_HAVE_ARCH_SOFT_DIRTY CONFIG_HAVE_ARCH_USERFAULTFD_WP
    CONFIG_MEM_SOFT_DIRTY CONFIG_MMU CONFIG_SWAP CONFIG_USERFAULTFD
    """
)
"""What the model has whatever the machine: without soft-dirty tracking, VM_SOFTDIRTY stays set."""


def defined_with(defines: Collection[str]) -> frozenset[str]:
    """The names that are defined."""
    return MODELLED | frozenset(defines)


ENABLED: Final = frozenset({"IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE"})

_DIRECTIVE: Final = re.compile(r"[ \t]*#[ \t]*(\w*)")


@dataclass(slots=True)
class _Branch:
    """An `#if` that is open: where it began, whether its lines count, and whether any did."""

    line: int
    outer: bool
    active: bool
    taken: bool
    last: bool = False


def resolve(source: CSource, text: str, defined: Collection[str]) -> str:
    """The text with blanks for every directive and for the lines that they leave out.

    Raises `PolicyError` for a directive that is not understood, or that has no partner.
    """
    branches: list[_Branch] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(line)
        if match is not None:
            place = CPlace(source.first + number, line.index("#") + 1)
            condition = _Condition(source, place.line, line, match.end(), defined)
            _directive(source, place, match.group(1), condition, branches)
        if match is not None or (branches and not branches[-1].active):
            lines[number] = " " * len(line)
    if branches:
        raise source.error(CPlace(branches[-1].line, 1), "this #if has no #endif")
    return "\n".join(lines)


def _directive(
    source: CSource, place: CPlace, word: str, condition: _Condition, branches: list[_Branch]
) -> None:
    outer = not branches or branches[-1].active
    if word in ("if", "ifdef", "ifndef"):
        active = outer and condition.holds(word)
        branches.append(_Branch(place.line, outer, active, active))
    elif word in ("elif", "else", "endif"):
        if not branches:
            raise source.error(place, f"#{word} without #if")
        _next_branch(source, place, word, condition, branches)
    elif outer:
        raise source.error(
            place,
            f"#{quote(word)[1:-1]} is not understood; of the directives only #ifdef, #ifndef, #if, "
            "#elif, #else and #endif are, with names given by --define",
        )


def _next_branch(
    source: CSource, place: CPlace, word: str, condition: _Condition, branches: list[_Branch]
) -> None:
    branch = branches[-1]
    if word == "endif":
        branches.pop()
        return
    if branch.last:
        raise source.error(place, f"#{word} after #else")
    branch.last = word == "else"
    wanted = branch.outer and not branch.taken
    branch.active = wanted and (word == "else" or condition.holds("if"))
    branch.taken = branch.taken or branch.active


class _Condition:
    """What stands after `#if`: names, numbers, defined(), IS_ENABLED(), !, &&, ||, comparisons."""

    def __init__(
        self, source: CSource, line: int, text: str, start: int, defined: Collection[str]
    ) -> None:
        self.source, self.line, self.defined = source, line, defined
        self.tokens = [token for token in tokens_of(text) if token.at >= start]
        self.end = len(text)
        self.at = self.depth = 0

    def holds(self, word: str) -> bool:
        if word != "if":
            name = self._name()
            self._finish()
            return (name in self.defined) == (word == "ifdef")
        value = self._any()
        self._finish()
        return bool(value)

    def _finish(self) -> None:
        if self.at < len(self.tokens):
            raise self._error(f"{quote(self.tokens[self.at].text)} is not expected here")

    def _error(self, message: str) -> PolicyError:
        at = self.tokens[self.at].at if self.at < len(self.tokens) else self.end
        return self.source.error(CPlace(self.line, at + 1), message)

    def _peek(self, count: int = 1) -> str:
        """The next signs, as one operator if they stand together."""
        tokens = self.tokens[self.at : self.at + count]
        joined = len(tokens) == count and all(
            tokens[i].at == tokens[0].at + i for i in range(1, count)
        )
        return "".join(token.text for token in tokens) if joined else ""

    def _accept(self, sign: str) -> bool:
        if self._peek(len(sign)) != sign:
            return False
        self.at += len(sign)
        return True

    def _any(self) -> int:
        value = self._all()
        while self._accept("||"):
            other = self._all()
            value = int(bool(value) or bool(other))
        return value

    def _all(self) -> int:
        value = self._compared()
        while self._accept("&&"):
            other = self._compared()
            value = int(bool(value) and bool(other))
        return value

    def _compared(self) -> int:
        value = self._one()
        for sign, holds in _COMPARISONS:
            if self._accept(sign):
                return int(holds(value, self._one()))
        return value

    def _one(self) -> int:
        negate = False
        while self._accept("!"):
            negate = not negate
        value = self._plain()
        return int(not value) if negate else value

    def _plain(self) -> int:
        if self._accept("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self._error("nested too deeply")
            value = self._any()
            self._expect(")")
            self.depth -= 1
            return value
        token = self._take("a name, a number or '('")
        if token.kind == "number" and token.text.rstrip("uUlL").isdecimal():
            return min(int(token.text.rstrip("uUlL")[:18]), 2**63)
        if token.kind != "name":
            self.at -= 1
            raise self._error(f"{quote(token.text)} is not understood in a condition")
        if token.text == "defined" or token.text in ENABLED:
            return int(self._in_parentheses(token.text != "defined") in self.defined)
        return int(token.text in self.defined)

    def _in_parentheses(self, needed: bool) -> str:
        if not needed and self._peek() != "(":
            return self._name()
        self._expect("(")
        name = self._name()
        self._expect(")")
        return name

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise self._error(f"expected {sign!r}")

    def _name(self) -> str:
        token = self._take("a name")
        if token.kind != "name":
            self.at -= 1
            raise self._error("expected a name")
        return token.text

    def _take(self, what: str) -> Token:
        if self.at >= len(self.tokens):
            raise self._error(f"expected {what}")
        self.at += 1
        return self.tokens[self.at - 1]


_COMPARISONS = (
    ("==", int.__eq__),
    ("!=", int.__ne__),
    ("<=", int.__le__),
    (">=", int.__ge__),
    ("<", int.__lt__),
    (">", int.__gt__),
)
