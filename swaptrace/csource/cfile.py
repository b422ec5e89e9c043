"""A file of C as a policy: `--policies ./variant.c`.

Statements that belong to no function set up the PTE after swap-in; a function is one of the other
two decisions, by its name. What the file leaves out stays as in `Policy`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.csource.block import CBlock, Point
from swaptrace.csource.parse import plain
from swaptrace.csource.policy import CPolicy, policy_of
from swaptrace.csource.preprocess import defined_with
from swaptrace.csource.source import MAX_BYTES, CPlace, CSource, source_of
from swaptrace.csource.tokens import PAIRS, Token, blanks, closing, tokens_of
from swaptrace.errors import PolicyError, did_you_mean, printable, quote
from swaptrace.terminal.files import read_at_most, reason

FUNCTIONS: Final[Mapping[str, Point]] = {
    "should_try_to_free_swap": "should_free_swap",
    "should_free_swap": "should_free_swap",
    "wp_can_reuse_anon_folio": "can_reuse_anon",
    "can_reuse_anon": "can_reuse_anon",
}
"""The decision that a function of the file takes, by its name in the kernel or in `Policy`."""

KEYWORDS: Final = frozenset({"if", "else", "for", "while", "do", "switch", "return", "goto"})

_LEADING: Final = re.compile(r"\s*(?://[^\n]*\n?\s*|/\*.*?\*/\s*)+", re.DOTALL)


class FunctionText(NamedTuple):
    """A function of the file: its name, and where it begins and ends in the text."""

    name: str
    at: int
    start: int
    end: int


def from_file(path: str, defines: Collection[str] = ()) -> CPolicy:
    """The policy of a C file; its name is that of the file.

    Raises `PolicyError` for a file that cannot be read or is not understood.
    """
    text = _read(path)
    blocks = blocks_of(path, text, defines)
    return policy_of(Path(path).name, printable(title_of(text)), path, blocks, defines)


def _read(path: str) -> str:
    try:
        data = read_at_most(path, MAX_BYTES)
    except FileNotFoundError:
        raise PolicyError(f"{printable(path)}: no such policy file") from None
    except OSError as error:
        raise PolicyError(f"{printable(path)}: cannot be read: {reason(error)}") from None
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def blocks_of(path: str, text: str, defines: Collection[str]) -> dict[Point, CBlock]:
    """What the text decides."""
    source = source_of(CBlock(path, 1, text))
    compiled = plain(source, defined_with(defines))
    blocks: dict[Point, CBlock] = {}
    rest, rest_compiled = text, compiled
    for each in definitions(compiled):
        blocks[_point(source, compiled, each, blocks)] = CBlock(path, 1, _only(text, each))
        rest, rest_compiled = _without(rest, each), _without(rest_compiled, each)
    if rest_compiled.strip("; \t\n"):  # a semicolon behind a function is no decision
        blocks["swapin_pte"] = CBlock(path, 1, rest)
    if not blocks:
        raise source.error(CPlace(1, 1), "there is no C in this file")
    return blocks


def _point(source: CSource, text: str, each: FunctionText, blocks: Mapping[Point, CBlock]) -> Point:
    place = source.place(text, each.at)
    point = FUNCTIONS.get(each.name)
    if point is None:
        hint = did_you_mean(each.name, FUNCTIONS)
        raise source.error(place, f"no decision is taken by {quote(each.name)}; {hint}")
    if point in blocks:
        raise source.error(place, f"a second function for the decision of {quote(each.name)}")
    return point


def definitions(text: str) -> Iterator[FunctionText]:
    """The function definitions of a text without comments, whose brackets match."""
    tokens = list(tokens_of(text))
    at, parameters = 0, None
    while at < len(tokens):
        opening = tokens[at].text
        last = closing(tokens, at) if opening in PAIRS else at
        if opening == "{" and parameters is not None:
            start = _start(tokens, parameters)
            if start is not None:
                name = tokens[parameters - 1]
                yield FunctionText(name.text, name.at, tokens[start].at, tokens[last].at + 1)
        parameters = at if opening == "(" else None
        at = last + 1


def _start(tokens: list[Token], parameters: int) -> int | None:
    """Where the definition begins whose parameters do at this index; None if it is none."""
    start = parameters
    while start > 0 and _of_declaration(tokens[start - 1]):
        start -= 1
    return start if parameters - start > 1 and tokens[parameters - 1].kind == "name" else None


def _of_declaration(token: Token) -> bool:
    return token.text == "*" or (token.kind == "name" and token.text not in KEYWORDS)


def _only(text: str, each: FunctionText) -> str:
    """The lines of the text with nothing left but the definition."""
    return blanks(text[: each.start]) + text[each.start : each.end] + blanks(text[each.end :])


def _without(text: str, each: FunctionText) -> str:
    return text[: each.start] + blanks(text[each.start : each.end]) + text[each.end :]


def title_of(text: str) -> str:
    """The first line of the comment that the text begins with, but that of the licence."""
    leading = _LEADING.match(text)
    lines = leading.group().split("\n") if leading is not None else []
    said = (line.strip(" \t\f\v\r*/") for line in lines)
    return next((line for line in said if line and not line.startswith("SPDX-")), "")
