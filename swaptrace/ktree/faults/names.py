"""Functions of C as words that two can be compared by, whatever they call their variables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.ktree.faults.purity import bare

Names = Mapping[str, str]
"""What the variables and labels of a function are called in another, where that differs."""

LABEL: Final = "goto "
"""Before the name of a label, which is no variable."""


class Words:
    """The words of the nodes of one function, with some names in place of its own."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._known: dict[int, tuple[Any, str]] = {}

    def of(self, node: Any) -> str:
        """All that a node says; empty of None. Macros that do not change a value are left out."""
        if node is None:
            return ""
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = node, self._words(bare(node))
        return known[1]

    def head(self, node: Any) -> str:
        """What a node says without those below it."""
        said = [type(node).__name__]
        said += [self._name(node, each, getattr(node, each)) for each in node.attr_names]
        if isinstance(node, c_ast.StructRef):
            said.append(node.field.name)
        if isinstance(node, c_ast.FuncCall) and isinstance(node.name, c_ast.ID):
            said.append(node.name.name)
        return " ".join(said)

    def _words(self, node: Any) -> str:
        below = (f"{name}={self.of(each)}" for name, each in parts(node))
        return f"{self.head(node)}({','.join(below)})"

    def _name(self, node: Any, attribute: str, value: Any) -> str:
        if isinstance(node, c_ast.Goto | c_ast.Label):
            return self.names.get(f"{LABEL}{value}", f"{LABEL}{value}")
        named = attribute in ("name", "declname") and isinstance(
            node, c_ast.ID | c_ast.Decl | c_ast.TypeDecl
        )
        return self.names.get(value, value) if named and value else repr(value)


def parts(node: Any) -> list[tuple[str, Any]]:
    """What stands below a node, but for names that are no variables."""
    skipped = {c_ast.StructRef: "field", c_ast.FuncCall: "name"}.get(type(node))
    return [
        (name, each)
        for name, each in node.children()
        if name != skipped or (name == "name" and not isinstance(each, c_ast.ID))
    ]


class Declared(NamedTuple):
    """Something that a function gives a name, and the words of what it is."""

    name: str
    kind: str


def renamed(old: Collection[Any], new: Collection[Any]) -> dict[str, str]:
    """What one function calls its variables and labels, and another with the same types in the same
    order calls otherwise. `old` and `new` are declarations and bodies.

    No name is one that the other function has for something else.
    """
    before, after = _declared(old), _declared(new)
    taken_before, taken_after = _mentioned(old), _mentioned(new)
    waiting = [each for each in after if each.name not in taken_before]
    found: dict[str, str] = {}
    for each in before:
        if each.name in taken_after:
            continue
        other = next((one for one in waiting if one.kind == each.kind), None)
        if other is not None:
            waiting.remove(other)
            found[each.name] = other.name
    return found


def _declared(roots: Collection[Any]) -> list[Declared]:
    """Each name that is declared once."""
    every = list[Declared]()
    for node in preorder(roots):
        if isinstance(node, c_ast.Decl) and node.name and not isinstance(node.type, c_ast.FuncDecl):
            every.append(Declared(node.name, Words({node.name: ""}).of(node.type)))
        elif isinstance(node, c_ast.Label):
            every.append(Declared(f"{LABEL}{node.name}", LABEL))
    names = [each.name for each in every]
    return [each for each in every if names.count(each.name) == 1]


def _mentioned(roots: Collection[Any]) -> set[str]:
    labels, variables = c_ast.Goto | c_ast.Label, c_ast.ID | c_ast.Decl
    nodes = list(preorder(roots))
    found = {each.name for each in nodes if isinstance(each, variables) and each.name}
    return found | {f"{LABEL}{each.name}" for each in nodes if isinstance(each, labels)}


def preorder(nodes: Collection[Any]) -> Iterator[Any]:
    """The nodes and all below them, in the order of the text, but names that are no variables."""
    for node in nodes:
        yield node
        yield from preorder([each for _, each in parts(node)])
