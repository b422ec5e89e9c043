"""What a patch changes besides the decisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, NamedTuple

from swaptrace.csource.ignored import leaves_no_trace
from swaptrace.csource.listing import KERNEL_NAMES
from swaptrace.csource.tokens import blanks
from swaptrace.ktree.cleaned import Cleaned
from swaptrace.ktree.decisions import Decisions
from swaptrace.ktree.functions import TextSpan

SilentCall = tuple[str, str]
"""A call that leaves no trace, by its name and its words."""


class NotExecuted(NamedTuple):
    """What is not executed of a part of a file: `lines` that are not compiled, and `calls` that
    leave no trace, in order. `executed` is the rest, word by word, and `places` are how many of
    these words stand before each call."""

    lines: Counter[str]
    calls: tuple[SilentCall, ...]
    places: tuple[int, ...]
    executed: tuple[str, ...]


Opcode = tuple[str, int, int, int, int]
"""What becomes of a part of one sequence in another, as of difflib."""

NOTHING: Final = NotExecuted(Counter(), (), (), ())
"""Of a function that is not run."""

OUTSIDE: Final = "outside of functions"

LEFT_OUT: Final = "preprocessor lines"
"""Directives, and what they leave out."""

_FOLIO_TEST: Final = re.compile(r"folio_test_(?!clear_|set_)\w+\((?P<folio>\w+)\)")
"""A flag of a folio, which is looked at and not changed."""

_CALL: Final = "FuncCall "
"""How a call begins where the words are of nodes (faults/ruledout.py)."""

_COMPUTES: Final = re.compile(r"pte_(?!unmap|offset|alloc|free|lock)\w+")

_COMPUTING: Final = frozenset(
    ("Assignment", "BinaryOp", "Constant", "ExprList", "FuncCall", "ID", "If", "StructRef")
) | {"TernaryOp", "UnaryOp", *";{}"}
"""What a statement may be made of that gives variables values, and goes on to the next."""

_TOKEN: Final = re.compile(r"(?P<call>\b\w+)\s*\(|[;{}]")

_WORD: Final = re.compile(r"\w+|[^\w\s]")


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
    """The names of what only one of the two has, or has elsewhere: behind another such call, or
    behind what is executed and was before it, whichever of them it is that moves."""
    if old == new:
        return []
    names = [LEFT_OUT] * (old.lines != new.lines)
    allowed = _Counterparts(old.executed, new.executed)
    for tag, first, last, start, end in _compared(old.calls, new.calls):
        if tag != "equal":
            names += [name for name, _ in (*old.calls[first:last], *new.calls[start:end])]
            continue
        pairs = zip(old.places[first:last], new.places[start:end], strict=True)
        moved = [
            at
            for at, (one, other) in enumerate(pairs, first)
            if not allowed(one, other) or _crossed(old.executed, one, new.executed, other)
            if not _indifferent(
                old.calls[at][0], _passed_by(old.executed, one, new.executed, other)
            )
        ]
        names += [old.calls[at][0] for at in moved]
    return list(dict.fromkeys(names))


def _compared(old: tuple[object, ...], new: tuple[object, ...]) -> Sequence[Opcode]:
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _crossed(
    old: tuple[str, ...], one: int, new: tuple[str, ...], other: int
) -> Counter[tuple[str, ...]]:
    """The statements that stand before a place of one sequence of words, and behind that of
    another, or the other way round."""
    before, after = _statements(old[:one]), _statements(old[one:])
    first, last = _statements(new[:other]), _statements(new[other:])
    return (before - first & last - after) | (after - last & first - before)


def _passed_by(
    old: tuple[str, ...], one: int, new: tuple[str, ...], other: int
) -> set[tuple[str, ...]]:
    """The statements that stand before a place in only one of two sequences of words."""
    before, first = _statements(old[:one]), _statements(new[:other])
    return {*(before - first), *(first - before)}


def _indifferent(text: str, passed: Iterable[tuple[str, ...]]) -> bool:
    """Whether what is not executed may stand before these statements as well as behind them: it is
    a test of a folio, and they only compute with PTEs and do not name the folio."""
    test = _FOLIO_TEST.fullmatch(text)
    return test is not None and all(_of_ptes(each, test["folio"]) for each in passed)


def _of_ptes(statement: tuple[str, ...], folio: str) -> bool:
    called = [word.removeprefix(_CALL) for word in statement if word.startswith(_CALL)]
    computes = bool(called) and all(map(_COMPUTES.fullmatch, called))
    goes_on = all(word.split()[0] in _COMPUTING for word in statement)
    stores = any(
        each.startswith("Assignment") and not target.startswith("ID ")
        for each, target in pairwise(statement)
    )
    return computes and goes_on and not stores and f"ID {folio}" not in statement


def _statements(words: tuple[str, ...]) -> Counter[tuple[str, ...]]:
    found: list[list[str]] = [[]]
    for word in words:
        found[-1].append(word)
        if word in ";{}":
            found.append([])
    return Counter(tuple(each) for each in found if len(each) > 1)


class _Counterparts:
    """Where in one sequence of words a place of another is."""

    def __init__(self, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        self.compared = _compared(old, new)

    def __call__(self, one: int, other: int) -> bool:
        """Whether both are the same place: between words that are in both, or else among those
        that stand for each other."""
        around = [each for each in self.compared if each[1] <= one <= each[2]]
        exact = [start + one - first for tag, first, _, start, _ in around if tag == "equal"]
        if exact:
            return other in exact
        return not around or any(start <= other <= end for _, _, _, start, end in around)


def not_executed(
    file: Cleaned, span: TextSpan, is_silent: Callable[[str], bool] = leaves_no_trace
) -> NotExecuted:
    """All in a part of a file that is not executed, with the words of each."""
    uncommented, code = (
        text[span.start : span.end].split("\n") for text in (file.uncommented, file.code)
    )
    lines = zip(uncommented, code, strict=True)
    left_out = (words for words, compiled in lines if words.strip() and not compiled.strip())
    calls, places, executed, at = [], [], list[str](), span.start
    for name, words, start, end in _silent_calls(file.code, span, is_silent):
        executed += _WORD.findall(file.code[at : max(at, start)])
        at = max(at, end)
        calls.append((name, words))
        places.append(len(executed))
    executed += _WORD.findall(file.code[at : span.end])
    return NotExecuted(Counter(map(_words, left_out)), tuple(calls), tuple(places), tuple(executed))


def _silent_calls(
    code: str, span: TextSpan, is_silent: Callable[[str], bool]
) -> Iterator[tuple[str, str, int, int]]:
    """The statements with such calls, behind the heads of the blocks that they stand in, and from
    where to where they go."""
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
            end = max(code.find(";", token.end(), span.end), begin)
            yield f"{name}()", " { ".join([*heads, _words(code[begin:end])]), begin, end
