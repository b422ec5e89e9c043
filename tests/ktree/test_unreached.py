"""Is nothing proved of changed C that nothing which is explored executes?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.effort import exhaustive, some
from tests.ktree.making import MEMORY, diff
from tests.ktree.test_real import tree
from tests.ktree.test_unseen import BEGINS, Edits
from tests.ktree.wholes import OPS, SMALL, Write, edited, explored, text_of
from tests.ktree.wholes import written as written  # a fixture

FAILS = "			ret = VM_FAULT_OOM;\n"
TESTS = "		if (!folio) {\n" + FAILS
OTHERWISE = "		if (!folio)\n			return VM_FAULT_OOM;\n"
RETURNS = "	return ret & VM_FAULT_ERROR ? ret & VM_FAULT_ERROR : ret;\n"
SOFT = "	if (pte_swp_soft_dirty(vmf->orig_pte))\n		pte = pte_mksoft_dirty(pte);\n"
WRITABLE = "		if (vma->vm_flags & VM_WRITE)\n			entry"

Pair = tuple[str, str]

UNREACHED: dict[str, tuple[Edits, str]] = {
    "a failure": (((FAILS, FAILS.replace("OOM", "SIGBUS")),), "do_swap_page(): not executed"),
    "a failure that goes": (((OTHERWISE, ""),), "do_anonymous_page(): not executed"),
    "a second operand": (
        ((TESTS, TESTS.replace("!folio", "!folio && (vmf->flags & FAULT_FLAG_WRITE)")),),
        "do_swap_page(): not executed",
    ),
    "a condition that always holds": (
        ((WRITABLE, WRITABLE.replace("vma->", "folio && vma->")),),
        "do_anonymous_page(): folio never false",
    ),
    "another condition": (
        ((OTHERWISE, OTHERWISE.replace("!folio", "folio == NULL")),),
        "do_anonymous_page(): folio == NULL never true",
    ),
    "one of two values": (
        ((RETURNS, RETURNS.replace("? ret & VM_FAULT_ERROR", "? VM_FAULT_SIGBUS")),),
        "do_swap_page(): not executed",
    ),
    "a function that is not called": (
        (
            (BEGINS, "static int failed(void)\n{\n	return VM_FAULT_SIGBUS;\n}\n\n" + BEGINS),
            (FAILS, "			ret = failed();\n"),
        ),
        "failed(): not executed",
    ),
    "what is ruled out": (
        ((FAILS, FAILS + "			if (0)\n				ret = 0;\n"),),
        "do_swap_page(): ruled out by a constant",
    ),
    "what an unexecuted goto leads to": (
        ((RETURNS, "	return ret & VM_FAULT_MAJOR ? ret : 0;\n"),),
        "do_swap_page(): not executed where what differs would matter",
    ),
    "another type": (
        (("	vm_fault_t ret = 0;\n", "	int ret = 0;\n"),),
        "do_swap_page(): not executed",
    ),
}  # fmt: skip


def pair(tmp_path: Path, of: Path, old: str, new: str) -> Pair:
    """A tree, and the same with a patch to another text."""
    file = tmp_path / "fix.patch"
    file.write_text(diff(old, new))
    return str(of), f"{of}+{file}"


def of_small(tmp_path: Path, edits: Edits) -> Pair:
    """The small tree, and a patch with some edits."""
    return pair(tmp_path, SMALL / "before", text_of("before"), edited("before", *edits))


@pytest.mark.parametrize("backwards", some([False, True], 1))
@pytest.mark.parametrize("what", some(UNREACHED, 5))
def test_what_is_changed_and_not_executed_is_not_decided(
    what: str, backwards: bool, tmp_path: Path
) -> None:
    """Is it named, with its function, file and line, whichever of the two is the patched tree?"""
    edits, named = UNREACHED[what]
    one, other = of_small(tmp_path, edits)
    one, other = (other, one) if backwards else (one, other)
    done = explored(one, other, "6.12", what=("--ops", OPS))
    assert done.exit_code == 3, done.output
    assert re.search(rf"reaches: .*{MEMORY}(\+fix\.patch)?:\d+: .*{re.escape(named)}", done.stdout)


MAJOR = "		ret = VM_FAULT_MAJOR;\n"
LOCKED = "	folio_unlock(folio);\n	if (vmf"
PUTS = "	put_swap_device(si);\n"

LEAKS: dict[str, tuple[Edits, str]] = {
    "an early return": (
        ((LOCKED, "	if (exclusive)\n		return ret;\n" + LOCKED),),
        "folio_unlock(), put_swap_device()",
    ),
    "a variable": (
        (
            (PUTS, "	if (holds)\n	" + PUTS),
            ("	bool exclusive;\n", "	bool exclusive, holds = true;\n"),
            (SOFT, "	holds = folio_ref_count(folio) == 1;\n" + SOFT),
        ),
        "put_swap_device()",
    ),
    "an else": (((PUTS, "	if (ret)\n		;\n	else\n	" + PUTS),), "put_swap_device()"),
    "an event": (
        ((MAJOR, MAJOR + "		count_vm_event(PSWPIN);\n"),),
        "count_vm_event()",
    ),
}


@pytest.mark.parametrize("what", some(LEAKS, 3))
def test_a_release_that_is_left_out_is_not_decided(what: str, written: Write) -> None:
    """Of two trees of one version, although the model does not know of what is released?"""
    edits, named = LEAKS[what]
    tree = written("before", edited("before", *edits))
    done = explored(SMALL / "before", tree, "6.12", what=("--ops", OPS))
    told = f"a fault comes more or less often to what is passed over: {named};"
    assert (done.exit_code, told in done.stdout) == (3, True), done.output


OTHER = "static int copy_present_ptes(int a)\n{\n	return a;\n}\n"
OF_LARGE = f"#ifdef CONFIG_TRANSPARENT_HUGEPAGE\n{OTHER}#endif\n"


@pytest.mark.parametrize(
    ("text", "large", "named"),
    [
        (OTHER, (), "copy_present_ptes()"),
        (OF_LARGE, (), "outside of functions"),
        (OF_LARGE, ("--set", "machine.thp=16KiB"), "copy_present_ptes()"),
    ],
)
def test_what_is_not_interpreted_of_one_tree_alone_is_not_decided(
    text: str, large: tuple[str, ...], named: str, written: Write
) -> None:
    """Of two trees of one version, is a function named that the model has for both?"""
    tree = written("large", text_of("large") + text)
    words = (*large, "--processes", "1", "--ops", "read")
    done = explored(SMALL / "large", tree, "6.12", what=words)
    told = f"not a proof: code that is not interpreted differs: {MEMORY}: {named}"
    assert (done.exit_code, told in done.stdout) == (3, True), done.output


COUNTS = "	count_mthp_stat(folio_order(folio), MTHP_STAT_ANON_FAULT_ALLOC);\n"
MAPS = "	folio_add_new_anon_rmap("


def test_a_statistic_that_the_model_shows_is_not_left_out(written: Write) -> None:
    """Is a tree that does not count large folios which a fault brings in not decided, beside one
    of its version that does?"""
    counting = written("large", edited("large", (MAPS, COUNTS + MAPS)))
    words = ("--set", "machine.thp=16KiB", "--processes", "1", "--ops", "write@all")
    done = explored(SMALL / "large", counting, "6.12", what=words)
    told = "a fault comes more or less often to what is passed over: count_mthp_stat();"
    assert (done.exit_code, told in done.stdout) == (3, True), done.output


SAME: dict[str, Edits] = {
    "comments": ((FAILS, "			/* none */\n			ret =\n			  VM_FAULT_OOM;\n"),),
    "a variable's name": (
        ("	vm_fault_t ret = 0;\n", "	vm_fault_t came = 0;\n"),
        (FAILS, FAILS.replace("ret", "came")),
        ("		ret = VM_FAULT_MAJOR;\n", "		came = VM_FAULT_MAJOR;\n"),
        ("		ret |= do_wp_page(vmf);\n", "		came |= do_wp_page(vmf);\n"),
        (RETURNS, RETURNS.replace(" ret", " came")),
    ),
    "a label's name": (
        ("goto out_page;", "goto wrong;"), ("goto out_page;", "goto wrong;"),
        ("out_page:\n", "wrong:\n"),
    ),
    "a hint": ((TESTS, TESTS.replace("!folio", "unlikely(!folio)")),),
    "a check of a debugging kernel": ((FAILS, FAILS + "			VM_BUG_ON(exclusive);\n"),),
    "what is executed": (
        (
            "pte_swp_exclusive(vmf->orig_pte) || folio != swapcache",
            "folio != swapcache || pte_swp_exclusive(vmf->orig_pte)",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", some(SAME, 3))
def test_what_is_executed_or_says_the_same_is_proved(what: str, tmp_path: Path) -> None:
    """Do names, comments and hints not count where nothing is executed?"""
    done = explored(*of_small(tmp_path, SAME[what]), "6.12", what=("--ops", OPS))
    assert done.exit_code == 0, done.output


KEPT = (
    SOFT,
    SOFT.replace("	if (pte", "	bool soft = pte", 1).replace(
        "pte))", "pte);\n\n	if (soft)"
    ),
)


@pytest.mark.parametrize(
    ("edit", "code"),
    [(KEPT, 0), ((SOFT, SOFT.replace("_dirty(pte)", "_dirty(pte_mkdirty(pte))")), 1)],
)
def test_operations_that_reach_it_decide(edit: tuple[str, str], code: int, tmp_path: Path) -> None:
    """Is the same change proved, or told apart, once soft-dirty bits are cleared?"""
    both = of_small(tmp_path, (edit,))
    without = explored(*both, "6.12", what=("--processes", "1", "--ops", "read,pageout"))
    assert without.exit_code == 3
    ops = "read,write,pageout,clear_refs"
    assert explored(*both, "6.12", what=("--processes", "1", "--ops", ops)).exit_code == code


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_failure_in_a_real_tree_is_not_decided(version: str, tmp_path: Path) -> None:
    """Is the return behind an allocation that never fails named, whichever tree is patched?"""
    text = (tree(version) / MEMORY).read_text()
    head, begins, body = text.partition("static vm_fault_t do_anonymous_page(")
    new = head + begins + body.replace("oom:\n	return VM_FAULT_OOM;", "oom:\n	return 0;", 1)
    assert new != text
    both = pair(tmp_path, tree(version), text, new)
    for one, other in (both, (both[1], both[0])):
        done = explored(one, other, version, what=("--processes", "1", "--ops", OPS))
        assert done.exit_code == 3, done.output
        assert "do_anonymous_page(): not executed" in done.stdout


@exhaustive
def test_large_folios_are_watched_as_well(tmp_path: Path) -> None:
    """Is a failure that a block of pages does not reach not decided either?"""
    text = text_of("large")
    new = text.replace("VM_FAULT_OOM", "VM_FAULT_SIGBUS", 1)
    assert new != text
    both = pair(tmp_path, SMALL / "large", text, new)
    words = ("--set", "machine.thp=16KiB", "--processes", "1", "--ops", "write@all,pageout")
    done = explored(*both, "6.12", what=words)
    assert (done.exit_code, "not executed" in done.stdout) == (3, True), done.output
