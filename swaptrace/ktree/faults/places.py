"""Where statements of C stand, and where they go on: labels, and what leaves a block."""

from __future__ import annotations

from typing import Any

from pycparser import c_ast


def position(node: Any) -> tuple[int, int]:
    """Line and column."""
    return node.coord.line, node.coord.column


def leaves(node: Any) -> bool:
    """Whether a statement leaves its block, if it is executed."""
    if isinstance(node, c_ast.Compound) and node.block_items:
        return leaves(node.block_items[-1])
    return isinstance(node, c_ast.Return | c_ast.Goto | c_ast.Break)


def labelled(item: Any) -> list[tuple[str, Any]]:
    """The labels of a statement, each with what follows it; none if it has none."""
    found = []
    while isinstance(item, c_ast.Label):
        found.append((item.name, item.stmt))
        item = item.stmt
    return found
