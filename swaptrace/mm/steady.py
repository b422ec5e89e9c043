"""A policy under watch: equal questions must get equal answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from swaptrace.errors import PolicyError
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte, ask

T = TypeVar("T")


class UnsteadyPolicy(PolicyError):
    """A policy that answers the same question one way and then another."""


@dataclass(slots=True)
class _Remembered:
    """An answer, and how often its question came."""

    answer: Any
    times: int = 0


class Steady(Policy):
    """Answers about one page as another policy does, whose answers it remembers.

    Each question is asked twice at once, and again when it comes for the second, fourth, eighth ...
    time. `UnsteadyPolicy` is raised where the policy turns out not to be a function of what it is
    asked. In between the first answer holds: whatever comes of it is that of one function. `asked`
    is how often there was a question.
    """

    def __init__(self, policy: Policy) -> None:
        self.name, self.policy, self.functions = policy.name, policy, policy.functions
        self.takes_large = policy.takes_large
        self.answers: dict[tuple[object, ...], _Remembered] = {}
        self.asked = 0

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        """As `Policy`."""
        return self._same("swapin_pte", SwapinPte, fault)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        """As `Policy`."""
        return self._same("should_free_swap", bool, folio, vma, write, swap_full)

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        """As `Policy`."""
        return self._same("can_reuse_anon", bool, folio)

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:
        """As `Policy`."""
        return self._same("swapin_order", int, vma, orders)

    def readahead_window(self, *args: int) -> int:
        """As `Policy`, without watching: these questions are of many pages, and have no end."""
        self.asked += 1
        return ask(self.policy, "readahead_window", int, *args)

    def _same(self, method: str, kind: type[T], *args: Any) -> T:
        self.asked += 1
        question = method, *args
        known = self.answers.get(question)
        if known is None:
            known = self.answers[question] = _Remembered(ask(self.policy, method, kind, *args))
        known.times += 1
        if not known.times & (known.times - 1):  # a power of two
            then = ask(self.policy, method, kind, *args)
            if known.answer != then:
                raise unsteady(self.policy, method, known.answer, then)
        answer: T = known.answer
        return answer


def unsteady(policy: Policy, method: str, first: object, then: object) -> UnsteadyPolicy:
    """The error of a policy that answers the same question in two ways."""
    return UnsteadyPolicy(
        f"policy {policy.name!r}: {method}() answers the same question with {first!r} and then "
        f"with {then!r}; a policy must not depend on anything but what it is asked"
    )
