"""A policy whose decisions are C: the blocks that it was made of, and their answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from swaptrace.csource.block import Block, Point
from swaptrace.mm.policy import Policy


class Cited(NamedTuple):
    """A line of C that took part in a decision.

    `text` is the statement, or the condition of an `if`; `taken` then says whether it held, and
    is None for every other statement.
    """

    file: str
    line: int
    text: str
    taken: bool | None = None


class CPolicy(Policy):
    """Overrides exactly the points that `blocks` has; at the others it is `Policy`."""

    blocks: Mapping[Point, Block]

    def cite(self, point: Point, *arguments: Any) -> list[Cited]:
        """The lines that answer this question, in the order in which they are executed.

        `arguments` are those of the method; without a block for the point there are no lines.
        """
        raise NotImplementedError


def policy_of(
    name: str,
    title: str,
    origin: str,
    blocks: Mapping[Point, Block],
    defines: Collection[str] = (),
) -> CPolicy:
    """The policy that decides as the blocks say, with the names of `defines` defined.

    Raises `PolicyError` (file:line:column, the source line, a caret) where the C is not understood.
    """
    raise NotImplementedError
