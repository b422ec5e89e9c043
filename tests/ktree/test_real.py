"""Do the shipped policies say what the kernel's own source says?

`SWAPTRACE_TEST_TREES` names unpacked trees, or the folder that they are in, with colons between;
`.ci/run` unpacks two from Debian's packages. Without it nothing here runs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.csource.policy import POINTS, CPolicy
from tests.commandline import run
from tests.effort import part
from tests.kernel.observed import first_difference, observations
from tests.ktree.making import BEFORE, CARRIED, MEMORY, RFC, between, edited

NAMED = [Path(name) for name in os.environ.get("SWAPTRACE_TEST_TREES", "").split(":") if name]

TREES = {
    name: tree
    for tree in [
        *NAMED,
        *(child for parent in NAMED if parent.is_dir() for child in parent.iterdir()),
    ]
    for name in ("6.1", "6.12")
    if tree.name.endswith(f"-{name}") and (tree / MEMORY).is_file()
}

needs = pytest.mark.skipif(set(TREES) < {"6.1", "6.12"}, reason="SWAPTRACE_TEST_TREES is not set")

pytestmark = needs


def proof(one: str, other: str) -> str:
    done = run("explore", "--policies", f"{one},{other}", "--processes", "2", "--format", "json")
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout)["proof"])


@pytest.mark.parametrize(("version", "name"), [("6.1", "prepatch"), ("6.12", "merged")])
def test_the_shipped_policy_is_what_the_source_says(version: str, name: str) -> None:
    """Are all decisions taken from the tree, and proved equal to the policy's?"""
    policy = policies.from_argument(f"kernel:{TREES[version]}")
    assert isinstance(policy, CPolicy)
    assert set(policy.blocks) == set(POINTS)
    assert policy.notes == ()
    assert "equal decisions" in proof(name, f"kernel:{TREES[version]}")


def test_what_kernels_did_holds_for_the_source() -> None:
    """Does every observation that holds for merged hold for the C of 6.12?"""
    tree = f"kernel:{TREES['6.12']}"
    looked_at = part((o for o in observations() if "merged" in o.policies), 12)
    assert len(looked_at) > 100
    wrong = [o for o in looked_at if first_difference(o, "merged") is None]
    wrong = [o for o in wrong if first_difference(o, tree) is not None]
    assert wrong == []


@pytest.mark.parametrize(
    ("condition", "name"), [(BEFORE, "prepatch"), (RFC, "rfc")], ids=["reverted", "rfc"]
)
def test_a_patch_makes_it_another_policy(condition: str, name: str, tmp_path: Path) -> None:
    """Is 6.12 with the statements of another one equal to that, by explore?"""

    def edit(text: str) -> str:
        head, name_, body = text.partition("vm_fault_t do_swap_page(struct vm_fault *vmf)\n{")
        return head + name_ + between(body, "pte = mk_pte(", "folio_ref_add(", condition + CARRIED)

    patch = tmp_path / "fix.patch"
    patch.write_text(edited(edit, tree=TREES["6.12"]))
    spec = f"kernel:{TREES['6.12']}+{patch}"
    assert "equal decisions" in proof(name, spec)


def test_a_patch_that_also_touches_reclaim_gets_a_warning(tmp_path: Path) -> None:
    """Is mm/vmscan.c named, although the tree may have been unpacked without it?"""
    hunk = "--- a/mm/vmscan.c\n+++ b/mm/vmscan.c\n@@ -1 +1 @@\n-int a;\n+int b;\n"
    patch = tmp_path / "fix.patch"
    small = tmp_path / "linux"
    (small / "mm").mkdir(parents=True)
    (small / MEMORY).write_bytes((TREES["6.12"] / MEMORY).read_bytes())
    patch.write_text(hunk)
    done = run("policies", f"kernel:{small}+{patch}")
    assert "changes that are not modelled: mm/vmscan.c" in done.stderr
