"""Whether two policies decide alike, whatever they are asked about one page, or one of a block.

If they do, no sequence of operations can tell them apart, and nothing needs to be enumerated:
the kernel's state depends on a policy through its answers alone.

The questions are made from what the methods of `Policy` take, field by field. A method, a parameter
or a field that is new is asked about in all its values, or is an error here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from inspect import isfunction, signature
from itertools import chain, islice, product, repeat
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from swaptrace.errors import PolicyError
from swaptrace.exploration.alphabet import BLOCK_PAGES
from swaptrace.exploration.workers import Worker
from swaptrace.mm.column import SwapPte, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.memory import mk_pte
from swaptrace.mm.policy import FOLIO, SLOT, FolioRefs, Held, Policy, SwapinFault, ask
from swaptrace.mm.steady import unsteady
from swaptrace.mm.uffd import PLAIN

EITHER: Final = (False, True)

BETWEEN_PAGES: Final = frozenset({"readahead_window", "swapin_order"})
"""The methods that are not asked about one page."""

NO_DECISION: Final = frozenset({"watch"})
"""The method that is about the policy itself."""

ORDERS: Final = (BLOCK_PAGES.bit_length() - 1,)
"""The sizes that a fault in a block may choose among."""

ANYWAY: Final = 500
"""How many questions of each method are asked in any case."""

TWICE: Final = 23
"""Of the questions one in so many is asked twice at once."""

ERROR: Final = "an error"
"""In the place of an answer."""

Answers = tuple[object, ...]
"""What each of some policies answers to a question."""

Domains = Mapping[type, Sequence[Any]]
"""All values of some types."""


class Question(NamedTuple):
    """A call of one of the policy's methods, and the type of what it answers."""

    method: str
    kind: type
    arguments: tuple[Any, ...]


class Decided(NamedTuple):
    """What two policies answer alike, up to the first question that they do not, if there is one:
    then nothing else was asked."""

    answers: Sequence[Answers]
    different: Question | None


def differing(
    one: Policy, other: Policy, processes: int, facts: Facts, block: bool = False
) -> Decided:
    """Ask both every question about a page (of a `block`) that up to so many processes map, on a
    machine with such facts, until they answer differently. Raises `PolicyError` where a policy
    fails."""
    same: list[Answers] = []
    for question in questions(processes, facts, block):
        answers = answer(one, question), answer(other, question)
        if answers[0] != answers[1]:
            return Decided(same, question)
        same.append(answers)
    return Decided(same, None)


class Questioning(NamedTuple):
    """Policies, and the questions that they are asked: about one page, or about one of a block."""

    policies: tuple[Policy, ...]
    processes: int
    facts: Facts
    block: bool = False

    def some(self, one_in: int) -> list[Question]:
        """Of each method the first `ANYWAY` questions and then one in so many; 1: all."""
        found: list[Question] = []
        for method, kind, arguments in _asked_for(*self[1:]):
            some = chain(islice(arguments, ANYWAY), islice(arguments, 0, None, one_in))
            found += map(Question, repeat(method), repeat(kind), some)
        return found

    def backwards(self, one_in: int) -> list[Answers]:
        """What the policies answer to `some` questions, asked from the last to the first.

        That is for a process that was forked before they were asked anything: nothing that they
        remember, wherever they keep it, can be the same there. One in `TWICE` is asked twice, so
        that who goes by how often it was asked gets out of step.
        """
        known: dict[Answers, Answers] = {}  # the same ones are sent once
        found = list[Answers]()
        for number, question in enumerate(reversed(self.some(one_in))):
            answers = _answers(self.policies, question)
            if number % TWICE == 0:
                self.compare(question, answers, _answers(self.policies, question))
            found.append(known.setdefault(answers, answers))
        return found[::-1]

    def compare(self, question: Question, first: Answers, then: Answers) -> None:
        """Raises `UnsteadyPolicy` where an answer differs."""
        if first != then:
            for policy, one, other in zip(self.policies, first, then, strict=True):
                if one != other:
                    raise unsteady(policy, question.method, one, other)


def check_steady(
    backwards: Worker, asked: Questioning, one_in: int, forwards: Sequence[Answers] = ()
) -> None:
    """Ask the policies questions from the first to the last, unless they have been, while another
    process asks the same from the last to the first. Raises `UnsteadyPolicy` where an answer
    differs."""
    backwards.ask("backwards", one_in)
    some = asked.some(one_in)
    forwards = forwards or [_answers(asked.policies, question) for question in some]
    for question, first, then in zip(some, forwards, backwards.answer(), strict=True):
        asked.compare(question, first, then)


def _answers(policies: Iterable[Policy], question: Question) -> Answers:
    """What each answers; one need not have an answer to what no state leads to."""
    found: list[object] = []
    for policy in policies:
        try:
            found.append(answer(policy, question))
        except PolicyError:
            found.append(ERROR)
    return tuple(found)


def answer(policy: Policy, question: Question) -> object:
    """What a run would go by."""
    answered: object = ask(policy, question.method, question.kind, *question.arguments)
    return answered


def questions(processes: int, facts: Facts, block: bool = False) -> Iterator[Question]:
    """Every question about one page, also those that no state can lead to."""
    for method, kind, arguments in _asked_for(processes, facts, block):
        yield from map(Question, repeat(method), repeat(kind), arguments)


def _asked_for(
    processes: int, facts: Facts, block: bool
) -> Iterator[tuple[str, type, Iterator[tuple[Any, ...]]]]:
    """Of each method what it answers, and all that it can be asked.

    Only do_wp_page() asks whether to reuse a folio, and never one that nobody maps.
    """
    domains = domains_of(processes, facts, block)
    for method in methods(block):
        function = getattr(Policy, method)
        kinds = get_type_hints(function)
        choices = [domains[kinds[name]] for name in list(signature(function).parameters)[1:]]
        if method == "can_reuse_anon":
            (folios,) = choices
            choices = [[folio for folio in folios if folio.mapcount]]
        yield method, kinds["return"], product(*choices)


def methods(block: bool = False) -> list[str]:
    """The methods of a policy that are asked about one page, or one of a block."""
    passed_over = (BETWEEN_PAGES | NO_DECISION) - ({"swapin_order"} if block else set())
    return [
        name
        for name, member in vars(Policy).items()
        if isfunction(member) and name not in passed_over
    ]


@lru_cache(maxsize=4)
def domains_of(processes: int, facts: Facts, block: bool = False) -> Domains:
    """All that a policy can be handed, by type."""
    folios = list(references(processes))
    large = list(references_to_large(processes)) if block else []
    asked = [*large, *(each for refs in large for each in once_mapped(refs))]
    if not facts.frees_large_swap:  # who frees such a folio's swap is asked as of one page
        asked += [refs._replace(nr_pages=1) for refs in large]
    never = dict.fromkeys(("shmem", "shared", "hugetlb"), (False,))  # by no operation of --ops
    rwp = EITHER if facts.uffd_rwp else (False,)
    vmas = [
        vma
        for vma in every(Vma, uffd=(PLAIN,), uffd_rwp=rwp, **never)
        if not (vma.uffd_wp and vma.uffd_rwp)
    ]
    entries = list(every(SwapPte, slot=(SLOT,)))
    handed = [*folios, *large]
    faults = every(SwapinFault, vma=vmas, orig=entries, pte=(mk_pte(facts, FOLIO),), folio=handed)
    types = {bool: EITHER, FolioRefs: [*folios, *asked], Vma: vmas, SwapinFault: list(faults)}
    return {**types, tuple[int, ...]: (ORDERS,)}


def every(kind: type, **domains: Sequence[Any]) -> Iterator[Any]:
    """All values of a named tuple of which the fields without a domain are true or false."""
    hints = get_type_hints(kind)
    wrong = [name for name, hint in hints.items() if hint is not bool and name not in domains]
    assert not wrong, f"{kind.__name__}: what values can {', '.join(wrong)} have?"
    return (kind(*values) for values in product(*(domains.get(name, EITHER) for name in hints)))


def references(processes: int) -> Iterator[FolioRefs]:
    """Everything that a policy can be told of a folio."""
    counts = range(processes + 1)
    for mapcount, swap_count, mlocked, held in product(
        counts, (None, *counts), EITHER, get_args(Held)
    ):
        yield FolioRefs.of(mapcount, swap_count, mlocked, held)


def references_to_large(processes: int) -> Iterator[FolioRefs]:
    """The same of a folio of several pages, of which no fault but this one knows, nor a batch."""
    counts = range(processes + 1)
    mapcounts = range(processes * BLOCK_PAGES + 1)
    for mapcount, swap_count, mlocked in product(mapcounts, (None, *counts), EITHER):
        yield FolioRefs.of(mapcount, swap_count, mlocked, 1, BLOCK_PAGES)


def once_mapped(refs: FolioRefs) -> Iterator[FolioRefs]:
    """What becomes of the references when the fault has mapped one page, all, or as 7.3 has it
    (`mm.memory.refs_once_mapped`)."""
    left = refs.ref_count - 1
    for count in {left, left - (refs.nr_pages - 1), 1 + refs.nr_pages} - {refs.ref_count}:
        yield refs._replace(ref_count=count)
