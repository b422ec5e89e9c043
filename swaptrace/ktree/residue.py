"""What a patch changes besides the decisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from swaptrace.csource.ignored import leaves_no_trace
from swaptrace.csource.listing import KERNEL_NAMES
from swaptrace.csource.tokens import blanks
from swaptrace.ktree.cleaned import Cleaned
from swaptrace.ktree.decisions import Decisions
from swaptrace.ktree.functions import TextSpan

NotExecuted = Counter[tuple[str, str]]
"""Calls that leave no trace and lines that are not compiled, by a name for them and their words."""

OUTSIDE: Final = "outside of functions"

LEFT_OUT: Final = "preprocessor lines"
"""Directives, and what they leave out."""

_TOKEN: Final = re.compile(r"(?P<call>\b\w+)\s*\(|[;{}]")


def changed_functions(before: Decisions, after: Decisions) -> Iterator[str]:
    """The functions that differ in more than comments and the decisions, as `name()`."""
    old, new = _parts(before), _parts(after)
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) != new.get(name):
            yield name


def _parts(found: Decisions) -> dict[str, str]:
    """The words of each function without those of the decisions, and of all that is around."""
    rest = found.file.uncommented
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


def passed_over(before: Decisions, after: Decisions) -> Iterator[str]:
    """What differs within the decisions and is not executed by the model, or only there: calls that
    leave no trace in it, with what they are conditional on, and lines that are not compiled."""
    for point in after.spans.keys() & before.spans.keys():
        old, new = (not_executed(found.file, found.spans[point]) for found in (before, after))
        for name in differing(old, new):
            yield f"{name} in {KERNEL_NAMES[point]}"


def differing(old: NotExecuted, new: NotExecuted) -> list[str]:
    """Of what only one of the two has, the names."""
    return list(dict.fromkeys(name for name, _ in (new - old) + (old - new)))


def not_executed(
    file: Cleaned, span: TextSpan, is_silent: Callable[[str], bool] = leaves_no_trace
) -> NotExecuted:
    """All in a part of a file that is not executed, with the words of each."""
    uncommented, code = (
        text[span.start : span.end].split("\n") for text in (file.uncommented, file.code)
    )
    lines = zip(uncommented, code, strict=True)
    left_out = (words for words, compiled in lines if words.strip() and not compiled.strip())
    found = Counter((LEFT_OUT, _words(line)) for line in left_out)
    found.update(_silent_calls(file.code, span, is_silent))
    return found


def _silent_calls(
    code: str, span: TextSpan, is_silent: Callable[[str], bool]
) -> Iterator[tuple[str, str]]:
    """The statements with such calls, behind the heads of the blocks that they stand in."""
    heads: list[str] = []
    begin = span.start
    for token in _TOKEN.finditer(code, span.start, span.end):
        name = token["call"]
        if name is None:
            if token.group() == "{":
                heads.append(_words(code[begin : token.start()]))
            elif token.group() == "}" and heads:
                heads.pop()
            begin = token.end()
        elif is_silent(name):
            end = code.find(";", token.end(), span.end)
            yield f"{name}()", " { ".join([*heads, _words(code[begin : max(end, begin)])])
