"""Is a proof by equal decisions given only where a run cannot tell two policies apart?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import pytest

from swaptrace.errors import PolicyError, SwaptraceError
from swaptrace.exploration.decisions import Question, differing, every, methods, questions
from swaptrace.exploration.explorer import (
    Exploration,
    Request,
    explore,
    limits_on,
    operations,
    request_of,
)
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.mm.column import ZERO_PAGE, Pte, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.memory import DirtyingPte
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.mm.steady import UnsteadyPolicy
from swaptrace.mm.uffd import Uffd
from swaptrace.policies.final import Final
from swaptrace.replay.engine import replay
from swaptrace.replay.world import static_facts
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.thp import Thp
from tests.effort import exhaustive, some
from tests.explore.adversaries import ByHand, Elsewhere, Fickle, Impressed, hasty, infectious
from tests.explore.sequences import graph, states_of

SWAP = Swap(page_cluster=0)
LARGE = (Thp("16KiB", "always"),)
SHARED = "read,write,pageout,willneed,fork,exit"
FEW = "read,write,pageout"


def explored(policy: Policy, ops: str = SHARED, processes: int = 2, **machine: Any) -> Exploration:
    """The policy beside `final`."""
    limits = Limits(operations(ops), processes)
    request = Request((policy, Final()), Machine(swap=SWAP, **machine), limits, SearchBounds())
    return explore(request)


def kinds(exploration: Exploration) -> set[str]:
    return {each.kind for each in exploration.differences}


def test_a_write_bit_that_is_set_by_hand_does_not_dirty() -> None:
    """Where pte_mkwrite() dirties, is the policy told apart that goes past it, and only there?"""
    told = explored(ByHand(), FEW, 1, mkwrite_dirties=True)
    assert (told.questions, "spurious_dirty" in kinds(told)) == (0, True)
    alike = explored(ByHand(), FEW, 1)
    assert alike.questions > 0
    assert alike.differences == ()


@pytest.mark.parametrize("folio", some([0, 1, ZERO_PAGE], 1))
def test_a_policy_cannot_map_another_folio(folio: int) -> None:
    """Is it an error for `explore` and for a run, whatever number it makes up?"""
    with pytest.raises(PolicyError, match="not the folio of the fault"):
        explored(Elsewhere(folio))
    text = (
        b"steps: [{mmap: a, size: 4KiB}, {write: a}, {madvise: a, advice: MADV_PAGEOUT}, {read: a}]"
    )
    with pytest.raises(PolicyError, match="not the folio of the fault"):
        replay(load_text(text, "a.yaml"), Elsewhere(folio))


@pytest.mark.parametrize("period", some([7, 3, 2], 1))
def test_a_policy_that_is_no_function_is_an_error(period: int) -> None:
    """Is it found out, alone and beside another, and is nothing proved of it?"""
    with pytest.raises(UnsteadyPolicy, match=r"swapin_pte\(\) answers the same question with"):
        explored(Fickle(period), processes=1)
    limits = Limits(operations(None), 1)
    with pytest.raises(UnsteadyPolicy):
        explore(Request((Fickle(period),), Machine(swap=SWAP), limits, SearchBounds()))


@exhaustive
@pytest.mark.parametrize("make", some([infectious, Impressed, hasty], 1))
def test_a_policy_that_goes_by_what_it_was_asked_first_is_an_error(
    make: Callable[[], Policy],
) -> None:
    """Beside one that is steady, beside its like, with which it agrees, and alone?"""
    limits = Limits(operations("read,write,pageout"), 1)
    for policies in ((Final(), make()), (make(), make()), (make(),)):
        with pytest.raises(UnsteadyPolicy, match="must not depend on anything but what it is ask"):
            explore(Request(policies, Machine(swap=SWAP), limits, SearchBounds()))


class Unfilled(Final):
    """Does not mind a swap device that is more than half full."""

    name = "unfilled"

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        return not swap_full and super().should_free_swap(folio, vma, write, swap_full)


@exhaustive
def test_what_is_found_by_operations_holds_for_a_device_that_is_half_empty() -> None:
    """Is that said where two policies differ on a fuller one, and only then?"""
    text = (
        b"machine: {swap: {size: 1MiB, backend: disk, page_cluster: 0}}\n"
        b"steps: [{mmap: a, size: 640KiB}, {write: a}, {madvise: a, advice: MADV_PAGEOUT}, "
        b"{read: a}, {madvise: a, advice: MADV_PAGEOUT}]"
    )
    scenario = load_text(text, "a.yaml")
    counted = [replay(scenario, policy).total["pswpout"] for policy in (Final(), Unfilled())]
    assert counted[0] > counted[1]
    found = explored(Unfilled(), processes=1)
    assert (found.questions, found.differences) == (0, ())
    assert "read-ahead, while no more than half of the swap is in use" in found.proof
    assert "half of the swap" not in explored(Final(), processes=1).proof


class Reader(Final):
    """Reads ahead as far as its object says."""

    name = "reader"

    def __init__(self, pages: int) -> None:
        self.pages = pages

    def readahead_window(self, *_: int) -> int:
        return self.pages


@exhaustive
def test_one_function_for_reading_ahead_can_do_two_things() -> None:
    """Is it said that read-ahead is not compared, where objects of one class differ?"""
    limits = Limits(operations("read"), 1)
    request = Request((Reader(1), Reader(8)), Machine(swap=SWAP), limits, SearchBounds())
    assert explore(request).proof.endswith("; how far they read ahead is not compared")
    assert "not compared" not in explored(Final(), processes=1).proof


def test_a_decision_of_the_object_counts() -> None:
    """Is a policy told apart where not its class but the object answers in another way?"""
    policy = Final()
    policy.can_reuse_anon = lambda folio: folio.mapcount > 0  # type: ignore[method-assign]
    found = explored(policy)
    assert (found.questions, "cow_leak" in kinds(found)) == (0, True)


# The questions.


MACHINES = [
    Machine(swap=SWAP),
    Machine(swap=SWAP, mkwrite_dirties=True, hw_dirty=False),
    Machine(swap=SWAP, soft_dirty=False, write_upgrade=False, per_vma_lock=False),
    Machine(swap=Swap(backend="disk", page_cluster=0), kernel="6.1"),
    Machine(swap=Swap(backend="zswap", page_cluster=0), zeromap=False, mkwrite_dirties=True),
]


class Curious(Final):
    """Notes what it is asked."""

    name = "curious"

    def __init__(self) -> None:
        self.asked: dict[str, tuple[str, tuple[object, ...]]] = {}

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        return noted(name, method, self.asked) if name in methods(block=True) else method


@pytest.mark.parametrize("machine", some(MACHINES, 1))
def test_every_question_of_a_search_is_among_those_of_the_proof(machine: Machine) -> None:
    """Does the proof ask all that states lead to, with the types of the machine?"""
    policy = Curious()
    states_of(graph(policy, processes=2, **fields_of(machine)), 400)
    assert len(policy.asked) > 50
    assert not unknown(policy, questions(2, static_facts(machine)))


def unknown(policy: Curious, proved: Iterator[Question]) -> set[str]:
    """What it was asked that is not among the questions of a proof."""
    values = set(policy.asked.values())
    known = ((each.method, each.arguments) for each in proved)
    return policy.asked.keys() - {repr(question) for question in known if question in values}


def test_batches_are_not_decided_by_policies_alone() -> None:
    """Are two that decide alike searched where a machine keeps what waits in them?"""
    assert explored(Alike(), "write,fork", lru_batch=True).questions == 0
    assert explored(Alike(), "write,fork").questions > 0


@exhaustive
def test_two_that_decide_alike_about_large_folios_are_proved_equal() -> None:
    """At once, with all operations, and are those told apart that differ about large folios?"""
    alike = on_a_block(Alike())
    assert alike.proof.startswith("proof by equal decisions")
    assert "one block of four pages that 1 process maps, with any of the op" in alike.proof
    assert "slots" not in alike.proof
    for policy in (Stepwise(), Keeping()):
        assert on_a_block(policy).questions == 0


class Alike(Final):
    """Another class that answers so."""


class Stepwise(Final):
    """Swaps in page by page."""

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:  # noqa: ARG002
        return 0


class Keeping(Final):
    """Leaves large folios in the swap cache."""

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        return folio.nr_pages == 1 and super().should_free_swap(folio, vma, write, swap_full)


def on_a_block(policy: Policy) -> Exploration:
    """The policy beside `final`, with all operations, as far as a few states go."""
    machine = Machine(swap=SWAP, thp=LARGE)
    limits = limits_on(machine, Limits(operations(None), 1))
    return explore(Request((policy, Final()), machine, limits, SearchBounds(states=3)))


def test_what_is_not_modelled_is_not_proved() -> None:
    """Is a machine whose kernel has no model of large folios an error, whatever is decided?"""
    machine = {"machine.kernel": "6.6", "machine.thp": "16KiB"}
    with pytest.raises(SwaptraceError, match=r"before Linux 6\.8"):
        request_of((Alike(), Final()), machine, Limits(operations("read"), 1), SearchBounds())


def fields_of(machine: Machine) -> dict[str, Any]:
    return {field.name: getattr(machine, field.name) for field in fields(machine)}


def noted(
    name: str,
    method: Callable[..., object],
    asked: dict[str, tuple[str, tuple[object, ...]]],
) -> Callable[..., object]:
    def answer(*arguments: object) -> object:
        asked[repr((name, arguments))] = name, arguments
        return method(*arguments)

    return answer


def test_the_questions_have_every_field_in_all_its_values() -> None:
    """Does nothing that a policy is handed stay the same, but for the numbers it may not see?"""
    seen: dict[tuple[str, str], set[object]] = {}
    asked = questions(2, Facts(uffd_rwp=True))
    handed = {(method, argument) for method, _, arguments in asked for argument in arguments}
    noted: set[tuple[str, object]] = set()
    for method, argument in handed:
        note(f"{method} {type(argument).__name__}", argument, seen, noted)
    constant = {where for where, values in seen.items() if len(values) == 1}
    numbers = {("SwapPte", "slot"), ("SwapinFault", "pte")}
    numbers |= {("Pte", field) for field in Pte._fields}
    numbers.add(("FolioRefs", "pins"))  # nothing is pinned in a search
    numbers.add(("FolioRefs", "nr_pages"))  # of one page
    numbers.add(("FolioRefs", "ksm"))  # nothing is merged
    numbers.add(("Vma", "uffd"))  # no operation registers so
    numbers |= {("Vma", "shmem"), ("Vma", "shared"), ("Vma", "hugetlb")}  # nor maps so
    numbers |= {("Uffd", field) for field in Uffd._fields}
    assert {(where.split()[-1], field) for where, field in constant} == numbers
    methods_asked = {where.split()[0] for where, _ in seen}
    assert methods_asked == {"swapin_pte", "should_free_swap", "can_reuse_anon"}


def note(
    where: str,
    value: object,
    seen: dict[tuple[str, str], set[object]],
    noted: set[tuple[str, object]],
) -> None:
    """Adds the fields of a value, and of those in it, to what each was seen to be."""
    if not isinstance(value, tuple) or (where, value) in noted:
        return
    noted.add((where, value))
    for field, part in zip(value._fields, value, strict=True):  # type: ignore[attr-defined]
        seen.setdefault((where, field), set()).add(part)
        note(f"{where} {type(part).__name__}", part, seen, noted)


def test_a_field_of_which_nobody_says_the_values_is_an_error() -> None:
    """Would a number that a policy is handed one day be asked about, or missed?"""

    class Known(NamedTuple):
        node: int
        huge: bool

    with pytest.raises(AssertionError, match="Known: what values can node have"):
        list(every(Known))
    assert len(list(every(Known, node=(0, 1)))) == 4


@exhaustive
def test_who_answers_one_question_in_another_way_is_told_apart() -> None:
    """Of each method: is the question found, and is it that one?"""
    facts = Facts(mkwrite_dirties=True)
    for question in chosen(facts):

        class Odd(Policy):
            """Answers one question, `this`, in another way."""

            this = question

            def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
                answer = super().swapin_pte(fault)
                odd = self.this.arguments == (fault,)
                return answer._replace(exclusive=not answer.exclusive) if odd else answer

            def should_free_swap(
                self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool
            ) -> bool:
                odd = self.this.arguments == (folio, vma, write, swap_full)
                return super().should_free_swap(folio, vma, write, swap_full) != odd

            def can_reuse_anon(self, folio: FolioRefs) -> bool:
                return super().can_reuse_anon(folio) != (self.this.arguments == (folio,))

        assert differing(Odd(), Policy(), 1, facts)[1] == question


def chosen(facts: Facts) -> list[Question]:
    """A question of each method, as others differ in every field from it."""
    by_method: dict[str, list[Question]] = {}
    for each in questions(1, facts):
        by_method.setdefault(each.method, []).append(each)
    return [every[len(every) * 3 // 5] for every in by_method.values()]


def test_the_pte_of_arm64_is_another_question() -> None:
    """Is it never taken for a plain one with the same bits, by a policy that remembers?"""
    assert DirtyingPte(7) == DirtyingPte(7)
    assert (DirtyingPte(7) == Pte(7), DirtyingPte(7) != Pte(7)) == (False, True)
    assert (Pte(7) == DirtyingPte(7), Pte(7) != DirtyingPte(7)) == (False, True)
