"""Expressions of C as functions of a frame, each checked when it is read.

An expression becomes a `Value`: its kind, and what computes it. Every name, field and function
is looked up here and in the tables, never by the name itself; an expression changes nothing but
through a function of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from operator import invert, neg
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.arithmetic import (
    COMPARISONS,
    INT,
    LONG,
    OPERATORS,
    UNKNOWN,
    IntegerType,
    common,
    converted,
    integer,
    of_constant,
    of_types,
    promoted,
    result_of,
)
from swaptrace.csource.block import POINT_OF, Point
from swaptrace.csource.elsewhere import misplaced
from swaptrace.csource.frame import Cited, Evaluation
from swaptrace.csource.functions import ANY, FUNCTIONS, UNCHANGED, KnownFunction
from swaptrace.csource.ignored import ALL_IGNORED, WARNINGS, is_ignored
from swaptrace.csource.kinds import CONSTANTS, FLAG_KINDS, POINTERS, TRUTHS, ValueKind, vm_flags
from swaptrace.csource.nodes import Nodes, arguments_of, text_of
from swaptrace.csource.parse import place_of
from swaptrace.csource.preprocess import ENABLED
from swaptrace.csource.scope import WIDTHS, KnownVariables, Scopes, Variable, fit
from swaptrace.csource.source import CSource
from swaptrace.csource.words import words
from swaptrace.errors import PolicyError, did_you_mean, nearest, quote

Run = Callable[[Evaluation], Any]

MAX_NESTING: Final = 100

OPAQUE_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "vmf": words("address real_address pgoff pte pmd pud ptl gfp_mask"),
    "vma": words("vm_mm vm_page_prot vm_start vm_end vm_pgoff"),
    "folio": frozenset({"swap", "index", "mapping"}),
}
"""Fields that a struct has but the model has no value for: fit to be passed on, no more."""


class Value(NamedTuple):
    """What an expression gives: its kind, and what computes it; of an integer also its type."""

    kind: ValueKind
    run: Run
    type: IntegerType = UNKNOWN


class Expressions(Nodes):
    """Reads the expressions of one decision.

    `known` is what is known at the statement that is being read; `statements.py` moves it on.
    `doubts` are calls that are passed over although they could change what is decided.
    """

    def __init__(
        self,
        source: CSource,
        point: Point,
        scopes: Scopes,
        known: KnownVariables,
        defined: Collection[str],
    ) -> None:
        self.source, self.point, self.scopes = source, point, scopes
        self.known, self.defined = known, defined
        self.depth = 0
        self.doubts: list[str] = []
        self.lines: list[Cited] = []

    def error(self, node: Any, message: str) -> PolicyError:
        """What is wrong with a node."""
        return self.source.error(place_of(self.source, node), message)

    def value(self, node: Any) -> Value:
        """An expression of any kind."""
        reader = _READERS.get(type(node).__name__)
        if reader is None:
            what = _NAMES.get(type(node).__name__, "this")
            raise self.error(node, f"{what} is not understood in an expression")
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(node, "nested too deeply")
        found = reader(self, node)
        self.depth -= 1
        return found

    def truth(self, node: Any) -> Run:
        """An expression that can be true or false."""
        value = self.value(node)
        if value.kind not in TRUTHS:
            raise self.error(node, f"{value.kind.value} is neither true nor false")
        return value.run

    def of_kinds(self, node: Any, kinds: Collection[ValueKind], who: str, where: str = "") -> Value:
        """An expression of one of these kinds; `who` takes it, and `where`."""
        value = self.value(node)
        if value.kind not in kinds:
            raise self.error(node, f"{who} takes {named(kinds)}{where}, not {value.kind.value}")
        return value

    def _constant(self, node: Any) -> Value:
        number = self.integer(node)
        return Value(ValueKind.INT, lambda _frame: number, of_constant(node.value, number))

    def _name(self, node: Any) -> Value:
        variable = self.scopes.find(node.name)
        if variable is not None:
            return self._variable(node, variable)
        if node.name in CONSTANTS:
            kind, bits = CONSTANTS[node.name]
            return Value(kind, lambda _frame: bits)
        if node.name in self.defined:
            return Value(ValueKind.INT, lambda _frame: 1)
        if node.name in FUNCTIONS or node.name in UNCHANGED:
            raise self.error(node, f"{node.name} is a function; it must be called")
        near = perhaps(node.name, {*self.scopes.names(), *CONSTANTS})
        raise self.error(node, f"the model has no name {quote(node.name)}{near}")

    def _variable(self, node: Any, variable: Variable) -> Value:
        key = variable.key
        kind = self.known.kinds.get(key)
        if kind is None and self.known.reached:
            raise self.error(node, f"{quote(node.name)} may have no value here")
        type_ = promoted(variable.width)
        return Value(kind or ValueKind.INT, lambda frame: frame.values[key], type_)

    def _field(self, node: Any) -> Value:
        struct, field = self.value(node.name), node.field.name
        if struct.kind is ValueKind.VMF:
            return self._field_of_fault(node, field)
        if struct.kind is ValueKind.VMA and field == "vm_flags":
            if self.point == "can_reuse_anon":
                raise self.error(
                    node, f"the VMA is not known where the decision is about {POINT_OF[self.point]}"
                )
            return Value(ValueKind.VM_FLAGS, lambda frame: vm_flags(frame.vma) | frame.others)
        if struct.kind is ValueKind.FOLIO and field == "page":
            return Value(ValueKind.PAGE, lambda _frame: 1)
        opaque = {ValueKind.VMA: OPAQUE_FIELDS["vma"], ValueKind.FOLIO: OPAQUE_FIELDS["folio"]}
        valid = opaque.get(struct.kind)
        if valid is None:
            raise self.error(node, f"{struct.kind.value} has no fields in the model")
        return self._opaque(
            node, field, valid, ["vm_flags" if struct.kind is ValueKind.VMA else "page"]
        )

    def _field_of_fault(self, node: Any, field: str) -> Value:
        key = f"vmf->{field}"
        if key in self.known.kinds:
            return Value(self.known.kinds[key], lambda frame: frame.values[key])
        if field in ("vma", "page"):
            kind = ValueKind.VMA if field == "vma" else ValueKind.PAGE
            return Value(kind, lambda _frame: 1)
        return self._opaque(node, field, OPAQUE_FIELDS["vmf"], ["flags", "orig_pte", "vma", "page"])

    def _opaque(
        self, node: Any, field: str, valid: Collection[str], others: Collection[str]
    ) -> Value:
        if field not in valid:
            hint = did_you_mean(field, [*valid, *others])
            raise self.error(node.field, f"the model has no field {quote(field)} here; {hint}")
        return Value(ValueKind.OPAQUE, lambda _frame: None)

    def _unary(self, node: Any) -> Value:
        if node.op == "&" and isinstance(node.expr, c_ast.StructRef):
            return self.of_kinds(node.expr, {ValueKind.PAGE}, "& of a field")
        if node.op == "!":
            run = self.truth(node.expr)
            return Value(ValueKind.INT, lambda frame: 0 if run(frame) else 1, INT)
        if node.op == "~":
            return self._converted(
                node, self.of_kinds(node.expr, {ValueKind.INT, *FLAG_KINDS}, "~"), invert
            )
        if node.op in ("+", "-"):
            value = self.of_kinds(node.expr, {ValueKind.INT}, node.op)
            return value if node.op == "+" else self._converted(node, value, neg)
        if node.op in ("*", "&"):
            raise self.error(node, f"{node.op}: the model has no memory to point into")
        raise self.error(node, f"{node.op.strip('p')} is not understood in an expression")

    def _binary(self, node: Any) -> Value:
        if node.op in ("&&", "||"):
            return self._logical(node)
        left, right = self.value(node.left), self.value(node.right)
        kind = self._common(node, left.kind, right.kind)
        if node.op not in OPERATORS:
            raise self.error(node, f"the operator {node.op} is not understood")
        if kind in POINTERS and node.op not in ("==", "!="):
            raise self.error(node, f"{node.op} of pointers: the model has no addresses")
        if kind in FLAG_KINDS and node.op not in ("&", "|", "^", "==", "!="):
            raise self.error(node, f"{node.op} of {kind.value} has no meaning")
        one, other = left.run, right.run
        apply = of_types(node.op, left.type, right.type, self._failing(node))
        return Value(
            ValueKind.INT if node.op in COMPARISONS else kind,
            lambda frame: apply(one(frame), other(frame)),
            result_of(node.op, left.type, right.type),
        )

    def _failing(self, node: Any) -> Callable[[str], PolicyError]:
        return lambda message: self.error(node, message)

    def _converted(self, node: Any, value: Value, apply: Callable[[int], int]) -> Value:
        """What an operator makes of one value, as one of its type."""
        run, type_, fail = value.run, value.type, self._failing(node)
        return Value(value.kind, lambda frame: converted(apply(run(frame)), type_, fail), type_)

    def _logical(self, node: Any) -> Value:
        one, other = self.truth(node.left), self.truth(node.right)
        if node.op == "&&":
            return Value(ValueKind.INT, lambda frame: 1 if one(frame) and other(frame) else 0, INT)
        return Value(ValueKind.INT, lambda frame: 1 if one(frame) or other(frame) else 0, INT)

    def _common(self, node: Any, one: ValueKind, other: ValueKind) -> ValueKind:
        """The kind of two operands together: a flag goes with flags of its own, and with 0."""
        kinds = {one, other}
        if not kinds <= TRUTHS:
            bad = one if one not in TRUTHS else other
            raise self.error(node, f"{node.op} of {bad.value} is not understood")
        if len(kinds) == 1:
            return one
        if kinds <= POINTERS and (
            ValueKind.NULL in kinds or kinds == {ValueKind.FOLIO, ValueKind.PAGE}
        ):
            return other if one is ValueKind.NULL else one
        if (
            ValueKind.INT in kinds
            and kinds <= {ValueKind.INT, *FLAG_KINDS}
            and self._plain_number(node)
        ):
            return other if one is ValueKind.INT else one
        raise self.error(
            node.right, f"{other.value} and {one.value} do not go together with {node.op}"
        )

    def _plain_number(self, node: Any) -> bool:
        """Whether one of the operands is the number 0, which every set of flags can be compared
        with."""
        return any(
            isinstance(each, c_ast.Constant) and integer(each.value) == 0
            for each in (node.left, node.right)
        )

    def _ternary(self, node: Any) -> Value:
        condition = self.truth(node.cond)
        yes, no = self.value(node.iftrue), self.value(node.iffalse)
        if yes.kind is not no.kind and not {yes.kind, no.kind} <= {ValueKind.INT, *FLAG_KINDS}:
            raise self.error(node, f"either {yes.kind.value} or {no.kind.value}")
        kind = no.kind if yes.kind is ValueKind.INT else yes.kind
        type_, fail = common(yes.type, no.type), self._failing(node)

        def run(frame: Evaluation) -> Any:
            return converted((yes if condition(frame) else no).run(frame), type_, fail)

        return Value(kind, run, type_)

    def _cast(self, node: Any) -> Value:
        value = self.value(node.expr)
        names = getattr(getattr(node.to_type.type, "type", None), "names", None)
        width = WIDTHS.get(" ".join(names)) if names else None
        if width is None or value.kind not in {ValueKind.INT, *FLAG_KINDS}:
            raise self.error(node, f"a cast of {value.kind.value} to this type is not understood")
        kind = ValueKind.INT if width[0] == 1 else value.kind
        return Value(kind, lambda frame: fit(value.run(frame), width), promoted(width))

    def _call(self, node: Any) -> Value:
        name, arguments = self.called(node), arguments_of(node)
        if name in UNCHANGED:
            return self.value(self.only(node, arguments))
        if name in WARNINGS:
            return Value(ValueKind.INT, self.truth(self.only(node, arguments)))
        if name in ENABLED:
            enabled = self.enabled(node, arguments, self.defined)
            return Value(ValueKind.INT, lambda _frame: enabled)
        function = FUNCTIONS.get(name)
        if function is None and is_ignored(name):
            raise self.error(node, f"the model ignores {name}(), so that it has no value")
        if function is None:
            misplacement = misplaced(name, self.point)
            if misplacement is not None:
                raise self.error(node, misplacement)
            near = perhaps(name, [*FUNCTIONS, *UNCHANGED, *ALL_IGNORED, *ENABLED])
            raise self.error(node, f"the model has no function {quote(name)}{near}")
        if self.point not in function.points:
            what = POINT_OF[self.point]
            raise self.error(node, f"{name}() is not known where the decision is about {what}")
        return self._call_of(node, name, function, arguments)

    def _call_of(
        self, node: Any, name: str, function: KnownFunction, arguments: list[Any]
    ) -> Value:
        most = len(function.params)
        least = most - function.optional
        if not least <= len(arguments) <= most:
            wanted = str(most) if least == most else f"{least} or {most}"
            plural = "argument" if wanted == "1" else "arguments"
            raise self.error(node, f"{name}() takes {wanted} {plural}, not {len(arguments)}")
        runs: list[Run] = []
        for number, (kinds, argument) in enumerate(
            zip(function.params, arguments, strict=False), start=1
        ):
            if kinds is ANY:
                self.changes_nothing(argument)
                if any(self.handed_over(argument)):
                    raise self.error(argument, f"{name}() is not known to take an address here")
            else:
                where = f" as argument {number}"
                runs.append(self.of_kinds(argument, kinds, f"{name}()", where).run)
        kind = LONG if name == "folio_nr_pages" else INT
        return Value(function.result, _applied(function.run, runs), kind)

    def changes_nothing(self, node: Any) -> None:
        """Raise `PolicyError` if an argument that is not looked at would change anything."""
        waiting = [node]
        while waiting:
            each = waiting.pop()
            waiting += [child for _, child in each.children()]
            kind = type(each).__name__
            if kind == "Assignment" or (kind == "UnaryOp" and each.op.strip("p") in ("++", "--")):
                raise self.error(each, "an assignment in an argument that is not looked at")
            if kind == "FuncCall" and isinstance(each.name, c_ast.ID):
                function = FUNCTIONS.get(each.name.name)
                if function is not None and function.changes:
                    raise self.error(each, "an effect in an argument that is not looked at")

    def handed_over(self, node: Any) -> Iterator[str]:
        """The variables and fields of arguments whose addresses are handed on."""
        waiting = [node]
        while waiting:
            each = waiting.pop()
            waiting += [child for _, child in each.children()]
            if type(each).__name__ == "UnaryOp" and each.op == "&":
                yield text_of(each.expr)

    def _assignment(self, node: Any) -> Value:
        raise self.error(node, "an assignment within an expression: make it a statement")


def perhaps(name: str, valid: Iterable[str]) -> str:
    """The nearest of many names, to append to a message; nothing if none is near."""
    near = nearest(name, valid)
    return "" if near is None else f"; did you mean {quote(near)}?"


def named(kinds: Collection[ValueKind]) -> str:
    """The kinds, for a message."""
    if kinds == TRUTHS:
        return "what is true or false"
    return " or ".join(kind.value for kind in ValueKind if kind in kinds)


def _applied(run: Callable[..., Any], arguments: list[Run]) -> Run:
    """The call, without a loop for the usual numbers of arguments."""
    if not arguments:
        return lambda frame: run(frame)
    if len(arguments) == 1:
        (only,) = arguments
        return lambda frame: run(frame, only(frame))
    if len(arguments) == 2:
        first, second = arguments
        return lambda frame: run(frame, first(frame), second(frame))
    return lambda frame: run(frame, *[argument(frame) for argument in arguments])


_READERS: Final[Mapping[str, Callable[[Expressions, Any], Value]]] = {
    "Constant": Expressions._constant,
    "ID": Expressions._name,
    "StructRef": Expressions._field,
    "UnaryOp": Expressions._unary,
    "BinaryOp": Expressions._binary,
    "TernaryOp": Expressions._ternary,
    "Cast": Expressions._cast,
    "FuncCall": Expressions._call,
    "Assignment": Expressions._assignment,
}

_NAMES: Final[Mapping[str, str]] = {
    "ArrayRef": "an array",
    "ExprList": "the comma operator",
    "CompoundLiteral": "a compound literal",
    "InitList": "a list of initial values",
}
