"""Rings of nodes, each through its head, and places among the scalars."""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import Memory


@compiled
def unlink(m: Memory, node: int) -> None:
    """Take a node out of its ring."""
    newer, older = m.prev[node], m.next[node]
    m.next[newer] = older
    m.prev[older] = newer


@compiled
def link_after(m: Memory, node: int, newer: int) -> None:
    """Put a node into a ring, next to another."""
    older = m.next[newer]
    m.next[newer] = node
    m.prev[node] = newer
    m.next[node] = older
    m.prev[older] = node


@compiled
def position(m: Memory, first: int, count: int, node: int) -> int:
    """Where a node stands among the scalars, of which so many are looked at; -1 if it does not."""
    for i in range(first, first + count):
        if m.v[i] == node:
            return i
    return -1
