"""A red-black tree of numbers, balanced as the kernel's are (lib/rbtree.c), which shows where a
search gives up at a node that it passes."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class TreeNode(Generic[T]):
    """A number, and what it is for; `children` are those with smaller and with larger ones."""

    __slots__ = ("children", "key", "parent", "red", "value")

    def __init__(self, key: int, value: T, parent: TreeNode[T] | None) -> None:
        self.key, self.value, self.parent, self.red = key, value, parent, parent is not None
        self.children: list[TreeNode[T] | None] = [None, None]


def is_red(node: TreeNode[T] | None) -> bool:
    """Leaves are black."""
    return node is not None and node.red


class Tree(Generic[T]):
    """Nodes by their numbers."""

    def __init__(self) -> None:
        self.root: TreeNode[T] | None = None

    def path(self, key: int) -> list[TreeNode[T]]:
        """What a search comes to, down to the number, or to where it would be."""
        found: list[TreeNode[T]] = []
        node = self.root
        while node is not None:
            found.append(node)
            node = None if node.key == key else node.children[key > node.key]
        return found

    def insert(self, key: int, value: T) -> None:
        """Put a number that is not there where the search for it ends."""
        path = self.path(key)
        parent = path[-1] if path else None
        node = TreeNode(key, value, parent)
        if parent is None:
            self.root = node
        else:
            parent.children[key > parent.key] = node
        self._insert_color(node)

    def remove(self, key: int) -> None:
        """Take out a number that is there."""
        node = self.path(key)[-1]
        smaller, larger = node.children
        if smaller is not None and larger is not None:
            while larger.children[0] is not None:
                larger = larger.children[0]
            node.key, node.value, node = larger.key, larger.value, larger
        child = node.children[0] or node.children[1]
        parent, side = node.parent, self._side(node)
        self._put(parent, side, child)
        if child is not None:
            child.red = False
        elif not node.red and parent is not None:
            self._erase_color(parent, side)

    def _side(self, node: TreeNode[T]) -> int:
        """Which child of its parent a node is."""
        return int(node.parent is not None and node.parent.children[1] is node)

    def _put(self, parent: TreeNode[T] | None, side: int, child: TreeNode[T] | None) -> None:
        if parent is None:
            self.root = child
        else:
            parent.children[side] = child
        if child is not None:
            child.parent = parent

    def _rotate(self, node: TreeNode[T], side: int) -> TreeNode[T]:
        """The child on the other side takes the place of a node, which goes down to this side."""
        child = node.children[not side]
        assert child is not None
        self._put(node.parent, self._side(node), child)
        self._put(node, int(not side), child.children[side])
        self._put(child, side, node)
        return child

    def _insert_color(self, node: TreeNode[T]) -> None:
        """No red node has a red parent."""
        while node.parent is not None and node.parent.red:
            parent = node.parent
            over = parent.parent
            assert over is not None, "the root is black"
            side = self._side(parent)
            uncle = over.children[not side]
            if uncle is not None and uncle.red:
                parent.red = uncle.red = False
                over.red, node = over.parent is not None, over
                continue
            if self._side(node) != side:
                parent = self._rotate(parent, side)
            parent.red, over.red = False, True
            self._rotate(over, int(not side))
            return

    def _erase_color(self, parent: TreeNode[T], side: int) -> None:
        """All ways down pass as many black nodes, though one has gone from this side."""
        sibling = parent.children[not side]
        assert sibling is not None
        if sibling.red:
            sibling.red, parent.red = False, True
            self._rotate(parent, side)
            sibling = parent.children[not side]
            assert sibling is not None
        if not is_red(sibling.children[0]) and not is_red(sibling.children[1]):
            sibling.red = True
            if parent.red:
                parent.red = False
            elif parent.parent is not None:
                self._erase_color(parent.parent, self._side(parent))
            return
        if not is_red(sibling.children[not side]):
            sibling = self._rotate(sibling, int(not side))
        sibling.red, parent.red = parent.red, False
        outer = sibling.children[not side]
        assert outer is not None
        outer.red = False
        self._rotate(parent, side)
