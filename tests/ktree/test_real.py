"""Do the shipped policies say what the kernel's own source says?

`SWAPTRACE_TEST_TREES` names unpacked trees, or the folder that they are in, with colons between;
`.ci/run` unpacks some from Debian's packages. Without it nothing here runs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.exploration.alphabet import DEFAULT, OPERATIONS
from swaptrace.ktree.faults.policy import TreePolicy
from tests.commandline import run
from tests.kernel.observed import first_difference, observations
from tests.ktree.making import BEFORE, CARRIED, MEMORY, RFC, between, edited
from tests.ktree.wholes import OPS

NAMED = [Path(name) for name in os.environ.get("SWAPTRACE_TEST_TREES", "").split(":") if name]

OLDER = ("5.19", "6.0")
"""Versions with a tree that is read as it stands, and no model: what 6.1 has is theirs as well.
Debian keeps no package of them, so that somebody else's tree must be named."""

SHIPPED = {"6.1": "prepatch", "6.12": "merged", "7.2": "merged", "7.3": "merged"}
"""The policy that each version has."""

TREES = {
    name: tree
    for tree in [
        *NAMED,
        *(child for parent in NAMED if parent.is_dir() for child in parent.iterdir()),
    ]
    for name in (*OLDER, *SHIPPED)
    if tree.name.endswith(f"-{name}") and (tree / MEMORY).is_file()
}

SAMPLE = 12
"""Of so many observations one is looked at; of all with SWAPTRACE_ALL_OBSERVATIONS."""

WITHOUT_MLOCK = ",".join(name for name in DEFAULT if name not in ("mlock", "munlock"))


def tree(version: str) -> Path:
    """That of a version; without it the test is skipped."""
    if version not in TREES:
        pytest.skip(f"no tree of Linux {version} in SWAPTRACE_TEST_TREES")
    return TREES[version]


def proof(one: str, other: str, *words: str) -> str:
    done = run("explore", "--policies", f"{one},{other}", *words, "--format", "json")
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout)["proof"])


@pytest.mark.parametrize("version", sorted(SHIPPED))
@pytest.mark.parametrize("backend", ["zram", "zswap", "disk"])
def test_the_shipped_policy_is_what_the_source_says(version: str, backend: str) -> None:
    """Read as it stands, is it equal for one process with all operations, and for two?"""
    policy = policies.from_argument(f"kernel:{tree(version)}")
    assert isinstance(policy, TreePolicy)
    assert (policy.notes, policy.undecided, policy.kernel) == ((), (), version)
    settings = (f"machine.kernel={version}", f"machine.swap.backend={backend}")
    machine = [word for each in settings for word in ("--set", each)]
    pair = (f"kernel:{TREES[version]}", SHIPPED[version])
    for words in (("--processes", "1"), ("--processes", "2", "--ops", WITHOUT_MLOCK)):
        said = proof(*pair, *machine, *words)
        assert "proof by enumeration" in said
        assert "do_swap_page(), should_try_to_free_swap(), do_wp_page()" in said


@pytest.mark.parametrize("backend", ["zram", "disk"])
def test_read_write_protection_is_what_the_source_says(backend: str) -> None:
    """Is 7.3 equal with the operations of userfaultfd's rwp as well, for one process and two?"""
    machine = ("--set", "machine.kernel=7.3", "--set", f"machine.swap.backend={backend}")
    for words in (
        ("--processes", "1", "--ops", ",".join(OPERATIONS)),
        ("--processes", "2", "--ops", f"{OPS},mprotect_r,mprotect_rw,uffd_rwp,uffd_unrwp"),
    ):
        said = proof(f"kernel:{tree('7.3')}", "merged", *machine, *words)
        assert "proof by enumeration" in said
        assert "do_uffd_rwp()" in said


@pytest.mark.parametrize("version", OLDER)
def test_a_kernel_before_the_oldest_model_has_what_that_has(version: str) -> None:
    """Is its source read, and equal to `prepatch` under the rules of 6.1?"""
    pair = (f"kernel:{tree(version)}", "prepatch", "--set", "machine.kernel=6.1")
    assert "proof by enumeration" in proof(*pair, "--processes", "1")


@pytest.mark.parametrize("version", sorted(SHIPPED))
def test_what_a_kernel_did_holds_for_its_source(version: str) -> None:
    """Does every observation of a kernel that holds for its policy hold for the C as well?"""
    spec, name = f"kernel:{tree(version)}", SHIPPED[version]
    every = 1 if os.environ.get("SWAPTRACE_ALL_OBSERVATIONS") else SAMPLE
    of_it = [o for o in observations() if o.kernel.startswith(f"{version}.")]
    looked_at = [o for o in of_it if name in o.policies][::every]
    assert len(looked_at) > 20
    wrong = [o for o in looked_at if first_difference(o, name) is None]
    wrong = [o for o in wrong if first_difference(o, spec) is not None]
    assert wrong == []


@pytest.mark.parametrize(
    ("condition", "name"), [(BEFORE, "prepatch"), (RFC, "rfc")], ids=["reverted", "rfc"]
)
def test_a_patch_makes_it_another_policy(condition: str, name: str, tmp_path: Path) -> None:
    """Is 6.12 with the statements of another one equal to that, by explore?

    Neither takes a KSM page for its own.
    """
    owner = "exclusive || folio_ref_count(folio) == 1"
    condition = condition.replace(owner, f"!folio_test_ksm(folio) && ({owner})")

    def edit(text: str) -> str:
        head, name_, body = text.partition("vm_fault_t do_swap_page(struct vm_fault *vmf)\n{")
        return head + name_ + between(body, "pte = mk_pte(", "folio_ref_add(", condition + CARRIED)

    patch = tmp_path / "fix.patch"
    patch.write_text(edited(edit, tree=tree("6.12")))
    assert "proof by enumeration" in proof(
        name, f"kernel:{TREES['6.12']}+{patch}", "--processes", "1"
    )


def test_the_sole_owner_is_told_apart_from_the_exclusive_one(tmp_path: Path) -> None:
    """Is 7.3 with `exclusive` widened another kernel, with a sequence that shows it?"""

    def edit(text: str) -> str:
        wider = "\texclusive |= folio_ref_count(folio) == 1 + folio_test_swapcache(folio);\n"
        return text.replace("\tif (exclusive) {\n", f"{wider}\tif (exclusive) {{\n", 1)

    patch = tmp_path / "fix.patch"
    patch.write_text(edited(edit, tree=tree("7.3")))
    pair = f"kernel:{TREES['7.3']},kernel:{TREES['7.3']}+{patch}"
    done = run("explore", "--policies", pair, "--ops", "read,write,pageout,fork,exit")
    assert done.exit_code == 1
    assert "write, pageout, fork child, write, write by child" in done.stdout


def test_the_place_where_the_cache_is_let_go_tells_kernels_apart(tmp_path: Path) -> None:
    """Is 7.2 another kernel than one that lets it go before it asks for the count of references?"""

    def edit(text: str) -> str:
        start = text.index("\nvm_fault_t do_swap_page(")
        made = text.index("\tpte = mk_pte(page, vma->vm_page_prot);\n", start)
        end = text.index("\tset_ptes(", made)
        frees = (
            "\tfolio_put_swap(folio, page);\n"
            "\tif (should_try_to_free_swap(si, folio, vma, nr_pages, vmf->flags))\n"
            "\t\tfolio_free_swap(folio);\n"
        )
        lines = text[made:end].splitlines(keepends=True)
        rest = "".join(line for line in lines if "\tfolio_put_swap(" not in line)
        return text[:made] + frees + rest + text[end:]

    patch = tmp_path / "fix.patch"
    patch.write_text(edited(edit, tree=tree("7.2")))
    pair = f"kernel:{TREES['7.2']},kernel:{TREES['7.2']}+{patch}"
    done = run("explore", "--policies", pair, "--ops", "read,write,pageout,fork,exit")
    assert done.exit_code == 1, done.output
    assert "wp_reuse" in done.stdout


def test_a_patch_that_also_touches_reclaim_is_not_decided(tmp_path: Path) -> None:
    """Is mm/vmscan.c named, although the tree may have been unpacked without it?"""
    hunk = "--- a/mm/vmscan.c\n+++ b/mm/vmscan.c\n@@ -1 +1 @@\n-int a;\n+int b;\n"
    patch = tmp_path / "fix.patch"
    small = tmp_path / "linux"
    (small / "mm").mkdir(parents=True)
    (small / MEMORY).write_bytes((tree("6.12") / MEMORY).read_bytes())
    patch.write_text(hunk)
    done = run("policies", f"kernel:{small}+{patch}")
    assert "changes that are not modelled: mm/vmscan.c" in done.stderr
