"""What reading expressions of C has in common, whatever they become."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pycparser import c_ast
from pycparser.c_generator import CGenerator

from swaptrace.csource.arithmetic import integer
from swaptrace.errors import PolicyError, shorten


class Nodes:
    """Looks at nodes of the tree that pycparser makes."""

    def error(self, node: Any, message: str) -> PolicyError:
        """What is wrong with a node."""
        raise NotImplementedError

    def integer(self, node: Any) -> int:
        """The number that a constant is. Raises `PolicyError`."""
        number = integer(node.value) if "int" in node.type else None
        if number is None:
            raise self.error(node, f"{shorten(node.value)} is not an integer")
        return number

    def called(self, node: Any) -> str:
        """The name of the function that is called. Raises `PolicyError`."""
        if not isinstance(node.name, c_ast.ID):
            raise self.error(node, "a call through a pointer is not understood")
        return str(node.name.name)

    def only(self, node: Any, arguments: list[Any]) -> Any:
        """The argument of a call that takes one. Raises `PolicyError`."""
        if len(arguments) != 1:
            name = self.called(node)
            raise self.error(node, f"{name}() takes one argument, not {len(arguments)}")
        return arguments[0]

    def enabled(self, node: Any, arguments: list[Any], defined: Collection[str]) -> int:
        """IS_ENABLED() and its siblings, of the names that are defined. Raises `PolicyError`."""
        if len(arguments) != 1 or not isinstance(arguments[0], c_ast.ID):
            name = self.called(node)
            raise self.error(node, f"{name}() takes the name of a configuration option")
        return int(arguments[0].name in defined)


def text_of(node: Any) -> str:
    """A node as C."""
    return str(CGenerator().visit(node))


def arguments_of(node: Any) -> list[Any]:
    """The arguments of a call."""
    return list(node.args.exprs) if node.args is not None else []
