"""Declarations and assignments: what may change, and what a variable can hold."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.arithmetic import integer
from swaptrace.csource.expressions import Expressions, Run, Value, named
from swaptrace.csource.frame import Evaluation
from swaptrace.csource.kinds import FLAG_KINDS, TRUTHS, ValueKind
from swaptrace.csource.scope import POINTED, WIDTHS, Variable, fit
from swaptrace.errors import did_you_mean, quote

PTES: Final = frozenset({ValueKind.PTE, ValueKind.SWAP, ValueKind.MIXED})

INTEGERS: Final = frozenset({ValueKind.INT, *FLAG_KINDS})

OPAQUE_TYPES: Final = frozenset({"swp_entry_t", "pgprot_t"})

KEPT: Final = frozenset({"vmf", "vma"})
"""Variables that always stay what they are."""


class Type(NamedTuple):
    """A declared type: the kind of its values, or for integers the width, or neither for pte_t."""

    kind: ValueKind | None
    width: tuple[int, bool] | None = None


class Variables(Expressions):
    """Reads what declares a variable or assigns to one."""

    def type_of(self, node: Any) -> Type:
        """The type that a declaration gives. Raises `PolicyError` if the model does not have it."""
        inner = node.type
        pointer = isinstance(inner, c_ast.PtrDecl)
        named = inner.type if pointer else inner
        base = getattr(named, "type", None)
        if isinstance(named, c_ast.TypeDecl) and isinstance(base, c_ast.IdentifierType):
            return self._plain_type(node, " ".join(base.names), pointer)
        if pointer and isinstance(base, c_ast.Struct) and base.decls is None:
            if base.name in POINTED:
                return Type(POINTED[base.name])
            hint = did_you_mean(base.name or "", POINTED)
            raise self.error(node, f"the model has no struct {quote(base.name or '')}; {hint}")
        raise self.error(node, "a variable of this type is not understood")

    def _plain_type(self, node: Any, name: str, pointer: bool) -> Type:
        if name == "pte_t" and not pointer:
            return Type(None)
        if name in OPAQUE_TYPES or (name == "pte_t" and pointer):
            return Type(ValueKind.OPAQUE)
        if name in WIDTHS and not pointer:
            return Type(None, WIDTHS[name])
        star = " *" if pointer else ""
        raise self.error(node, f"a variable of type {quote(name + star)} is not understood")

    def declare(self, node: Any) -> Run | None:
        """A declaration; what gives the variable its first value, if anything does.

        One of the outermost block that names a variable the model gives stands for that one.
        """
        if node.name is None or node.storage or node.bitsize is not None:
            raise self.error(node, "only local variables can be declared here")
        kind, width = self.type_of(node)
        variable = self.scopes.declared_here(node.name)
        if variable is None:
            variable = self.scopes.declare(node.name, kind, width)
        elif not self.scopes.outermost or "#" in variable.key:
            raise self.error(node, f"{quote(node.name)} is declared twice")
        if node.init is None:
            return None
        return self._store(node.init, variable, self.value(node.init))

    def assign(self, node: Any) -> Run:
        """An assignment, plain or with an operator."""
        value = self.value(_with_operator(node))
        if isinstance(node.lvalue, c_ast.StructRef):
            return self._store_field(node, value)
        if not isinstance(node.lvalue, c_ast.ID):
            raise self.error(node.lvalue, "only a variable can be assigned to")
        name = node.lvalue.name
        variable = self.scopes.find(name)
        if variable is None:
            hint = did_you_mean(name, self.scopes.names())
            raise self.error(node.lvalue, f"the model has no variable {quote(name)}; {hint}")
        if variable.key in KEPT and value.kind is not variable.kind:
            raise self.error(node, f"{name} cannot change")
        return self._store(node.rvalue, variable, value)

    def _store(self, node: Any, variable: Variable, value: Value) -> Run:
        """Keep the value, converted to what the variable can hold."""
        key, width, run = variable.key, variable.width, value.run
        wanted = _accepted(variable)
        zero = isinstance(node, c_ast.Constant) and integer(node.value) == 0
        if value.kind not in wanted and not (zero and variable.kind in FLAG_KINDS):
            name = quote(key.partition("#")[0])
            raise self.error(node, f"{name} can hold {named(wanted)}, not {value.kind.value}")
        truth = width is not None and width[0] == 1
        self.known.kinds[key] = ValueKind.INT if truth else variable.kind or value.kind

        def store(frame: Evaluation) -> None:
            kept = run(frame)
            frame.values[key] = kept if width is None else fit(kept, width)

        return store

    def _store_field(self, node: Any, value: Value) -> Run:
        field = node.lvalue.field.name
        key = f"vmf->{field}"
        if self.value(node.lvalue.name).kind is not ValueKind.VMF or key not in self.known.kinds:
            raise self.error(node.lvalue, "of the fields, only vmf->flags can change")
        if key == "vmf->orig_pte":
            if value.kind not in PTES:
                raise self.error(node.rvalue, f"{key} can hold a PTE, not {value.kind.value}")
            self.known.kinds[key] = value.kind
        elif node.op != "&=" or value.kind is not ValueKind.FAULT_FLAGS:
            raise self.error(node, "vmf->flags can only lose flags: &= ~FAULT_FLAG_WRITE")
        run = value.run

        def store(frame: Evaluation) -> None:
            frame.values[key] = run(frame)

        return store


def _accepted(variable: Variable) -> frozenset[ValueKind]:
    """The kinds of value that the variable can be given."""
    if variable.kind is not None:
        return frozenset({variable.kind})
    if variable.width is None:
        return PTES
    return TRUTHS if variable.width[0] == 1 else INTEGERS


def _with_operator(node: Any) -> Any:
    """The value of `a op= b`, as an expression of both; of `a = b` it is b."""
    if node.op == "=":
        return node.rvalue
    return c_ast.BinaryOp(node.op[:-1], node.lvalue, node.rvalue, node.coord)
