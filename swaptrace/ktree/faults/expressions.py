"""Expressions of C as functions of a fault and the local variables, each checked when it is read.

Where a value never changes in the model, what it rules out is not read: of `a && b` with a constant
false `a` nothing of `b` need be understood. What was left out so is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pycparser import c_ast

from swaptrace.counters import Counter
from swaptrace.csource.arithmetic import (
    COMPARISONS,
    INT,
    OPERATORS,
    UNKNOWN,
    common,
    converted,
    of_constant,
    promoted,
    result_of,
)
from swaptrace.csource.nodes import Nodes, arguments_of, text_of
from swaptrace.csource.parse import place_of
from swaptrace.csource.preprocess import ENABLED
from swaptrace.csource.scope import fit, width_of
from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults.checked import (
    ACCEPTED,
    CONSTANT_TYPES,
    FIELD_TYPES,
    NEVER,
    POSSIBLE,
)
from swaptrace.ktree.faults.computation import (
    Computation,
    Env,
    LocalVariable,
    Run,
    constant,
    truth,
)
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.fields import VM_KNOWN
from swaptrace.ktree.faults.inert import EVENTS, is_inert
from swaptrace.ktree.faults.integers import operation, whole
from swaptrace.ktree.faults.primitive import Primitive
from swaptrace.ktree.faults.purity import UNCHANGED, WARNINGS, impure
from swaptrace.ktree.faults.reading import Reading
from swaptrace.ktree.faults.values import (
    PTEP,
    Pointer,
    Reference,
    is_true,
    named,
)

if TYPE_CHECKING:
    from swaptrace.ktree.faults.source import Definition


class FaultExpressions(Nodes):
    """Reads the expressions of one function."""

    def __init__(self, program: Reading, definition: Definition) -> None:
        self.program, self.definition = program, definition
        self.scopes: list[dict[str, LocalVariable]] = [{}]
        self.declared = 0

    def error(self, node: Any, message: str) -> PolicyError:
        """What is wrong with a node, and in which function."""
        source = self.definition.source
        where = f"in {self.definition.name}(): {message}"
        return source.error(place_of(source, node), where)

    def ruled_out(self, node: Any) -> None:
        """Remember what a constant rules out."""
        if node is not None:
            self.program.note_ruled_out(self.definition.name, text_of(node))

    def find(self, name: str) -> LocalVariable | None:
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def value(self, node: Any) -> Computation:
        reader = _READERS.get(type(node).__name__)
        if reader is None:
            raise self.error(node, f"{type(node).__name__} is not understood in an expression")
        return reader(self, node)

    def truth(self, node: Any) -> Computation:
        """A condition: 0 or 1."""
        value = self.value(node)
        if value.constant is not None:
            return constant(int(value.constant != 0))
        if value.holds:
            return value
        run, fail = value.run, self._failing(node)

        def holds(fault: Fault, env: Env) -> int:
            found = run(fault, env)
            return 1 if (found if type(found) is int else is_true(found, fail)) else 0

        return truth(holds)

    def _failing(self, node: Any) -> Callable[[str], PolicyError]:
        return lambda message: self.error(node, message)

    def _constant(self, node: Any) -> Computation:
        value = self.integer(node)
        return constant(value, of_constant(node.value, value))

    def _name(self, node: Any) -> Computation:
        variable = self.find(node.name)
        if variable is not None and variable.constant is not None:
            return constant(variable.constant, promoted(variable.width))
        if variable is not None:
            return self._variable(node, variable)
        if node.name in self.program.dialect.constants:
            kind = CONSTANT_TYPES.get(node.name, INT)
            return constant(self.program.dialect.constants[node.name], kind)
        if node.name in self.program.dialect.names:
            read = self.program.dialect.names[node.name]
            return Computation(lambda fault, _env: read(fault))
        if node.name in self.program.defined:
            return constant(1)
        raise self.error(node, f"the model has no name {quote(node.name)}")

    def _variable(self, node: Any, variable: LocalVariable) -> Computation:
        key = variable.key

        def run(_fault: Fault, env: Env) -> Any:
            try:
                return env[key]
            except KeyError:
                raise self.error(node, f"{quote(node.name)} has no value here") from None

        return Computation(run, kind=promoted(variable.width))

    def _field(self, node: Any) -> Computation:
        name, fields = node.field.name, self.program.dialect.fields
        readers = {kind: read for (kind, known), read in fields.items() if known == name}
        if not readers:
            raise self.error(node.field, f"the model has no field {quote(name)}")
        struct = self.value(node.name).run

        def run(fault: Fault, env: Env) -> Any:
            of = struct(fault, env)
            kind = of.kind if isinstance(of, Pointer) else type(of).__name__
            read = readers.get(kind)
            if read is None:
                raise self.error(node.field, f"{named(of)} has no field {quote(name)}")
            try:
                return read(fault, of)
            except Unmodelled as wrong:
                raise self.error(node, str(wrong)) from None

        return Computation(run, is_vm_flags=name == "vm_flags", kind=FIELD_TYPES.get(name, UNKNOWN))

    def _unary(self, node: Any) -> Computation:
        if node.op == "!":
            value = self.truth(node.expr)
            if value.constant is not None:
                return constant(1 - value.constant)
            run = value.run
            return truth(lambda fault, env: 1 - run(fault, env))
        if node.op == "&":
            return self._address(node)
        if node.op == "*":
            return self._pointed(node)
        if node.op not in ("-", "~"):
            raise self.error(node, f"{node.op.strip('p')} is not understood in an expression")
        return self._negated(node)

    def _negated(self, node: Any) -> Computation:
        value, minus, fail = self.value(node.expr), node.op == "-", self._failing(node)

        def negated(number: int) -> int:
            return int(converted(-number if minus else ~number, value.kind, fail))

        if value.constant is not None:
            return constant(negated(value.constant), value.kind)
        run = value.run
        return Computation(
            lambda fault, env: negated(whole(run(fault, env), fail)), kind=value.kind
        )

    def _address(self, node: Any) -> Computation:
        """&folio->page is the folio; other addresses are nothing that the model has."""
        inner, known = node.expr, self.program.dialect.addresses
        if isinstance(inner, c_ast.StructRef) and inner.field.name in known:
            return self.value(inner.name)
        raise self.error(node, f"the model has no addresses but those of {', '.join(known)}")

    def _pointed(self, node: Any) -> Computation:
        run = self.value(node.expr).run

        def read(fault: Fault, env: Env) -> Any:
            pointer = run(fault, env)
            if isinstance(pointer, Reference):
                return pointer.read()
            if pointer != PTEP:
                raise self.error(node, "only the PTE of the fault can be looked at")
            return fault.shown

        return Computation(read)

    def _binary(self, node: Any) -> Computation:
        if node.op in ("&&", "||"):
            return self._logical(node)
        if node.op not in OPERATORS:
            raise self.error(node, f"the operator {node.op} is not understood")
        one, other = self.value(node.left), self.value(node.right)
        apply = operation(node.op, one.kind, other.kind, self._failing(node))
        kind, left, right = result_of(node.op, one.kind, other.kind), one.run, other.run
        if one.constant is not None and other.constant is not None:
            return constant(apply(one.constant, other.constant), kind)
        found = Computation(
            lambda fault, env: apply(left(fault, env), right(fault, env)),
            holds=node.op in COMPARISONS,
            kind=kind,
        )
        if node.op == "&" and other.constant is not None:
            return self._of_these(node, one, other.constant, found)
        if node.op == "==" and one.possible is not None and (other.constant or 0) & ~one.possible:
            return constant(0)
        return found

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
            self.pure(node.left)
            return other
        left, right = one.run, other.run
        if decides:
            return truth(lambda fault, env: left(fault, env) or right(fault, env))
        return truth(lambda fault, env: left(fault, env) and right(fault, env))

    def _ternary(self, node: Any) -> Computation:
        condition = self.truth(node.cond)
        if condition.constant is not None:
            self.ruled_out(node.iffalse if condition.constant else node.iftrue)
            return self.value(node.iftrue if condition.constant else node.iffalse)
        yes, no, fail = self.value(node.iftrue), self.value(node.iffalse), self._failing(node)
        kind = common(yes.kind, no.kind)

        def run(fault: Fault, env: Env) -> Any:
            chosen = yes if condition.run(fault, env) else no
            return converted(chosen.run(fault, env), kind, fail)

        return Computation(run, kind=kind)

    def _cast(self, node: Any) -> Computation:
        value, width = self.value(node.expr), width_of(node.to_type)
        if width is None:
            raise self.error(node, "a cast to this type is not understood")
        run, fail = value.run, self._failing(node.expr)
        return Computation(
            lambda fault, env: fit(whole(run(fault, env), fail), width), kind=promoted(width)
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
            return self._counted(node, arguments)
        if name in self.program.known:
            return self._primitive(node, name, arguments)
        if is_inert(name) and name not in self.program.dialect.followed:
            raise self.error(node, f"{name}() is passed over by name, so that it has no value")
        return self._followed(node, name, arguments)

    def _counted(self, node: Any, arguments: list[Any]) -> Computation:
        self.pure(node.args)
        event = getattr(arguments[0], "name", "") if arguments else ""
        if event != "PGREUSE":
            return constant(0)
        return Computation(lambda fault, _env: fault.page.count(Counter.WP_REUSE))

    def _primitive(self, node: Any, name: str, arguments: list[Any]) -> Computation:
        known = self.program.known[name]
        found = next((each for each in known if len(each.params) == len(arguments)), None)
        if found is None:
            wanted = " or ".join(str(len(each.params)) for each in known)
            raise self.error(node, f"{name}() takes {wanted} arguments, not {len(arguments)}")
        self.program.note_primitive(name, found)
        runs: list[Run] = []
        checks: list[Run] = []
        for letter, argument in zip(found.params, arguments, strict=True):
            if letter == "v":
                runs.append(self.value(argument).run)
            elif letter == "_":
                self.pure(argument)
            else:
                checks.append(self._checked(argument, letter))
        self._note_unseen(node, found, arguments)
        if found.constant is not None:
            return constant(found.constant)
        if name == "vma_test" and not POSSIBLE & (self.value(arguments[1]).constant or 0):
            self.ruled_out(node)
            return constant(0)
        return Computation(self._guarded(node, found, runs, checks))

    def _note_unseen(self, node: Any, found: Primitive, arguments: list[Any]) -> None:
        """What another call would not show: that it is there at all, or an argument."""
        if found.constant is not None:
            self.ruled_out(node)
        elif "_" in found.params:
            pairs = zip(found.params, arguments, strict=True)
            unseen = (text_of(argument) for letter, argument in pairs if letter == "_")
            name = self.called(node)
            self.program.note_ruled_out(self.definition.name, f"{name}({', '.join(unseen)})")

    def _checked(self, node: Any, letter: str) -> Run:
        """An argument of which the model knows one value only: any other is an error."""
        run, accepts = self.value(node).run, ACCEPTED[letter]

        def check(fault: Fault, env: Env) -> None:
            value = run(fault, env)
            if not accepts(value):
                raise self.error(
                    node, f"the model does not know this call with {named(value)} here"
                )

        return check

    def _guarded(self, node: Any, primitive: Primitive, runs: list[Run], checks: list[Run]) -> Run:
        call = primitive.run

        def run(fault: Fault, env: Env) -> Any:
            for check in checks:
                check(fault, env)
            values = []
            for each in runs:
                values.append(each(fault, env))  # noqa: PERF401 - a comprehension is a call
            try:
                return call(fault, *values)
            except Unmodelled as wrong:
                raise self.error(node, str(wrong)) from None

        return run

    def _followed(self, node: Any, name: str, arguments: list[Any]) -> Computation:
        function = self.program.function(name, lambda text: self.error(node, text))
        if len(function.parameters) != len(arguments):
            wanted = len(function.parameters)
            raise self.error(node, f"{name}() takes {wanted} arguments, not {len(arguments)}")
        runs = [self.value(argument).run for argument in arguments]
        return Computation(
            lambda fault, env: function.call(fault, [each(fault, env) for each in runs]),
            kind=promoted(function.width),
        )

    def pure(self, node: Any) -> None:
        """Raise `PolicyError` if something that is not looked at would change anything."""
        wrong = impure(node)
        if wrong is not None:
            raise self.error(*wrong)


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
