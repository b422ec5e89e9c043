"""Is nothing proved of a patch that does what the model does not look at?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.errors import PolicyError
from swaptrace.ktree.changes import OUTSIDE
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.mm.policy import Policy
from swaptrace.policies import from_argument
from tests.effort import some
from tests.ktree.making import MEMORY, TREE, diff
from tests.ktree.wholes import OPS, SMALL, THROTTLES, Write, edited, explored, text_of
from tests.ktree.wholes import written as written  # a fixture

MAKES = "	pte = mk_pte(&folio->page, vma->vm_page_prot);\n"
BEGINS = "vm_fault_t do_swap_page(struct vm_fault *vmf)\n{"
UNLOCKS = "	folio_unlock(folio);\n	if (vmf"
WRITABLE = "		if ((vma->vm_flags & VM_WRITE) && !user"
REFUSES = "	if (folio_ref_count(folio) > 1 + folio_test_swapcache(folio) ||"
CHECKS = "	if (unlikely(!pte_same(ptep_get(vmf->pte), vmf->orig_pte)))\n		goto out_page;\n"
LOCKS = "	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address, &vmf->ptl);\n"
NONE = "changes in what the model has none of"

Edits = tuple[tuple[str, str], ...]


def patched(tmp_path: Path, new: str, old: str | None = None) -> str:
    """What names the small tree with a patch to another text."""
    file = tmp_path / "fix.patch"
    file.write_text(diff(text_of("before") if old is None else old, new))
    return f"{SMALL / 'before'}+{file}"


def policy_of(tmp_path: Path, edits: Edits) -> Policy:
    return from_argument(f"kernel:{patched(tmp_path, edited('before', *edits))}")


def helper(text: str, used: str) -> Edits:
    """A new function, and a statement that calls it where the PTE is made."""
    return (BEGINS, f"{text}\n\n{BEGINS}"), (MAKES, MAKES + used)


UNSEEN: dict[str, tuple[Edits, str]] = {
    "the VMA lock": (
        (
            (
                MAKES,
                MAKES + "	if (vmf->flags & FAULT_FLAG_VMA_LOCK)\n"
                "		pte = pte_mkdirty(pte);\n",
            ),
        ),
        NONE,
    ),
    "a flag that is kept": (
        (
            (
                MAKES,
                MAKES + "	bool held = vmf->flags & FAULT_FLAG_VMA_LOCK;\n\n"
                "	if (held)\n		pte = pte_mkdirty(pte);\n",
            ),
        ),
        NONE,
    ),
    "KSM": (
        (
            (
                MAKES,
                MAKES + "	bool ksm = folio_test_ksm(folio);\n\n"
                "	if (ksm)\n		exclusive = false;\n",
            ),
        ),
        NONE,
    ),
    "a lock": (((" || !folio_trylock(folio))", ")"),), NONE),
    "a race": (((CHECKS, ""),), NONE),
    "an argument": ((("GFP_HIGHUSER_MOVABLE, vmf", "GFP_NOWAIT, vmf"),), NONE),
    "a check": (((MAKES, MAKES + "	BUG_ON(exclusive);\n"),), "BUG_ON() in do_swap_page()"),
    "a warning": (((MAKES, MAKES + "	WARN_ON_ONCE(exclusive);\n"),), "WARN_ON_ONCE() in"),
    "in a new function": (
        helper(
            "static pte_t old(pte_t pte)\n{\n	return pte_mkold(pte);\n}", "	pte = old(pte);\n"
        ),
        "pte_mkold() in old()",
    ),
    "earlier": (
        (
            (UNLOCKS, "	if (vmf"),
            ("	vmf->orig_pte = pte;\n", "	folio_unlock(folio);\n	vmf->orig_pte = pte;\n"),
        ),
        "folio_unlock() in do_swap_page()",
    ),
    "in another order": (
        (
            (THROTTLES, ""),
            ("	put_swap_device(si);\n", "	put_swap_device(si);\n" + THROTTLES),
        ),
        "folio_throttle_swaprate() in do_swap_page()",
    ),
    "behind a constant": (
        (
            ("	if (!folio_test_lru(folio))\n		lru_add_drain();\n	if (folio_ref",
             "	if (!folio_test_large(folio))\n		goto small;\n	lru_add_drain();\nsmall:\n"
             "	if (!folio_test_lru(folio))\n		lru_add_drain();\n	if (folio_ref"),
        ),
        NONE,
    ),
    "a race, later": (
        (
            (CHECKS, ""),
            ("	swap_free(entry);\n", "	swap_free(entry);\n" + CHECKS),
        ),
        NONE,
    ),
    "a lock, later": (
        (
            (" || !folio_trylock(folio))", ")"),
            (
                "	folio_free_swap(folio);\n	reuse",
                "	folio_free_swap(folio);\n	if (!folio_trylock(folio))\n		return false;\n"
                "	reuse",
            ),
        ),
        NONE,
    ),
    "a test of a folio, behind what changes it": (
        (
            (
                "	if (folio_test_large(folio) || folio_test_ksm(folio))\n"
                "		return reuse_of_many_pages(folio, vma);\n",
                "",
            ),
            (
                "	folio_free_swap(folio);\n	reuse",
                "	folio_free_swap(folio);\n"
                "	if (folio_test_large(folio) || folio_test_ksm(folio))\n"
                "		return reuse_of_many_pages(folio, vma);\n	reuse",
            ),
        ),
        NONE,
    ),
    "under another condition": (
        (
            (
                "	if (folio_test_large(folio) || folio_test_ksm(folio))\n"
                "		return reuse_of_many_pages(folio, vma);\n",
                "	if (folio_test_lru(folio))\n"
                "		if (folio_test_large(folio) || folio_test_ksm(folio))\n"
                "			return reuse_of_many_pages(folio, vma);\n",
            ),
        ),
        NONE,
    ),
    "the page table is locked earlier": (
        (
            (LOCKS, ""),
            ("	if (swapcache && page_swap", LOCKS + "	if (swapcache && page_swap"),
        ),
        "pte_offset_map_lock() in do_swap_page()",
    ),
    "what is executed moves behind it": (
        (
            ("	vmf->orig_pte = pte;\n", ""),
            (UNLOCKS, UNLOCKS.replace("	if", "	vmf->orig_pte = pte;\n	if")),
        ),
        "folio_unlock() in do_swap_page()",
    ),
    "a field that is not kept": (
        (("swap_read_folio(folio, NULL);\n", "swap_read_folio(folio, NULL);\n"
          "			folio->private = NULL;\n"),),
        NONE,
    ),
    "the mark of the zero page": (
        (("pte_mkspecial(pfn_pte(my_zero_pfn(vmf->address), vma->vm_page_prot))",
          "pfn_pte(my_zero_pfn(vmf->address), vma->vm_page_prot)"),),
        "pte_mkspecial() in do_anonymous_page()",
    ),
    "one that is taken for another": (
        (("			pte = pte_mkwrite(pte, vma);\n", "			pte = pte_mkwrite_novma(pte);\n"),),
        "pte_mkwrite_novma() in do_swap_page()",
    ),
    "a constant of its own": (
        (
            (MAKES, "	const bool shared = vma->vm_flags & VM_SHARED;\n\n"
             + MAKES + "	if (shared)\n		pte = pte_mkdirty(pte);\n"),
        ),
        NONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNSEEN)
def test_what_is_not_looked_at_is_not_decided(what: str, tmp_path: Path) -> None:
    """And is it named, although the function runs?"""
    edits, named = UNSEEN[what]
    policy = policy_of(tmp_path, edits)
    assert isinstance(policy, TreePolicy)
    assert any(named in reason for reason in policy.undecided), policy.undecided


SAME: dict[str, Edits] = {
    "a variable": (
        (
            "	if (should_try_to_free_swap(folio, vma, vmf->flags))\n",
            "	bool frees = should_try_to_free_swap(folio, vma, vmf->flags);\n\n	if (frees)\n",
        ),
    ),
    "before a lock": ((UNLOCKS, "	vmf->orig_pte = pte;\n" + UNLOCKS),),
    "a check of a debugging kernel": ((MAKES, MAKES + "	VM_BUG_ON(!exclusive);\n"),),
}


@pytest.mark.parametrize("what", SAME)
def test_what_is_looked_at_is_still_decided(what: str, tmp_path: Path) -> None:
    """Where all that is passed over stands where it stood?"""
    policy = policy_of(tmp_path, SAME[what])
    assert isinstance(policy, TreePolicy)
    assert policy.undecided == ()


WRONG: dict[str, tuple[Edits, str]] = {
    "another result": (
        (("= VM_FAULT_MAJOR;\n", "= VM_FAULT_MAJOR | VM_FAULT_NOPAGE;\n"),),
        "it returns 0x104, which no fault of the model does",
    ),
    "another page to copy": (
        (
            (
                "	return wp_page_copy(vmf);\n",
                "	vmf->page = NULL;\n	return wp_page_copy(vmf);\n",
            ),
        ),
        "wp_page_copy() is called with another page than the PTE maps",
    ),
    "another flag for rmap": (
        (
            (
                "		rmap_flags |= RMAP_EXCLUSIVE;\n",
                "		rmap_flags |= RMAP_EXCLUSIVE | 2;\n",
            ),
        ),
        "of the flags for rmap only RMAP_EXCLUSIVE is known",
    ),
    "another flag": (
        ((MAKES, MAKES + "	if (vmf->flags & 0x80)\n		pte = pte_mkdirty(pte);\n"),),
        "the model has but a few of these flags",
    ),
    "all flags": (
        (("if (vmf->flags & FAULT_FLAG_WRITE) {", "if (vmf->flags == FAULT_FLAG_WRITE) {"),),
        "the model has but a few of these flags",
    ),
    "another flag of the VMA": (
        ((WRITABLE, "		if ((vma->vm_flags & 0x100002) == 2 && !user"),),
        "the model has but a few of these flags",
    ),
    "another address": (
        (
            (
                "	set_pte_at(vma->vm_mm, vmf->address, vmf->pte, pte);\n",
                "	set_pte_at(vma->vm_mm, vma->vm_start, vmf->pte, pte);\n",
            ),
        ),
        "the model does not know this call",
    ),
    "another order": (
        (
            (
                "alloc_swap_folio(vmf)",
                "vma_alloc_folio(GFP_KERNEL, 2, vma, vmf->address, false)",
            ),
        ),
        "the model does not know this call",
    ),
}


@pytest.mark.parametrize("what", some(WRONG, 3))
def test_what_the_model_has_not_is_an_error(what: str, tmp_path: Path) -> None:
    """With the place in the C, where it is executed?"""
    edits, message = WRONG[what]
    done = explored(SMALL / "before", patched(tmp_path, edited("before", *edits)), "6.12")
    assert message in done.stderr
    assert done.exit_code == 2


TYPES: dict[str, Edits] = {
    "what a bool returns": (
        (
            BEGINS,
            "static bool writes(struct vm_area_struct *vma)\n{\n"
            "	return vma->vm_flags & VM_WRITE;\n}\n\n" + BEGINS,
        ),
        (WRITABLE, "		if (writes(vma) == VM_WRITE && !user"),
    ),
    "what a bool takes": (
        (
            BEGINS,
            "static bool writes(bool flags)\n{\n	return flags & VM_WRITE;\n}\n\n" + BEGINS,
        ),
        (WRITABLE, "		if (writes(vma->vm_flags & VM_WRITE) && !user"),
    ),
    "a number without sign": (
        (
            REFUSES,
            "	unsigned int refs = folio_ref_count(folio);\n\n"
            "	if (refs - 3 < 1 + folio_test_swapcache(folio) ||",
        ),
    ),
}

SIGNED = (REFUSES, TYPES["a number without sign"][0][1].replace("unsigned int", "long"))


@pytest.mark.parametrize("what", TYPES)
def test_integers_are_converted_as_c_does(what: str, written: Write, tmp_path: Path) -> None:
    """Are those told apart from which only a type differs?"""
    before: Path | str = SMALL / "before"
    if what == "a number without sign":
        before = written("before", edited("before", SIGNED))
    after = patched(tmp_path, edited("before", *TYPES[what]))
    done = explored(before, after, "6.12", what=("--ops", OPS))
    assert done.exit_code == 1, done.output


def test_a_function_that_moves_over_a_macro_is_not_decided(written: Write, tmp_path: Path) -> None:
    """Although its words are the same, and those around it?"""
    helper, macro = (
        "static int two(void)\n{\n	return 2;\n}\n\n",
        "#define folio_test_ksm(f) 1\n\n",
    )
    old, new = (
        text_of("before").replace(BEGINS, "".join(order) + BEGINS)
        for order in ((helper, macro), (macro, helper))
    )
    tree = written("before", old)
    file = tmp_path / "fix.patch"
    file.write_text(diff(old, new))
    policy = from_argument(f"kernel:{tree}+{file}")
    assert any(f"{MEMORY}: {OUTSIDE}" in reason for reason in policy.undecided)


def test_another_function_of_the_same_name_does_not_run(written: Write, tmp_path: Path) -> None:
    """Is a change of it named, and not said to be run?"""
    tree, path = written("before", text_of("before")), "mm/ksm.c"
    old = "static inline void wp_page_reuse(struct vm_fault *vmf)\n{\n	first(vmf);\n}\n"
    (tree / path).write_text(old)
    file = tmp_path / "fix.patch"
    file.write_text(diff(old, old.replace("first", "second"), path))
    policy = from_argument(f"kernel:{tree}+{file}")
    assert any(f"{path}: wp_page_reuse()" in reason for reason in policy.undecided)


HANDLED = "				vmf->flags &= ~FAULT_FLAG_WRITE;\n"


def test_a_comment_goes_on_behind_a_backslash(tmp_path: Path) -> None:
    """Is the line behind it none of the code?"""
    new = edited("before", (HANDLED, "	// it is done: \\\n" + HANDLED))
    done = explored(SMALL / "before", patched(tmp_path, new), "6.12", what=("--ops", OPS))
    assert done.exit_code == 1, done.output


def test_a_comment_that_ends_on_two_lines_is_an_error(tmp_path: Path) -> None:
    """As it would be taken to go on?"""
    new = edited("before", (MAKES, "	/* here *\\\n/\n" + MAKES))
    with pytest.raises(PolicyError, match="begins or ends on two lines"):
        from_argument(f"kernel:{patched(tmp_path, new)}")


@pytest.mark.parametrize("names", [("mm/slab.c", "Documentation/slab.c"),
                                   ("Documentation/slab.h", "mm/slab.h")])  # fmt: skip
def test_what_becomes_or_was_documentation_is_not_decided(
    names: tuple[str, str], written: Write, tmp_path: Path
) -> None:
    """Is a file that is only renamed looked at under both names?"""
    tree = written("before", text_of("before"))
    old, new = names
    (tree / old).parent.mkdir(exist_ok=True)
    (tree / old).write_text("int x;\n")
    file = tmp_path / "fix.patch"
    file.write_text(
        f"diff --git a/{old} b/{new}\nsimilarity index 100%\nrename from {old}\nrename to {new}\n"
    )
    policy = from_argument(f"kernel:{tree}+{file}")
    assert any("mm/slab." in reason for reason in policy.undecided), policy.undecided


CARRIES = "	if (pte_swp_soft_dirty(vmf->orig_pte))\n"


def test_a_check_in_an_excerpt_is_not_decided_either(tmp_path: Path) -> None:
    """As a kernel may stop there?"""
    old = (TREE / MEMORY).read_text()
    file = tmp_path / "fix.patch"
    file.write_text(diff(old, old.replace(CARRIES, "	BUG_ON(exclusive);\n" + CARRIES)))
    policy = from_argument(f"kernel:{TREE}+{file}")
    assert any("BUG_ON() in do_swap_page()" in reason for reason in policy.undecided)
