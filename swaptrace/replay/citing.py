"""Which lines of C decided about a transition, under a policy that is in C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from swaptrace.mm.column import Column, Vma
from swaptrace.mm.event import Event
from swaptrace.mm.policy import FolioRefs, Policy, SwapinFault, SwapinPte
from swaptrace.mm.transition import transition


class RecordingPolicy(Policy):
    """Answers as another policy does, and remembers each method that is called, in order."""

    def __init__(self, policy: Policy) -> None:
        self.name, self.policy, self.functions = policy.name, policy, policy.functions
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        """As `Policy`."""
        self.calls.append(("swapin_pte", (fault,)))
        return self.policy.swapin_pte(fault)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        """As `Policy`."""
        self.calls.append(("should_free_swap", (folio, vma, write, swap_full)))
        return self.policy.should_free_swap(folio, vma, write, swap_full)

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:
        """As `Policy`; no policy in C is asked."""
        return self.policy.swapin_order(vma, orders)

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        """As `Policy`."""
        self.calls.append(("can_reuse_anon", (folio,)))
        return self.policy.can_reuse_anon(folio)


def cited_lines(policy: Policy, column: Column, event: Event) -> Iterator[str]:
    """What is executed, as `file:line: text`, with what a condition said; nothing of Python."""
    executed: Callable[..., Any] | None = getattr(policy, "executed", None)
    if executed is not None:
        yield from map(in_words, executed(lambda: transition(policy, column, event)))
        return
    cite: Callable[..., Any] | None = getattr(policy, "cite", None)
    if cite is None:
        return
    asked = RecordingPolicy(policy)
    transition(asked, column, event)
    for method, arguments in asked.calls:
        for line in cite(method, *arguments):
            yield in_words(line)


def in_words(line: Any) -> str:
    """A cited line as `file:line: text`, with what a condition said."""
    said = "" if line.taken is None else ": yes" if line.taken else ": no"
    return f"{line.file}:{line.line}: {line.text}{said}"
