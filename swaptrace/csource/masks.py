"""Whether C can see flags that the model has not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pycparser import c_ast

from swaptrace.csource.kinds import CONSTANTS, ValueKind

FIELDS = ("vm_flags", "flags")
"""Those of a VMA and of a fault."""

KNOWN = frozenset(
    name
    for name, (kind, _) in CONSTANTS.items()
    if kind in (ValueKind.VM_FLAGS, ValueKind.FAULT_FLAGS)
)
"""The names of flags that the model has."""


def sees_known_flags_alone(nodes: Iterable[Any], variables: Collection[str]) -> bool:
    """Whether all that C looks at of those fields, and of variables of a fault's flags, is what `&`
    leaves of known flags: then it does the same whatever the others are. A statement `flags &= …`
    only changes what is looked at elsewhere."""
    every = [each for node in nodes if node is not None for each in _within(node)]
    declared = {each.name for each in every if isinstance(each, c_ast.Decl)}
    known = KNOWN - declared
    masked = {
        id(flags)
        for each in every
        if isinstance(each, c_ast.BinaryOp) and each.op == "&"
        for flags, mask in ((each.left, each.right), (each.right, each.left))
        if _is_of(mask, known)
    }
    cleared = {
        id(each.lvalue)
        for each in _statements(every)
        if isinstance(each, c_ast.Assignment) and each.op == "&="
    }
    seen = (id(each) for each in every if _has_flags(each, variables))
    return all(each in masked or each in cleared for each in seen)


def _statements(nodes: Iterable[Any]) -> Iterator[Any]:
    """What stands where no value is asked for."""
    for each in nodes:
        if isinstance(each, c_ast.Compound):
            yield from each.block_items or ()
        elif isinstance(each, c_ast.If):
            yield from (each.iftrue, each.iffalse)


def _within(node: Any) -> Iterator[Any]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        waiting += [child for _, child in each.children()]
        yield each


def _is_of(node: Any, known: Collection[str]) -> bool:
    """Whether an expression is made of such flags alone."""
    if isinstance(node, c_ast.BinaryOp) and node.op == "|":
        return _is_of(node.left, known) and _is_of(node.right, known)
    return isinstance(node, c_ast.ID) and node.name in known


def _has_flags(node: Any, variables: Collection[str]) -> bool:
    if isinstance(node, c_ast.StructRef):
        return node.field.name in FIELDS
    return isinstance(node, c_ast.ID) and node.name in variables
