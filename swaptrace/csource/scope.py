"""What names stand for while C is read, and what is known of their values at each statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.kinds import ValueKind

WIDTHS: Final[Mapping[str, tuple[int, bool]]] = {
    "bool": (1, False),
    "char": (8, True),
    "signed char": (8, True),
    "unsigned char": (8, False),
    "short": (16, True),
    "unsigned short": (16, False),
    "int": (32, True),
    "signed": (32, True),
    "signed int": (32, True),
    "unsigned": (32, False),
    "unsigned int": (32, False),
    "long": (64, True),
    "long int": (64, True),
    "long long": (64, True),
    "unsigned long": (64, False),
    "unsigned long int": (64, False),
    "unsigned long long": (64, False),
    "ssize_t": (64, True),
    "size_t": (64, False),
    "u8": (8, False),
    "u16": (16, False),
    "u32": (32, False),
    "u64": (64, False),
    "s8": (8, True),
    "s16": (16, True),
    "s32": (32, True),
    "s64": (64, True),
    "rmap_t": (32, False),
    "vm_fault_t": (32, False),
    "vm_flags_t": (64, False),
}
"""Bits and sign of the types that hold integers and flags."""

POINTED: Final[Mapping[str, ValueKind]] = {
    "folio": ValueKind.FOLIO,
    "page": ValueKind.PAGE,
    "vm_area_struct": ValueKind.VMA,
    "vm_fault": ValueKind.VMF,
}
"""The structs that a pointer may point to."""


class Variable(NamedTuple):
    """`key` is its place in `Frame.values`. `kind` is that of every value it may take; None for
    one that takes its kind from its value. `width` is that of an integer."""

    key: str
    kind: ValueKind | None
    width: tuple[int, bool] | None = None


@dataclass(slots=True)
class KnownVariables:
    """What is known where a statement begins: the kind of each variable that has a value.

    `reached` is False behind a return or a goto.
    """

    kinds: dict[str, ValueKind] = field(default_factory=dict)
    reached: bool = True

    def copy(self) -> KnownVariables:
        return KnownVariables(dict(self.kinds), self.reached)


def joined(paths: Iterable[KnownVariables]) -> KnownVariables:
    """What is known where several paths meet: what each of those that get there knows."""
    every = list(paths)
    reached = [path for path in every if path.reached]
    if not reached:
        return KnownVariables(dict(every[0].kinds), reached=False)
    first, *others = reached
    kinds: dict[str, ValueKind] = {}
    for key, kind in first.kinds.items():
        if all(key in other.kinds for other in others):
            kinds[key] = kind
            for other in others:
                kinds[key] = _both(kinds[key], other.kinds[key])
    return KnownVariables(kinds)


def _both(one: ValueKind, other: ValueKind) -> ValueKind:
    """Either kind. Only a PTE, or an integer with flags in it, can be of two."""
    if one is other:
        return one
    if ValueKind.INT in (one, other):
        return other if one is ValueKind.INT else one
    return ValueKind.MIXED


class Scopes:
    """The variables that can be named, those of the innermost block first."""

    def __init__(self, given: Mapping[str, Variable]) -> None:
        self._scopes: list[dict[str, Variable]] = [dict(given)]
        self._declared = 0

    def enter(self) -> None:
        self._scopes.append({})

    def leave(self) -> None:
        self._scopes.pop()

    @property
    def outermost(self) -> bool:
        """Whether the variables of this scope are those of the function itself."""
        return len(self._scopes) == 1

    def find(self, name: str) -> Variable | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def declared_here(self, name: str) -> Variable | None:
        return self._scopes[-1].get(name)

    def declare(
        self, name: str, kind: ValueKind | None, width: tuple[int, bool] | None
    ) -> Variable:
        """A local variable; `#` keeps its key apart from every name."""
        self._declared += 1
        variable = Variable(f"{name}#{self._declared}", kind, width)
        self._scopes[-1][name] = variable
        return variable

    def names(self) -> Iterator[str]:
        for scope in self._scopes:
            yield from scope


def width_of(node: Any) -> tuple[int, bool] | None:
    """Bits and sign of a declared type; None if it is none of an integer."""
    inner = node.type
    names = getattr(getattr(inner, "type", None), "names", None)
    if isinstance(inner, c_ast.PtrDecl) or names is None:
        return None
    return WIDTHS.get(" ".join(names))


def fit(value: int, width: tuple[int, bool]) -> int:
    """The integer as a variable of that width keeps it."""
    bits, signed = width
    if bits == 1:
        return int(bool(value))
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value
