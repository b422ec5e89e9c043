"""Where in a function that stands which the model rules out, or executes without looking at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.nodes import text_of
from swaptrace.ktree.faults.names import Words
from swaptrace.ktree.faults.purity import within
from swaptrace.ktree.residue import NotExecuted, SilentCall

BRANCHES: Final = frozenset({"iftrue", "iffalse", "stmt"})
"""What of a statement is executed under its condition."""

CLOSED: Final = c_ast.Compound | c_ast.If | c_ast.While | c_ast.DoWhile
"""Of these it counts whether something is the last within, or behind."""


class UnseenNode(NamedTuple):
    """A node that is ruled out, or is executed to no effect in the model; with `text` only that of
    it."""

    node: Any
    text: str | None = None


class _Layout:
    """The words of a function in their order, and among them what is not executed."""

    def __init__(self, unseen: Sequence[UnseenNode]) -> None:
        self.whole = {id(each.node): each.node for each in unseen if each.text is None}
        self.words, self.heads = Words({}), list[str]()
        self.calls: list[SilentCall] = []
        self.places: list[int] = []
        self.executed: list[str] = []

    def add(self, node: Any) -> None:
        """A node, and all below it."""
        if id(node) in self.whole:
            text = _plain(node)
            self.calls.append((text, " { ".join([*self.heads, text])))
            self.places.append(len(self.executed))
            return
        self.executed.append(self.words.head(node))
        for name, each in node.children():
            heads = [f"{name} {_plain(node.cond)}"] if _is_branch(node, name) else []
            self.heads += heads
            self.add(each)
            if isinstance(node, CLOSED | c_ast.Label) and name != "cond":
                self.executed.append(";")
            del self.heads[len(self.heads) - len(heads) :]
        if isinstance(node, CLOSED):
            self.executed.append("}")


def laid_out(tree: Any, unseen: Sequence[UnseenNode]) -> NotExecuted:
    """A function by what of it is not seen: what moves among the rest is another."""
    layout = _Layout(unseen)
    layout.add(tree)
    inside = {id(each) for each in within(tree)}
    loose = Counter(
        each.text or _plain(each.node)
        for each in unseen
        if each.text is not None or id(each.node) not in inside
    )
    parts = tuple(layout.calls), tuple(layout.places), tuple(layout.executed)
    return NotExecuted(loose, *parts)


def _is_branch(node: Any, name: str) -> bool:
    return name in BRANCHES and hasattr(node, "cond")


def _plain(node: Any) -> str:
    return " ".join(text_of(node).split())
