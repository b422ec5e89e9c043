"""Is a tree with patches on it what the patches say, and is what they say besides named?"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.csource.policy import CPolicy
from swaptrace.errors import PolicyError
from swaptrace.ktree.diff import patches_of
from tests.commandline import run
from tests.effort import exhaustive
from tests.ktree.making import (
    BEFORE,
    MEMORY,
    RFC,
    Edit,
    alike,
    diff,
    edited,
    mail,
    with_condition,
)
from tests.ktree.making import tree as tree  # a fixture

TO_RFC = with_condition(RFC)


def found(tree: Path, *patches: Path) -> CPolicy:
    policy = policies.from_argument("+".join([f"kernel:{tree}", *map(str, patches)]))
    assert isinstance(policy, CPolicy)
    return policy


def contents(tree: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def written(path: Path, *texts: str) -> Path:
    path.write_text("".join(texts))
    return path


def test_a_patch_changes_the_policy_and_not_the_tree(tree: Path, tmp_path: Path) -> None:
    """Is it equal to rfc then, and is every file of the tree as it was?"""
    before = contents(tree)
    policy = found(tree, written(tmp_path / "fix.patch", edited(TO_RFC)))
    assert alike(policy, "rfc")
    assert policy.notes == ()
    assert contents(tree) == before
    assert policy.blocks["swapin_pte"].file == f"{tree}/mm/memory.c+fix.patch"


def test_a_file_alone_takes_the_patch_of_mm_memory_c(tree: Path, tmp_path: Path) -> None:
    """Whatever the file is called, and does the patch not pass for one of another file?"""
    fix = written(tmp_path / "fix.patch", edited(TO_RFC))
    alone = written(tmp_path / "of-the-product.c", (tree / MEMORY).read_text())
    policy = found(alone, fix)
    assert alike(policy, "rfc")
    assert policy.notes == ()
    assert alone.read_text() == (tree / MEMORY).read_text()


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_a_mail_is_a_patch(tree: Path, tmp_path: Path, encoding: str) -> None:
    """Whatever its encoding, and with text and signature around the diff?"""
    path = written(
        tmp_path / "mail.eml", mail("[PATCH] mm: fewer faults", edited(TO_RFC), encoding)
    )
    assert alike(found(tree, path), "rfc")


def test_a_mailbox_is_a_series_in_its_order(tree: Path, tmp_path: Path) -> None:
    """Are mails without a diff passed over, those with one put in order, and answers left out?"""
    text = (tree / MEMORY).read_text()
    middle = with_condition(BEFORE)(text)
    one, two = diff(text, middle), diff(middle, TO_RFC(text))
    mailbox = written(
        tmp_path / "series.mbox",
        mail("[PATCH v2 2/2] mm: writable on a read fault", two, "base64"),
        mail("[PATCH v2 0/2] mm: fewer faults", "A cover letter.\n"),
        mail("[PATCH v2 1/2] mm: tidy up", one),
        mail("Re: [PATCH v2 2/2] mm: writable on a read fault", "> quoted\nNo.\n"),
        mail("Re: [PATCH v2 1/2] mm: tidy up", edited(lambda all: all.replace("*/", "! */", 1))),
    )
    policy = found(tree, mailbox)
    assert alike(policy, "rfc")
    assert len(policy.notes) == 1
    assert "not applied: the answer 'Re: [PATCH v2 1/2] mm: tidy up'" in policy.notes[0]


def test_several_patches_are_applied_one_after_the_other(tree: Path, tmp_path: Path) -> None:
    """In the order that they are given in, or of the names in a directory?"""
    text = (tree / MEMORY).read_text()
    middle = with_condition(BEFORE)(text)
    folder = tmp_path / "patches"
    folder.mkdir()
    one = written(folder / "0001-tidy.patch", diff(text, middle))
    two = written(folder / "0002-rfc.patch", diff(middle, TO_RFC(text)))
    assert alike(found(tree, one), "prepatch")
    assert alike(found(tree, one, two), "rfc")
    assert alike(found(tree, folder), "rfc")
    with pytest.raises(PolicyError, match="does not apply"):
        found(tree, two, one)


def test_names_may_have_a_plus_and_be_relative(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is the split between tree and patches the one that exists?"""
    shutil.copytree(tree, tmp_path / "linux+a")
    written(tmp_path / "b+c.patch", edited(TO_RFC))
    monkeypatch.chdir(tmp_path)
    policy = policies.from_argument("kernel:linux+a+b+c.patch")
    assert isinstance(policy, CPolicy)
    assert alike(policy, "rfc")


def test_changes_that_are_not_modelled_are_named(tree: Path, tmp_path: Path) -> None:
    """Other files, other functions, and what stands in do_swap_page() before mk_pte()?"""

    def edit(text: str) -> str:
        text = TO_RFC(text).replace(
            "exclusive = pte_swp_exclusive", "exclusive = !pte_swp_exclusive"
        )
        return text.replace("? 0 : 1", "? 1 : 0").replace("/* A tree", "/* The tree")

    patch = written(
        tmp_path / "fix.patch",
        edited(edit),
        edited(lambda text: text.replace("return pages", "return 0"), "mm/vmscan.c"),
        diff("", "int new;\n", "mm/new.c").replace("--- a/mm/new.c", "--- /dev/null"),
        "diff --git a/mm/logo.png b/mm/logo.png\nBinary files differ\n",
    )
    done = run("policies", f"kernel:{tree}+{patch}")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == (
        f"Not decided: kernel:{tree}+{patch}: changes that are not modelled: "
        "mm/memory.c: do_wp_page(), mm/memory.c: do_swap_page(), mm/vmscan.c, mm/new.c, "
        "mm/logo.png\n"
    )
    assert alike(found(tree, patch), "rfc")


def test_comments_are_no_change(tree: Path, tmp_path: Path) -> None:
    """Is a patch of comments one that changes no decision, and is that said?"""
    edit = edited(lambda text: text.replace("/* A tree", "/* The tree"))
    policy = found(tree, written(tmp_path / "fix.patch", edit))
    assert policy.notes == ("no decision of the fault path is changed by the patch",)


def test_a_patch_of_another_version_is_applied_where_it_fits(tree: Path, tmp_path: Path) -> None:
    """At another line silently; with less context than it has, that is said?"""
    patch = written(tmp_path / "fix.patch", edited(TO_RFC))
    file = tree / MEMORY
    file.write_text("/* One\n * more\n * comment */\n" + file.read_text())
    assert found(tree, patch).notes == ()
    text = file.read_text()
    assert text.count("folio_free_swap(folio);\n\tpte = ") == 1
    file.write_text(
        text.replace("_swap(folio);\n\tpte = ", "_swap(folio); /* as ever */\n\tpte = ")
    )
    policy = found(tree, patch)
    assert alike(policy, "rfc")
    assert any("less context" in note for note in policy.notes)


def test_a_hunk_that_fails_is_cited(tree: Path, tmp_path: Path) -> None:
    """Does the error name the patch file, its line, the hunk and the file of the tree?"""
    patch = written(tmp_path / "fix.patch", "A title\n\n", edited(TO_RFC))
    file = tree / MEMORY
    file.write_text(file.read_text().replace("maybe_mkwrite(pte, vma)", "other()"))
    lines = patch.read_text().split("\n")
    hunk = next(n for n, line in enumerate(lines) if line.startswith("@@"))
    done = run("run", "read-then-write", "--policies", f"kernel:{tree}+{patch}")
    assert done.exit_code == 2
    assert f"{patch}:{hunk + 1}: hunk '{lines[hunk][:30]}" in done.stderr
    assert f"does not apply to mm/memory.c of {tree}" in done.stderr


@pytest.mark.parametrize("content", [b"", b"no diff\n", b"\0\xff" * 500, b"From: me\n\nHello\n"])
def test_a_file_without_a_patch_is_refused(tree: Path, tmp_path: Path, content: bytes) -> None:
    """Rather than taken for a patch that changes nothing?"""
    patch = tmp_path / "fix.patch"
    patch.write_bytes(content)
    with pytest.raises(PolicyError, match="no patch in it"):
        found(tree, patch)


def test_a_patch_cannot_reach_out_of_the_tree(tree: Path, tmp_path: Path) -> None:
    """Is a path that leads out neither read nor written?"""
    outside = written(tmp_path / "outside.c", "int a;\n")
    path = "../outside.c"
    patch = written(tmp_path / "fix.patch", edited(TO_RFC), diff("int a;\n", "int b;\n", path))
    assert found(tree, patch).undecided == (f"changes that are not modelled: {path}",)
    assert outside.read_text() == "int a;\n"


@exhaustive
@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (lambda text: text.replace("vmf->flags))", "0))"), MEMORY),
        (lambda text: text.replace("exclusive = pte_swp", "exclusive = !pte_swp"), MEMORY),
        (lambda text: text.replace("return pages", "return 0"), "mm/vmscan.c"),
    ],
    ids=["another argument", "another way", "another file"],
)
def test_what_is_changed_around_the_decisions_is_not_decided(
    edit: Edit, path: str, tree: Path, tmp_path: Path
) -> None:
    """Is the exit code 3, and nothing said to be unchanged or proved?"""
    spec = f"kernel:{tree}+{written(tmp_path / 'fix.patch', edited(edit, path))}"
    few = ("--processes", "1", "--ops", "read,write,pageout,willneed")
    explored = run("explore", "--policies", f"kernel:{tree},{spec}", *few)
    assert explored.exit_code == 3
    assert "not decided: no difference found\nnot a proof: " in explored.stdout
    for words in (("run", "--policies", spec), ("compare", "--policies", f"kernel:{tree},{spec}")):
        done = run(*words, "read-then-write")
        assert done.exit_code == 3
        assert f"Not decided: {spec}: changes that are not modelled: {path}" in done.stderr
        assert "no decision of the fault path is changed" not in done.stderr


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda text: before_rmap(text, "swap_free(entry);"), "swap_free()"),
        (lambda text: before_rmap(text, "folio_ref_add(folio, 1);"), "folio_ref_add()"),
        (lambda text: before_rmap(text, "pte = pte_mkold(pte);"), "pte_mkold()"),
        (lambda text: before_rmap(text, "#define pte_write(pte) 0"), "preprocessor lines"),
        (lambda text: text.replace("defined(CONFIG_KSM)", "defined(CONFIG_X)"), "preprocessor lin"),
        (lambda text: text.replace("\tpte = pte_wrprotect(pte);\n", ""), "preprocessor lines"),
    ],
    ids=["ignored", "a reference", "accessed bit", "a macro", "another #if", "within #if"],
)
def test_what_the_model_passes_over_in_a_decision_is_not_decided(
    edit: Edit, named: str, tree: Path, tmp_path: Path
) -> None:
    """Is a comparison with the tree not silent about it?"""
    spec = f"kernel:{tree}+{written(tmp_path / 'fix.patch', edited(edit))}"
    done = run("compare", "read-then-write", "--policies", f"kernel:{tree},{spec}")
    assert done.exit_code == 3
    message = f"Not decided: {spec}: changes that are not modelled: mm/memory.c: {named}"
    assert done.stderr.startswith(message)
    assert done.stderr.endswith(" in do_swap_page()\n")


def test_a_call_that_is_passed_over_is_changed_by_what_it_depends_on(tree: Path) -> None:
    """Where another condition leads to the same call, but not where all is as it was?"""
    edit = before_rmap((tree / MEMORY).read_text(), "if (exclusive) {\n\t\tswap_free(entry);\n\t}")
    (tree / MEMORY).write_text(edit)
    other = edit.replace("if (exclusive) {\n\t\tswap", "if (!exclusive) {\n\t\tswap")
    patch = written(tree / "fix.patch", diff(edit, other))
    assert found(tree, patch).undecided == (
        "changes that are not modelled: mm/memory.c: swap_free() in do_swap_page()",
    )
    again = written(tree / "same.patch", diff(edit, TO_RFC(edit)))
    assert "swap_free()" in found(tree, again).undecided[0]
    decides = edit.replace("rmap_flags |= RMAP_EXCLUSIVE;\n\t}\n#if", "}\n#if")
    assert found(tree, written(tree / "rmap.patch", diff(edit, decides))).undecided == ()


def before_rmap(text: str, line: str) -> str:
    """The text with a line more in do_swap_page()."""
    start = "" if line.startswith("#") else "\t"
    return text.replace("\tpage_add_anon_rmap(", f"{start}{line}\n\tpage_add_anon_rmap(")


def test_a_failure_is_one_although_not_all_is_decided(tree: Path, tmp_path: Path) -> None:
    """Is the exit code 1 where --fail-on finds what it looks for?"""
    patch = written(
        tmp_path / "fix.patch",
        edited(TO_RFC),
        edited(lambda text: text.replace("return pages", "return 0"), "mm/vmscan.c"),
    )
    words = ("read-then-write", "--policies", f"kernel:{tree},kernel:{tree}+{patch}")
    assert run("compare", *words, "--fail-on", "change").exit_code == 1


@pytest.mark.parametrize("path", ["Documentation/mm/swap.rst", "tools/testing/a.c", "MAINTAINERS"])
def test_what_is_in_no_kernel_leaves_nothing_undecided(
    path: str, tree: Path, tmp_path: Path
) -> None:
    """Documentation and tests beside the C?"""
    patch = written(tmp_path / "fix.patch", edited(TO_RFC), diff("a\n", "b\n", path))
    assert found(tree, patch).undecided == ()


def test_comments_of_another_file_are_no_change(tree: Path, tmp_path: Path) -> None:
    """Is a patch of mm/vmscan.c decided that changes no word of its code?"""
    edit = edited(lambda text: text.replace("return", "/* all of them */ return"), "mm/vmscan.c")
    policy = found(tree, written(tmp_path / "fix.patch", edit))
    assert policy.notes == ("no decision of the fault path is changed by the patch",)
    assert policy.undecided == ()


def test_a_tree_runs_nothing(tree: Path, tmp_path: Path) -> None:
    """Not even what its own .git/config names as a filter, with a patch that names these files?"""
    proof = tmp_path / "it-ran"
    written(tree / ".gitattributes", "*.c filter=evil\n")
    (tree / ".git" / "objects").mkdir(parents=True)
    (tree / ".git" / "refs").mkdir()
    written(tree / ".git" / "HEAD", "ref: refs/heads/main\n")
    written(tree / ".git" / "objects" / "keep")
    written(tree / ".git" / "refs" / "keep")
    command = f"touch {proof}; cat"
    written(
        tree / ".git" / "config", f'[filter "evil"]\n\tclean = {command}\n\tsmudge = {command}\n'
    )
    names = ("HEAD", "config", "objects/keep", "refs/keep")
    bare = [f"diff --git a/{n} b/{n}\n" for n in (".gitattributes", *(f".git/{n}" for n in names))]
    policy = found(tree, written(tmp_path / "fix.patch", *bare, edited(TO_RFC)))
    assert not proof.exists()
    assert alike(policy, "rfc")
    assert policy.undecided != ()


def test_a_link_of_the_tree_is_not_followed(tree: Path, tmp_path: Path) -> None:
    """Is a file outside not read where a patch names a link to it?"""
    written(tmp_path / "secret.c", "int secret;\n")
    (tree / "mm" / "link.c").symlink_to(tmp_path / "secret.c")
    (tree / "include").symlink_to(tmp_path)
    for path in ("mm/link.c", "include/secret.c"):
        patch = written(tmp_path / "fix.patch", diff("int secret;\n", "int open;\n", path))
        assert found(tree, patch).undecided == (f"changes that are not modelled: {path}",)


def test_a_fifo_is_refused_rather_than_waited_for(tree: Path, tmp_path: Path) -> None:
    """As patch, in a directory of patches, and as mm/memory.c?"""
    fifo = tmp_path / "patches" / "fix.patch"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    for patch in (fifo, fifo.parent):
        with pytest.raises(PolicyError, match=f"{fifo}: cannot be read: it is a FIFO"):
            found(tree, patch)
    (tree / MEMORY).unlink()
    os.mkfifo(tree / MEMORY)
    with pytest.raises(PolicyError, match=r"it has no mm/memory\.c"):
        found(tree)


def test_hunks_end_where_their_counts_say() -> None:
    """Is the line of dashes of a signature no part of the last hunk?"""
    data = mail("[PATCH] one", diff("a\nb\n", "a\nc\n")).encode()
    (patch,) = patches_of("mail", data).patches
    (hunk,) = patch.files[0].hunks
    assert hunk.text.split("\n")[1:] == [" a", "-b", "+c"]
    assert data.decode().split("\n")[hunk.line - 1] == hunk.header


@exhaustive
def test_explore_cites_the_lines_where_two_trees_part(tree: Path, tmp_path: Path) -> None:
    """Is it the condition that the patch replaces, in both, in the table and in JSON?"""
    patch = written(tmp_path / "fix.patch", edited(TO_RFC))
    pair = f"kernel:{tree},kernel:{tree}+{patch}"
    words = ("explore", "--policies", pair, "--processes", "1", "--ops", "read,write,pageout")
    lines = [
        f"{tree}/mm/memory.c:58: if (vmf->flags & FAULT_FLAG_WRITE): no",
        f"{tree}/mm/memory.c+fix.patch:58: if (vma->vm_flags & VM_WRITE): yes",
    ]
    found = json.loads(run(*words, "--format", "json").stdout)["differences"]
    assert {tuple(each["cited"]) for each in found} == {tuple(lines)}
    assert all(f"  {line}\n" in run(*words).stdout for line in lines)
    with_python = (*words[:2], f"final,kernel:{tree}+{patch}", *words[3:], "--format", "json")
    beside = json.loads(run(*with_python).stdout)["differences"]
    assert beside
    assert all(each["cited"][1] == lines[1] for each in beside)


def test_sequences_can_be_written_to_files(tree: Path, tmp_path: Path) -> None:
    """Although the names of the policies are paths?"""
    words = ("explore", "--policies", f"rfc,kernel:{tree}", "--processes", "1")
    run(*words, "--ops", "read,write,pageout", "--out", tmp_path / "found")
    assert len(list((tmp_path / "found").glob("*.yaml"))) >= 2
