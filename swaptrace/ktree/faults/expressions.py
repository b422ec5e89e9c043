"""Expressions of C as text of Python over a fault and the local variables, checked when it is read.

Where a value never changes in the model, what it rules out is not read: of `a && b` with a constant
false `a` nothing of `b` need be understood. What was left out so is remembered.

Nearly every value is an integer, or the one thing of the model that is meant; the text looks for
that, and hands all else to a function of `operations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pycparser import c_ast

from swaptrace.counters import Counter
from swaptrace.csource.arithmetic import (
    COMPARISONS,
    INT,
    OPERATORS,
    SHIFTS,
    UNKNOWN,
    common,
    of_constant,
    promoted,
    result_of,
)
from swaptrace.csource.nodes import arguments_of, text_of
from swaptrace.csource.preprocess import ENABLED
from swaptrace.csource.scope import width_of
from swaptrace.errors import quote
from swaptrace.ktree.faults import operations
from swaptrace.ktree.faults.checked import (
    ACCEPTED,
    AGAINST_RACES,
    CONSTANT_TYPES,
    FIELD_TYPES,
    NEVER,
    POSSIBLE,
)
from swaptrace.ktree.faults.computation import (
    UNSET,
    Computation,
    LocalVariable,
    constant,
    decided,
)
from swaptrace.ktree.faults.fault import Fault
from swaptrace.ktree.faults.fields import VM_KNOWN, FieldOfFault, OpaqueField
from swaptrace.ktree.faults.inert import EVENTS, event_of, is_inert
from swaptrace.ktree.faults.integers import operation
from swaptrace.ktree.faults.primitive import Primitive
from swaptrace.ktree.faults.purity import UNCHANGED, WARNINGS, is_elementary
from swaptrace.ktree.faults.texts import FaultTexts
from swaptrace.ktree.faults.values import (
    DEVICE,
    PTEP,
    VMA,
    VMF,
    Address,
    Flags,
    Pointer,
    PtePointer,
)

POINTERS: Final = frozenset({Pointer, PtePointer})
"""Of which none is NULL."""

SINGLE: Final = {each.kind: each for each in (VMA, VMF, PTEP, DEVICE)}
"""What the model has but one of, by its kind."""


class FaultExpressions(FaultTexts):
    """Reads the expressions of one function."""

    def ruled_out(self, node: Any) -> None:
        """Remember what a constant rules out."""
        if node is not None:
            self.program.note_unseen(self.definition.name, node)

    def find(self, name: str) -> LocalVariable | None:
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def value(self, node: Any) -> Computation:
        reader = _READERS.get(type(node).__name__)
        if reader is None:
            raise self.error(node, f"{type(node).__name__} is not understood in an expression")
        return reader(self, node)

    def truth(self, node: Any) -> Computation:
        """A condition: 0 or 1."""
        value = self._truth(node)
        if value.constant is not None or not is_elementary(node):
            return value
        return self.condition(node, value.test or value.text)

    def _truth(self, node: Any) -> Computation:
        value = self.value(node)
        if value.constant is not None:
            return constant(int(value.constant != 0))
        if value.test is not None:
            return value
        if value.whole:
            return decided(value.text)
        decides = self.bind(operations.deciding(self.failing(node)))
        if value.bits is not None:
            integers, other = value.bits
            return decided(f"({integers} else {decides}({other}))")
        first, name = self.kept(value.text)
        other = f"type({name}) in {self.bind(POINTERS)} or {decides}({name})"
        return decided(f"({name} if type({first}) is int else {other})")

    def _constant(self, node: Any) -> Computation:
        value = self.integer(node)
        return constant(value, of_constant(node.value, value))

    def _name(self, node: Any) -> Computation:
        variable = self.find(node.name)
        if variable is not None:
            return self.variable(node, variable)
        if node.name in self.program.dialect.constants:
            kind = CONSTANT_TYPES.get(node.name, INT)
            return constant(self.program.dialect.constants[node.name], kind)
        if node.name in self.program.dialect.names:
            return Computation(f"{self.bind(self.program.dialect.names[node.name])}(F)")
        if node.name in self.program.defined:
            return constant(1)
        raise self.error(node, f"the model has no name {quote(node.name)}")

    def variable(self, node: Any, variable: LocalVariable) -> Computation:
        """The value of a local variable."""
        name, kind = variable.name, promoted(variable.width)
        if variable.constant is not None:
            return constant(variable.constant, kind)
        if variable.is_set or name in self.given:
            return Computation(name, kind=kind, in_range=True, whole=variable.whole)
        self.asked.add(name)
        raises = self.bind(operations.unset(node.name, self.failing(node)))
        text = f"({name} if {name} is not {self.bind(UNSET)} else {raises}())"
        return Computation(text, kind=kind, in_range=True, whole=variable.whole)

    def _field(self, node: Any) -> Computation:
        name, fields = node.field.name, self.program.dialect.fields
        readers = {kind: read for (kind, known), read in fields.items() if known == name}
        if not readers:
            raise self.error(node.field, f"the model has no field {quote(name)}")
        first, struct = self.kept(self.value(node.name).text)
        known = [each for each in SINGLE if each in readers]
        asked = [first, *[struct] * len(known)]
        other = operations.reading(name, readers, self.failing(node), self.failing(node.field))
        text = f"{self.bind(other)}(F, {asked.pop()})"
        for each in reversed(known):
            short = self._read(node, readers[each], struct)
            text = f"{short} if {asked.pop()} is {self.bind(SINGLE[each])} else {text}"
        kind = FIELD_TYPES.get(name, UNKNOWN)
        return Computation(f"({text})", is_vm_flags=name == "vm_flags", kind=kind)

    def _read(self, node: Any, read: Callable[[Any, Any], Any], struct: str) -> str:
        """A field of what is known to have it."""
        if isinstance(read, FieldOfFault):
            return f"F.fields[{read.name!r}]"
        if isinstance(read, OpaqueField):
            return self.bind(read.value)
        return self.marked(node, f"{self.bind(read)}(F, {struct})")

    def _unary(self, node: Any) -> Computation:
        if node.op == "!":
            value = self.truth(node.expr)
            if value.constant is not None:
                return constant(1 - value.constant)
            return decided(f"(not {value.test})")
        if node.op == "&":
            return self._address(node)
        if node.op == "*":
            looks = self.bind(operations.looking(self.failing(node)))
            return Computation(f"{looks}(F, {self.value(node.expr).text})")
        if node.op not in ("-", "~"):
            raise self.error(node, f"{node.op.strip('p')} is not understood in an expression")
        return self._negated(node)

    def _negated(self, node: Any) -> Computation:
        value = self.value(node.expr)
        negates = operations.negated(node.op == "-", value.kind, self.failing(node))
        if value.constant is not None:
            return constant(negates(value.constant), value.kind)
        return Computation(
            f"{self.bind(negates)}({value.text})", kind=value.kind, in_range=True, whole=True
        )

    def _address(self, node: Any) -> Computation:
        """&folio->page is the folio; other addresses are nothing that the model has."""
        inner, known = node.expr, self.program.dialect.addresses
        if isinstance(inner, c_ast.StructRef) and inner.field.name in known:
            return self.value(inner.name)
        raise self.error(node, f"the model has no addresses but those of {', '.join(known)}")

    def _binary(self, node: Any) -> Computation:
        op = node.op
        if op in ("&&", "||"):
            return self._logical(node)
        if op not in OPERATORS:
            raise self.error(node, f"the operator {op} is not understood")
        one, other = self.value(node.left), self.value(node.right)
        if one.constant is not None and other.constant is not None:
            apply = operation(op, one.kind, other.kind, self.failing(node))
            found = apply(one.constant, other.constant)
            return constant(found, result_of(op, one.kind, other.kind))
        if op == "&" and other.constant is not None:
            return self._of_these(node, one, other.constant, self._computed(node, one, other))
        if op == "==" and one.possible is not None and (other.constant or 0) & ~one.possible:
            return constant(0)
        return self._computed(node, one, other)

    def _of_these(self, node: Any, one: Computation, mask: int, found: Computation) -> Computation:
        """Some flags: of those that have a name here, the model rules some out."""
        possible = one.possible
        if one.is_vm_flags and not mask & ~VM_KNOWN:
            possible = POSSIBLE
        if isinstance(node.right, c_ast.ID) and node.right.name in NEVER:
            possible = 0
        if possible is None:
            return found
        if not possible & mask:
            self.ruled_out(node)
            return constant(0)
        return found._replace(possible=possible & mask)

    def _computed(self, node: Any, one: Computation, other: Computation) -> Computation:
        """Of two values, of which at least one changes."""
        op = node.op
        kind = one.kind if op in SHIFTS else common(one.kind, other.kind)
        run = self.bind(operation(op, one.kind, other.kind, self.failing(node)))
        short, condition, names = self.shortly(op, one, other, kind)
        if not condition:
            found = Computation(f"({short})", kind=kind, in_range=True, whole=True)
            return decided(found.text) if op in COMPARISONS else found
        slow = f"{run}({', '.join(names)})"
        if op in ("==", "!="):
            pointers = " and ".join(f"type({name}) is {self.bind(Pointer)}" for name in names)
            slow = f"{names[0]} {op} {names[1]} if {pointers} else {slow}"
        integers = f"{short} if {condition}"
        if op == "&" and other.constant is not None:
            integers += f" else {_of_flags(names, self.bind(Flags))}"
        text = f"({integers} else {slow})"
        if op in COMPARISONS:
            return decided(text)
        return Computation(text, kind=kind, bits=(integers, slow))

    def _logical(self, node: Any) -> Computation:
        """The right side is not read where the left one always decides."""
        decides = 0 if node.op == "&&" else 1
        one = self.truth(node.left)
        if one.constant == decides:
            self.ruled_out(node.right)
            return one
        other = self.truth(node.right)
        if one.constant is not None:
            return other
        if other.constant == decides:
            self.needless(node.left)
            return other
        left, right = one.test, other.test or other.text
        return decided(f"({left} or {right})" if decides else f"({left} and {right})")

    def _ternary(self, node: Any) -> Computation:
        condition = self.truth(node.cond)
        if condition.constant is not None:
            self.ruled_out(node.iffalse if condition.constant else node.iftrue)
            return self.value(node.iftrue if condition.constant else node.iffalse)
        yes, no = self.value(node.iftrue), self.value(node.iffalse)
        kind = common(yes.kind, no.kind)
        one, other = self.alternative(node.iftrue, yes), self.alternative(node.iffalse, no)
        text = f"({one} if {condition.test} else {other})"
        if not kind[1]:
            converts = self.bind(operations.converting(kind, self.failing(node)))
            text = f"{converts}({text})"
        return Computation(text, kind=kind, in_range=True, whole=yes.whole and no.whole)

    def _cast(self, node: Any) -> Computation:
        value, width = self.value(node.expr), width_of(node.to_type)
        if width is None:
            raise self.error(node, "a cast to this type is not understood")
        cast = self.bind(operations.casting(width, self.failing(node.expr)))
        return Computation(
            f"{cast}({value.text})", kind=promoted(width), in_range=True, whole=width[0] < 64
        )

    def _call(self, node: Any) -> Computation:
        name, arguments = self.called(node), arguments_of(node)
        if name in UNCHANGED:
            return self.value(self.only(node, arguments))
        if name in WARNINGS:
            return self.truth(self.only(node, arguments))
        if name in ENABLED:
            return constant(self.enabled(node, arguments, self.program.defined))
        if name in EVENTS:
            return self._counted(node)
        if name in self.program.known:
            return self._primitive(node, name, arguments)
        if is_inert(name) and name not in self.program.dialect.followed:
            raise self.error(node, f"{name}() is passed over by name, so that it has no value")
        return self._followed(node, name, arguments)

    def _counted(self, node: Any) -> Computation:
        self.pure(node.args)
        if event_of(node) == "PGREUSE":
            return Computation(f"{self.bind(_count_reuse)}(F)")
        return constant(0)

    def _primitive(self, node: Any, name: str, arguments: list[Any]) -> Computation:
        known = self.program.known[name]
        found = next((each for each in known if len(each.params) == len(arguments)), None)
        if found is None:
            wanted = " or ".join(str(len(each.params)) for each in known)
            raise self.error(node, f"{name}() takes {wanted} arguments, not {len(arguments)}")
        self.program.note_primitive(name, found)
        values: list[str] = []
        checks: list[str] = []
        for letter, argument in zip(found.params, arguments, strict=True):
            if letter == "v":
                values.append(self.value(argument).text)
            elif letter == "_":
                self.pure(argument)
            else:
                checks += self._checked(argument, letter)
        self._note_unseen(node, found, arguments)
        if found.constant is not None:
            return constant(found.constant)
        if name == "vma_test" and not POSSIBLE & (self.value(arguments[1]).constant or 0):
            self.ruled_out(node)
            return constant(0)
        return self._guarded(node, found, values, checks)

    def _note_unseen(self, node: Any, found: Primitive, arguments: list[Any]) -> None:
        """What another call would not show: that it is there at all, or an argument."""
        if found.constant is not None or self.called(node) in AGAINST_RACES:
            self.ruled_out(node)
        elif "_" in found.params:
            pairs = zip(found.params, arguments, strict=True)
            unseen = (text_of(argument) for letter, argument in pairs if letter == "_")
            text = f"{self.called(node)}({', '.join(unseen)})"
            self.program.note_unseen(self.definition.name, node, text)

    def _checked(self, node: Any, letter: str) -> list[str]:
        """The condition that an argument is what the model knows; none where it is for sure."""
        value = self.value(node)
        if value.constant is not None and ACCEPTED[letter](value.constant):
            return []
        check = self.bind(operations.checking(letter, self.failing(node)))
        if letter not in operations.ONLY:
            return [f"{check}({value.text})"]
        first, name = self.kept(value.text)
        meant = f"{first} is {self.bind(operations.ONLY[letter])}"
        if letter == "A":
            meant += f" or type({name}) is {self.bind(Address)}"
        return [f"({meant} or {check}({name}))"]

    def _guarded(
        self, node: Any, primitive: Primitive, values: list[str], checks: list[str]
    ) -> Computation:
        call = self.marked(node, f"{self.bind(primitive.run)}({', '.join(['F', *values])})")
        return Computation(f"({call} if {' and '.join(checks)} else 0)" if checks else call)

    def _followed(self, node: Any, name: str, arguments: list[Any]) -> Computation:
        function = self.program.function(name, self.failing(node))
        if len(function.parameters) != len(arguments):
            wanted = len(function.parameters)
            raise self.error(node, f"{name}() takes {wanted} arguments, not {len(arguments)}")
        values = [self.value(argument).text for argument in arguments]
        text = f"{function.label}({', '.join(['F', *values])})"
        return Computation(text, kind=promoted(function.width), in_range=True)

    def needless(self, node: Any) -> None:
        """What has been read, and need not be executed: nothing asks about it any longer."""
        self.pure(node)
        self.ruled_out(node)
        self.program.forget(node)


def _of_flags(names: list[str], flags: str) -> str:
    """Of flags of which the model has those that are asked for, as `Flags.computed` has it."""
    one, mask = names
    return f"{one}.value & {mask} if type({one}) is {flags} and not {mask} & ~{one}.known"


def _count_reuse(fault: Fault) -> None:
    fault.page.count(Counter.WP_REUSE)


_READERS: Final[Mapping[str, Callable[[FaultExpressions, Any], Computation]]] = {
    "Constant": FaultExpressions._constant,
    "ID": FaultExpressions._name,
    "StructRef": FaultExpressions._field,
    "UnaryOp": FaultExpressions._unary,
    "BinaryOp": FaultExpressions._binary,
    "TernaryOp": FaultExpressions._ternary,
    "Cast": FaultExpressions._cast,
    "FuncCall": FaultExpressions._call,
}
