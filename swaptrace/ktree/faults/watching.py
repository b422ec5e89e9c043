"""Whether what differs in the C of two trees is executed, while something runs.

What differs and is never executed shows nothing, whatever it does. A condition that differs must
come out both ways; where one tree has nothing, what is beside it must be executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from mmap import mmap
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.nodes import text_of
from swaptrace.errors import listed, shorten
from swaptrace.ktree.faults.compiled import Probe
from swaptrace.ktree.faults.differing import Body, Side, by_name
from swaptrace.ktree.faults.names import parts, preorder
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram
from swaptrace.mm.policy import Watch

STRUCTURE: Final = c_ast.Compound | c_ast.Label
"""What has statements and is none."""


class WantedNode(NamedTuple):
    """A node, and the numbers of its probes, one of which must be called; of a condition that
    differs `both` ways. Without probes it is ruled out by a constant."""

    node: Any
    probes: Sequence[int]
    both: bool


class Watched:
    """One function of a tree, and what of it must be executed."""

    def __init__(self, function: CallableFunction, side: Side) -> None:
        self.definition, self.program = function.definition, function.program
        nodes = list(preorder([self.definition.tree]))
        self.parents = {id(each): node for node in nodes for _, each in parts(node)}
        self.items = {id(each) for node in nodes for each in _items(node)}
        self.wanted: dict[int, WantedNode] = {}
        for node in side.changed:
            for each in self._changed(node):
                self._want(each)
        for node in side.places:
            for each in self._around(node, differs=False):
                self._want(each)

    def _want(self, each: WantedNode) -> None:
        known = self.wanted.get(id(each.node), each)
        self.wanted[id(each.node)] = each._replace(both=each.both or known.both)

    def _changed(self, node: Any) -> Iterator[WantedNode]:
        """All of it that can be executed, and what it is a part of."""
        for each in preorder([node]):
            yield from self._itself(each, differs=True)
        yield from self._around(node, differs=True)

    def _around(self, node: Any, differs: bool) -> Iterator[WantedNode]:
        """The node, or else the nearest around it that can be executed."""
        around = node.stmt if isinstance(node, c_ast.Label) else node
        while around is not None and not is_passed_over(self.program, around):
            found = list(self._itself(around, differs))
            if found:
                yield from found
                return
            around = self.parents.get(id(around))

    def _itself(self, node: Any, differs: bool) -> Iterator[WantedNode]:
        probes = self.program.probes.get(id(node))
        if probes is not None:
            yield WantedNode(node, probes, differs and self.program.asked[probes[0]].is_condition)
        elif id(node) in self.items and id(node) not in self.program.statements:
            yield WantedNode(node, (), both=False)

    def missing(self, called: Callable[[int, bool], bool]) -> Iterator[str]:
        """What has not been executed; `called` says whether a probe saw a value that is true or
        one that is not."""
        lines: dict[str, list[int]] = {}
        for node, probes, both in self.wanted.values():
            seen = {value for number in probes for value in (True, False) if called(number, value)}
            why = "ruled out by a constant" if not probes else "not executed" if not seen else ""
            if both and len(seen) == 1:
                words = shorten(text_of(node))
                why = f"{words} never {'false' if True in seen else 'true'}"
            if why:
                lines.setdefault(why, []).append(node.coord.line)
        file, name = self.definition.source.file, self.definition.name
        for why, numbers in lines.items():
            yield f"{file}:{listed([*map(str, sorted(set(numbers)))])}: {name}(): {why}"


def is_passed_over(program: FaultProgram, node: Any) -> bool:
    """Whether a statement is a call that does nothing in the model."""
    known = isinstance(node, c_ast.FuncCall) and id(node) in program.statements
    return known and id(node) not in program.probes


def _items(node: Any) -> list[Any]:
    """The statements that a node is made of."""
    found: list[Any] = []
    if isinstance(node, c_ast.Compound):
        found += node.block_items or ()
    elif isinstance(node, c_ast.If):
        found += node.iftrue, node.iffalse
    elif isinstance(node, c_ast.While | c_ast.DoWhile | c_ast.Label):
        found.append(node.stmt)
    return [each for each in found if not isinstance(each, STRUCTURE)]


def _bodies(program: FaultProgram) -> dict[str, Body]:
    passed_over = partial(is_passed_over, program)
    definitions = (each.definition for each in program.functions.values())
    return {each.name: Body(each.declaration, each.tree, passed_over) for each in definitions}


def watch(one: FaultProgram, other: FaultProgram) -> Watch:
    """Begin to note what is executed of that in which the functions of two trees differ."""
    programs = one, other
    words = [{n: each.definition.words for n, each in p.functions.items()} for p in programs]
    same = [name for name in words[0] if words[0][name] == words[1].get(name)]
    found = by_name(_bodies(one), _bodies(other), same)
    watched = [
        Watched(program.functions[name], side)
        for name, sides in found.items()
        for program, side in zip(programs, sides, strict=True)
        if side is not None
    ]
    return Watching(watched).over if watched else list


class Watching:
    """Notes what is executed, also in processes that are forked meanwhile."""

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.watched = watched
        most = max((len(each.program.asked) for each in watched), default=0)
        self.programs = list({id(each.program): each.program for each in watched}.values())
        self.seen = {id(program): mmap(-1, 2 * most or 1) for program in self.programs}
        for program in self.programs:
            of_it = [each for each in watched if each.program is program]
            numbers = {n for each in of_it for want in each.wanted.values() for n in want.probes}
            seen = self.seen[id(program)]
            program.probe({number: noting(seen, 2 * number) for number in numbers})

    def over(self) -> list[str]:
        """What has not been executed."""
        for program in self.programs:
            program.probe({})
        return [said for each in self.watched for said in self._of(each)]

    def _of(self, each: Watched) -> Iterator[str]:
        seen = self.seen[id(each.program)]
        return each.missing(lambda number, value: bool(seen[2 * number + value]))


def noting(seen: mmap, at: int) -> Probe:
    """Notes at two places whether it was handed what is not true, and what is."""

    def probe(value: Any) -> Any:
        seen[at + bool(value)] = 1
        return value

    return probe
