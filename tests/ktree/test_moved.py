"""What of a patch may stand elsewhere, although a constant rules it out?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.policies import from_argument
from tests.ktree.making import MEMORY, diff
from tests.ktree.wholes import Write, edited
from tests.ktree.wholes import written as written  # a fixture

CARRIES = """\
	if (pte_swp_soft_dirty(vmf->orig_pte))
		pte = pte_mksoft_dirty(pte);
"""
SOLE = "	if (exclusive || folio_ref_count(folio) == 1) {\n"
TESTS = "	if (!folio_test_ksm(folio) && (exclusive || folio_ref_count(folio) == 1)) {\n"
GIVES = "	rmap_flags |= RMAP_EXCLUSIVE;\n	}\n"


@pytest.mark.parametrize(
    ("moved", "decided"),
    [
        (CARRIES, True),
        (CARRIES.replace("pte_swp_soft_dirty(vmf->orig_pte)", "folio_test_lru(folio)"), False),
        (CARRIES.replace("pte = pte_mksoft_dirty(pte)", "return VM_FAULT_SIGBUS"), False),
        (CARRIES.replace("		pte = ", "		*vmf->pte = "), False),
        ("	pte_unmap_unlock(vmf->pte, vmf->ptl);\n", False),
    ],
    ids=["PTEs", "the folio", "the end", "a store", "a lock"],
)
def test_a_test_of_a_folio_may_stand_behind_what_computes_with_ptes(
    moved: str, decided: bool, written: Write, tmp_path: Path
) -> None:
    """Although a constant rules it out, and not behind what names the folio, or does more?"""
    tree = written("before", edited("before", (CARRIES, moved), (SOLE, TESTS)))
    old = (tree / MEMORY).read_text()
    patch = tmp_path / "fix.patch"
    patch.write_text(diff(old, old.replace(moved, "").replace(GIVES, GIVES + moved)))
    policy = from_argument(f"kernel:{tree}+{patch}")
    assert isinstance(policy, TreePolicy)
    assert (policy.undecided == ()) == decided
