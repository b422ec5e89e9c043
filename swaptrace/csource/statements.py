"""Statements of C as steps over a frame, each checked when it is read.

Control flow goes forward only: an `if`, a return, a goto to a label further on. So every run
ends, and what is known of a variable at a statement can be told by reading once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.expressions import MAX_NESTING, Run, perhaps
from swaptrace.csource.frame import Cited, Evaluation
from swaptrace.csource.functions import PUBLISHING
from swaptrace.csource.ignored import HOOK, is_ignored
from swaptrace.csource.kinds import TRUTHS
from swaptrace.csource.nodes import text_of
from swaptrace.csource.scope import KnownVariables, joined
from swaptrace.csource.variables import Variables
from swaptrace.errors import quote


class Leave(NamedTuple):
    """What ends a sequence of statements early: a label to go on from, or else an answer."""

    label: str | None
    answer: bool | None = None


Step = Callable[[Evaluation], Leave | None]

REUSED: Final = Leave(None, True)
COPIED: Final = Leave(None, False)
UNDECIDED: Final = Leave(None)

OUTCOMES: Final[Mapping[str, Leave]] = {"reuse": REUSED, "copy": COPIED}
"""Where do_wp_page() goes on when it has decided about an anonymous page, before 6.7."""

DECIDING: Final[Mapping[str, Leave]] = {"wp_page_reuse": REUSED, "wp_page_copy": COPIED}
"""The functions that it then calls."""

NOT_UNDERSTOOD: Final[Mapping[str, str]] = {
    "While": "a loop is not understood: a decision about one page needs none",
    "DoWhile": "a loop is not understood: a decision about one page needs none",
    "For": "a loop is not understood: a decision about one page needs none",
    "Switch": "switch is not understood: use if and else",
    "Case": "case is not understood: there is no switch",
    "Default": "default is not understood: there is no switch",
    "Break": "break is not understood: there is no loop",
    "Continue": "continue is not understood: there is no loop",
    "FuncDef": "a function within a function is not understood",
    "Typedef": "a typedef is not understood",
}


class Labels:
    """The labels of one block: the item that each stands before, and what is known there."""

    def __init__(self, items: list[Any]) -> None:
        self.at: dict[str, int] = {}
        self.jumps: dict[str, list[KnownVariables]] = {}
        self.reading = 0
        for number, item in enumerate(items):
            while isinstance(item, c_ast.Label):
                self.at.setdefault(item.name, number)
                item = item.stmt


class Statements(Variables):
    """Reads the statements of one decision."""

    outcomes: Mapping[str, Leave]
    """Labels that stand for an answer."""
    returns: bool
    """Whether a return gives the answer; if not, there must be none."""
    _labels: list[Labels]

    def read(self, body: Any, outcomes: Mapping[str, Leave], returns: bool) -> Step:
        """The outermost block."""
        self.outcomes, self.returns, self._labels = outcomes, returns, []
        return self._block(list(body.block_items or ()))

    def _block(self, items: list[Any]) -> Step:
        """Statements one after another; what follows an outcome, or set_pte(), decides nothing."""
        labels = Labels(items)
        self._labels.append(labels)
        steps: list[Step] = []
        starts: dict[str, int] = {}
        for labels.reading, item in enumerate(items):
            while isinstance(item, c_ast.Label) and item.name not in self.outcomes:
                self._arrive(item, labels, starts)
                starts[item.name] = len(steps)
                item = item.stmt
            step = self._statement(item)
            if step is not None:
                steps.append(step)
            if self._decided(item):
                self.known = KnownVariables(self.known.kinds, reached=False)
                break
        self._labels.pop()
        return _sequence(steps, starts)

    def _arrive(self, node: Any, labels: Labels, starts: Mapping[str, int]) -> None:
        if node.name in starts:
            raise self.error(node, f"the label {quote(node.name)} is there twice")
        self.known = joined([self.known, *labels.jumps.get(node.name, ())])

    def _decided(self, node: Any) -> bool:
        """Whether nothing behind the statement matters, wherever it comes from."""
        if isinstance(node, c_ast.Label):
            return True
        called = isinstance(node, c_ast.FuncCall) and isinstance(node.name, c_ast.ID)
        return called and node.name.name in PUBLISHING and len(self._labels) == 1

    def _statement(self, node: Any) -> Step | None:
        """One statement; None if it does nothing."""
        kind = type(node).__name__
        if kind in NOT_UNDERSTOOD:
            raise self.error(node, NOT_UNDERSTOOD[kind])
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.error(node, "nested too deeply")
        step = _READERS.get(kind, Statements._expression)(self, node)
        self.depth -= 1
        return step

    def _expression(self, node: Any) -> Step:
        return self._cited(node, self.value(node).run)

    def _cited(self, node: Any, run: Run) -> Step:
        """A step that goes on to the next."""
        cited = self._cite(node, text_of(node) + ";")

        def step(frame: Evaluation) -> None:
            if frame.trace is not None:
                frame.trace.append(cited)
            run(frame)

        return step

    def _leaving(self, node: Any, leave: Leave) -> Step:
        """A step that goes elsewhere."""
        self.known = KnownVariables(self.known.kinds, reached=False)
        cited = self._cite(node, text_of(node).removesuffix(";") + ";")

        def step(frame: Evaluation) -> Leave:
            if frame.trace is not None:
                frame.trace.append(cited)
            return leave

        return step

    def _cite(self, node: Any, text: str, taken: bool | None = None) -> Cited:
        cited = Cited(self.source.file, node.coord.line, " ".join(text.split()), taken)
        self.lines.append(cited)
        return cited

    def _empty(self, _node: Any) -> None:
        return None

    def _compound(self, node: Any) -> Step:
        return self._inner(list(node.block_items or ()))

    def _inner(self, items: list[Any]) -> Step:
        self.scopes.enter()
        step = self._block(items)
        self.scopes.leave()
        return step

    def _branch(self, node: Any | None) -> Step:
        if node is None:
            return _sequence([], {})
        return self._compound(node) if isinstance(node, c_ast.Compound) else self._inner([node])

    def _if(self, node: Any) -> Step:
        condition, text = self.truth(node.cond), f"if ({text_of(node.cond)})"
        yes, no = self._cite(node, text, True), self._cite(node, text, False)
        before = self.known.copy()
        then, after_then = self._branch(node.iftrue), self.known
        self.known = before
        otherwise = self._branch(node.iffalse)
        self.known = joined([after_then, self.known])

        def step(frame: Evaluation) -> Leave | None:
            held = condition(frame)
            if frame.trace is not None:
                frame.trace.append(yes if held else no)
            return then(frame) if held else otherwise(frame)

        return step

    def _declaration(self, node: Any) -> Step | None:
        run = self.declare(node)
        return None if run is None else self._cited(node, run)

    def _assigned(self, node: Any) -> Step:
        return self._cited(node, self.assign(node))

    def _called(self, node: Any) -> Step | None:
        name = self.called(node)
        if self.outcomes and name in DECIDING:
            return self._leaving(node, DECIDING[name])
        if is_ignored(name):
            if node.args is not None:
                self.changes_nothing(node.args)
            self._doubt(node, name)
            return None
        return self._expression(node)

    def _doubt(self, node: Any, name: str) -> None:
        """Note a call that is passed over and yet could change what is decided."""
        place = f"{self.source.file}:{node.coord.line}: {name}()"
        handed = next(self.handed_over(node.args), None) if node.args is not None else None
        if handed is not None:
            self.doubts.append(f"{place} is passed over, but could change {handed}")
        elif name.startswith(HOOK):
            self.doubts.append(f"{place} is a hook for vendors: what it does is not known")

    def _return(self, node: Any) -> Step:
        if self.returns:
            return self._answer(node)
        if not self.outcomes:
            raise self.error(node, "a return leaves the statements that set up the PTE")
        call = node.expr
        if isinstance(call, c_ast.FuncCall) and self.called(call) in DECIDING:
            return self._leaving(node, DECIDING[self.called(call)])
        return self._leaving(node, UNDECIDED)

    def _answer(self, node: Any) -> Step:
        if node.expr is None:
            raise self.error(node, "the function must return true or false")
        value = self.value(node.expr)
        if value.kind not in TRUTHS:
            raise self.error(node.expr, f"{value.kind.value} is neither true nor false")
        run, cited = value.run, self._cite(node, text_of(node))
        self.known = KnownVariables(self.known.kinds, reached=False)

        def step(frame: Evaluation) -> Leave:
            if frame.trace is not None:
                frame.trace.append(cited)
            return REUSED if run(frame) else COPIED

        return step

    def _goto(self, node: Any) -> Step:
        if node.name in self.outcomes:
            return self._leaving(node, self.outcomes[node.name])
        for labels in reversed(self._labels):
            if node.name in labels.at:
                if labels.at[node.name] <= labels.reading:
                    raise self.error(node, f"goto {node.name} goes back: a loop is not understood")
                labels.jumps.setdefault(node.name, []).append(self.known.copy())
                return self._leaving(node, Leave(node.name))
        there = {name for labels in self._labels for name in labels.at} | set(self.outcomes)
        near = perhaps(node.name, there)
        raise self.error(node, f"goto {quote(node.name)} leaves the statements that decide{near}")

    def _outcome(self, node: Any) -> Step:
        return self._leaving(c_ast.Goto(node.name, node.coord), self.outcomes[node.name])


def _sequence(steps: list[Step], starts: Mapping[str, int]) -> Step:
    """The steps in order, until one leaves; a goto to one of `starts` goes on from there."""
    if len(steps) == 1 and not starts:
        return steps[0]
    if not starts:
        return lambda frame: _run(frame, steps)

    def run(frame: Evaluation) -> Leave | None:
        at = 0
        while True:
            leave = _run(frame, steps[at:])
            if leave is None or leave.label is None or leave.label not in starts:
                return leave
            at = starts[leave.label]

    return run


def _run(frame: Evaluation, steps: list[Step]) -> Leave | None:
    for step in steps:
        leave = step(frame)
        if leave is not None:
            return leave
    return None


_READERS: Final[Mapping[str, Callable[[Statements, Any], Step | None]]] = {
    "EmptyStatement": Statements._empty,
    "Compound": Statements._compound,
    "If": Statements._if,
    "Decl": Statements._declaration,
    "Assignment": Statements._assigned,
    "FuncCall": Statements._called,
    "Return": Statements._return,
    "Goto": Statements._goto,
    "Label": Statements._outcome,
}
