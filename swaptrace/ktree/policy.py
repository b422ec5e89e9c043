"""The policy of a kernel tree, and what must be said beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from swaptrace.csource.listing import KERNEL_NAMES
from swaptrace.csource.policy import POINTS, CPolicy, policy_of
from swaptrace.errors import PolicyError, listed, printable
from swaptrace.ktree.cleaned import MAX_BYTES, words_of
from swaptrace.ktree.decisions import Decisions, decisions_of
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.ktree.faults.source import FILES
from swaptrace.ktree.patching import is_inert, patched, touched
from swaptrace.ktree.regular import is_plain, read_regular
from swaptrace.ktree.repository import checked_out
from swaptrace.ktree.residue import changed_functions, passed_over
from swaptrace.ktree.spec import MAKEFILE, MEMORY, Spec, spec_of
from swaptrace.ktree.whole import from_tree, is_whole

THREE: Final = (
    "three decisions are compared, not what its do_swap_page() and do_wp_page() do around them"
)
"""Why no comparison with a tree is a proof."""


def from_spec(
    text: str, defines: Collection[str] = (), builtin: Collection[str] = ()
) -> CPolicy | TreePolicy:
    """The policy that `kernel:PATH+FILE` names; it is called so.

    Where the file is mm/memory.c as a kernel has it, its functions are interpreted whole; of an
    excerpt three decisions are taken.

    `notes` of the policy are what nobody should draw conclusions without, `undecided` why what is
    found with it is not the last word. Raises `PolicyError`.
    """
    spec = spec_of(text)
    if not spec.revision:
        return _from_files(text, spec, defines, builtin)
    wanted = [MAKEFILE, *FILES, *touched(spec.patches)]
    with checked_out(spec.path, spec.revision, wanted) as place:
        if not is_plain(place, MEMORY):
            raise PolicyError(f"{printable(spec.tree)}: no kernel tree: it has no {MEMORY}")
        return _from_files(text, spec._replace(place=str(place)), defines, builtin)


def _from_files(
    text: str, spec: Spec, defines: Collection[str], builtin: Collection[str]
) -> CPolicy | TreePolicy:
    content = _read(spec.root / spec.within)
    if is_whole(content):
        return from_tree(text, spec, content, defines, builtin)
    if builtin:
        raise PolicyError(
            f"--builtin: {printable(spec.file)} is an excerpt, of which three decisions are taken; "
            "a function can be left out of a tree that is interpreted whole"
        )
    before = decisions_of(spec.file, content, defines)
    if not spec.patches:
        return _policy(text, spec, before, (), (), defines)
    patch = patched(spec.root, spec.within, spec.patches, spec.tree)
    file = "+".join([spec.file, *(Path(name).name for name in spec.patches)])
    after = decisions_of(file, patch.texts.get(spec.within, before.file.text), defines)
    left_out = [
        *(f"{spec.within}: {each}" for each in changed_functions(before, after)),
        *(f"{spec.within}: {each}" for each in passed_over(before, after)),
        *_changed_files(spec, patch.texts),
        *(path for path in patch.others if not is_inert(path)),
    ]
    notes = list(patch.notes)
    undecided = [f"changes that are not modelled: {listed(left_out)}"] if left_out else []
    if after.texts() == before.texts() and not left_out:
        notes.append("no decision of the fault path is changed by the patch")
    return _policy(text, spec, after, notes, undecided, defines)


def _read(path: Path) -> str:
    return read_regular(path, MAX_BYTES).decode("utf-8", "surrogateescape")


def _changed_files(spec: Spec, texts: Mapping[str, str]) -> Iterator[str]:
    """The other files of which more than comments are changed."""
    for path, after in texts.items():
        if path == spec.within:
            continue
        before = _read(spec.root / path)
        # A Makefile has no comments of C, and what looks like one need not end.
        if path == MAKEFILE or words_of(path, after) != words_of(path, before):
            yield path


def _policy(
    name: str,
    spec: Spec,
    found: Decisions,
    notes: Collection[str],
    undecided: Collection[str],
    defines: Collection[str],
) -> CPolicy:
    title = "do_swap_page() as this tree has it"
    policy = policy_of(name, title, printable(spec.path), found.blocks(), defines)
    policy.notes = tuple(printable(note) for note in notes)
    reasons = (*policy.undecided, *_unfound(spec, found), *undecided)
    policy.undecided = tuple(printable(reason) for reason in reasons)
    policy.unproved = (THREE,)
    return policy


def _unfound(spec: Spec, found: Decisions) -> Iterator[str]:
    for point in POINTS:
        if point not in found.spans:
            yield (
                f"{spec.file} has no {KERNEL_NAMES[point]} that can be found; for {point} the "
                "default stands, as in Linux 6.10"
            )
    if found.frees_after_mapping():
        yield (
            f"{spec.file} frees the swap cache after it has mapped the page, the model before: "
            "folio_ref_count() of a page in the swap cache may be one less than in this kernel"
        )
