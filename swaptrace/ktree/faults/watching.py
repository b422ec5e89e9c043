"""Whether what differs in the C of two trees is executed, while something runs.

What differs and is never executed shows nothing, whatever it does. A condition that differs must
come out both ways; where one tree has nothing, what is beside it must be executed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from mmap import mmap
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.csource.nodes import text_of
from swaptrace.errors import listed, shorten
from swaptrace.ktree.changes import not_interpreted
from swaptrace.ktree.faults.compiled import Probe
from swaptrace.ktree.faults.differing import Body, Side, by_name
from swaptrace.ktree.faults.names import parts, preorder
from swaptrace.ktree.faults.passing import PassedCalls
from swaptrace.ktree.faults.places import labelled
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram
from swaptrace.mm.policy import Watch, unreached

PASSED_OVER: Final = "a fault comes more or less often to what is passed over"
"""What two trees may do otherwise although the model does the same."""

NOT_INTERPRETED: Final = "code that is not interpreted differs"
"""The same of what the model has in the place of C."""

STRUCTURE: Final = c_ast.Compound | c_ast.Label
"""What has statements and is none."""


class WantedNode(NamedTuple):
    """A node, and the numbers of its probes, one of which must be called; of a condition that
    differs `both` ways. Without probes it is ruled out by a constant. `leads` is that it is the
    same, but would have gone on to what differs, or would have looked at what that has set."""

    node: Any
    probes: Sequence[int]
    both: bool
    leads: bool = False


class Watched:
    """One function of a tree, and what of it must be executed."""

    def __init__(self, function: CallableFunction, side: Side, given: Collection[str]) -> None:
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
        gotos = [each for each in nodes if isinstance(each, c_ast.Goto)]
        behind = {name for each in [*self.wanted.values()] for name in self._before(each.node)}
        ways = [each for each in gotos if each.name in behind]
        found = [each for node in (*ways, *side.users(given)) for each in self._around(node, False)]
        for each in found:
            if each.probes:  # else no constant of the model lets it be executed
                self._want(each._replace(leads=True))

    def _before(self, node: Any) -> Iterator[str]:
        """The labels that stand before a node, in the blocks around it."""
        while node is not None:
            around = self.parents.get(id(node))
            if isinstance(around, c_ast.Compound):
                for item in around.block_items:
                    yield from (name for name, _ in labelled(item))
                    if item is node:
                        break
            node = around

    def _want(self, each: WantedNode) -> None:
        self.wanted.setdefault(id(each.node), each)  # what differs comes first

    def _changed(self, node: Any) -> Iterator[WantedNode]:
        """All of it that can be executed, and what it is a part of."""
        for each in preorder([node]):
            yield from self._itself(each, differs=True)
        yield from self._around(node, differs=True)

    def _around(self, node: Any, differs: bool) -> Iterator[WantedNode]:
        """The node, or else the nearest around it that can be executed; of one of two values that
        differs also that of which it is one."""
        around = node.stmt if isinstance(node, c_ast.Label) else node
        while around is not None and not is_passed_over(self.program, around):
            found = list(self._itself(around, differs))
            yield from found
            if found and not (differs and self._choice(around)):
                return
            around = self.parents.get(id(around))

    def _itself(self, node: Any, differs: bool) -> Iterator[WantedNode]:
        probes = self.program.probes.get(id(node))
        if probes is not None:
            yield WantedNode(node, probes, differs and self._is_tested(node))
        elif id(node) in self.items and id(node) not in self.program.statements:
            yield WantedNode(node, (), both=False)

    def _choice(self, node: Any) -> Any:
        """The `?:` of which it is one of the two values, if it is."""
        around = self.parents.get(id(node))
        is_value = isinstance(around, c_ast.TernaryOp) and node is not around.cond
        return around if is_value else None

    def _is_tested(self, node: Any) -> bool:
        """Whether it is a condition, or one of the two values of one."""
        probes = self.program.probes.get(id(node), ())
        if any(self.program.asked[number].is_condition for number in probes):
            return True
        choice = None if isinstance(node, c_ast.Constant) else self._choice(node)
        return choice is not None and self._is_tested(choice)

    def missing(self, called: Callable[[int, bool], bool]) -> Iterator[str]:
        """What has not been executed; `called` says whether a probe saw a value that is true or
        one that is not."""
        lines: dict[str, list[int]] = {}
        for node, probes, both, leads in self.wanted.values():
            seen = {value for number in probes for value in (True, False) if called(number, value)}
            why = "ruled out by a constant" if not probes else "not executed" if not seen else ""
            if why and leads:
                why = "not executed where what differs would matter"
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
        Watched(program.functions[name], side, given)
        for name, sides in found.items()
        for given in [{each for side in sides if side for each in side.given()}]
        for program, side in zip(programs, sides, strict=True)
        if side is not None
    ]
    alike = one.sources.version == other.sources.version
    left = list(not_interpreted(one, other)) if alike else []
    if not watched and not left:
        return list
    watching = Watching(watched, programs if alike else ())
    return lambda: watching.over() + [f"{NOT_INTERPRETED}: {listed(left)}"] * bool(left)


class Watching:
    """Notes what is executed, also in processes that are forked meanwhile."""

    def __init__(self, watched: Sequence[Watched], alike: Sequence[FaultProgram]) -> None:
        self.watched, self.alike = watched, alike
        most = max((len(each.program.asked) for each in watched), default=0)
        of_all = [*alike, *(each.program for each in watched)]
        self.programs = list({id(each): each for each in of_all}.values())
        self.seen = {id(program): mmap(-1, 2 * most or 1) for program in self.programs}
        names = sorted({name for each in alike for name in each.passed.values()})
        for program in self.programs:
            of_it = [each for each in watched if each.program is program]
            numbers = {n for each in of_it for want in each.wanted.values() for n in want.probes}
            seen = self.seen[id(program)]
            probes = {number: noting(seen, 2 * number) for number in numbers}
            if program in alike:
                program.passing = passing = PassedCalls(names)
                probes |= {n: passing.probe(name) for n, name in program.passed.items()}
            program.probe(probes)

    def over(self) -> list[str]:
        """What has not been executed, and which calls that are passed over do not come as often."""
        passing = [each.passing for each in self.alike if each.passing is not None]
        for program in self.programs:
            program.probe({})
            program.passing = None
        missing = unreached([said for each in self.watched for said in self._of(each)])
        if len(passing) == 2:
            names = [f"{name}()" for name in passing[0].otherwise(passing[1])]
            missing += [f"{PASSED_OVER}: {listed(names)}"] * bool(names)
        return missing

    def _of(self, each: Watched) -> Iterator[str]:
        seen = self.seen[id(each.program)]
        return each.missing(lambda number, value: bool(seen[2 * number + value]))


def noting(seen: mmap, at: int) -> Probe:
    """Notes at two places whether it was handed what is not true, and what is."""

    def probe(value: Any) -> Any:
        seen[at + bool(value)] = 1
        return value

    return probe
