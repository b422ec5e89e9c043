"""A file of the kernel without what is no code: comments, strings, what `#if` leaves out.

Everything that goes becomes blanks, so that an offset means the same place in each of the texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from swaptrace.csource.preprocess import resolve
from swaptrace.csource.source import CSource
from swaptrace.csource.tokens import blanks

MAX_BYTES: Final = 1024 * 1024
"""Five times mm/memory.c: what is larger is something else."""

CONDITIONALS: Final = frozenset({"if", "ifdef", "ifndef", "elif", "else", "endif"})

_LITERAL: Final = re.compile(
    r"""(?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)
    |(?P<opened>/\*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.VERBOSE | re.DOTALL,
)

_SPLICED: Final = re.compile(r"/(?:\\\n)+[/*]|\*(?:\\\n)+/")
"""A sign that begins or ends a comment, on two lines."""

_DIRECTIVE: Final = re.compile(r"[ \t]*#[ \t]*(\w*)")


class Cleaned(NamedTuple):
    """A file as it is (`text`), without comments (`uncommented`), and what is left of it to compile
    (`code`): no strings, no directives, no lines that `#if` leaves out."""

    source: CSource
    text: str
    uncommented: str
    code: str


def cleaned(file: str, text: str, defined: Collection[str]) -> Cleaned:
    """Raises `PolicyError` for a comment without end, an `#if` without `#endif`, or one whose
    condition is not understood."""
    source = CSource(file, 1, tuple(text.split("\n")))
    uncommented = _blanked(source, text, ("comment",))
    code = _blanked(source, text, ("comment", "string"))
    compiled = resolve(source, _conditionals_alone(code), defined)
    lines = zip(code.split("\n"), compiled.split("\n"), strict=True)
    kept = "\n".join(line if rest.strip() else blanks(line) for line, rest in lines)
    return Cleaned(source, text, uncommented, kept)


def words_of(file: str, text: str) -> str:
    """The text without its comments, on one line: what two files can be compared by."""
    source = CSource(file, 1, tuple(text.split("\n")))
    return " ".join(_blanked(source, text, ("comment",)).split())


def _blanked(source: CSource, text: str, kinds: Collection[str]) -> str:
    spliced = _SPLICED.search(text)
    if spliced is not None:
        place = source.place(text, spliced.start())
        raise source.error(place, "a comment that begins or ends on two lines is not understood")

    def blank(match: re.Match[str]) -> str:
        if match.lastgroup == "opened":
            place = source.place(text, match.start())
            raise source.error(place, "this comment is never closed")
        return blanks(match.group()) if match.lastgroup in kinds else match.group()

    return _LITERAL.sub(blank, text)


def _conditionals_alone(code: str) -> str:
    """The same lines without `#define` and the like, and with each `#if` on one of them."""
    lines = code.split("\n")
    for numbers in _directives(lines):
        first = lines[numbers[0]]
        match = _DIRECTIVE.match(first)
        assert match is not None, "that is what a directive is"
        joined = " ".join(lines[number].removesuffix("\\") for number in numbers)
        for number in numbers:
            lines[number] = " " * len(lines[number])
        if match.group(1) in CONDITIONALS:
            lines[numbers[0]] = joined
    return "\n".join(lines)


def _directives(lines: list[str]) -> Iterator[range]:
    """The lines of each directive, with those that continue it."""
    number = 0
    while number < len(lines):
        end = number + 1
        if _DIRECTIVE.match(lines[number]) is not None:
            while end < len(lines) and lines[end - 1].endswith("\\"):
                end += 1
            yield range(number, end)
        number = end


def line_of(text: str, at: int) -> int:
    """The line of an offset, from 1."""
    return text.count("\n", 0, at) + 1


def check_braces(file: Cleaned) -> None:
    """Raise `PolicyError` where a brace is missing or is too many."""
    opened: list[int] = []
    for match in re.finditer(r"[{}]", file.code):
        if match.group() == "{":
            opened.append(match.start())
        elif not opened:
            place = file.source.place(file.code, match.start())
            raise file.source.error(place, "no '{' for this one")
        else:
            opened.pop()
    if opened:
        last = file.source.place(file.code, opened[-1])
        raise file.source.error(last, "'{' is never closed")
