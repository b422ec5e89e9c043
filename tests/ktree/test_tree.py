"""Are the decisions of a kernel tree found, and is a tree without them refused?"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.csource.policy import CPolicy
from swaptrace.errors import PolicyError
from swaptrace.ktree.decisions import decisions_of
from tests.commandline import READ_WRITE, run
from tests.effort import examples, exhaustive
from tests.ktree.making import MEMORY, TREE, alike
from tests.ktree.making import tree as tree  # a fixture
from tests.work import at_most


def found(path: Path | str) -> CPolicy:
    policy = policies.from_argument(f"kernel:{path}")
    assert isinstance(policy, CPolicy)
    return policy


@pytest.mark.parametrize("path", [TREE, TREE / MEMORY, f"{TREE}/"])
def test_a_tree_decides_as_its_c_says(path: Path | str) -> None:
    """Is the small tree, or its file, equal to the policy that it was written after?"""
    policy = found(path)
    assert alike(policy, "prepatch")
    assert (policy.name, policy.notes) == (f"kernel:{path}", ())
    assert set(policy.blocks) == {"swapin_pte", "should_free_swap", "can_reuse_anon"}


def test_the_lines_are_those_of_the_tree() -> None:
    """Does each line of a block stand in the file at the number that the listing shows?"""
    lines = (TREE / MEMORY).read_text().split("\n")
    listing = run("policies", f"kernel:{TREE}").stdout.split("\n")
    shown = [line.split("  ", 1) for line in listing if line[:1].isdigit() and "  " in line]
    assert len(shown) > 30
    assert [text for _, text in shown] == [lines[int(number) - 1] for number, _ in shown]


def test_a_define_chooses_between_two_definitions() -> None:
    """Is it the function that is compiled, and the statements that are, which count?"""
    policy = policies.from_argument(f"kernel:{TREE}", ["CONFIG_KSM"])
    assert isinstance(policy, CPolicy)
    assert "pte_wrprotect" in policy.blocks["swapin_pte"].text
    assert policy.blocks["should_free_swap"].line < found(TREE).blocks["should_free_swap"].line


def test_before_six_seven_do_wp_page_decides_itself(tree: Path) -> None:
    """Are its statements taken, from the check for exclusive pages to the label?"""
    file = tree / MEMORY
    before, after = file.read_text().split("static bool wp_can_reuse_anon_folio")
    statements = """{
	if (PageAnonExclusive(vmf->page))
		goto reuse;
	if (folio_ref_count(folio) > 1 + folio_test_swapcache(folio))
		goto copy;
	if (folio_test_swapcache(folio))
		folio_free_swap(folio);
	if (folio_ref_count(folio) != 1)
		goto copy;
reuse:
	if (unshare)
		return 0;
copy:
	return 1;
}

vm_fault_t do_swap_page(struct vm_fault *vmf);
"""
    head, rest = after.split("__releases(vmf->ptl)\n")
    name = head.split("static const char")[1]
    rest = rest.split("vm_fault_t do_swap_page(struct vm_fault *vmf);\n")[1]
    file.write_text(f"{before}static const char{name}__releases(vmf->ptl)\n{statements}{rest}")
    policy = found(tree)
    assert "goto copy" in policy.blocks["can_reuse_anon"].text
    assert "unshare" not in policy.blocks["can_reuse_anon"].text
    assert alike(policy, "prepatch")


@pytest.mark.parametrize(
    ("name", "point"),
    [("wp_can_reuse_anon_folio", "can_reuse_anon"), ("mk_pte", "swapin_pte")],
)
def test_what_is_not_found_stays_the_default_and_is_said(tree: Path, name: str, point: str) -> None:
    """Does a warning on standard error name the decision, while the others are taken?"""
    file = tree / MEMORY
    file.write_text(file.read_text().replace(name, "something_else"))
    done = run("policies", f"kernel:{tree}")
    assert done.exit_code == 0
    assert f"{point}, " in done.stdout
    assert f"Not decided: kernel:{tree}: " in done.stderr
    assert f"for {point} the default stands" in done.stderr
    assert point not in found(tree).blocks


def test_results_bear_the_name_as_it_was_given(tmp_path: Path) -> None:
    """Do JSON, tables and worker processes know it, and is it the same in each?"""
    scenario = tmp_path / "one.yaml"
    scenario.write_text(READ_WRITE.split("expect:")[0])
    name = f"kernel:{TREE}"
    arguments = ("run", scenario, scenario, "--policies", f"prepatch,{name}", "--format", "json")
    done = run(*arguments)
    document = json.loads(done.stdout)
    assert set(document["scenarios"][0]["policies"]) == {"prepatch", name}
    assert run(*arguments, "--jobs", "2").stdout == done.stdout
    assert name in run("run", scenario, "--policies", name).stdout


def test_a_policy_can_be_sent_to_another_process() -> None:
    """Does it decide the same there?"""
    assert alike(pickle.loads(pickle.dumps(found(TREE))), "prepatch")


WRONG = {
    "nothing": ("", "no decision of the fault path"),
    "old": ("pte_swp_exclusive->other", "older than Linux 5.19"),
    "twice": (
        "pte = pte_wrprotect(pte);\n#endif->\n#endif\npte = mk_pte(page, prot);",
        "second PTE",
    ),
    "brace": ("return 0;\n}->return 0;\n", "'{' is never closed"),
    "closed": ("return 0;\n}->return 0;\n}}", "no '{' for this one"),
    "unended": ("static const->/* static const", "is never closed"),
    "endif": ("#endif->", "no #endif"),
    "loop": ("if (exclusive ||->while (exclusive ||", "memory.c:57:"),
    "unknown": ("pte_mkdirty(->pte_mkfilthy(", "memory.c:59:"),
    "binary": ("pte = pte_mkdirty(->pte = \0\x80pte_mkdirty(", "memory.c:59:"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_tree_that_cannot_be_used_is_refused(tree: Path, name: str) -> None:
    """Is the exit code 2, the file named and the reason given, without a traceback?"""
    change, expected = WRONG[name]
    file = tree / MEMORY
    old, _, new = change.partition("->")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new) if old else "int nothing;\n")
    done = run("policies", f"kernel:{tree}")
    assert done.exit_code == 2
    assert expected in done.stderr
    assert str(file) in done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "a name is missing"),
        ("nowhere", "no kernel tree or mm/memory.c 'nowhere'"),
        ("nowhere+no.patch", "no kernel tree or mm/memory.c 'nowhere'"),
        (f"{TREE}+no.patch", "no patch 'no.patch'"),
        (f"{TREE}+", "a name is missing"),
        (f"{TREE}/mm", "it has no mm/memory.c"),
        ("+" * 100, "more than"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, expected: str) -> None:
    """Does the message say which name is wrong?"""
    done = run("policies", f"kernel:{path}")
    assert (done.exit_code, expected in done.stderr) == (2, True), done.stderr


def test_ten_megabytes_are_refused_at_once(tree: Path) -> None:
    """Is a file that is no kernel's not even looked through?"""
    (tree / MEMORY).write_bytes(b"int f(int a)\n{\n}\n" * 600_000)
    with at_most(2000), pytest.raises(PolicyError, match="larger than 1 MiB"):
        found(tree)


JUNK = ["){}", "f(){", "/*/", '"{', "#if 1\n", "\\\n", "if (PageAnonExclusive(", "#else\n", ";}"]


@pytest.mark.parametrize("junk", JUNK)
def test_junk_takes_bounded_work(junk: str) -> None:
    """Does it take calls in proportion to its length, however it is nested?"""
    with at_most(30 * 50_000), pytest.raises(PolicyError):
        decisions_of("memory.c", junk * (50_000 // len(junk)), ())


@given(st.data())
@settings(max_examples=examples(40))
def test_a_damaged_tree_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever is cut out or put in: is there a policy, or an error that says what is wrong?"""
    text = (TREE / MEMORY).read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 80)))
    new = data.draw(
        st.sampled_from(["", "{", "}", "/*", '"', "(", "\n#if\n", "\\", "mk_pte(", "\0"])
    )
    damaged = text[:start] + new + text[end:]
    try:
        said = ""
        blocks = decisions_of("memory.c", damaged, ()).blocks()
    except PolicyError as error:
        said, blocks = str(error), {}
    assert blocks or said.startswith("memory.c:")


def test_explain_cites_the_c_that_decided() -> None:
    """Is the line of the tree named whose condition chose, with what it said?"""
    words = ("explain", "read-then-write", "--policy", f"kernel:{TREE}")
    shown = run(*words).stdout
    assert f"{TREE}/mm/memory.c:58: if (vmf->flags & FAULT_FLAG_WRITE): no\n" in shown
    steps = json.loads(run(*words, "--format", "json").stdout)["steps"]
    cited = [line for step in steps for each in step["transitions"] for line in each["cited"]]
    assert f"{TREE}/mm/memory.c:18: return false;" in cited
    assert "memory.c" not in run("explain", "read-then-write").stdout


@exhaustive
def test_the_order_of_newer_kernels_is_said(tree: Path) -> None:
    """Does a warning tell that the model frees the swap cache before the page is mapped?"""
    file = tree / MEMORY
    frees = "\tif (should_try_to_free_swap(folio, vma, vmf->flags))\n\t\tfolio_free_swap(folio);\n"
    put = "\tfolio_put_swap(folio, nr_pages == 1 ? page : NULL);\n"
    before, after = file.read_text().split(frees)
    file.write_text(
        before
        + after.replace("\tset_pte_at(", f"{put}\tset_pte_at(").replace(
            "\treturn 0;\n}", f"{frees}\treturn 0;\n}}"
        )
    )
    policy = found(tree)
    assert set(policy.blocks) == {"swapin_pte", "should_free_swap", "can_reuse_anon"}
    assert len(policy.undecided) == 1
    assert "frees the swap cache after it has mapped the page" in policy.undecided[0]
    done = run("explore", "--policies", f"prepatch,kernel:{tree}", "--processes", "1")
    assert (done.exit_code, "nothing tells them apart" in done.stdout) == (3, False)
