"""Arguments that are not looked at: whether anything in them would change something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pycparser import c_ast
from pycparser.c_generator import CGenerator

from swaptrace.csource.preprocess import ENABLED
from swaptrace.errors import quote
from swaptrace.ktree.faults.inert import is_inert
from swaptrace.ktree.faults.tables import PRIMITIVES

UNCHANGED: Final = frozenset({"likely", "unlikely", "READ_ONCE", "data_race"})
"""Macros whose value is that of their argument."""

WARNINGS: Final = frozenset({"WARN_ON", "WARN_ON_ONCE", "VM_WARN_ON", "VM_WARN_ON_ONCE"})
"""These have a value, that of their condition."""

SETTABLE: Final = frozenset({"flags", "orig_pte", "pte"})
"""Fields of struct vm_fault that decide, and that a function could change through an address."""


def impure(node: Any) -> tuple[Any, str] | None:
    """The first node that would change something, or could, and what is wrong with it."""
    for each in within(node):
        if _assigns(each):
            return each, "an assignment in an argument that is not looked at"
        if isinstance(each, c_ast.FuncCall):
            wrong = _wrong_call(each)
            if wrong is not None:
                return each, wrong
    return None


def bare(node: Any) -> Any:
    """An expression without macros around it that do not change its value."""
    while isinstance(node, c_ast.FuncCall) and getattr(node.name, "name", "") in UNCHANGED:
        if node.args is None or len(node.args.exprs) != 1:
            break
        (node,) = node.args.exprs
    return node


def is_elementary(node: Any) -> bool:
    """Whether a condition is not made of others."""
    inner = bare(node)
    if isinstance(inner, c_ast.FuncCall):
        return getattr(inner.name, "name", "") not in WARNINGS
    return getattr(inner, "op", "") not in ("&&", "||", "!")


def within(node: Any) -> Iterator[Any]:
    """A node and all below it; nothing of None."""
    waiting = [node] if node is not None else []
    while waiting:
        each = waiting.pop()
        waiting += [child for _, child in each.children()]
        yield each


def _assigns(node: Any) -> bool:
    counts = isinstance(node, c_ast.UnaryOp) and node.op.strip("p") in ("++", "--")
    return counts or isinstance(node, c_ast.Assignment)


def _wrong_call(node: Any) -> str | None:
    if not isinstance(node.name, c_ast.ID):
        return "a call through a pointer is not understood"
    name = node.name.name
    known = PRIMITIVES.get(name)
    if known is not None:
        changes = any(each.changes for each in known)
        return f"{name}() in an argument that is not looked at" if changes else None
    if is_inert(name) or name in UNCHANGED | WARNINGS | ENABLED:
        return None
    return f"the model has no function {quote(name)}, and it may do much"


def handed_over(node: Any, is_variable: Callable[[str], bool]) -> str | None:
    """What of the fault a call could change through an address that it is handed."""
    for each in within(node):
        if isinstance(each, c_ast.UnaryOp) and each.op == "&":
            inner = each.expr
            local = isinstance(inner, c_ast.ID) and is_variable(inner.name)
            if local or (isinstance(inner, c_ast.StructRef) and inner.field.name in SETTABLE):
                return str(CGenerator().visit(each))
    return None
