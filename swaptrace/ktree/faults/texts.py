"""Texts of Python for values of C: nearly every value is an integer, or the one thing of the model
that is meant; a text looks for that, and hands all else to a function of `operations`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from swaptrace.csource.arithmetic import COMPARISONS, SHIFTS, IntegerType
from swaptrace.csource.nodes import Nodes
from swaptrace.csource.parse import place_of
from swaptrace.csource.scope import fit
from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.computation import Computation, LocalVariable, constant, decided
from swaptrace.ktree.faults.linear import Linear
from swaptrace.ktree.faults.lines import probing
from swaptrace.ktree.faults.purity import impure
from swaptrace.ktree.faults.reading import Reading
from swaptrace.ktree.faults.values import Address, Fail, Flags, Opaque

if TYPE_CHECKING:
    from swaptrace.ktree.faults.source import Definition


PLAIN: Final = (*COMPARISONS, "&", "|", "^")
"""Operators that mean the same in Python, of any two integers."""

ADDRESSES: Final = frozenset({Opaque, Address, Linear, Flags})
"""What a variable of 64 bits keeps as it is, though it is no integer of Python."""


class FaultTexts(Nodes):
    """Makes the texts of one function. `marks` are the nodes of what may not be modelled, which the
    text names by their position, in a comment on the line before. `given` are the variables that
    have a value for sure where reading has come to, `asked` those that were asked whether they have
    one."""

    def __init__(self, program: Reading, definition: Definition) -> None:
        self.program, self.definition = program, definition
        self.scopes: list[dict[str, LocalVariable]] = [{}]
        self.declared = self.temporaries = 0
        self.marks: list[Any] = []
        self.given: frozenset[str] = frozenset()
        self.asked: set[str] = set()

    def error(self, node: Any, message: str) -> PolicyError:
        """What is wrong with a node, and in which function."""
        source = self.definition.source
        where = f"in {self.definition.name}(): {message}"
        return source.error(place_of(source, node), where)

    def pure(self, node: Any) -> None:
        """Raise `PolicyError` if something that is not looked at would change anything."""
        wrong = impure(node)
        if wrong is not None:
            raise self.error(*wrong)

    def bind(self, value: Any) -> str:
        """The name that the text has for something."""
        return self.program.bind(value)

    def failing(self, node: Any) -> Fail:
        """Makes the error of a node."""
        return lambda message: self.error(node, message)

    def kept(self, text: str) -> tuple[str, str]:
        """A text that is to be computed once, and what names its value afterwards."""
        if text.isidentifier():
            return text, text
        self.temporaries += 1
        name = f"t{self.temporaries}"
        return f"({name} := {text})", name

    def marked(self, node: Any, call: str) -> str:
        """A call that says `Unmodelled` where it is none of the model."""
        self.marks.append(node)
        return f"(  #@{len(self.marks) - 1}\n{call})"

    def condition(self, node: Any, test: str) -> Computation:
        """0 or 1, by a condition of which it can be asked what it comes to."""
        number = self.program.note_probe(node, is_condition=True)
        return decided(probing(number, test))

    def alternative(self, node: Any, value: Computation) -> str:
        """The text of a value of which it can be asked whether it is computed."""
        return probing(self.program.note_probe(node, is_condition=False), value.text)

    def shortly(
        self, op: str, one: Computation, other: Computation, kind: IntegerType
    ) -> tuple[str, str, list[str]]:
        """What an operator makes of two integers of a type, on which condition they are, and what
        they are called then. No condition: always."""
        sums, whole = op in ("+", "-", "*", "<<"), one.whole and other.whole
        if op in PLAIN and whole and _is_of(one, kind) and _is_of(other, kind):
            return f"{one.text} {op} {other.text}", "", []
        conditions, names = self._integers(one, other)
        short = f"{names[0]} {'//' if op == '/' else op} {names[1]}"
        condition = " & ".join(conditions)
        low, high = (-(1 << 63), 1 << 63) if kind[1] else (0, 1 << (kind[0] or 63))
        for value, name in zip((one, other), names, strict=True):
            if not _is_of(value, kind):
                condition = f"{condition or True} and {low} <= {name} < {high}"
        if op in SHIFTS:
            condition = f"{condition or True} and 0 <= {names[1]} < 64"
        if op in ("/", "%"):  # of others Python rounds otherwise
            condition = f"{condition or True} and 0 <= {names[0]} and 0 < {names[1]}"
        if sums:
            first, short = self.kept(short)
            condition = f"{condition or True} and {low} <= {first} < {high}"
        return short, condition, names

    def _integers(self, *values: Computation) -> tuple[list[str], list[str]]:
        """The conditions that all are integers, which compute them, and their names."""
        conditions, names = [], []
        for value in values:
            if value.constant is not None:
                names.append(value.text)
                continue
            first, name = self.kept(value.text)
            conditions.append(f"(type({first}) is int)")
            names.append(name)
        return conditions, names

    def fitted(
        self, value: Computation, width: tuple[int, bool], fits: Callable[[Any], Any]
    ) -> str:
        """A value as an integer of that width keeps it; `fits` makes it so, or fails."""
        if value.test is not None:
            return value.text
        if value.constant is not None:
            return constant(fit(value.constant, width)).text
        bits, signed = width
        low, high = (-(1 << bits - 1), 1 << bits - 1) if signed and bits > 1 else (0, 1 << bits)
        first, name = self.kept(value.text)
        whole = f"type({first}) is int and {low} <= {name} < {high}"
        if bits == 64:
            whole += f" or type({name}) in {self.bind(ADDRESSES)}"
        return f"({name} if {whole} else {self.bind(fits)}({name}))"


def _is_of(value: Computation, kind: IntegerType) -> bool:
    """Whether an integer is the same as one of a type: what has a sign has 64 bits, and what has
    none is kept below zero nowhere."""
    if kind[1] or (value.kind == kind and value.in_range):
        return True
    return value.constant is not None and 0 <= value.constant < 1 << (kind[0] or 63)
