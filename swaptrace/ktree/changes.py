"""In what two versions of a tree differ besides what is executed of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from swaptrace.errors import PolicyError
from swaptrace.ktree.cleaned import check_braces, cleaned, words_of
from swaptrace.ktree.faults.inert import COUNTS_SHOWN, leaves_no_trace, only_counts
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram, FunctionWords
from swaptrace.ktree.faults.source import FILES
from swaptrace.ktree.functions import functions
from swaptrace.ktree.residue import NOTHING, NotExecuted, differing, not_executed

_INCLUDE: Final = re.compile(r"^[ \t]*#[ \t]*include\b[^\n]*$", re.MULTILINE)

_DIRECTIVE: Final = re.compile(r"^[ \t]*#[ \t]*(?!include\b)\w", re.MULTILINE)

OUTSIDE: Final = "outside of functions"

UNCALLED: Final = FunctionWords("", NOTHING)
"""Of a function that is not run."""

Place: TypeAlias = tuple[str, str]
"""The path of a file, and the name of a function in it."""


class ChangedPart(NamedTuple):
    """What is changed: a function, or what is around them. `only_counts` is a statistic."""

    place: Place
    only_counts: bool = False


class FilePart(NamedTuple):
    """The words of a function, or of what is around; `behind` is how many directives of the
    preprocessor stand before it outside of functions, but for those that name a header."""

    words: str
    behind: int = 0


UNDEFINED: Final = FilePart("")


def changed_parts(
    path: str, before: str, after: str, defined: Collection[str]
) -> Iterator[tuple[str, ChangedPart]]:
    """What differs of a file, by words for it: each function, and what is around them."""
    if words_of(path, before) == words_of(path, after):
        return
    try:
        old, new = _parts(path, before, defined), _parts(path, after, defined)
    except PolicyError:  # conditions of the preprocessor that are not understood
        yield path, ChangedPart((path, path))
        return
    for name in dict.fromkeys([*new, *old]):
        one, other = old.get(name, UNDEFINED), new.get(name, UNDEFINED)
        if one.words != other.words:
            shown = f"{path}: {name}{'' if name == OUTSIDE else '()'}"
            part = ChangedPart((path, name), only_counts(name, one.words, other.words))
            yield shown, part
    if any(old[name].behind != new[name].behind for name in old.keys() & new.keys()):
        yield f"{path}: {OUTSIDE}", ChangedPart((path, OUTSIDE))


def _parts(path: str, text: str, defined: Collection[str]) -> dict[str, FilePart]:
    """Each function, and what is around but the names of headers."""
    file = cleaned(path, text, defined)
    check_braces(file)
    parts: dict[str, FilePart] = {}
    around, at, behind = [], 0, 0
    for each in functions(file.code):
        words = [parts.get(each.name, UNDEFINED).words, file.uncommented[each.start : each.end]]
        around.append(file.uncommented[at : each.start])
        behind += len(_DIRECTIVE.findall(around[-1]))
        parts[each.name] = FilePart(_words(" ".join(words)), behind)
        at = max(at, each.end)
    rest = _words(_INCLUDE.sub("", "".join([*around, file.uncommented[at:]])))
    return parts | {OUTSIDE: FilePart(rest)}


def _words(text: str) -> str:
    return " ".join(text.split())


def places_of(run: Iterable[CallableFunction]) -> set[Place]:
    """Where functions that are run stand."""
    return {(each.definition.file, each.definition.name) for each in run}


def changes_not_executed(
    before: Iterable[CallableFunction], after: Iterable[CallableFunction]
) -> Iterator[str]:
    """What differs in functions that are run and is passed over there."""
    old, new = _passed_over(before), _passed_over(after)
    for place in {**old, **new}:
        path, name = place
        changes = differing(old.get(place, NOTHING), new.get(place, NOTHING))
        yield from (f"{path}: {each} in {name}()" for each in changes)


def _passed_over(run: Iterable[CallableFunction]) -> dict[Place, NotExecuted]:
    """By function that is run."""
    definitions = (each.definition for each in run)
    return {
        (each.file, each.name): not_executed(each.within, each.span, leaves_no_trace)
        for each in definitions
    }


def ruled_out(before: FaultProgram, after: FaultProgram) -> Iterator[str]:
    """The functions of which that differs which the model rules out, or does not look at."""
    old, new = before.changes(), after.changes()
    for name in {**old, **new}:
        one, other = old.get(name, UNCALLED), new.get(name, UNCALLED)
        if one.words != other.words and differing(one.unseen, other.unseen):
            yield name


def not_interpreted(one: FaultProgram, other: FaultProgram) -> Iterator[str]:
    """What two trees of one version have otherwise in the files that are read, and nothing runs."""
    run = places_of([*one.functions.values(), *other.functions.values()])
    for path in FILES:
        old, new = one.sources.text(path), other.sources.text(path)
        if old is None or new is None:
            continue
        for shown, part in changed_parts(path, old, new, one.sources.defined):
            counts = part.only_counts and part.place[1] not in COUNTS_SHOWN
            if part.place not in run and not counts:
                yield shown
    yield from (f"what is ruled out in {name}()" for name in ruled_out(one, other))
