"""The states that pages went through and what led from one to another, laid out in layers.

A layer's states are those that come one step after the last; the first is on top. Arrows that lead
down to the next layer are straight, all others are curves beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from textwrap import wrap
from typing import Final, NamedTuple

from swaptrace.report.html.colors import CLASSES
from swaptrace.result.explanation import Transition
from swaptrace.result.history import StateKind

Views = tuple[str, ...]
"""A state of a page: what each process sees, in words."""

LEGIBLE: Final = 30
"""States of a picture that one can still read."""

BOX: Final = 230
LINE: Final = 15
GAP_X: Final = 70
GAP_Y: Final = 46
MARGIN: Final = 40
LOOP: Final = 16
"""How far above a state the arrow reaches that leads to itself."""

CHARACTERS: Final = 33
"""Of a line within a box."""


class Stripe(NamedTuple):
    """The colour at the left of a view's lines."""

    y: int
    height: int
    color: str


class Box(NamedTuple):
    """A state: its upper left corner, its lines of text and a stripe for each process."""

    x: int
    y: int
    height: int
    lines: tuple[str, ...]
    stripes: tuple[Stripe, ...]


class Arrow(NamedTuple):
    """What leads from one state to another: a path, and the numbers of its transitions.

    `violates` is that one breaks a promise, `everywhere` that one is taken under every policy.
    """

    d: str
    x: float
    y: float
    numbers: tuple[int, ...] = ()
    violates: bool = False
    everywhere: bool = True

    @property
    def label(self) -> str:
        """The numbers, as they stand on the arrow."""
        return ",".join(map(str, self.numbers))


class Picture(NamedTuple):
    """The whole graph."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


Edges = Mapping[tuple[Views, Views], Sequence[int]]


def picture(
    transitions: Sequence[Transition],
    states: Mapping[str, tuple[str, StateKind]],
    everywhere: Container[int],
) -> Picture | None:
    """The graph of these transitions, numbered from 1; None where it has nothing or too much.

    `states` has the letter and the kind of a view by its words; `everywhere` are the transitions
    that all policies take.
    """
    edges: dict[tuple[Views, Views], list[int]] = {}
    for number, each in enumerate(transitions, 1):
        edges.setdefault((each.before, each.after), []).append(number)
    nodes = list(dict.fromkeys(node for edge in edges for node in edge))
    if not nodes or len(nodes) > LEGIBLE:
        return None
    layers = _layers(nodes, edges)
    drawn = {node: _box(node, states) for node in nodes}
    width = MARGIN * 2 + max(len(layer) for layer in layers) * (BOX + GAP_X) + GAP_X
    placed: dict[Views, Box] = {}
    y = 10 + LOOP
    for layer in layers:
        x = (width - len(layer) * (BOX + GAP_X) + GAP_X) // 2
        for index, node in enumerate(layer):
            placed[node] = drawn[node]._replace(x=x + index * (BOX + GAP_X), y=y)
        y += max(drawn[node].height for node in layer) + GAP_Y
    arrows = tuple(
        _arrow(placed[before], placed[after], placed.values())._replace(
            numbers=tuple(numbers),
            violates=any(transitions[number - 1].violations for number in numbers),
            everywhere=any(number in everywhere for number in numbers),
        )
        for (before, after), numbers in edges.items()
    )
    return Picture(width, y - GAP_Y + 12, tuple(placed.values()), arrows)


def _layers(nodes: Sequence[Views], edges: Edges) -> list[list[Views]]:
    """By the longest way that leads only to states which were met later."""
    order = {node: number for number, node in enumerate(nodes)}
    depth = dict.fromkeys(nodes, 0)
    for node in nodes:
        for before, after in edges:
            if after == node and order[before] < order[node]:
                depth[node] = max(depth[node], depth[before] + 1)
    layers: list[list[Views]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    return layers


def _box(views: Views, states: Mapping[str, tuple[str, StateKind]]) -> Box:
    """A state: the letter and the kind of what each process sees."""
    lines: list[str] = []
    stripes = []
    for view in views:
        process, _, rest = view.partition(": ")
        alone = view in states
        letter, kind = states[view if alone else rest]
        begin = len(lines)
        lines += wrap(f"{letter}  {kind}" if alone else f"{letter}  {process}: {kind}", CHARACTERS)
        height = (len(lines) - begin) * LINE
        stripes.append(Stripe(4 + begin * LINE, height, CLASSES[kind]))
    return Box(0, 0, len(lines) * LINE + 10, tuple(lines), tuple(stripes))


def _arrow(before: Box, after: Box, boxes: Collection[Box]) -> Arrow:
    """Down to the next layer, across within one, to itself, or on a side around what is there."""
    if before == after:
        x, y = before.x + BOX, before.y
        return Arrow(f"M{x - 16} {y}c0 -22 36 -14 18 5", x + 12, y - LOOP + 4)
    if before.y == after.y:
        return _across(before, after)
    x1, y1 = before.x + BOX / 2, float(before.y + before.height)
    x2, y2 = after.x + BOX / 2, float(after.y)
    if 0 < y2 - y1 <= GAP_Y * 2:
        middle = (y1 + y2) / 2
        d = f"M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2 - 2:g}"
        if x1 == x2:
            d = f"M{x1:g} {y1:g}V{y2 - 2:g}"
        # In the middle is where arrows cross each other.
        return Arrow(d, x1 + (x2 - x1) * 0.352, y1 + (y2 - y1) * 0.424)
    side = 1 if y2 > y1 else -1
    x1, x2 = x1 + BOX / 2 * side, x2 + BOX / 2 * side
    y1, y2 = before.y + before.height / 2, after.y + after.height / 2
    between = [box for box in boxes if min(y1, y2) <= box.y + box.height / 2 <= max(y1, y2)]
    edge = max(side * (box.x + BOX * (side > 0)) for box in between) + LOOP
    # Three quarters of the way to `far` is as far as the curve goes.
    far = side * max(side * x1 + GAP_X, side * x2 + GAP_X, (edge - side * (x1 + x2) / 8) / 0.75)
    d = f"M{x1:g} {y1:g}C{far:g} {y1:g} {far:g} {y2:g} {x2 + 2 * side:g} {y2:g}"
    return Arrow(d, (x1 + x2) / 8 + far * 0.75, (y1 + y2) / 2)


def _across(before: Box, after: Box) -> Arrow:
    """To a neighbour straight, above what comes back; over what is between."""
    right = before.x < after.x
    x1, x2 = before.x + BOX * right, after.x + BOX * (not right)
    y = before.y + min(before.height, after.height) / 2 + (-6 if right else 6)
    if abs(x2 - x1) <= GAP_X:
        beside = y + (-9 if right else 9)
        return Arrow(f"M{x1} {y:g}H{x2 + (-2 if right else 2)}", (x1 + x2) / 2, beside)
    x1, x2, top = before.x + BOX // 2, after.x + BOX // 2, before.y
    d = f"M{x1} {top}C{x1} {top - GAP_Y} {x2} {top - GAP_Y} {x2} {top - 2}"
    return Arrow(d, (x1 + x2) / 2, top - GAP_Y * 0.75)
