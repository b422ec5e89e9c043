"""A policy under watch: equal questions must get equal answers."""

from __future__ import annotations

from typing import Any, TypeVar

from swaptrace.errors import PolicyError
from swaptrace.mm.column import Vma
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte, ask

T = TypeVar("T")


class UnsteadyPolicy(PolicyError):
    """A policy that answers the same question one way and then another."""


class Steady(Policy):
    """Answers about one page as another policy does, whose answers it remembers.

    Each question is asked twice. `UnsteadyPolicy` is raised where the policy turns out not to be a
    function of what it is asked: a question gets another answer, at once or when it comes again.
    """

    def __init__(self, policy: Policy) -> None:
        self.name, self.policy, self.functions = policy.name, policy, policy.functions
        self.answers: dict[tuple[object, ...], object] = {}

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        """As `Policy`."""
        return self._same("swapin_pte", SwapinPte, fault)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        """As `Policy`."""
        return self._same("should_free_swap", bool, folio, vma, write, swap_full)

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        """As `Policy`."""
        return self._same("can_reuse_anon", bool, folio)

    def readahead_window(self, *args: int) -> int:
        """As `Policy`, without watching: these questions are of many pages, and have no end."""
        return ask(self.policy, "readahead_window", int, *args)

    def _same(self, method: str, kind: type[T], *args: Any) -> T:
        answer = ask(self.policy, method, kind, *args)
        known = self.answers.setdefault((method, *args), answer)
        for then in (answer, ask(self.policy, method, kind, *args)):
            if known != then:
                raise unsteady(self.policy, method, known, then)
        return answer


def unsteady(policy: Policy, method: str, first: object, then: object) -> UnsteadyPolicy:
    """The error of a policy that answers the same question in two ways."""
    return UnsteadyPolicy(
        f"policy {policy.name!r}: {method}() answers the same question with {first!r} and then "
        f"with {then!r}; a policy must not depend on anything but what it is asked"
    )
