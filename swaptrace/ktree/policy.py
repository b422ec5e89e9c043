"""The policy of a kernel tree, and what must be said beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from swaptrace.csource.listing import KERNEL_NAMES
from swaptrace.csource.policy import POINTS, CPolicy, policy_of
from swaptrace.errors import PolicyError, printable
from swaptrace.files import read_at_most, reason
from swaptrace.ktree.cleaned import MAX_BYTES
from swaptrace.ktree.decisions import Decisions, decisions_of
from swaptrace.ktree.patching import patched
from swaptrace.ktree.residue import changed_functions
from swaptrace.ktree.spec import Spec, spec_of

BOUND: Final = MAX_BYTES // 1024


def from_spec(text: str, defines: Collection[str] = ()) -> CPolicy:
    """The policy that `kernel:PATH+FILE` names; it is called so.

    `notes` of the policy are what nobody should draw conclusions without. Raises `PolicyError`.
    """
    spec = spec_of(text)
    before = decisions_of(spec.file, _read(spec.file), defines)
    if not spec.patches:
        return _policy(text, spec, before, (), defines)
    patch = patched(spec.root, spec.within, spec.patches)
    file = "+".join([spec.file, *(Path(name).name for name in spec.patches)])
    after = decisions_of(file, patch.text, defines)
    changed = [f"{spec.within}: {each}" for each in changed_functions(before, after)]
    left_out = [*changed, *patch.others]
    notes = list(patch.notes)
    if left_out:
        notes.append(f"changes that are not modelled: {', '.join(left_out)}")
    if after.texts() == before.texts():
        notes.append("no decision of the fault path is changed by the patch")
    return _policy(text, spec, after, notes, defines)


def _read(file: str) -> str:
    try:
        data = read_at_most(file, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"{printable(file)}: cannot be read: {reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise PolicyError(f"{printable(file)}: more than {BOUND} KiB: that is no kernel's")
    return data.decode("utf-8", "surrogateescape")


def _policy(
    name: str, spec: Spec, found: Decisions, notes: Collection[str], defines: Collection[str]
) -> CPolicy:
    title = "do_swap_page() as this tree has it"
    policy = policy_of(name, title, printable(spec.path), found.blocks(), defines)
    policy.notes = tuple(printable(note) for note in (*_said(spec, found), *notes))
    return policy


def _said(spec: Spec, found: Decisions) -> Iterator[str]:
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
