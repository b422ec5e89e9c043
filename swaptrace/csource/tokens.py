"""Tokens: comments go, brackets are held to account, attributes are passed over.

Whatever is taken out becomes blanks, so that every line and column stays where it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from swaptrace.csource.source import CSource
from swaptrace.csource.words import words
from swaptrace.errors import quote

MAX_TOKENS: Final = 20_000

MAX_DEPTH: Final = 60
"""Brackets within brackets; the parser is recursive."""

PAIRS: Final[Mapping[str, str]] = {"(": ")", "[": "]", "{": "}"}

ATTRIBUTES: Final = words(
    """
    __always_inline __always_unused __cold __hot __init __maybe_unused __must_check __ref
    __sched __weak noinline noinline_for_stack notrace asmlinkage
    """
)
"""Words of a function definition that mean nothing to the model."""

CALLED_ATTRIBUTES: Final = words(
    """
    __attribute__ __releases __acquires __must_hold __releases_shared __context_unsafe
    """
)
"""The same, with something in parentheses after them."""

_TOKEN: Final = re.compile(
    r"""(?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)
    |(?P<opened>/\*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<space>[ \t\f\v\r\n]+|\\\r?\n)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>[-+*/%&|^~!<>=?:;,.(){}\[\]])
    |(?P<directive>\#)
    |(?P<stray>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class Token(NamedTuple):
    """A name, number, string or sign, and where in the text it begins."""

    kind: str
    text: str
    at: int


def without_comments(source: CSource, text: str) -> str:
    """The text with blanks for comments and joined lines. Raises `PolicyError` for characters
    that C does not have, and for more tokens than a decision can need."""
    parts: list[str] = []
    tokens = 0
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match.group()
        tokens += kind not in ("comment", "space")
        wrong = _wrong(str(kind), found, tokens)
        if wrong is not None:
            raise source.error(source.place(text, match.start()), wrong)
        blank = kind == "comment" or found.startswith("\\")
        parts.append(blanks(found) if blank else found)
    return "".join(parts)


def _wrong(kind: str, found: str, tokens: int) -> str | None:
    """What keeps the token from being one of a decision; None if nothing does."""
    if kind == "opened":
        return "this comment is never closed"
    if kind == "stray":
        return f"C has no character {quote(found)}"
    if tokens > MAX_TOKENS:
        return "too long: a decision takes a few lines"
    return None


def blanks(text: str) -> str:
    """As many blanks, on as many lines."""
    return re.sub(r"[^\n]", " ", text)


def tokens_of(text: str) -> Iterator[Token]:
    """The tokens of a text that has no comments left."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup not in (None, "space"):
            yield Token(str(match.lastgroup), match.group(), match.start())


def check_brackets(source: CSource, text: str) -> None:
    """Raise `PolicyError` where one is missing, is too many, or they are nested too deeply."""
    opened: list[Token] = []
    for token in tokens_of(text):
        if token.text in PAIRS:
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                raise source.error(source.place(text, token.at), "nested too deeply")
        elif token.text in PAIRS.values():
            if not opened:
                raise source.error(source.place(text, token.at), f"no {_other(token)} for this one")
            before = opened.pop()
            if PAIRS[before.text] != token.text:
                place = source.place(text, before.at)
                raise source.error(
                    source.place(text, token.at),
                    f"expected {PAIRS[before.text]!r} for the {before.text!r} of line {place.line}",
                )
    if opened:
        raise source.error(
            source.place(text, opened[-1].at), f"{opened[-1].text!r} is never closed"
        )


def _other(token: Token) -> str:
    return repr(next(left for left, right in PAIRS.items() if right == token.text))


def without_attributes(text: str) -> str:
    """The text with blanks for the attributes of function definitions."""
    tokens = list(tokens_of(text))
    taken: list[tuple[int, int]] = []
    for number, token in enumerate(tokens):
        if token.text in ATTRIBUTES:
            taken.append((token.at, token.at + len(token.text)))
        elif token.text in CALLED_ATTRIBUTES:
            taken.append((token.at, _end_of_call(tokens, number)))
    for start, end in reversed(taken):
        text = text[:start] + blanks(text[start:end]) + text[end:]
    return text


def _end_of_call(tokens: list[Token], number: int) -> int:
    """Behind the parentheses that follow the token; behind the token if there are none."""
    token = tokens[number]
    if number + 1 >= len(tokens) or tokens[number + 1].text != "(":
        return token.at + len(token.text)
    last = tokens[closing(tokens, number + 1)]
    return last.at + 1


def closing(tokens: list[Token], number: int) -> int:
    """The index of the token that closes the bracket at `number`; brackets are known to match."""
    depth = 0
    for at in range(number, len(tokens)):
        depth += (tokens[at].text in PAIRS) - (tokens[at].text in PAIRS.values())
        if depth == 0:
            return at
    raise AssertionError("check_brackets() has seen to it")
