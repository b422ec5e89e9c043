"""A policy whose decisions are C: the blocks that it was made of, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, get_args

from swaptrace.csource.block import CBlock, Point
from swaptrace.csource.decision import Decision, decision_of
from swaptrace.csource.frame import Cited
from swaptrace.csource.unexecuted import Executed, differing
from swaptrace.mm.policy import Policy, Watch, unreached

__all__ = ["CPolicy", "Cited", "policy_of"]

POINTS: Final[tuple[Point, ...]] = get_args(Point)


class CPolicy(Policy):
    """Overrides exactly the points that `blocks` has; at the others it is `Policy`.

    Each one has a class of its own that says so, made by `policy_of`: who asks whether a policy
    overrides a point looks at the class. `notes` are what its user must be told beside any result.
    """

    blocks: Mapping[Point, CBlock]
    defines: tuple[str, ...]
    notes: tuple[str, ...] = ()
    watched: Mapping[Point, Executed] = {}
    _decisions: Mapping[Point, Decision]

    def cite(self, point: Point, *arguments: Any) -> list[Cited]:
        """The lines that answer this question, in the order in which they are executed.

        `arguments` are those of the method; without a block for the point there are no lines.
        """
        decision = self._decisions.get(point)
        return [] if decision is None else decision.cite(*arguments)

    def watch(self, other: Policy, large: bool) -> Watch:
        """As `Policy`, of other C: statements that only one has are to be executed."""
        if not isinstance(other, CPolicy):
            return super().watch(other, large)
        both = self, other
        for policy in both:
            decisions = policy._decisions.items()
            policy.watched = {point: Executed(each.lines) for point, each in decisions}

        def over() -> list[str]:
            left = [
                {point: lines.others() for point, lines in policy.watched.items()}
                for policy in both
            ]
            for policy in both:
                policy.watched = {}
            one, two = left
            return unreached(
                [
                    said
                    for point in POINTS
                    for said in differing(one.get(point, ()), two.get(point, ()))
                ]
            )

        return over

    def __reduce__(self) -> tuple[Callable[..., CPolicy], tuple[object, ...]]:
        """Sent to another process as its C, and read there again."""
        return policy_of, (self.name, self.title, self.origin, dict(self.blocks), self.defines)


def policy_of(
    name: str,
    title: str,
    origin: str,
    blocks: Mapping[Point, CBlock],
    defines: Collection[str] = (),
) -> CPolicy:
    """The policy that decides as the blocks say, with the names of `defines` defined.

    Raises `PolicyError` (file:line:column, the source line, a caret) where the C is not understood.
    """
    decisions = {point: decision_of(point, block, defines) for point, block in blocks.items()}
    members: dict[str, Any] = {each[0]: _method(*each) for each in decisions.items()}
    kind = type("CPolicy", (CPolicy,), {"title": title, "origin": origin, **members})
    policy: CPolicy = kind()
    policy.name, policy.blocks, policy.defines = name, dict(blocks), tuple(defines)
    policy._decisions = decisions
    policy.undecided = tuple(doubt for each in decisions.values() for doubt in each.doubts)
    return policy


def _method(point: Point, decision: Decision) -> Callable[..., Any]:
    decide = decision.decide

    def method(policy: CPolicy, *arguments: Any) -> Any:
        return decide(*arguments, trace=policy.watched.get(point))

    return method
