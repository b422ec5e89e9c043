"""The functions of a tree that handle a fault, read from their roots as far as calls lead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults.builtin import replaced
from swaptrace.ktree.faults.computation import Env
from swaptrace.ktree.faults.dialect import FAULTS, Dialect
from swaptrace.ktree.faults.fault import MAX_WORK, Fault
from swaptrace.ktree.faults.primitive import Primitive
from swaptrace.ktree.faults.source import Definition, Sources, error_of
from swaptrace.ktree.faults.statements import FaultStatements, Step

MAX_ERRORS: Final = 20


class Parameter(NamedTuple):
    """The place of a parameter among the local variables, and what it makes of an argument; None if
    it keeps any as it is."""

    key: str
    fits: Callable[[Any], Any] | None


class CallableFunction:
    """A function that can be called."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.parameters: list[Parameter] = []
        self.step: Step | None = None

    @property
    def width(self) -> tuple[int, bool] | None:
        """Bits and sign of what it returns; None if that is no integer."""
        return self.definition.width

    def call(self, fault: Fault, arguments: Sequence[Any]) -> Any:
        """What it returns."""
        name = self.definition.name
        fault.entered(name)
        pairs = zip(self.parameters, arguments, strict=True)
        env: Env = {key: value if fits is None else fits(value) for (key, fits), value in pairs}
        assert self.step is not None, "everything is read before anything is called"
        fault.work += 1
        if fault.work > MAX_WORK:
            source = self.definition.source
            raise source.error(source.start, f"in {name}(): this goes on for ever")
        leave = self.step(fault, env)
        return None if leave is None else leave.value


class FunctionWords(NamedTuple):
    """What of a function counts in the model: its words, and those that constants rule out."""

    words: str
    ruled_out: tuple[str, ...]


class FaultProgram:
    """The functions that are interpreted, and what was assumed to read them.

    `doubts` are calls that could change what is decided and are not known. `builtin` are functions
    that the tree's own are not interpreted of. Raises `PolicyError` if there is no such.
    """

    def __init__(
        self, sources: Sources, builtin: Collection[str] = (), dialect: Dialect = FAULTS
    ) -> None:
        self.sources, self.defined, self.dialect = sources, sources.defined, dialect
        self.builtin = tuple(dict.fromkeys(builtin))
        self.known = {**dialect.primitives(sources.version), **replaced(self.builtin)}
        self.functions: dict[str, CallableFunction] = {}
        self.primitives: dict[str, Primitive] = {}
        self.doubts: list[str] = []
        self._ruled_out: dict[str, list[str]] = {}
        self._errors: list[PolicyError] = []
        self._reading: list[str] = []

    def read(self) -> None:
        """Read every root that the tree has. Raises `PolicyError` with all that is wrong."""
        for name in self.dialect.roots:
            if name in self.builtin:
                continue
            try:
                if self._read(name) is None and name in self.dialect.needed:
                    self.note_error(PolicyError(f"the tree has no function {name}()"))
            except PolicyError as error:
                self.note_error(error)
        if self._errors:
            raise error_of(self._errors[:MAX_ERRORS])

    def note_error(self, error: PolicyError) -> None:
        """Remember what is wrong, to tell it with the rest."""
        self._errors.append(error)

    def note_ruled_out(self, function: str, text: str) -> None:
        """Remember what is not read, since a constant rules it out."""
        self._ruled_out.setdefault(function, []).append(" ".join(text.split()))

    def note_primitive(self, name: str, primitive: Primitive) -> None:
        """Remember a function that the model has."""
        self.primitives[name] = primitive

    def function(self, name: str, error: Callable[[str], PolicyError]) -> CallableFunction:
        """A function of the tree that C calls. Raises `PolicyError`."""
        if name in self._reading:
            raise error(f"{name}() calls itself, which is not understood")
        found = self._read(name)
        if found is None:
            raise error(f"there is no function {quote(name)} in the model or the tree")
        return found

    def _read(self, name: str) -> CallableFunction | None:
        if name in self.functions:
            return self.functions[name]
        definition = self.sources.definition(name)
        if definition is None:
            return None
        function = self.functions[name] = CallableFunction(definition)
        file = definition.source.file
        self.doubts += (
            f"{file}:{line}: a macro within {name}() is not expanded" for line in definition.macros
        )
        self._reading.append(name)
        try:
            reader = FaultStatements(self, definition)
            arguments = definition.declaration.type.args
            for each in arguments.params if arguments is not None else ():
                if isinstance(each, c_ast.ID):  # a list of names alone, as before C89
                    raise reader.error(each, "a parameter without a type is not understood")
                if getattr(each, "name", None) is not None:
                    variable = reader.declare(each)
                    fits = reader.fitting(each, variable.width)
                    function.parameters.append(Parameter(variable.key, fits))
            function.step = reader.read(definition.tree)
        except RecursionError:
            source = definition.source
            raise source.error(source.start, f"{name}() is nested too deeply") from None
        finally:
            self._reading.pop()
        return function

    def changes(self) -> dict[str, FunctionWords]:
        """What of each function counts, to compare two trees by."""
        return {
            name: FunctionWords(each.definition.words, tuple(self._ruled_out.get(name, ())))
            for name, each in self.functions.items()
        }
