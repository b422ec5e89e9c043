"""A tree whose fault functions are interpreted whole, and what a patch on it changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from swaptrace.csource.preprocess import defined_with
from swaptrace.errors import listed, printable
from swaptrace.kernels import KERNELS, Rule, Version
from swaptrace.ktree.changes import (
    ChangedPart,
    changed_parts,
    changes_not_executed,
    places_of,
    ruled_out,
)
from swaptrace.ktree.faults.builtin import ALWAYS
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.inert import COUNTS_SHOWN
from swaptrace.ktree.faults.policy import TreePolicy, programs_of
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram
from swaptrace.ktree.faults.source import FILES, Sources
from swaptrace.ktree.patching import is_inert as is_no_code
from swaptrace.ktree.patching import patched
from swaptrace.ktree.regular import is_plain, read_regular
from swaptrace.ktree.spec import MAKEFILE, MEMORY, Spec

_LOOKS_UP: Final = re.compile(r"\bswap_cache_get_folio\s*\(")

_VERSION: Final = re.compile(r"^(VERSION|PATCHLEVEL)\s*=\s*(\d{1,3})\s*$", re.MULTILINE)

_NAMING: Final = re.compile(
    r"^(?:VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION|NAME)\s*=[^\n]*\n", re.MULTILINE
)
"""What a Makefile says of the version."""

UNKNOWN: Final = (
    "no Makefile gives the version: what the model does itself is taken as in the newest kernel"
)
"""Why a comparison with an mm/memory.c alone is no proof."""

RULED_OUT: Final = "changes in what the model has none of, such as folios of several pages"

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
    left += changes_not_executed(_run(before).values(), _run(after).values())
    left += [path for path in patch.others if not is_no_code(path)]
    left += [MAKEFILE] * (_NAMING.sub("", makefile) != _NAMING.sub("", changed_makefile))
    if left:
        undecided.append(f"changes that are not modelled: {listed(left)}")
    undecided += [ARCHITECTURE] * any("pte_mkwrite" in each for each in (*left, *patch.unread))
    for old, new in zip(before, after, strict=True):
        undecided += (f"{name}() {RULED_OUT}" for name in ruled_out(old, new))
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
        yield from changed_parts(path, before, after, defined)


def _text(path: Path) -> str:
    return read_regular(path, MAX_MAKEFILE).decode("utf-8", "surrogateescape")


def _sorted(
    before: Programs, after: Programs, changed: Mapping[str, ChangedPart]
) -> tuple[list[str], list[str], list[str]]:
    """Which of the changes run, which are without effect, and which are neither: what is passed
    over by its name may do anything once it is changed, unless it only counts."""
    run = places_of([*_run(before).values(), *_run(after).values()])
    ran = [words for words, part in changed.items() if part.place in run]
    others = {words: part for words, part in changed.items() if part.place not in run}
    inert = [words for words, part in others.items() if part.only_counts]
    return ran, inert, [words for words in others if words not in inert]
