"""Where two versions of a function differ, node by node of their C.

Any way to put the statements of two side by side is right, as long as all that has no counterpart
is said to differ; the better one leaves less.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

from pycparser import c_ast

from swaptrace.ktree.faults.names import Words, parts, preorder, renamed
from swaptrace.ktree.faults.purity import bare

LOOPS: Final = c_ast.While | c_ast.DoWhile

GIVING: Final = c_ast.Assignment | c_ast.Decl

NAMING: Final = c_ast.ID | c_ast.StructRef


class Body(NamedTuple):
    """A function as it is compared: its declaration and its statements; `passed_over` says of a
    statement that it does nothing in the model."""

    declaration: Any
    tree: Any
    passed_over: Callable[[Any], bool]

    @property
    def roots(self) -> tuple[Any, Any]:
        """Where all of it begins."""
        return self.declaration.type, self.tree


class Side:
    """One of two versions. `changed` is what only it has, `places` are nodes beside which the other
    has something."""

    def __init__(self, body: Body, words: Words) -> None:
        self.body, self.words = body, words
        self.changed: list[Any] = []
        self.places: list[Any] = []

    def types(self) -> dict[str, list[str]]:
        """The types of each variable, which is called as its uses are."""
        found: dict[str, list[str]] = {}
        for node in preorder(self.body.roots):
            if isinstance(node, c_ast.Decl):
                name = self.words.head(c_ast.ID(node.name))
                found.setdefault(name, []).append(self.words.of(node.type))
        return found

    def given(self) -> set[str]:
        """What is given another value, or is given one elsewhere: variables and fields."""
        changed = {id(each) for each in preorder(self.changed)}
        found = set()
        for node in preorder(self.body.roots):
            if isinstance(node, GIVING) and any(id(each) in changed for each in preorder([node])):
                found.add(self.words.of(receiver(node)))
        return found

    def users(self, names: Collection[str]) -> list[Any]:
        """The nodes that look at one of them."""
        nodes = list(preorder(self.body.roots))
        kept = {id(each.lvalue) for each in nodes if getattr(each, "op", "") == "="}
        looks = (each for each in nodes if isinstance(each, NAMING) and id(each) not in kept)
        return [each for each in looks if self.words.of(each) in names]

    def statements(self, node: Any) -> list[Any]:
        """Those of a block or a branch; a label is one of its own, before what it stands at."""
        items = node.block_items or () if isinstance(node, c_ast.Compound) else (node,)
        found: list[Any] = []
        for each in items:
            item = each
            while isinstance(item, c_ast.Label):
                found.append(item)
                item = item.stmt
            if item is not None and not self.body.passed_over(item):
                found.append(item)
        return found


def receiver(node: Any) -> Any:
    """What a declaration or an assignment gives a value."""
    return c_ast.ID(node.name) if isinstance(node, c_ast.Decl) else node.lvalue


BEGINNINGS: Final[Mapping[type, str]] = {
    c_ast.If: "cond",
    c_ast.While: "cond",
    c_ast.DoWhile: "cond",
    c_ast.Assignment: "lvalue",
}
"""What of a statement says what it is about."""


class NodeRange(NamedTuple):
    """Some of the nodes of a list, which stands in `within`."""

    side: Side
    nodes: Sequence[Any]
    start: int
    end: int
    within: Any

    def differ(self) -> None:
        """Note that the other version has none of them; or, if there are none, that it has some
        here."""
        if self.start < self.end:
            self.side.changed += self.nodes[self.start : self.end]
            return
        near = [*self.nodes[self.start : self.start + 1], *self.nodes[: self.start][-1:]]
        self.side.places.append(near[0] if near else self.within)

    def words(self, how: int) -> list[str]:
        """What they are compared by: all that they say, how they begin, or what they are."""
        return [KEYS[how](self.side, each) for each in self.nodes[self.start : self.end]]


def _whole(side: Side, node: Any) -> str:
    """All; of a label only its name, as what it stands at is a statement of its own."""
    return side.words.head(node) if isinstance(node, c_ast.Label) else side.words.of(node)


def _beginning(side: Side, node: Any) -> str:
    name = BEGINNINGS.get(type(node))
    if name is None:
        return side.words.head(node)
    return f"{type(node).__name__} {side.words.of(getattr(node, name))}"


def _kind(_side: Side, node: Any) -> str:
    return type(node).__name__


KEYS: Final = (_whole, _beginning, _kind)


def compared(old: Body, new: Body, retyped: Collection[str] = ()) -> tuple[Side, Side]:
    """Where two versions of a function differ; what `retyped` functions return has another type."""
    names = renamed(old.roots, new.roots)
    one, other = Side(old, Words(names)), Side(new, Words({}))
    for side in (one, other):
        side.changed += results(side.body, retyped)
    _branches(one, other, old.tree, new.tree, (old.tree, new.tree))
    _retyped(one, other)
    return one, other


def _retyped(one: Side, other: Side) -> None:
    """Wherever a variable is used that is another type in the other version, something differs."""
    before, after = one.types(), other.types()
    wrong = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    for side in (one, other):
        used = (node for node in preorder(side.body.roots) if isinstance(node, c_ast.ID))
        side.changed += [node for node in used if side.words.head(node) in wrong]


def results(body: Body, retyped: Collection[str]) -> list[Any]:
    """Where a function returns a value, if it is one of these, and where it calls one of them."""
    kinds = (c_ast.Return, c_ast.FuncCall) if body.declaration.name in retyped else c_ast.FuncCall
    found = (each for each in preorder(body.roots) if isinstance(each, kinds))
    return [
        each
        for each in found
        if isinstance(each, c_ast.Return) or getattr(each.name, "name", "") in retyped
    ]


def alone(body: Body) -> Side:
    """A function that the other tree does not have."""
    side = Side(body, Words({}))
    side.changed += side.statements(body.tree)
    return side


def _branches(one: Side, other: Side, old: Any, new: Any, within: tuple[Any, Any]) -> None:
    """Compare two blocks; None is one that is not there."""
    before, after = one.statements(old), other.statements(new)
    _align(
        NodeRange(one, before, 0, len(before), within[0]),
        NodeRange(other, after, 0, len(after), within[1]),
        _statements,
    )


Compare = Callable[[Side, Side, Any, Any], None]


def _align(old: NodeRange, new: NodeRange, compare: Compare, how: int = 0) -> None:
    """Put nodes side by side: first those that are the same, then those that begin alike, at last
    those of a kind."""
    if old.start == old.end and new.start == new.end:
        return
    if how == len(KEYS) or old.start == old.end or new.start == new.end:
        old.differ()
        new.differ()
        return
    matcher = SequenceMatcher(None, old.words(how), new.words(how), autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        before = old._replace(start=old.start + first, end=old.start + last)
        after = new._replace(start=new.start + start, end=new.start + end)
        if tag != "equal":
            _align(before, after, compare, how + 1)
        elif how:
            for each in range(last - first):
                pair = old.nodes[before.start + each], new.nodes[after.start + each]
                compare(old.side, new.side, *pair)


def _statements(one: Side, other: Side, old: Any, new: Any) -> None:
    """Compare two statements of a kind."""
    if isinstance(old, c_ast.If):
        _expressions(one, other, old.cond, new.cond)
        for branch in ("iftrue", "iffalse"):
            _branches(one, other, getattr(old, branch), getattr(new, branch), (old, new))
    elif isinstance(old, LOOPS):
        _expressions(one, other, old.cond, new.cond)
        _branches(one, other, old.stmt, new.stmt, (old, new))
    elif isinstance(old, c_ast.Compound):
        _branches(one, other, old, new, (old, new))
    else:
        _expressions(one, other, old, new)


def _expressions(one: Side, other: Side, old: Any, new: Any) -> None:
    """Compare two expressions, or statements that are made of them."""
    if one.words.of(old) == other.words.of(new):
        return
    before, after = bare(old), bare(new)
    names = [[name for name, _ in parts(each)] for each in (before, after)]
    if _joined(before) and _joined(before) == _joined(after):
        left, right = _operands(before, before.op), _operands(after, before.op)
        _align(
            NodeRange(one, left, 0, len(left), before),
            NodeRange(other, right, 0, len(right), after),
            _expressions,
        )
    elif one.words.head(before) == other.words.head(after) and names[0] == names[1]:
        for (_, part), (_, counterpart) in zip(parts(before), parts(after), strict=True):
            _expressions(one, other, part, counterpart)
    else:
        one.changed.append(old)
        other.changed.append(new)


def _joined(node: Any) -> str:
    """The operator of conditions that are joined; empty of all else."""
    is_joined = isinstance(node, c_ast.BinaryOp) and node.op in ("&&", "||")
    return str(node.op) if is_joined else ""


def _operands(node: Any, op: str) -> list[Any]:
    """The conditions that are joined by one operator."""
    if _joined(bare(node)) != op:
        return [node]
    inner = bare(node)
    return [*_operands(inner.left, op), *_operands(inner.right, op)]


def by_name(
    old: dict[str, Body], new: dict[str, Body], same: Collection[str]
) -> dict[str, tuple[Side | None, Side | None]]:
    """Where the functions of two trees differ, but for the `same` ones."""
    found: dict[str, tuple[Side | None, Side | None]] = {}
    kinds = [
        {n: Words({}).of(each.declaration.type.type) for n, each in of.items()} for of in (old, new)
    ]
    retyped = {name for name, kind in kinds[0].items() if kinds[1].get(name, kind) != kind}
    for name in dict.fromkeys([*old, *new]):
        if name in same and not results(old[name], retyped):
            continue
        if name in old and name in new:
            found[name] = compared(old[name], new[name], retyped)
        elif name in old:
            found[name] = alone(old[name]), None
        else:
            found[name] = None, alone(new[name])
    return found
