"""Are the fault functions of a tree interpreted as they stand: in order, with every argument?"""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.backends import BACKENDS
from swaptrace.csource.preprocess import defined_with
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.policy import TreePolicy, programs_of
from swaptrace.ktree.faults.source import Sources
from swaptrace.ktree.faults.tables import primitives
from swaptrace.mm.column import Column, Mapping, Pte, Vma
from swaptrace.mm.event import Access, Facts, Fork, Pageout
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.transition import transition
from swaptrace.policies import from_argument
from swaptrace.replay.citing import RecordingPolicy
from tests.commandline import run
from tests.effort import examples, exhaustive, some
from tests.ktree.making import MEMORY
from tests.ktree.wholes import (
    FEW,
    FREES,
    FREES_LATER,
    KERNELS,
    SETS,
    SMALL,
    THROTTLES,
    Write,
    edited,
    explored,
    text_of,
)
from tests.ktree.wholes import written as written  # a fixture


@pytest.mark.parametrize("backend", some(["zram", "zswap", "disk"], 1))
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_tree_is_proved_equal_to_the_model_of_its_version(name: str, backend: str) -> None:
    """Does the proof name the functions that were interpreted?"""
    done = explored(SMALL / name, "merged", KERNELS[name], backend=backend)
    assert done.exit_code == 0, done.output
    assert "nothing tells them apart\nproof by enumeration" in done.stdout
    assert f"interpreted of kernel:{SMALL / name}: do_swap_page(), should_try" in done.stdout


@exhaustive
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
    "a statistic": [(THROTTLES, THROTTLES + "	count_vm_event(PGMAJFAULT);\n")],
    "a tracepoint": [(THROTTLES, THROTTLES + "	trace_swapin(vma, pte_none(vmf->orig_pte));\n")],
    "a name": [("bool exclusive,\n", "bool sole,\n"), ("return exclusive &&", "return sole &&")],
    "a goto": [
        (
            FREES_LATER,
            "	if (!should_try_to_free_swap(si, folio, vma, exclusive, vmf->flags))\n"
            "		goto kept;\n	folio_free_swap(folio);\nkept:\n",
        )
    ],
}


@pytest.mark.parametrize("what", some(sorted(ALIKE), 1))
def test_what_does_not_matter_is_proved_equal(what: str, written: Write) -> None:
    """A lock, a statistic, another way to write the same?"""
    tree = written("after", edited("after", *ALIKE[what]))
    done = explored(SMALL / "after", tree, "7.3", backend="disk")
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


def test_what_is_nested_too_deeply_is_told_with_its_place(written: Write) -> None:
    """Is it an error of a function in a file, not of whatever was read?"""
    deep = "	if (" + "!(" * 150 + "pte.pte" + ")" * 150 + ")\n		return 0;\n"
    wide = f"	if ({' + '.join(['1'] * 3000)})\n		return 0;\n"
    for text in (deep, wide):
        tree = written("after", edited("after", (SETS, text + SETS)))
        done = run("policies", f"kernel:{tree}")
        assert done.exit_code == 2
        assert re.search(rf"{tree}/{MEMORY}:\d+:\d+: .*nested too deeply", done.stderr)
        shutil.rmtree(tree)


@pytest.mark.parametrize(
    ("call", "said"),
    some(
        [
            ("trace_android_vh_swapin(vma, pte)", "is a hook for vendors"),
            ("count_vm_events(PSWPIN, &pte)", "could change &pte"),
            ("update_mmu_cache(vma, vmf->address, &vmf->flags)", "could change &vmf->flags"),
        ],
        1,
    ),
)
def test_a_call_that_could_decide_and_is_passed_over_is_not_decided(
    call: str, said: str, written: Write
) -> None:
    """Exit code 3 of explore and of run, with the line?"""
    tree = written("after", edited("after", (SETS, f"	{call};\n{SETS}")))
    done = explored(SMALL / "after", tree, "7.3", what=FEW)
    assert done.exit_code == 3
    assert "not decided: no difference found" in done.stdout
    assert said in done.stderr
    assert run("run", "read-then-write", "--policies", f"kernel:{tree}").exit_code == 3


def mapped(text: str) -> Policy:
    """The policy of such a text, of one file alone."""
    sources = Sources(None, {MEMORY: text}, {MEMORY: "memory.c"}, defined_with(()))
    return TreePolicy("it", *programs_of(sources))


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
    done = explored(SMALL / "after", tree, "7.3", what=FEW)
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


@pytest.mark.parametrize("kind", [Steady, RecordingPolicy])
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
