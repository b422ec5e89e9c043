"""Whether two policies decide alike, whatever they are asked about one page.

If they do, no sequence of operations can tell them apart, and nothing needs to be enumerated:
the kernel's state depends on a policy through its answers alone.

The questions are made from what the methods of `Policy` take, field by field. A method, a parameter
or a field that is new is asked about in all its values, or is an error here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import isfunction, signature
from itertools import islice, product
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from swaptrace.mm.column import SwapPte, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.memory import mk_pte
from swaptrace.mm.policy import FOLIO, SLOT, FolioRefs, Held, Policy, SwapinFault, ask
from swaptrace.mm.steady import unsteady

EITHER: Final = (False, True)

BETWEEN_PAGES: Final = frozenset({"readahead_window"})
"""The methods that are not asked about one page."""

AT_ONCE: Final = 4096
"""How many questions are asked again at a time, the last one first."""

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
    machine with such facts. Then each is asked a second time, in another order. Raises
    `PolicyError` where a policy fails, `UnsteadyPolicy` where it answers a question in two ways.
    """
    answers: list[object] = []
    for question in questions(processes, facts):
        answers.append(answer(one, question))
        if answer(other, question) != answers[-1]:
            return len(answers), question
    pairs = zip(questions(processes, facts), answers, strict=True)
    while some := list(islice(pairs, AT_ONCE)):
        for question, before in reversed(some):
            for policy in (other, one):
                then = answer(policy, question)
                if then != before:
                    raise unsteady(policy, question.method, before, then)
    return len(answers), None


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
