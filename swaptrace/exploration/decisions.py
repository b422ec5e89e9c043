"""Whether two policies decide alike, whatever they are asked about one page.

If they do, no sequence of operations can tell them apart, and nothing needs to be enumerated:
the kernel's state depends on a policy through its answers alone.

The questions are made from what the methods of `Policy` take, field by field. A method, a parameter
or a field that is new is asked about in all its values, or is an error here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import isfunction, signature
from itertools import product
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from swaptrace.errors import PolicyError
from swaptrace.exploration.workers import Worker
from swaptrace.mm.column import SwapPte, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.memory import mk_pte
from swaptrace.mm.policy import FOLIO, SLOT, FolioRefs, Held, Policy, SwapinFault, ask
from swaptrace.mm.steady import unsteady

EITHER: Final = (False, True)

BETWEEN_PAGES: Final = frozenset({"readahead_window"})
"""The methods that are not asked about one page."""

ANYWAY: Final = 500
"""How many questions of each method are asked in any case."""

ERROR: Final = "an error"
"""In the place of an answer."""

Domains = Mapping[type, Sequence[Any]]
"""All values of some types."""


class Question(NamedTuple):
    """A call of one of the policy's methods, and the type of what it answers."""

    method: str
    kind: type
    arguments: tuple[Any, ...]


def differing(
    one: Policy, other: Policy, processes: int, facts: Facts
) -> tuple[int, Question | None]:
    """How many questions there are, and the first that is answered differently.

    None: both answer alike to every question about a page that up to so many processes map, on a
    machine with such facts. Raises `PolicyError` where a policy fails.
    """
    count = 0
    for question in questions(processes, facts):
        count += 1
        if answer(one, question) != answer(other, question):
            return count, question
    return count, None


class Backwards(NamedTuple):
    """Asks policies from the last question to the first.

    That is for a process that was forked before they were asked anything (`check_steady`): nothing
    that they remember, wherever they keep it, can be the same there.
    """

    policies: tuple[Policy, ...]
    processes: int
    facts: Facts

    def answers(self, one_in: int) -> list[list[object]]:
        """What each policy answers to `some` questions, in the order of those."""
        asked = list(self.some(one_in))
        known: dict[object, object] = {}  # the same ones are sent once
        found = [
            [known.setdefault(each, each) for each in _answers(self.policies, question)]
            for question in reversed(asked)
        ]
        return found[::-1]

    def some(self, one_in: int) -> Iterator[Question]:
        """Of each method the first `ANYWAY` questions and then one in so many."""
        times: Counter[str] = Counter()
        for question in questions(self.processes, self.facts):
            number = times[question.method]
            times[question.method] += 1
            if number < ANYWAY or number % one_in == 0:
                yield question


def check_steady(backwards: Worker, asked: Backwards, one_in: int) -> None:
    """Ask the policies questions from the first to the last, while another process asks `asked`
    the same from the last to the first. Raises `UnsteadyPolicy` where an answer differs."""
    backwards.ask("answers", one_in)
    here = [(question, _answers(asked.policies, question)) for question in asked.some(one_in)]
    for (question, first), then in zip(here, backwards.answer(), strict=True):
        for policy, one, other in zip(asked.policies, first, then, strict=True):
            if one != other:
                raise unsteady(policy, question.method, one, other)


def _answers(policies: Iterable[Policy], question: Question) -> list[object]:
    """What each answers; one need not have an answer to what no state leads to."""
    found: list[object] = []
    for policy in policies:
        try:
            found.append(answer(policy, question))
        except PolicyError:
            found.append(ERROR)
    return found


def answer(policy: Policy, question: Question) -> object:
    """What a run would go by."""
    answered: object = ask(policy, question.method, question.kind, *question.arguments)
    return answered


def questions(processes: int, facts: Facts) -> Iterator[Question]:
    """Every question about one page, also those that no state can lead to.

    Only do_wp_page() asks whether to reuse a folio, and never one that nobody maps.
    """
    domains = domains_of(processes, facts)
    for method in methods():
        function = getattr(Policy, method)
        kinds = get_type_hints(function)
        choices = [domains[kinds[name]] for name in list(signature(function).parameters)[1:]]
        if method == "can_reuse_anon":
            (folios,) = choices
            choices = [[folio for folio in folios if folio.mapcount]]
        for arguments in product(*choices):
            yield Question(method, kinds["return"], arguments)


def methods() -> list[str]:
    """The methods of a policy that are asked about one page."""
    return [
        name
        for name, member in vars(Policy).items()
        if isfunction(member) and name not in BETWEEN_PAGES
    ]


def domains_of(processes: int, facts: Facts) -> Domains:
    """All that a policy can be handed, by type."""
    folios = list(references(processes))
    vmas = list(every(Vma))
    entries = list(every(SwapPte, slot=(SLOT,)))
    faults = every(SwapinFault, vma=vmas, orig=entries, pte=(mk_pte(facts, FOLIO),), folio=folios)
    return {bool: EITHER, FolioRefs: folios, Vma: vmas, SwapinFault: list(faults)}


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
