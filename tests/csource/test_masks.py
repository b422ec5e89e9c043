"""Is C asked twice, with flags that the model has not, just where these could matter?"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.csource.block import CBlock
from swaptrace.csource.decision import Decision, decision_of
from swaptrace.csource.policy import CPolicy
from swaptrace.errors import PolicyError
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import SwapinFault
from tests.csource.reading import fault
from tests.effort import examples

TWINS = Path(__file__).parent / "twins"


def decision(text: str) -> Decision:
    """That of statements of do_swap_page()."""
    return decision_of("swapin_pte", CBlock("it.c", 1, text), ())


MADE = "if ({}) pte = pte_mkdirty(pte);"

ONCE = [
    MADE.format("vmf->flags & FAULT_FLAG_WRITE"),
    MADE.format("(VM_READ | VM_WRITE) & vma->vm_flags"),
    MADE.format("(vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE"),
    "vmf->flags &= ~FAULT_FLAG_WRITE;",
    "if (exclusive) vmf->flags &= ~FAULT_FLAG_WRITE; else pte = pte_mkdirty(pte);",
]

TWICE = [
    MADE.format("vmf->flags"),
    MADE.format("vma->vm_flags & ~VM_WRITE"),
    MADE.format("(vma->vm_flags | VM_WRITE) & VM_WRITE"),
    "unsigned long VM_WRITE = ~VM_READ;" + MADE.format("vma->vm_flags & VM_WRITE"),
    "unsigned long flags = vma->vm_flags;" + MADE.format("flags & VM_WRITE"),
    "vmf->flags &= ~FAULT_FLAG_WRITE;" + MADE.format("!vmf->flags"),
]


@pytest.mark.parametrize("text", [*ONCE, *TWICE])
def test_it_is_asked_once_where_it_sees_no_other_flags(text: str) -> None:
    """Is a mask of known flags all that is needed, but not one that only looks like it?"""
    assert decision(text).sees_known_alone == (text in ONCE)


@pytest.mark.parametrize("file", sorted(TWINS.glob("*.c")), ids=lambda file: file.stem)
def test_what_was_proposed_is_asked_once(file: Path) -> None:
    """Of every version of the patch?"""
    policy = policies.from_argument(str(file))
    assert isinstance(policy, CPolicy)
    assert all(each.sees_known_alone for each in policy._decisions.values())


def outcome(read: Decision, asked: SwapinFault) -> object:
    """An answer, or what is wrong with the C whatever the flags are."""
    try:
        return read.decide(asked)
    except PolicyError as wrong:
        return str(wrong)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, st.sampled_from(("&", "|", "^", "==", "!=", "&&")), inner)
    one = st.tuples(st.sampled_from(["~", "!", "(bool)", "(unsigned int)"]), inner)
    return st.one_of(two, two, one).map(lambda parts: f"({' '.join(parts)})")


LEAVES = {
    "VM": ("vma->vm_flags", "VM_READ", "VM_WRITE", "VM_SHARED", "0"),
    "FAULT": ("vmf->flags", "FAULT_FLAG_WRITE", "FAULT_FLAG_UNSHARE", "0"),
}

CONDITIONS = st.one_of(
    [st.recursive(st.sampled_from(each), _larger, max_leaves=6) for each in LEAVES.values()]
)


@settings(max_examples=examples(150))
@given(CONDITIONS, st.sampled_from(["", "vmf->flags &= ~FAULT_FLAG_WRITE; "]))
def test_what_is_asked_once_would_say_the_same_again(condition: str, before: str) -> None:
    """Whatever is done to flags?"""
    try:
        read = decision(before + MADE.format(condition))
    except PolicyError:
        assume(False)
    assume(read.sees_known_alone)
    twice = read._replace(sees_known_alone=False)
    for writable, locked, write in product((False, True), repeat=3):
        asked = fault(Vma(writable=writable, locked=locked), write)
        assert outcome(twice, asked) == outcome(read, asked)
