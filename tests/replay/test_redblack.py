"""Is the tree of ksmd's searches a red-black tree?"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.replay.redblack import Tree, TreeNode, is_red
from tests.effort import examples


def blacks(node: TreeNode[None] | None, low: int, high: int) -> int:
    """How many black nodes each way down passes, in order, and without two red ones in a row."""
    if node is None:
        return 0
    assert low < node.key < high
    assert not (node.red and any(map(is_red, node.children)))
    assert all(child is None or child.parent is node for child in node.children)
    counts = {blacks(node.children[0], low, node.key), blacks(node.children[1], node.key, high)}
    assert len(counts) == 1
    return counts.pop() + (not node.red)


@settings(max_examples=examples(300))
@given(st.lists(st.integers(0, 40), max_size=80))
def test_it_stays_balanced(keys: list[int]) -> None:
    """Does it hold what was put in and not taken out, with all ways down alike?"""
    tree, there = Tree[None](), set[int]()
    for key in keys:
        if key in there:
            tree.remove(key)
        else:
            tree.insert(key, None)
        there ^= {key}
        assert not is_red(tree.root)
        blacks(tree.root, -1, 100)
        assert {key for key in range(41) if key in [n.key for n in tree.path(key)]} == there


def shape(node: TreeNode[None] | None) -> str:
    """The tree in brackets."""
    if node is None:
        return "."
    return f"({node.key}{'r' if node.red else 'b'}{''.join(map(shape, node.children))})"


def test_it_has_the_shape_of_the_kernels() -> None:
    """Is it as lib/rbtree.c of Linux 7.3 makes it of the same numbers, taken out as well?"""
    tree = Tree[None]()
    for key in (5, 9, 2, 7, 1, 8, 3, 6, 4):
        tree.insert(key, None)
    assert shape(tree.root) == "(5b(2r(1b..)(3b.(4r..)))(8r(7b(6r..).)(9b..)))"
    for key in (5, 9, 2):
        tree.remove(key)
    assert shape(tree.root) == "(6b(3r(1b..)(4b..))(8b(7r..).))"
