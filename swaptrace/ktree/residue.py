"""What a patch changes besides the decisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from swaptrace.csource.tokens import blanks
from swaptrace.ktree.decisions import Decisions

OUTSIDE: Final = "outside of functions"


def changed_functions(before: Decisions, after: Decisions) -> Iterator[str]:
    """The functions that differ in more than comments and the decisions, as `name()`."""
    old, new = _parts(before), _parts(after)
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            yield name


def _parts(found: Decisions) -> dict[str, str]:
    """The words of each function without those of the decisions, and of all that is around."""
    rest = found.file.bare
    for span in found.spans.values():
        rest = _without(rest, span.start, span.end)
    parts: dict[str, str] = {}
    pieces, at = [], 0
    for each in found.functions.values():
        parts[f"{each.name}()"] = _words(rest[each.start : each.end])
        pieces.append(rest[at : each.start])
        at = max(at, each.end)
    parts[OUTSIDE] = _words("".join([*pieces, rest[at:]]))
    return {name: words for name, words in parts.items() if words}


def _without(text: str, start: int, end: int) -> str:
    return text[:start] + blanks(text[start:end]) + text[end:]


def _words(text: str) -> str:
    return " ".join(text.split())
