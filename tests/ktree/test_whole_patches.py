"""What of a patch on an interpreted tree is run, and what is left to the built-in model?"""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.policies import from_argument
from tests.commandline import run
from tests.effort import exhaustive, some
from tests.ktree.making import MEMORY, diff, mail
from tests.ktree.wholes import (
    FEW,
    KERNELS,
    OPS,
    SMALL,
    THROTTLES,
    Write,
    edited,
    explored,
    text_of,
)
from tests.ktree.wholes import written as written  # a fixture


def patch(tmp_path: Path, old: str, new: str, path: str = MEMORY) -> Path:
    file = tmp_path / "fix.patch"
    file.write_text(diff(old, new, path))
    return file


def test_a_patch_that_runs_is_decided(tmp_path: Path) -> None:
    """Is a change of interpreted functions told apart, without a word of what is not modelled?"""
    new = edited("after", ("	return exclusive &&", "	return"))
    spec = f"{SMALL / 'after'}+{patch(tmp_path, text_of('after'), new)}"
    done = explored(SMALL / "after", spec, "7.3", backend="disk")
    assert done.exit_code == 1
    assert "Not decided" not in done.stderr
    assert "changed, and run: mm/memory.c: should_try_to_free_swap()" in done.stderr
    assert f"{MEMORY}+fix.patch:" in done.stdout


LEFT = {
    "what is ruled out": (
        ("reuse_of_many_pages(folio, vma)", "false"),
        "wp_can_reuse_anon_folio() changes in what",
    ),
    "around functions": (
        ("#include <linux/mm.h>\n", "#define VM_WRITE 0\n"),
        "mm/memory.c: outside of functions",
    ),
    "another function": (
        (
            "\nvm_fault_t do_swap_page",
            "\nint f(void)\n{\n	return 0;\n}\n\nvm_fault_t do_swap_page",
        ),
        "mm/memory.c: f()",
    ),
}


@pytest.mark.parametrize("name", ["folio_move_anon_rmap", "mod_mthp_stat", "trace_reuse"])
def test_a_patch_of_what_is_passed_over_by_name_is_not_decided(
    name: str, written: Write, tmp_path: Path
) -> None:
    """Although its calls are, as it may do anything from then on?"""
    tree, path = written("after", text_of("after")), "mm/rmap.c"
    old = f"void {name}(struct folio *folio)\n{{\n\tcount(folio);\n}}\n"
    (tree / path).write_text(old)
    new = old.replace("count(", "folio_free_swap(")
    policy = from_argument(f"kernel:{tree}+{patch(tmp_path, old, new, path)}")
    assert policy.undecided == (f"changes that are not modelled: {path}: {name}()",)


COUNTS = "void {}(struct folio *folio, int many)\n{{\n\tcount(folio, many);\n}}\n"


@pytest.mark.parametrize(
    ("name", "edit", "decided"),
    [
        ("mod_mthp_stat", ("many);", "0);"), True),
        ("mod_mthp_stat", ("count(", "folio_free_swap("), False),
        ("mod_mthp_stat", ("\tcount(", "\tfolio->index = 0;\n\tcount("), False),
        ("mod_mthp_stat", ("\tcount(", "\t(folio->index) |= 1;\n\tcount("), False),
        ("mod_mthp_stat", ("\tcount(", "\tfolio -> index --;\n\tcount("), False),
        ("mod_mthp_stat", ("\tcount(", "\t(*folio->free)(folio);\n\tcount("), False),
        ("mod_mthp_stat", ("\tcount(", "#define pte_dirty(pte) 0\n\tcount("), False),
        ("workingset_refault", ("many);", "0);"), False),
    ],
)
def test_a_patch_of_a_statistic_is_without_effect(
    name: str, edit: tuple[str, str], decided: bool, written: Write, tmp_path: Path
) -> None:
    """As long as it does nothing that it did not do before; and is it told so by its name?"""
    tree, path = written("after", text_of("after")), "mm/rmap.c"
    old = COUNTS.format(name)
    (tree / path).write_text(old)
    spec = f"kernel:{tree}+{patch(tmp_path, old, old.replace(*edit), path)}"
    told = run("policies", spec).stderr
    assert (f"changed, without effect on a page: {path}: {name}()" in told) == decided
    assert (f"changes that are not modelled: {path}" in told) != decided


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("count_memcg_event_mm", ()),
        ("count_mthp_stat", ("statistics that the model shows: mm/rmap.c: count_mthp_stat()",)),
    ],
)
def test_a_patch_of_what_the_model_counts_too_is_not_decided(
    name: str, why: tuple[str, ...], written: Write, tmp_path: Path
) -> None:
    """Although it has no effect on a page, unlike one of another statistic?"""
    tree, path = written("after", text_of("after")), "mm/rmap.c"
    old = COUNTS.format(name)
    (tree / path).write_text(old)
    changed = old.replace("many);", "0);")
    assert from_argument(f"kernel:{tree}+{patch(tmp_path, old, changed, path)}").undecided == why


@pytest.mark.parametrize("what", some(sorted(LEFT), 1))
def test_a_patch_of_what_does_not_run_is_not_decided(what: str, tmp_path: Path) -> None:
    """Is the exit code 3, and is that named which is neither run nor without effect?"""
    edit, expected = LEFT[what]
    spec = f"{SMALL / 'after'}+{patch(tmp_path, text_of('after'), edited('after', edit))}"
    done = explored(SMALL / "after", spec, "7.3", what=FEW)
    assert done.exit_code == 3
    assert expected in done.stderr


MAKES = "	pte = mk_pte(&folio->page, vma->vm_page_prot);\n"

PASSED_OVER = {
    "a macro": (MAKES, "#define pte_mkwrite(pte, vma) (pte)\n" + MAKES, "preprocessor lines"),
    "left out": (MAKES, MAKES + "#ifdef CONFIG_X86\n	f();\n#endif\n", "preprocessor lines"),
    "accessed bit": (MAKES, MAKES + "	pte = pte_mkold(pte);\n", "pte_mkold()"),
    "an LRU list": ("			folio_add_lru(folio);\n", "", "folio_add_lru()"),
    "throttling": (THROTTLES, "", "folio_throttle_swaprate()"),
}


@pytest.mark.parametrize("what", some(PASSED_OVER, 1))
def test_a_patch_of_what_is_passed_over_is_not_decided(what: str, tmp_path: Path) -> None:
    """In a function that runs: is nothing proved, and is it named?"""
    old, new, named = PASSED_OVER[what]
    text = edited("before", (old, new))
    spec = f"{SMALL / 'before'}+{patch(tmp_path, text_of('before'), text)}"
    done = explored(SMALL / "before", spec, "6.12", what=FEW)
    assert done.exit_code == 3
    assert f"changes that are not modelled: mm/memory.c: {named} in do_swap_page()" in done.stderr
    assert "not decided: no difference found\nnot a proof" in done.stdout


@pytest.mark.parametrize("is_there", [True, False])
def test_a_patch_of_the_architecture_points_to_the_machine(
    is_there: bool, written: Write, tmp_path: Path
) -> None:
    """Is what makes pte_mkwrite() dirty said to be a setting of the machine, also where the tree
    was unpacked without it?"""
    path = "arch/arm64/include/asm/pgtable.h"
    tree = written("after", text_of("after"))
    old = "pte_t pte_mkwrite(pte_t pte)\n{\n	return pte;\n}\n"
    if is_there:
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_text(old)
    fix = patch(tmp_path, old, old.replace("pte;", "pte_mkdirty(pte);"), path)
    reasons = from_argument(f"kernel:{tree}+{fix}").undecided
    named = f"{path}: pte_mkwrite()" if is_there else path
    assert any(named in reason for reason in reasons)
    assert any("machine.mkwrite_dirties" in reason for reason in reasons)


@exhaustive
def test_a_patch_of_comments_and_headers_changes_nothing(tmp_path: Path) -> None:
    """And is it said so?"""
    new = edited("after", ("in small", "in brief"), ("#include <linux/mm.h>\n", ""))
    policy = from_argument(f"kernel:{SMALL / 'after'}+{patch(tmp_path, text_of('after'), new)}")
    assert isinstance(policy, TreePolicy)
    assert policy.undecided == ()
    assert any("changes nothing of the functions" in note for note in policy.notes)


def test_a_function_can_be_left_to_the_built_in_model(written: Write) -> None:
    """Is what the tree has of that name not read, and is it said, and nothing proved?"""
    tree = written(
        "after",
        edited("after", ("	vmf->page = vm_normal", "	vendor();\n	vmf->page = vm_normal")),
    )
    pair = f"kernel:{tree},merged@7.3"
    words = ("explore", "--policies", pair, *FEW)
    assert run(*words).exit_code == 2
    done = run(*words, "--builtin", "do_wp_page")
    assert done.exit_code == 3
    assert "not a proof: of" in done.stdout
    assert "do_wp_page() is the built-in one" in done.stdout
    assert "left to the built-in model, by --builtin: do_wp_page()" in done.stderr


@pytest.mark.parametrize(
    ("name", "function"),
    some(
        [
            ("after", "wp_can_reuse_anon_folio"),
            ("before", "do_wp_page"),
            ("before", "do_anonymous_page"),
        ],
        1,
    ),
)
def test_what_is_left_to_the_built_in_model_comes_to_the_same(name: str, function: str) -> None:
    """Is no difference found between a tree and itself with a function left out?"""
    machine = ("--set", f"machine.kernel={KERNELS[name]}")
    words = ("explore", "--policies", f"kernel:{SMALL / name},merged", *machine, "--ops", OPS)
    done = run(*words, "--builtin", function)
    assert (done.exit_code, "no difference found" in done.stdout) == (3, True), done.output


def test_a_patch_of_a_function_that_is_left_out_is_not_decided(tmp_path: Path) -> None:
    """Is it named as not modelled?"""
    new = edited("after", ("	bool reuse;\n", "	bool reuse = false;\n"))
    spec = f"kernel:{SMALL / 'after'}+{patch(tmp_path, text_of('after'), new)}"
    done = run("policies", spec, "--builtin", "wp_can_reuse_anon_folio")
    assert "not modelled: mm/memory.c: wp_can_reuse_anon_folio()" in done.stderr


def test_a_name_that_no_function_can_be_left_by_is_an_error() -> None:
    """With what is valid?"""
    done = run("policies", f"kernel:{SMALL / 'after'}", "--builtin", "do_swap_pages")
    assert done.exit_code == 2
    assert "--builtin: the model has no 'do_swap_pages'" in done.stderr


def test_a_policy_with_functions_left_out_goes_to_another_process() -> None:
    """Are they left out there as well?"""
    policy = from_argument(f"kernel:{SMALL / 'after'}", (), ("do_wp_page",))
    again = pickle.loads(pickle.dumps(policy))
    assert "do_wp_page" not in policy.functions
    assert again.functions.keys() == policy.functions.keys()


@pytest.mark.parametrize(("limit", "most"), [("MAX_BYTES", 10_000), ("MOST_LINES", 1_000)])
def test_a_diff_of_two_versions_is_read_piece_by_piece(
    limit: str, most: int, written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is what is modelled run under the new version, all else named?"""
    tree = written("after", text_of("after"))
    driver = "".join(f"+int x{number};\n" for number in range(2000))
    other = (
        "diff --git a/drivers/x.c b/drivers/x.c\n--- /dev/null\n+++ b/drivers/x.c\n"
        f"@@ -0,0 +1,2000 @@\n{driver}"
    )
    new = edited("after", ("	return exclusive &&", "	return"))
    version = (tree / "Makefile").read_text()
    made = diff(version, version.replace("PATCHLEVEL = 3", "PATCHLEVEL = 2"), "Makefile")
    file = tmp_path / "patch-7.2"
    file.write_text(other + diff(text_of("after"), new) + other.replace("x.c", "y.c") + made)
    monkeypatch.setattr(f"swaptrace.ktree.patching.{limit}", most)
    policy = from_argument(f"kernel:{tree}+{file}")
    assert isinstance(policy, TreePolicy)
    assert policy.kernel == "7.2"
    assert policy.undecided == ("changes that are not modelled: drivers/x.c, drivers/y.c",)
    assert policy.notes[1:] == ("changed, and run: mm/memory.c: should_try_to_free_swap()",)
    file.write_text(file.read_text().replace("-	return exclusive", "-	return inclusive"))
    with pytest.raises(PolicyError, match=r"patch-7\.2: hunk .* does not apply"):
        from_argument(f"kernel:{tree}+{file}")


def test_a_mailbox_is_not_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is one that is too large refused?"""
    file = tmp_path / "series.mbox"
    file.write_text(mail("[PATCH] x", diff(text_of("after"), edited("after", ("bool ", "int ")))))
    monkeypatch.setattr("swaptrace.ktree.patching.MAX_BYTES", 100)
    with pytest.raises(PolicyError, match="which no mailbox may be"):
        from_argument(f"kernel:{SMALL / 'after'}+{file}")


def test_a_macro_within_a_function_that_runs_is_doubted(written: Write) -> None:
    """Of a tree without a patch, with its line?"""
    text = edited("after", (MAKES, "#define pte_mkwrite(pte, vma) (pte)\n" + MAKES))
    policy = from_argument(f"kernel:{written('after', text)}")
    line = text.split("\n").index("#define pte_mkwrite(pte, vma) (pte)") + 1
    (doubt,) = policy.undecided
    assert doubt.endswith(f"/{MEMORY}:{line}: a macro within do_swap_page() is not expanded")
