"""A tree whose fault functions are interpreted whole, and what a patch on it changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from swaptrace.csource.preprocess import defined_with
from swaptrace.errors import PolicyError, listed, printable
from swaptrace.kernels import KERNELS, Rule, Version
from swaptrace.ktree.cleaned import check_braces, cleaned, words_of
from swaptrace.ktree.faults.builtin import ALWAYS
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.inert import COUNTS_SHOWN, leaves_no_trace, only_counts
from swaptrace.ktree.faults.policy import TreePolicy, programs_of
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram, FunctionWords
from swaptrace.ktree.faults.source import FILES, Sources
from swaptrace.ktree.functions import functions
from swaptrace.ktree.patching import is_inert as is_no_code
from swaptrace.ktree.patching import patched
from swaptrace.ktree.regular import is_plain, read_regular
from swaptrace.ktree.residue import NOTHING, NotExecuted, differing, not_executed
from swaptrace.ktree.spec import MAKEFILE, MEMORY, Spec

_LOOKS_UP: Final = re.compile(r"\bswap_cache_get_folio\s*\(")

_VERSION: Final = re.compile(r"^(VERSION|PATCHLEVEL)\s*=\s*(\d{1,3})\s*$", re.MULTILINE)

_NAMING: Final = re.compile(
    r"^(?:VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION|NAME)\s*=[^\n]*\n", re.MULTILINE
)
"""What a Makefile says of the version."""

_INCLUDE: Final = re.compile(r"^[ \t]*#[ \t]*include\b[^\n]*$", re.MULTILINE)

_DIRECTIVE: Final = re.compile(r"^[ \t]*#[ \t]*(?!include\b)\w", re.MULTILINE)

OUTSIDE: Final = "outside of functions"

UNCALLED: Final = FunctionWords("", NOTHING)
"""Of a function that is not run."""

UNKNOWN: Final = (
    "no Makefile gives the version: what the model does itself is taken as in the newest kernel"
)
"""Why a comparison with an mm/memory.c alone is no proof."""

WINDOW: Final = (
    "a changed swap_vma_ra_win() is run, but how far two policies read ahead is not compared"
)
"""Why a patch that changes the window is not proved to change nothing."""

ARCHITECTURE: Final = (
    "pte_mkwrite() is the architecture's; with --set machine.mkwrite_dirties=true it dirties the "
    "PTE, as arm64's did before 143937ca51cc, and the counts show what that costs"
)
"""What a patch of such a function can be tried with."""

MAX_MAKEFILE: Final = 1024 * 1024

Programs: TypeAlias = tuple[FaultProgram, FaultProgram]
"""What is interpreted for a fault, and for its window."""

Place: TypeAlias = tuple[str, str]
"""The path of a file, and the name of a function in it."""


class ChangedPart(NamedTuple):
    """What a patch changes: a function, or what is around them. `only_counts` is a statistic."""

    place: Place
    only_counts: bool = False


def is_whole(text: str) -> bool:
    """Whether an mm/memory.c is one as a kernel has it: it looks folios up in the swap cache."""
    return _LOOKS_UP.search(text) is not None


def from_tree(
    name: str, spec: Spec, text: str, defines: Collection[str], builtin: Collection[str] = ()
) -> TreePolicy:
    """The policy of a tree with its patches; its functions called `builtin` are not read.

    Raises `PolicyError` with all that is wrong.
    """
    root = spec.root if spec.within == MEMORY else None
    defined = defined_with(defines)
    known = {MEMORY: text}
    shown = {path: f"{spec.tree.rstrip('/')}/{path}" for path in FILES} | {MEMORY: spec.file}
    makefile = _makefile(spec.root)
    number = _version(makefile)
    before = programs_of(Sources(root, known, shown, defined, number), builtin)
    if not spec.patches:
        return _policy(name, before, (), ())
    patch = patched(spec.root, spec.within, spec.patches, spec.tree)
    texts = {MEMORY if path == spec.within else path: new for path, new in patch.texts.items()}
    changed_makefile = texts.pop(MAKEFILE, makefile)
    number = _version(changed_makefile)
    plus = "+".join(["", *(Path(each).name for each in spec.patches)])
    changed = {path: f"{shown.get(path, path)}{plus}" for path in texts}
    sources = Sources(root, known | texts, shown | changed, defined, number)
    after = programs_of(sources, builtin)
    notes, undecided = list(patch.notes), []
    parts = dict(_changes(spec, text, texts, defined))
    ran, inert, left = _sorted(before, after, parts)
    left += _changes_not_executed(before, after)
    left += [path for path in patch.others if not is_no_code(path)]
    left += [MAKEFILE] * (_NAMING.sub("", makefile) != _NAMING.sub("", changed_makefile))
    if left:
        undecided.append(f"changes that are not modelled: {listed(left)}")
    undecided += [ARCHITECTURE] * any("pte_mkwrite" in each for each in (*left, *patch.unread))
    for old, new in zip(before, after, strict=True):
        undecided += _ruled_out(old, new)
    notes += [f"changed, and run: {listed(ran)}"] * bool(ran)
    notes += [f"changed, without effect on a page: {listed(inert)}"] * bool(inert)
    shows = [part for part in inert if parts[part].place[1] in COUNTS_SHOWN]
    undecided += [f"statistics that the model shows: {listed(shows)}"] * bool(shows)
    if not ran and not undecided:
        notes.append("the patch changes nothing of the functions that are interpreted")
    policy = _policy(name, after, notes, undecided)
    policy.unproved += (WINDOW,) * (before[1].changes() != after[1].changes())
    return policy


def _run(programs: Programs) -> Mapping[str, CallableFunction]:
    """All functions that are interpreted."""
    program, windows = programs
    return {**program.functions, **windows.functions}


def _policy(
    name: str, programs: Programs, notes: Collection[str], undecided: Collection[str]
) -> TreePolicy:
    program, windows = programs
    policy = TreePolicy(name, program, windows)
    asked = [f"{each}()" for each in program.builtin]
    has = {*program.functions, *program.builtin}
    since = Rule.UFFD_RWP.since
    if program.sources.version is not None and program.sources.version < since:
        has.add("do_uffd_rwp")  # no fault of this kernel gets there
    absent = [f"{root}()" for root in FAULTS.roots if root not in has]
    said = [f"left to the built-in model, as the tree has none: {', '.join(absent)}"] * bool(absent)
    said += [f"left to the built-in model, by --builtin: {', '.join(asked)}"] * bool(asked)
    policy.notes = tuple(printable(note) for note in (*said, *notes))
    doubts = (*program.doubts, *windows.doubts, *undecided)
    policy.undecided = tuple(printable(reason) for reason in doubts)
    number = program.sources.version
    kernel = "" if number is None else f"{number[0]}.{number[1]}"
    policy.kernel = kernel if kernel in KERNELS else ""
    left = [f"{each}() is the built-in one" for each in program.builtin if each not in ALWAYS]
    policy.unproved = (*left, *((UNKNOWN,) * (not kernel)))
    return policy


def _makefile(root: Path) -> str:
    """That of a tree; empty if it has none."""
    if not is_plain(root, MAKEFILE):
        return ""
    return read_regular(root / MAKEFILE, MAX_MAKEFILE).decode("utf-8", "surrogateescape")


def _version(text: str) -> Version | None:
    """The version that a Makefile gives; None if it gives none."""
    found = dict(_VERSION.findall(text))
    if "VERSION" not in found or "PATCHLEVEL" not in found:
        return None
    return int(found["VERSION"]), int(found["PATCHLEVEL"])


def _changes(
    spec: Spec, text: str, texts: Mapping[str, str], defined: Collection[str]
) -> Iterator[tuple[str, ChangedPart]]:
    """What a patch changes, by words for it: each function, and what is around them."""
    for path, after in texts.items():
        before = text if path == MEMORY else _text(spec.root / path)
        if words_of(path, before) == words_of(path, after):
            continue
        try:
            old, new = _parts(path, before, defined), _parts(path, after, defined)
        except PolicyError:  # conditions of the preprocessor that are not understood
            yield path, ChangedPart((path, path))
            continue
        for name in dict.fromkeys([*new, *old]):
            one, other = old.get(name, UNDEFINED), new.get(name, UNDEFINED)
            if one.words != other.words:
                shown = f"{path}: {name}{'' if name == OUTSIDE else '()'}"
                part = ChangedPart((path, name), only_counts(name, one.words, other.words))
                yield shown, part
        if any(old[name].behind != new[name].behind for name in old.keys() & new.keys()):
            yield f"{path}: {OUTSIDE}", ChangedPart((path, OUTSIDE))


def _changes_not_executed(before: Programs, after: Programs) -> Iterator[str]:
    """What a patch changes in functions that are run and is passed over there."""
    old, new = _passed_over(before), _passed_over(after)
    for place in {**old, **new}:
        path, name = place
        changes = differing(old.get(place, NOTHING), new.get(place, NOTHING))
        yield from (f"{path}: {each} in {name}()" for each in changes)


def _passed_over(programs: Programs) -> dict[Place, NotExecuted]:
    """By function that is run."""
    definitions = (each.definition for each in _run(programs).values())
    return {
        (each.file, each.name): not_executed(each.within, each.span, leaves_no_trace)
        for each in definitions
    }


def _text(path: Path) -> str:
    return read_regular(path, MAX_MAKEFILE).decode("utf-8", "surrogateescape")


class FilePart(NamedTuple):
    """The words of a function, or of what is around; `behind` is how many directives of the
    preprocessor stand before it outside of functions, but for those that name a header."""

    words: str
    behind: int = 0


UNDEFINED: Final = FilePart("")


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


def _sorted(
    before: Programs, after: Programs, changed: Mapping[str, ChangedPart]
) -> tuple[list[str], list[str], list[str]]:
    """Which of the changes run, which are without effect, and which are neither: what is passed
    over by its name may do anything once it is changed, unless it only counts."""
    both = (*_run(before).values(), *_run(after).values())
    run = {(each.definition.file, each.definition.name) for each in both}
    ran = [words for words, part in changed.items() if part.place in run]
    others = {words: part for words, part in changed.items() if part.place not in run}
    inert = [words for words, part in others.items() if part.only_counts]
    return ran, inert, [words for words in others if words not in inert]


def _ruled_out(before: FaultProgram, after: FaultProgram) -> Iterator[str]:
    """The functions of which a patch changes what the model rules out, or does not look at."""
    old, new = before.changes(), after.changes()
    for name in {**old, **new}:
        one, other = old.get(name, UNCALLED), new.get(name, UNCALLED)
        if one.words != other.words and differing(one.unseen, other.unseen):
            yield f"{name}() changes in what the model has none of, such as folios of several pages"
