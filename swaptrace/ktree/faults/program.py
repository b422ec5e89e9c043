"""The functions of a tree that handle a fault, read from their roots as far as calls lead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults import operations
from swaptrace.ktree.faults.builtin import replaced
from swaptrace.ktree.faults.compiled import CompiledFunctions, Probe, ReadFunction
from swaptrace.ktree.faults.dialect import FAULTS, Dialect
from swaptrace.ktree.faults.fault import Fault, Unmodelled
from swaptrace.ktree.faults.passing import PassedCalls
from swaptrace.ktree.faults.primitive import Primitive
from swaptrace.ktree.faults.purity import within
from swaptrace.ktree.faults.ruledout import UnseenNode, laid_out
from swaptrace.ktree.faults.source import Definition, Sources, error_of
from swaptrace.ktree.faults.statements import FaultStatements
from swaptrace.ktree.residue import NotExecuted

MAX_ERRORS: Final = 20


class CallableFunction:
    """A function that can be called, once everything is read."""

    def __init__(self, program: FaultProgram, definition: Definition, label: str) -> None:
        self.program, self.definition, self.label = program, definition, label
        self.parameters: list[Any] = []

    @property
    def width(self) -> tuple[int, bool] | None:
        """Bits and sign of what it returns; None if that is no integer."""
        return self.definition.width

    def call(self, fault: Fault, arguments: Sequence[Any]) -> Any:
        """What it returns."""
        compiled, passing = self.program.compiled(fault.trace is not None), self.program.passing
        begun = passing.begin(fault, self.definition.name) if passing is not None else 0
        try:
            return compiled.names[self.label](fault, *arguments)
        except Unmodelled as wrong:
            raise compiled.located(wrong) or wrong from None
        finally:
            if passing is not None:
                passing.end(fault, begun)


class FunctionWords(NamedTuple):
    """A function by its words, and by those that constants rule out, or that have no effect in the
    model."""

    words: str
    unseen: NotExecuted


class ProbedNode(NamedTuple):
    """A statement, a condition or an alternative, of which a probe says whether it is executed."""

    node: Any
    is_condition: bool


class FaultProgram:
    """The functions that are interpreted, and what was assumed to read them.

    `doubts` are calls that could change what is decided and are not known. `builtin` are functions
    that the tree's own are not interpreted of. `statements` are those that are read, by the id of
    the node; `probes` are the numbers of those of a node, and `asked` is what each is about;
    `passed` are the calls that are passed over, by the numbers of theirs, and `passing` notes those
    of a fault, if there is such. Raises `PolicyError` if there is no such.
    """

    def __init__(
        self, sources: Sources, builtin: Collection[str] = (), dialect: Dialect = FAULTS
    ) -> None:
        self.sources, self.defined, self.dialect = sources, sources.defined, dialect
        self.builtin = tuple(dict.fromkeys(builtin))
        self.known = {**dialect.primitives(sources.version), **replaced(self.builtin)}
        self.functions: dict[str, CallableFunction] = {}
        self._bound: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._read_functions: list[ReadFunction] = []
        self._compiled: dict[bool, CompiledFunctions] = {}
        self.primitives: dict[str, Primitive] = {}
        self.doubts: list[str] = []
        self.statements: set[int] = set()
        self.asked: list[ProbedNode] = []
        self.probes: dict[int, list[int]] = {}
        self.passed: dict[int, str] = {}
        self.passing: PassedCalls | None = None
        self._probing: dict[int, Probe] = {}
        self._unseen: dict[str, list[UnseenNode]] = {}
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
        self.compiled(traced=False)

    def compiled(self, traced: bool) -> CompiledFunctions:
        """What can be called. Raises `PolicyError`."""
        if traced not in self._compiled:
            read, bound, probes = self._read_functions, self._bound, self._probing
            functions = CompiledFunctions(read, bound, traced, self._too_deep, probes)
            self._compiled[traced] = functions
        return self._compiled[traced]

    def probe(self, probes: Mapping[int, Probe]) -> None:
        """Let some of the probes be called, by number; no others are."""
        if probes or self._probing:
            self._probing = dict(probes)
            self._compiled.clear()

    def _too_deep(self, name: str) -> PolicyError:
        source = self.functions[name].definition.source
        return source.error(source.start, f"{name}() is nested too deeply")

    def bind(self, value: Any) -> str:
        """The name that what is read has for something that is no C."""
        name = self._names.setdefault(id(value), f"k{len(self._bound)}")
        self._bound[name] = value  # so that nothing else gets its id
        return name

    def note_error(self, error: PolicyError) -> None:
        """Remember what is wrong, to tell it with the rest."""
        self._errors.append(error)

    def note_unseen(self, function: str, node: Any, text: str | None = None) -> None:
        """Remember what is not read, since a constant rules it out, or has no effect; or `text`
        that is a part of it."""
        self._unseen.setdefault(function, []).append(UnseenNode(node, text))

    def note_statement(self, node: Any) -> None:
        """Remember a statement that is read."""
        self.statements.add(id(node))

    def note_probe(self, node: Any, is_condition: bool) -> int:
        """Remember what can be asked about, whether it is executed; the number of its probe."""
        number = len(self.asked)
        self.asked.append(ProbedNode(node, is_condition))
        self.probes.setdefault(id(node), []).append(number)
        return number

    def forget(self, node: Any) -> None:
        """Nothing within the node is executed, although it was read."""
        for each in within(node):
            self.probes.pop(id(each), None)

    def note_passed(self, name: str) -> int:
        """Remember a call that is passed over, and can be asked about; the number of its probe."""
        number = len(self.asked)
        self.asked.append(ProbedNode(None, is_condition=False))
        self.passed[number] = name
        return number

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
        label = f"f{len(self.functions)}"
        function = self.functions[name] = CallableFunction(self, definition, label)
        file = definition.source.file
        self.doubts += (
            f"{file}:{line}: a macro within {name}() is not expanded" for line in definition.macros
        )
        self._reading.append(name)
        try:
            self._read_functions.append(self._lines_of(function))
        except RecursionError:
            raise self._too_deep(name) from None
        finally:
            self._reading.pop()
        return function

    def _lines_of(self, function: CallableFunction) -> ReadFunction:
        definition, name = function.definition, function.definition.name
        reader = FaultStatements(self, definition)
        arguments = definition.declaration.type.args
        for each in arguments.params if arguments is not None else ():
            if isinstance(each, c_ast.ID):  # a list of names alone, as before C89
                raise reader.error(each, "a parameter without a type is not understood")
            if getattr(each, "name", None) is not None:
                function.parameters.append(each)
        names, lines = reader.read(function.parameters, definition.tree)
        source = definition.source
        endless = operations.endless(
            f"in {name}(): this goes on for ever", lambda text: source.error(source.start, text)
        )
        parts = function.label, names, lines, reader.marks, reader.error
        return ReadFunction(name, *parts, self.bind(name), self.bind(endless))

    def changes(self) -> dict[str, FunctionWords]:
        """What of each function counts, to compare two trees by."""
        return {
            name: FunctionWords(
                each.definition.words, laid_out(each.definition.tree, self._unseen.get(name, ()))
            )
            for name, each in self.functions.items()
        }
