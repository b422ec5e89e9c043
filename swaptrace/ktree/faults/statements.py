"""Statements of C as lines of Python, in order, with gotos to the labels of enclosing blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pycparser import c_ast

from swaptrace.csource.arithmetic import LONG
from swaptrace.csource.frame import Cited
from swaptrace.csource.ignored import HOOK
from swaptrace.csource.nodes import text_of
from swaptrace.csource.scope import fit, width_of
from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults import operations
from swaptrace.ktree.faults.computation import UNSET, Computation, LocalVariable
from swaptrace.ktree.faults.expressions import FaultExpressions
from swaptrace.ktree.faults.fault import MAX_WORK
from swaptrace.ktree.faults.fields import KEPT, UNKEPT
from swaptrace.ktree.faults.inert import (
    EVENTS,
    OF_PAGES,
    SHOWN,
    event_of,
    is_inert,
    leaves_no_trace,
)
from swaptrace.ktree.faults.lines import (
    BREAK,
    JUMP,
    Line,
    PythonLoop,
    alternative,
    indented,
    jumping,
    landing,
    probing,
    segmented,
)
from swaptrace.ktree.faults.places import labelled, leaves, position
from swaptrace.ktree.faults.purity import handed_over, within
from swaptrace.ktree.faults.values import VMF, Reference, SwapEntry

FLAG_BITS: Final = 32
"""Variables of fewer bits hold no flags of which the model has but a few."""


class FaultStatements(FaultExpressions):
    """Reads the statements of one function. What is wrong is noted, and reading goes on, so that
    all errors of a tree are told at once."""

    labels: list[frozenset[str]]
    loops: list[PythonLoop]
    targets: frozenset[str]
    last: dict[str, tuple[int, int]]
    """Where the last goto to a label stands."""

    arriving: dict[str, list[frozenset[str]]]
    """What variables had a value at each goto that has been read, by its label."""

    addressed: frozenset[str]
    left = False
    """Whether a statement before this one in its block, of which a constant says that it is always
    executed, leaves the block."""

    def read(self, parameters: list[Any], body: Any) -> tuple[list[str], list[Line]]:
        """The parameters as Python calls them, and the whole body."""
        self.labels, self.loops, self.jumps = [], [], 0
        self.unset: list[str] = []
        self.references: list[Line] = []
        nodes = list(within(body))
        gotos = [each for each in nodes if isinstance(each, c_ast.Goto)]
        self.last = dict(sorted((each.name, position(each)) for each in gotos))
        self.targets, self.arriving = frozenset(self.last), {}
        self.addressed = frozenset(map(_addressed, nodes))
        variables = [(each, self.declare(each, is_parameter=True)) for each in parameters]
        kept = [self._kept(*each) for each in variables if each[1].width is not None]
        names = [variable.name for _, variable in variables]
        lines = self._block(list(body.block_items or ()))
        unset = [Line(f"{name} = {self.bind(UNSET)}") for name in self.unset if name in self.asked]
        jump = [Line(f"{JUMP} = 0")] if self.jumps else []
        return names, [*jump, *unset, *map(Line, kept), *self.references, *lines]

    def _kept(self, node: Any, parameter: LocalVariable) -> str:
        """An argument as the parameter keeps it."""
        return self._storing(node, parameter, Computation(parameter.name))

    def _block(self, items: list[Any]) -> list[Line]:
        found = [labelled(item) for item in items]
        labels = frozenset(label for each in found for label, _ in each)
        self.labels.append(labels)
        self.scopes.append({})
        numbers = {label: self._jump() for label in sorted(labels & self.targets)}
        before = self.given
        loop = PythonLoop(numbers, is_c=False)
        if numbers:
            self.loops.append(loop)
        parts: list[tuple[list[int], list[Line]]] = [([], [])]
        falls = True
        for item, each in zip(items, found, strict=True):
            here = [numbers[label] for label, _ in each if label in numbers]
            if here:
                parts.append((here, []))
                self.given = self._given_at(item, [self.given] if falls else [], before)
            self.left = self.left and not each
            if self.left:  # a constant rules out what follows
                self.ruled_out(item)
            parts[-1][1].extend(self._statement(each[-1][1] if each else item))
            falls = not leaves(item)
        self.left = False
        self.scopes.pop()
        self.labels.pop()
        if not numbers:
            return parts[0][1]
        self.loops.pop()
        return [*segmented(parts), *landing(self.loops, loop)]

    def _given_at(
        self, node: Any, falling: list[frozenset[str]], before: frozenset[str]
    ) -> frozenset[str]:
        """The variables that have a value at labels, wherever one comes from: at least those that
        had one where the block began."""
        names = [label for label, _ in labelled(node)]
        if any(position(node) < self.last.get(name, (0, 0)) for name in names):
            return before  # what goes there has not been read
        found = [*falling, *(each for name in names for each in self.arriving.get(name, ()))]
        return frozenset.intersection(*found) if found else before

    def _jump(self) -> int:
        self.jumps += 1
        return self.jumps

    def _statement(self, node: Any) -> list[Line]:
        """One statement; none if it does nothing, or if it is not understood."""
        reader = _READERS.get(type(node).__name__)
        try:
            if reader is None:
                raise self.error(node, f"{type(node).__name__} is not understood as a statement")
            lines = reader(self, node)
        except PolicyError as error:
            self.program.note_error(error)
            return []
        self.program.note_statement(node)
        if all(line.optional for line in lines):
            return lines
        number = self.program.note_probe(node, is_condition=False)
        return [Line(probing(number, "True"), probe=number), *lines]

    def cite(self, node: Any, text: str, taken: bool | None = None) -> Line:
        """Notes that the line of a statement is executed."""
        words = " ".join(text.split())
        cited = Cited(self.definition.source.file, node.coord.line, words, taken)
        return Line(f"F.trace.append({self.bind(cited)})", traced=True)

    def _cited(self, node: Any, *texts: str) -> list[Line]:
        """A statement that goes on to the next."""
        return [self.cite(node, text_of(node) + ";"), *map(Line, texts)]

    def _leaving(self, node: Any, lines: list[Line]) -> list[Line]:
        """A statement that goes elsewhere."""
        return [self.cite(node, text_of(node).removesuffix(";") + ";"), *lines]

    def _working(self, node: Any) -> list[Line]:
        """Counts what can be repeated."""
        raises = self.bind(operations.endless("this goes round for ever", self.failing(node)))
        return [Line("F.work += 1"), Line(f"if F.work > {MAX_WORK}: raise {raises}()")]

    def _empty(self, _node: Any) -> list[Line]:
        return []

    def _compound(self, node: Any) -> list[Line]:
        return self._block(list(node.block_items or ()))

    def _branch(self, node: Any | None) -> list[Line]:
        if node is None:
            return []
        items = list(node.block_items or ()) if isinstance(node, c_ast.Compound) else [node]
        return self._block(items)

    def _if(self, node: Any) -> list[Line]:
        condition = self.truth(node.cond)
        if condition.constant is not None:
            taken = node.iftrue if condition.constant else node.iffalse
            left = node.iffalse if condition.constant else node.iftrue
            self.ruled_out(left if taken is not None else node)
            always = self._branch(taken)
            self.left = leaves(taken)
            return always
        before = self.given
        text = f"if ({text_of(node.cond)})"
        yes, no = self.cite(node, text, True), self.cite(node, text, False)
        then = self._branch(node.iftrue)
        first, self.given = self.given, before
        otherwise = self._branch(node.iffalse)
        self.given = self._where_they_meet(node, first, self.given)
        return [
            Line(f"if {condition.test}:"),
            *indented([yes, *then]),
            *alternative([no, *otherwise]),
        ]

    def _where_they_meet(
        self, node: Any, one: frozenset[str], other: frozenset[str]
    ) -> frozenset[str]:
        """The variables that have a value behind an `if`, whichever branch was gone into."""
        if leaves(node.iftrue):
            return other
        return one if leaves(node.iffalse) else one & other

    def _declaration(self, node: Any) -> list[Line]:
        if node.name is None or "static" in node.storage or "extern" in node.storage:
            raise self.error(node, "only local variables can be declared here")
        if isinstance(node.type, c_ast.FuncDecl | c_ast.ArrayDecl):
            raise self.error(node, f"a variable such as {quote(node.name)} is not understood")
        value = None if node.init is None else self.value(node.init)
        variable = self.declare(node)
        if value is None:
            return []
        if "const" in node.quals and value.constant is not None:
            kept = fit(value.constant, variable.width or LONG)
            self.scopes[-1][node.name] = variable._replace(constant=kept)
        return self._cited(node, self._giving(node, variable, value))

    def declare(self, node: Any, is_parameter: bool = False) -> LocalVariable:
        """A variable of the innermost block, or a parameter."""
        self.declared += 1
        name, width = f"v{self.declared}", width_of(node)
        is_set = is_parameter or (node.init is not None and not self.labels[-1] & self.targets)
        if node.name in self.addressed:
            is_set = False
        if not is_set and not is_parameter:
            self.unset.append(name)
        whole = width is not None and width[0] < FLAG_BITS
        variable = LocalVariable(name, width, is_set, whole)
        self.scopes[-1][node.name] = variable
        return variable

    def _storing(self, node: Any, variable: LocalVariable, value: Computation) -> str:
        text = value.text
        if variable.width is not None:
            fits = operations.fitting(variable.width, self.failing(node))
            text = self.fitted(value, variable.width, fits)
        return f"{variable.name} = {text}"

    def _giving(self, node: Any, variable: LocalVariable, value: Computation) -> str:
        """The same, where the variable is sure to have a value from then on."""
        self.given |= {variable.name}
        return self._storing(node, variable, value)

    def _address(self, node: Any) -> Computation:
        """That of a local variable, or of something in the model."""
        inner = node.expr
        variable = self.find(inner.name) if isinstance(inner, c_ast.ID) else None
        if variable is None:
            return super()._address(node)
        read = self.variable(inner, variable).text
        kept = self._storing(node, variable, Computation("value"))
        keep = f"keep{len(self.references)}"
        self.references += [
            Line(f"def {keep}(value):"),
            Line(f"nonlocal {variable.name}", 1),
            Line(kept, 1),
        ]
        return Computation(f"{self.bind(Reference)}(lambda: {read}, {keep})")

    def _assigned(self, node: Any) -> list[Line]:
        value = node.rvalue
        if isinstance(value, c_ast.Assignment):  # a = b = c
            outer = c_ast.Assignment(node.op, node.lvalue, value.lvalue, node.coord)
            return [*self._assigned(value), *self._assigned(outer)]
        if node.op != "=":
            value = c_ast.BinaryOp(node.op[:-1], node.lvalue, node.rvalue, node.coord)
        computed = self.value(value)
        if isinstance(node.lvalue, c_ast.StructRef):
            return self._storing_field(node, computed.text)
        if isinstance(node.lvalue, c_ast.UnaryOp) and node.lvalue.op == "*":
            keeps = self.bind(operations.storing_at(self.failing(node.lvalue)))
            pointer = self.value(node.lvalue.expr).text
            return self._cited(node, f"{keeps}(F, {pointer}, {computed.text})")
        variable = self.find(node.lvalue.name) if isinstance(node.lvalue, c_ast.ID) else None
        if variable is None:
            raise self.error(node.lvalue, "only a local variable or a field can be assigned to")
        return self._cited(node, self._giving(node, variable, computed))

    def _storing_field(self, node: Any, value: str) -> list[Line]:
        inner, field = node.lvalue.name, node.lvalue.field.name
        if field in UNKEPT:
            self.ruled_out(node)
        variable = self.find(inner.name) if isinstance(inner, c_ast.ID) else None
        struct = self.value(inner).text
        stores = self.bind(operations.storing_field(field, self.failing(node.lvalue)))
        cases = []
        if field in KEPT:
            cases.append(f"if of is {self.bind(VMF)}: F.fields[{field!r}] = value")
        if variable is not None:
            entry = self.bind(operations.storing_entry(field, self.failing(node.lvalue)))
            is_entry = f"type(of) is {self.bind(SwapEntry)}"
            cases.append(
                f"{'elif' if cases else 'if'} {is_entry}: {variable.name} = {entry}(F, value)"
            )
        other = f"{stores}(F, of, value)"
        cases.append(f"else: {other}" if cases else other)
        return self._cited(node, f"of, value = {struct}, {value}", *cases)

    def _while(self, node: Any) -> list[Line]:
        """`while`, and `do` with `while` behind; no continue is understood."""
        condition, loop = self.truth(node.cond), PythonLoop({}, is_c=True)
        test, works = condition.test or condition.text, self._working(node)
        before = self.given
        self.loops.append(loop)
        body = [*works, *self._branch(node.stmt)]
        self.loops.pop()
        self.given = before
        if isinstance(node, c_ast.DoWhile):
            test, body = "True", [*body, Line(f"if not {test}: break")]
        return [Line(f"while {test}:"), *indented(body), *landing(self.loops, loop)]

    def _break(self, node: Any) -> list[Line]:
        if not any(loop.is_c for loop in self.loops):
            raise self.error(node, "break stands in no loop")
        return self._leaving(node, jumping(self.loops, BREAK))

    def _stepped(self, node: Any) -> list[Line]:
        """`x++` and the like, whose value nobody asks for."""
        op = node.op.removeprefix("p")
        if op not in ("++", "--"):
            raise self.error(node, f"{op} is not understood as a statement")
        one = c_ast.Constant("int", "1", node.coord)
        return self._assigned(c_ast.Assignment(f"{op[0]}=", node.expr, one, node.coord))

    def _called(self, node: Any) -> list[Line]:
        name = self.called(node)
        passed_over = is_inert(name) or name in EVENTS or name.startswith(HOOK)
        if name in self.program.known or not passed_over:
            return self._valueless(node)
        self._doubt(node, name)
        noted: list[Line] = []
        if leaves_no_trace(name) or (name in EVENTS and event_of(node) in SHOWN):
            number = self.program.note_passed(OF_PAGES.get(name, name))
            noted = [Line(probing(number, "True"), probe=number)]
        if name in EVENTS:
            return [*noted, *self._valueless(node)]
        self.pure(node.args)
        return noted

    def _valueless(self, node: Any) -> list[Line]:
        """A call whose value nobody asks for."""
        value = self.value(node)
        return self._cited(node, *([value.text] if value.constant is None else ()))

    def _doubt(self, node: Any, name: str) -> None:
        """Note a call that is passed over and yet could change the page."""
        handed = handed_over(node.args, lambda name: self.find(name) is not None)
        place = f"{self.definition.source.file}:{node.coord.line}: {name}()"
        if name.startswith(HOOK):
            self.program.doubts.append(f"{place} is a hook for vendors: what it does is not known")
        elif handed is not None:
            self.program.doubts.append(f"{place} is passed over, but could change {handed}")

    def _return(self, node: Any) -> list[Line]:
        if node.expr is None:
            return self._leaving(node, [Line("return None")])
        value, width = self.value(node.expr), self.definition.width
        text = value.text
        if width is not None:
            text = self.fitted(value, width, operations.fitting(width, self.failing(node)))
        return self._leaving(node, [Line(f"return {text}")])

    def _goto(self, node: Any) -> list[Line]:
        if not any(node.name in labels for labels in self.labels):
            raise self.error(node, f"goto {quote(node.name)} goes into a block, or nowhere")
        self.arriving.setdefault(node.name, []).append(self.given)
        number = next(
            loop.labels[node.name] for loop in reversed(self.loops) if node.name in loop.labels
        )
        return self._leaving(node, [*self._working(node), *jumping(self.loops, number)])


def _addressed(node: Any) -> str:
    """The name of a variable whose address is taken; empty of all else."""
    if isinstance(node, c_ast.UnaryOp) and node.op == "&" and isinstance(node.expr, c_ast.ID):
        return str(node.expr.name)
    return ""


_READERS: Final[Mapping[str, Callable[[FaultStatements, Any], list[Line]]]] = {
    "EmptyStatement": FaultStatements._empty,
    "Compound": FaultStatements._compound,
    "If": FaultStatements._if,
    "While": FaultStatements._while,
    "DoWhile": FaultStatements._while,
    "Decl": FaultStatements._declaration,
    "Assignment": FaultStatements._assigned,
    "FuncCall": FaultStatements._called,
    "Return": FaultStatements._return,
    "Goto": FaultStatements._goto,
    "Break": FaultStatements._break,
    "UnaryOp": FaultStatements._stepped,
}
