"""Are the fault functions of a tree interpreted as they stand: in order, with every argument?"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.backends import BACKENDS
from swaptrace.csource.preprocess import defined_with
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.policy import TreePolicy, program_of
from swaptrace.ktree.faults.source import Sources
from swaptrace.ktree.faults.tables import primitives
from swaptrace.mm.column import Column, Mapping, Pte, Vma
from swaptrace.mm.event import Access, Facts, Fork, Pageout
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import transition
from swaptrace.policies import from_argument
from swaptrace.replay.citing import Asked
from tests.commandline import run
from tests.effort import examples, some
from tests.ktree.making import MEMORY, diff

SMALL = Path(__file__).parent / "whole"

KERNELS = {"before": "6.12", "after": "7.3"}

Write = Callable[[str, str], Path]
"""Makes a tree of the name of a small one and another text."""

OPS = "read,write,pageout,fork,exit"

FREES = """\
	if (should_try_to_free_swap(folio, vma, vmf->flags))
		folio_free_swap(folio);
"""
FREES_LATER = FREES.replace("(folio, vma, vmf", "(si, folio, vma, exclusive, vmf")
SETS = "	set_ptes(vma->vm_mm, vmf->address, vmf->pte, pte, 1);\n"
THROTTLES = "	folio_throttle_swaprate(folio, GFP_KERNEL);\n"


def text_of(name: str) -> str:
    return (SMALL / name / MEMORY).read_text()


def edited(name: str, *edits: tuple[str, str]) -> str:
    """The mm/memory.c of a small tree with the first of each old text replaced."""
    text = text_of(name)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Makes a tree of a text, in place of one of the small trees."""

    def write(name: str, text: str) -> Path:
        tree = Path(shutil.copytree(SMALL / name, tmp_path / f"linux-{name}"))
        (tree / MEMORY).write_text(text)
        return tree

    return write


def explored(one: object, other: object, kernel: str, backend: str = "zram") -> Result:
    pair = ",".join(
        str(each) if "/" not in str(each) else f"kernel:{each}" for each in (one, other)
    )
    machine = ("--set", f"machine.kernel={kernel}", "--set", f"machine.swap.backend={backend}")
    return run("explore", "--policies", pair, *machine, "--ops", OPS)


@pytest.mark.parametrize("backend", ["zram", "zswap", "disk"])
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_tree_is_proved_equal_to_the_model_of_its_version(name: str, backend: str) -> None:
    """Does the proof name the functions that were interpreted?"""
    done = explored(SMALL / name, "merged", KERNELS[name], backend=backend)
    assert done.exit_code == 0, done.output
    assert "nothing tells them apart\nproof by enumeration" in done.stdout
    assert f"interpreted of kernel:{SMALL / name}: do_swap_page(), should_try" in done.stdout


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_all_operations_come_to_the_same(name: str) -> None:
    """With userfaultfd, soft-dirty, protection, mlock and advice, for one process?"""
    machine = ("--set", f"machine.kernel={KERNELS[name]}", "--processes", "1")
    done = run("explore", "--policies", f"kernel:{SMALL / name},merged", *machine)
    assert done.exit_code == 0, done.output


APART = {
    "the place of a call": (
        "before",
        "zram",
        [(FREES, ""), ("	vmf->orig_pte = pte;\n", FREES + "	vmf->orig_pte = pte;\n")],
    ),
    "an argument": (
        "after",
        "disk",
        [("vma, exclusive, vmf->flags))", "vma, true, vmf->flags))")],
    ),
    "the sole owner": (
        "after",
        "zram",
        [
            (
                "	if (exclusive) {\n",
                "	exclusive |= folio_ref_count(folio) == 1 + folio_test_swapcache(folio);\n"
                "	if (exclusive) {\n",
            )
        ],
    ),
    "a flag at that moment": (
        "before",
        "zram",
        [
            ("				vmf->flags &= ~FAULT_FLAG_WRITE;\n", ""),
            ("	if (exclusive ||", "	vmf->flags &= ~FAULT_FLAG_WRITE;\n	if (exclusive ||"),
        ],
    ),
    "a helper's condition": (
        "before",
        "zram",
        [("folio_ref_count(folio) > 1 +", "folio_ref_count(folio) > 0 +")],
    ),
    "the drain": (
        "before",
        "disk",
        [
            (
                "	if (swapcache && (vmf->flags & FAULT_FLAG_WRITE) && !folio_test_lru(folio))\n"
                "		lru_add_drain();\n",
                "",
            )
        ],
    ),
}


@pytest.mark.parametrize("what", some(sorted(APART), 2))
def test_what_matters_tells_trees_apart(what: str, written: Write) -> None:
    """Is there a sequence, and are the lines cited where the two part?"""
    name, backend, edits = APART[what]
    tree = written(name, edited(name, *edits))
    done = explored(SMALL / name, tree, KERNELS[name], backend=backend)
    assert done.exit_code == 1, done.output
    assert f"{tree}/{MEMORY}:" in done.stdout


ALIKE = {
    "a lock": [
        ("	folio_unlock(folio);\n	if ((vmf", "	unlock_page(&folio->page);\n	if ((vmf")
    ],
    "a statistic": [(THROTTLES, "	count_vm_event(PSWPIN);\n")],
    "a tracepoint": [(THROTTLES, "	trace_swapin(vma, pte_none(vmf->orig_pte));\n")],
    "a name": [("bool exclusive,\n", "bool sole,\n"), ("return exclusive &&", "return sole &&")],
    "a goto": [
        (
            FREES_LATER,
            "	if (!should_try_to_free_swap(si, folio, vma, exclusive, vmf->flags))\n"
            "		goto kept;\n	folio_free_swap(folio);\nkept:\n",
        )
    ],
}


@pytest.mark.parametrize("what", some(sorted(ALIKE), 2))
def test_what_does_not_matter_is_proved_equal(what: str, written: Write) -> None:
    """A lock, a statistic, another way to write the same?"""
    tree = written("after", edited("after", *ALIKE[what]))
    done = explored(SMALL / "after", tree, "7.3")
    assert done.exit_code == 0, done.output


def test_all_errors_are_told_at_once_with_their_places(written: Write) -> None:
    """Function, file, line, column and caret of each, and exit code 2?"""
    calls = (
        "	vendor_one(&pte);\n	pte = vendor_two(pte) ? pte : vma->vendor;\n"
        "	vendor_three();\n"
    )
    tree = written("after", edited("after", (SETS, calls + SETS)))
    done = run("policies", f"kernel:{tree}")
    line = (tree / MEMORY).read_text().split("\n").index("	vendor_one(&pte);") + 1
    assert done.exit_code == 2
    for number, column, wrong in (
        (0, 2, "'vendor_one'"),
        (1, 8, "'vendor_two'"),
        (2, 2, "'vendor_three'"),
    ):
        assert f"{tree}/{MEMORY}:{line + number}:{column}: in do_swap_page(): " in done.stderr
        assert wrong in done.stderr
    assert done.stderr.count("^") == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("trace_android_vh_swapin(vma, pte)", "is a hook for vendors"),
        ("count_vm_events(PSWPIN, &pte)", "could change &pte"),
        ("update_mmu_cache(vma, vmf->address, &vmf->flags)", "could change &vmf->flags"),
    ],
)
def test_a_call_that_could_decide_and_is_passed_over_is_not_decided(
    call: str, said: str, written: Write
) -> None:
    """Exit code 3 of explore and of run, with the line?"""
    tree = written("after", edited("after", (SETS, f"	{call};\n{SETS}")))
    done = explored(SMALL / "after", tree, "7.3")
    assert done.exit_code == 3
    assert "not decided: no difference found" in done.stdout
    assert said in done.stderr
    assert run("run", "read-then-write", "--policies", f"kernel:{tree}").exit_code == 3


def mapped(text: str) -> Policy:
    """The policy of such a text, of one file alone."""
    sources = Sources(None, {MEMORY: text}, {MEMORY: "memory.c"}, defined_with(()))
    return TreePolicy("it", program_of(sources))


def swapped_in(policy: Policy, write: bool = False, facts: Facts | None = None) -> Column:
    """A page that was written, paged out by its parent's child and touched again."""
    facts = facts or Facts(sync_through_cache=True, maps_before_freeing=True, exclusive_alone=True)
    column = Column((Mapping(Vma()),))
    for event in (
        Access(0, facts, False, "fresh"),
        Pageout(0, facts),
        Fork(0, facts, True),
        Access(1, facts, True, None),
        Access(0, facts, not write, "fresh" if write else None),
    ):
        column = transition(policy, column, event).column
    return column


WRONG = {
    "a slot that is kept": (
        [("	folio_put_swap(folio, NULL);\n", "")],
        "swap slot is not dropped",
    ),
    "a slot dropped twice": (
        [("	folio_put_swap(folio, NULL);\n", "	folio_put_swap(folio, NULL);\n" * 2)],
        "does not hold",
    ),
    "a reference too many": (
        [(THROTTLES, "	folio_get(folio);\n")],
        "references to a folio are left",
    ),
    "no PTE": ([(SETS, "")], "references to a folio are left"),
    "another PTE": (
        [(SETS, SETS.replace("vmf->pte", "vmf->pte + 1"))],
        "where an integer is needed",
    ),
    "another address": (
        [(SETS, SETS.replace("vmf->address", "0"))],
        "does not know this call with an integer",
    ),
    "what the model does not keep": (
        [
            (
                "	vmf->orig_pte = pte;\n",
                "	if (folio_test_anon(folio))\n"
                "		pte = pte_wrprotect(pte_mkdirty(pte));\n	vmf->orig_pte = pte;\n",
            ),
            ("	if (should_try", "	if (false && should_try"),
        ],
        "was mapped before",
    ),
    "a loop": ([(THROTTLES, "again:\n	if (folio)\n		goto again;\n")], "round for ever"),
    "a failure": ([(THROTTLES, "	return VM_FAULT_SIGBUS;\n")], "references to a folio are left"),
    "an address that decides": (
        [("	if (exclusive) {", "	if (vmf->address) {")],
        "a value that the model does not have decides",
    ),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_what_the_model_cannot_follow_is_an_error_and_no_count(what: str) -> None:
    """Of references that do not come out even, and of what is asked that is not known?"""
    edits, expected = WRONG[what]
    policy = mapped(edited("after", *edits))
    disk = Facts(backend=BACKENDS["disk"], readahead=False)
    with pytest.raises(PolicyError, match=expected):
        swapped_in(policy, facts=disk if "model" in what else None)


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


@pytest.mark.parametrize("what", some(sorted(LEFT), 3))
def test_a_patch_of_what_does_not_run_is_not_decided(what: str, tmp_path: Path) -> None:
    """Is the exit code 3, and is that named which is neither run nor without effect?"""
    edit, expected = LEFT[what]
    spec = f"{SMALL / 'after'}+{patch(tmp_path, text_of('after'), edited('after', edit))}"
    done = explored(SMALL / "after", spec, "7.3")
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


@pytest.mark.parametrize("what", some(PASSED_OVER, 3))
def test_a_patch_of_what_is_passed_over_is_not_decided(what: str, tmp_path: Path) -> None:
    """In a function that runs: is nothing proved, and is it named?"""
    old, new, named = PASSED_OVER[what]
    text = edited("before", (old, new))
    spec = f"{SMALL / 'before'}+{patch(tmp_path, text_of('before'), text)}"
    done = explored(SMALL / "before", spec, "6.12")
    assert done.exit_code == 3
    assert f"changes that are not modelled: mm/memory.c: {named} in do_swap_page()" in done.stderr
    assert "not decided: no difference found\nnot a proof" in done.stdout


def test_a_patch_of_the_architecture_points_to_the_machine(written: Write, tmp_path: Path) -> None:
    """Is what makes pte_mkwrite() dirty said to be a setting of the machine?"""
    path = "arch/arm64/include/asm/pgtable.h"
    tree = written("after", text_of("after"))
    (tree / path).parent.mkdir(parents=True)
    (tree / path).write_text("pte_t pte_mkwrite(pte_t pte)\n{\n	return pte;\n}\n")
    new = "pte_t pte_mkwrite(pte_t pte)\n{\n	return pte_mkdirty(pte);\n}\n"
    spec = f"kernel:{tree}+{patch(tmp_path, (tree / path).read_text(), new, path)}"
    reasons = from_argument(spec).undecided
    assert any(f"{path}: pte_mkwrite()" in reason for reason in reasons)
    assert any("machine.mkwrite_dirties" in reason for reason in reasons)


def test_a_patch_of_comments_and_headers_changes_nothing(tmp_path: Path) -> None:
    """And is it said so?"""
    new = edited("after", ("in small", "in brief"), ("#include <linux/mm.h>\n", ""))
    policy = from_argument(f"kernel:{SMALL / 'after'}+{patch(tmp_path, text_of('after'), new)}")
    assert isinstance(policy, TreePolicy)
    assert policy.undecided == ()
    assert any("changes nothing of the functions" in note for note in policy.notes)


def test_a_tree_knows_its_version(written: Write) -> None:
    """From its Makefile, so that each replays under the rules of its own kernel?"""
    tree = written("after", text_of("after"))
    assert from_argument(f"kernel:{SMALL / 'before'}").kernel == "6.12"
    assert from_argument(f"kernel:{tree}").kernel == "7.3"
    (tree / "Makefile").write_text("VERSION = 99\nPATCHLEVEL = 1\n")
    assert from_argument(f"kernel:{tree}").kernel == ""


def test_without_a_version_nothing_is_proved(written: Write) -> None:
    """Is a file without its Makefile no proof, as versions differ in what the model does?"""
    tree = written("after", text_of("after"))
    (tree / "Makefile").unlink()
    done = explored(SMALL / "after", tree, "7.3")
    assert (done.exit_code, "no Makefile gives the version" in done.stdout) == (3, True)


@pytest.mark.parametrize(("version", "writable"), [((6, 1), True), ((6, 12), False), (None, False)])
def test_a_function_of_the_model_is_that_of_the_version(
    version: tuple[int, int] | None, writable: bool
) -> None:
    """Does pte_mkuffd_wp() write-protect in the kernels in which it does?"""
    (known,) = primitives(version)["pte_mkuffd_wp"]
    assert known.run(None, Pte(0, write=True)) == Pte(0, write=writable, uffd_wp=True)


def test_a_policy_goes_to_another_process_as_its_c() -> None:
    """Does it do the same there, and with two jobs the same as with one?"""
    policy = from_argument(f"kernel:{SMALL / 'after'}")
    again = pickle.loads(pickle.dumps(policy))
    assert swapped_in(again, write=True) == swapped_in(policy, write=True)
    words = (
        "run",
        "read-then-write",
        "fork-after-pageout",
        "--policies",
        f"kernel:{SMALL / 'after'}",
    )
    one, two = (run(*words, "--format", "json", "--jobs", jobs) for jobs in ("1", "2"))
    assert one.stdout == two.stdout


@pytest.mark.parametrize("kind", [Steady, Asked])
def test_whoever_stands_before_a_policy_hands_faults_on(kind: Callable[[Policy], Policy]) -> None:
    """Are the functions of the tree run, and not the built-in ones in their place?"""
    policy = from_argument(f"kernel:{SMALL / 'after'}")
    assert policy.functions
    assert kind(policy).functions == policy.functions


def test_explain_cites_what_was_executed_in_order() -> None:
    """The statements of do_swap_page() and of what it calls, with what conditions said?"""
    words = ("explain", "fork-after-pageout", "--policy", f"kernel:{SMALL / 'after'}")
    steps = json.loads(run(*words, "--format", "json").stdout)["steps"]
    cited = [line for step in steps for each in step["transitions"] for line in each["cited"]]
    text = " ".join(cited)
    assert "if (!folio_test_swapcache(folio)): no" in text
    assert text.index("folio_put_swap(folio, NULL);") < text.index("folio_free_swap(folio);")


def test_the_listing_names_what_runs_what_the_model_does_and_what_it_assumes() -> None:
    """With the places of the functions, and a meaning for each that is not interpreted?"""
    done = run("policies", f"kernel:{SMALL / 'before'}")
    assert done.exit_code == 0
    assert f"do_swap_page()             {SMALL / 'before'}/{MEMORY}:" in done.stdout
    assert "folio_test_large()  " in done.stdout.partition("taken for granted")[2]
    assert "can_change_pte_writable()" in done.stderr


PIECES = [
    "",
    "(",
    ")",
    ";",
    "{",
    "}",
    "!",
    "0",
    "folio",
    "vmf->pte",
    "pte",
    "->swap",
    "goto out;",
    "&",
    "*",
    "NULL",
]


@given(st.data())
@settings(max_examples=examples(60), deadline=None)
def test_damaged_c_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever is cut out or put in: does it run, or is there an error that says what is wrong?"""
    text = text_of("before")
    start = data.draw(st.integers(text.index("should_try"), len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:]
    said = "memory.c:"
    try:
        swapped_in(mapped(damaged), write=True, facts=Facts())
    except PolicyError as error:
        said = str(error)
    assert "memory.c:" in said or "the tree has no function" in said or "for ever" in said
