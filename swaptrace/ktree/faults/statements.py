"""Statements of C as steps over a fault, in order, with gotos to the labels of enclosing blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.arithmetic import LONG
from swaptrace.csource.frame import Cited
from swaptrace.csource.ignored import HOOK
from swaptrace.csource.nodes import text_of
from swaptrace.csource.scope import fit, width_of
from swaptrace.errors import PolicyError, quote
from swaptrace.ktree.faults.computation import Computation, Env, LocalVariable, Run
from swaptrace.ktree.faults.expressions import FaultExpressions
from swaptrace.ktree.faults.fault import MAX_WORK, Fault
from swaptrace.ktree.faults.fields import store
from swaptrace.ktree.faults.inert import EVENTS, is_inert
from swaptrace.ktree.faults.purity import handed_over
from swaptrace.ktree.faults.values import Flags, Opaque, Reference, SwapEntry, Symbolic, named


class EarlyReturn(NamedTuple):
    """What ends a sequence of statements early: a label to go on from, or else a return."""

    label: str | None
    value: Any = None


BREAK: Final = EarlyReturn("break")
"""The way out of a loop, which no label is called like."""

Step = Callable[[Fault, Env], EarlyReturn | None]


class FaultStatements(FaultExpressions):
    """Reads the statements of one function. What is wrong is noted, and reading goes on, so that
    all errors of a tree are told at once."""

    labels: list[frozenset[str]]
    left = False
    """Whether a statement before this one in its block, of which a constant says that it is always
    executed, leaves the block."""

    def read(self, body: Any) -> Step:
        """The outermost block."""
        self.labels = []
        return self._block(list(body.block_items or ()))

    def _block(self, items: list[Any]) -> Step:
        self.labels.append(frozenset(label for item in items for label, _ in _labelled(item)))
        self.scopes.append({})
        steps: list[Step] = []
        starts: dict[str, int] = {}
        for item in items:
            labels = _labelled(item)
            self.left = self.left and not labels
            if self.left:  # a constant rules out what follows
                self.ruled_out(item)
            starts |= dict.fromkeys((label for label, _ in labels), len(steps))
            step = self._statement(labels[-1][1] if labels else item)
            if step is not None:
                steps.append(step)
        self.left = False
        self.scopes.pop()
        self.labels.pop()
        return _sequence(steps, starts)

    def _statement(self, node: Any) -> Step | None:
        """One statement; None if it does nothing, or if it is not understood."""
        reader = _READERS.get(type(node).__name__)
        try:
            if reader is None:
                raise self.error(node, f"{type(node).__name__} is not understood as a statement")
            return reader(self, node)
        except PolicyError as error:
            self.program.note_error(error)
            return None

    def cite(self, node: Any, text: str, taken: bool | None = None) -> Cited:
        """The line of a statement."""
        words = " ".join(text.split())
        return Cited(self.definition.source.file, node.coord.line, words, taken)

    def _cited(self, node: Any, run: Run) -> Step:
        """A step that goes on to the next."""
        cited = self.cite(node, text_of(node) + ";")

        def step(fault: Fault, env: Env) -> None:
            if fault.trace is not None:
                fault.trace.append(cited)
            run(fault, env)

        return step

    def _leaving(self, node: Any, leave: Callable[[Fault, Env], EarlyReturn]) -> Step:
        """A step that goes elsewhere. Only these can make a loop."""
        cited = self.cite(node, text_of(node).removesuffix(";") + ";")

        def step(fault: Fault, env: Env) -> EarlyReturn:
            if fault.trace is not None:
                fault.trace.append(cited)
            fault.work += 1
            if fault.work > MAX_WORK:
                raise self.error(node, "this goes round for ever")
            return leave(fault, env)

        return step

    def _empty(self, _node: Any) -> None:
        return None

    def _compound(self, node: Any) -> Step:
        return self._block(list(node.block_items or ()))

    def _branch(self, node: Any | None) -> Step:
        if node is None:
            return _nothing
        items = list(node.block_items or ()) if isinstance(node, c_ast.Compound) else [node]
        return self._block(items)

    def _if(self, node: Any) -> Step:
        condition = self.truth(node.cond)
        if condition.constant is not None:
            self.ruled_out(node.iffalse if condition.constant else node.iftrue)
            taken = node.iftrue if condition.constant else node.iffalse
            always = self._branch(taken)
            self.left = _leaves(taken)
            return always
        text = f"if ({text_of(node.cond)})"
        yes, no = self.cite(node, text, True), self.cite(node, text, False)
        then, holds = self._branch(node.iftrue), condition.run
        otherwise = None if node.iffalse is None else self._branch(node.iffalse)

        def step(fault: Fault, env: Env) -> EarlyReturn | None:
            held = holds(fault, env)
            if fault.trace is not None:
                fault.trace.append(yes if held else no)
            if held:
                return then(fault, env)
            return None if otherwise is None else otherwise(fault, env)

        return step

    def _declaration(self, node: Any) -> Step | None:
        if node.name is None or "static" in node.storage or "extern" in node.storage:
            raise self.error(node, "only local variables can be declared here")
        if isinstance(node.type, c_ast.FuncDecl | c_ast.ArrayDecl):
            raise self.error(node, f"a variable such as {quote(node.name)} is not understood")
        value = None if node.init is None else self.value(node.init)
        variable = self.declare(node)
        if value is None:
            return None
        if "const" in node.quals and value.constant is not None:
            kept = fit(value.constant, variable.width or LONG)
            self.scopes[-1][node.name] = variable._replace(constant=kept)
        return self._cited(node, self._storing(node, variable, value.run))

    def declare(self, node: Any) -> LocalVariable:
        """A variable of the innermost block, or a parameter."""
        self.declared += 1
        variable = LocalVariable(f"{node.name}#{self.declared}", width_of(node))
        self.scopes[-1][node.name] = variable
        return variable

    def _storing(self, node: Any, variable: LocalVariable, run: Run) -> Run:
        key, fits = variable.key, self.fitting(node, variable.width)

        def keep(fault: Fault, env: Env) -> None:
            value = run(fault, env)
            env[key] = value if fits is None else fits(value)

        return keep

    def fitting(self, node: Any, width: tuple[int, bool] | None) -> Callable[[Any], Any] | None:
        """What a variable of that width makes of a value; None if it keeps any as it is."""
        if width is None:
            return None
        bits, fail = width[0], self._failing(node)

        def fits(value: Any) -> Any:
            if type(value) is int:
                return fit(value, width)
            if bits == 64 and isinstance(value, Opaque | Symbolic):  # an address
                return value
            if isinstance(value, Flags) and bits >= value.bits:
                return value
            if not isinstance(value, int):
                if bits != 1 or not hasattr(value, "kind"):
                    raise fail(f"{named(value)} where an integer is kept")
                value = 1  # a pointer as a bool
            return fit(value, width)

        return fits

    def _address(self, node: Any) -> Computation:
        """That of a local variable, or of something in the model."""
        inner = node.expr
        variable = self.find(inner.name) if isinstance(inner, c_ast.ID) else None
        if variable is None:
            return super()._address(node)
        fits, read = self.fitting(node, variable.width), self._variable(inner, variable).run

        def refer(fault: Fault, env: Env) -> Reference:
            def keep(value: Any) -> None:
                env[variable.key] = value if fits is None else fits(value)

            return Reference(lambda: read(fault, env), keep)

        return Computation(refer)

    def _assigned(self, node: Any) -> Step:
        value = node.rvalue
        if isinstance(value, c_ast.Assignment):  # a = b = c
            outer = c_ast.Assignment(node.op, node.lvalue, value.lvalue, node.coord)
            return _sequence([self._assigned(value), self._assigned(outer)], {})
        if node.op != "=":
            value = c_ast.BinaryOp(node.op[:-1], node.lvalue, node.rvalue, node.coord)
        run = self.value(value).run
        if isinstance(node.lvalue, c_ast.StructRef):
            return self._cited(node, self._storing_field(node, run))
        if isinstance(node.lvalue, c_ast.UnaryOp) and node.lvalue.op == "*":
            return self._cited(node, self._storing_at(node, run))
        variable = self.find(node.lvalue.name) if isinstance(node.lvalue, c_ast.ID) else None
        if variable is None:
            raise self.error(node.lvalue, "only a local variable or a field can be assigned to")
        return self._cited(node, self._storing(node, variable, run))

    def _storing_field(self, node: Any, run: Run) -> Run:
        struct, field = self.value(node.lvalue.name).run, node.lvalue.field.name
        inner = node.lvalue.name
        variable = self.find(inner.name) if isinstance(inner, c_ast.ID) else None

        def keep(fault: Fault, env: Env) -> None:
            if variable is not None and isinstance(env.get(variable.key), SwapEntry):
                env[variable.key] = self._entry(node, fault, field, run(fault, env))
            elif not store(fault, struct(fault, env), field, run(fault, env)):
                raise self.error(node.lvalue, f"the field {quote(field)} cannot be set")

        return keep

    def _entry(self, node: Any, fault: Fault, field: str, value: Any) -> SwapEntry:
        """A swap entry whose slot is set."""
        if field != "val" or not fault.numbers_slots or not isinstance(value, int):
            raise self.error(node.lvalue, f"the field {quote(field)} cannot be set")
        return SwapEntry(value)

    def _storing_at(self, node: Any, run: Run) -> Run:
        pointer = self.value(node.lvalue.expr).run

        def keep(fault: Fault, env: Env) -> None:
            where, value = pointer(fault, env), run(fault, env)
            if isinstance(where, Reference):
                where.keep(value)
            elif not fault.store_at(where, value):
                raise self.error(node.lvalue, "nothing can be set through this pointer")

        return keep

    def _while(self, node: Any) -> Step:
        """`while`, and `do` with `while` behind; no continue is understood."""
        condition, fails = self.truth(node.cond), self._failing(node)
        first = isinstance(node, c_ast.DoWhile)
        body = self._branch(node.stmt)

        def step(fault: Fault, env: Env) -> EarlyReturn | None:
            again = first or condition.run(fault, env)
            while again:
                fault.work += 1
                if fault.work > MAX_WORK:
                    raise fails("this goes round for ever")
                leave = body(fault, env)
                if leave is not None:
                    return None if leave is BREAK else leave
                again = condition.run(fault, env)
            return None

        return step

    def _break(self, node: Any) -> Step:
        return self._leaving(node, lambda _fault, _env: BREAK)

    def _stepped(self, node: Any) -> Step:
        """`x++` and the like, whose value nobody asks for."""
        op = node.op.removeprefix("p")
        if op not in ("++", "--"):
            raise self.error(node, f"{op} is not understood as a statement")
        one = c_ast.Constant("int", "1", node.coord)
        return self._assigned(c_ast.Assignment(f"{op[0]}=", node.expr, one, node.coord))

    def _called(self, node: Any) -> Step | None:
        name = self.called(node)
        passed_over = is_inert(name) or name in EVENTS or name.startswith(HOOK)
        if name in self.program.known or not passed_over:
            return self._cited(node, self.value(node).run)
        self._doubt(node, name)
        if name in EVENTS:
            return self._cited(node, self.value(node).run)
        self.pure(node.args)
        return None

    def _doubt(self, node: Any, name: str) -> None:
        """Note a call that is passed over and yet could change the page."""
        handed = handed_over(node.args, lambda name: self.find(name) is not None)
        place = f"{self.definition.source.file}:{node.coord.line}: {name}()"
        if name.startswith(HOOK):
            self.program.doubts.append(f"{place} is a hook for vendors: what it does is not known")
        elif handed is not None:
            self.program.doubts.append(f"{place} is passed over, but could change {handed}")

    def _return(self, node: Any) -> Step:
        if node.expr is None:
            return self._leaving(node, lambda _fault, _env: EarlyReturn(None))
        run, fits = self.value(node.expr).run, self.fitting(node, self.definition.width)
        if fits is None:
            return self._leaving(node, lambda fault, env: EarlyReturn(None, run(fault, env)))
        return self._leaving(node, lambda fault, env: EarlyReturn(None, fits(run(fault, env))))

    def _goto(self, node: Any) -> Step:
        if not any(node.name in labels for labels in self.labels):
            raise self.error(node, f"goto {quote(node.name)} goes into a block, or nowhere")
        leave = EarlyReturn(node.name)
        return self._leaving(node, lambda _fault, _env: leave)


def _labelled(item: Any) -> list[tuple[str, Any]]:
    """The labels of a statement, each with what follows it; none if it has none."""
    found = []
    while isinstance(item, c_ast.Label):
        found.append((item.name, item.stmt))
        item = item.stmt
    return found


def _leaves(node: Any) -> bool:
    """Whether a statement leaves its block, if it is executed."""
    if isinstance(node, c_ast.Compound) and node.block_items:
        return _leaves(node.block_items[-1])
    return isinstance(node, c_ast.Return | c_ast.Goto | c_ast.Break)


def _nothing(_fault: Fault, _env: Env) -> None:
    return None


def _sequence(steps: list[Step], starts: Mapping[str, int]) -> Step:
    """The steps in order, until one leaves; a goto to one of `starts` goes on from there."""
    end = len(steps)

    def run(fault: Fault, env: Env) -> EarlyReturn | None:
        at = 0
        while at < end:
            leave = steps[at](fault, env)
            at += 1
            if leave is not None:
                if leave.label is None or leave.label not in starts:
                    return leave
                at = starts[leave.label]
        return None

    return steps[0] if len(steps) == 1 and not starts else run


_READERS: Final[Mapping[str, Callable[[FaultStatements, Any], Step | None]]] = {
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
