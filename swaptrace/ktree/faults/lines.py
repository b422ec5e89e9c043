"""Lines of Python that statements of C are made into, and the loops that gotos go through."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Final, NamedTuple


class Line(NamedTuple):
    """A statement, and how deep it stands; it may go on in further lines. One that is `traced` is
    there only where somebody wants to know what is executed, one with the number of a `probe` where
    that is asked about."""

    text: str
    depth: int = 0
    traced: bool = False
    probe: int | None = None

    @property
    def optional(self) -> bool:
        """Whether it does nothing of what C does."""
        return self.traced or self.probe is not None


_PROBE: Final = re.compile(r"\bprobe(\d+)\(")


def indented(lines: Iterable[Line]) -> list[Line]:
    """One block deeper. Python has no empty blocks."""
    deeper = [line._replace(depth=line.depth + 1) for line in lines]
    return deeper if any(not line.optional for line in deeper) else [Line("pass", 1), *deeper]


def alternative(lines: list[Line]) -> list[Line]:
    """The branch that is gone into otherwise, if anything is done there."""
    if any(not line.traced for line in lines):
        return [Line("else:"), *indented(lines)]
    deeper = [line._replace(depth=line.depth + 1) for line in lines]
    return [Line("else:", traced=True), *deeper]


def probing(number: int, text: str) -> str:
    """A value that a probe of that number sees."""
    return f"probe{number}({text})"


def written(lines: Iterable[Line], traced: bool, probes: Container[int] = ()) -> str:
    """As text, with some of the probes."""
    kept = (each for each in lines if traced or not each.traced)
    asked = (each for each in kept if each.probe is None or each.probe in probes)
    text = "\n".join(" " * each.depth + each.text for each in asked)
    return _PROBE.sub(lambda found: found[0] if int(found[1]) in probes else "(", text)


JUMP: Final = "jump"
"""The variable of Python that says where a goto goes, as long as it is on its way; else it is 0."""

BREAK: Final = -1
"""What it says of a `break`."""


class PythonLoop:
    """A loop of Python: one of C, or a block of which a goto may go to one of `labels`, each with
    its number. `crossing` are the numbers of those that leave it for another loop."""

    def __init__(self, labels: Mapping[str, int], is_c: bool) -> None:
        self.labels, self.is_c = labels, is_c
        self.crossing: set[int] = set()

    def takes(self, jump: int) -> bool:
        """Whether a jump goes here, if it is none of an inner loop's."""
        return self.is_c if jump == BREAK else jump in self.labels.values()


def jumping(loops: list[PythonLoop], jump: int) -> list[Line]:
    """The way of a goto or `break` to where it goes, through the loops around it, the innermost one
    last. Inner loops must have been left by `landing`."""
    target = next(loop for loop in reversed(loops) if loop.takes(jump))
    if target is loops[-1]:
        if jump == BREAK:
            return [Line("break")]
        return [Line(f"{JUMP} = {jump}"), Line("continue")]
    for loop in reversed(loops):
        if loop is target:
            break
        loop.crossing.add(jump)
    return [Line(f"{JUMP} = {jump}"), Line("break")]


def landing(loops: list[PythonLoop], left: PythonLoop) -> list[Line]:
    """What follows a loop: jumps that have left it go on."""
    lines: list[Line] = []
    for jump in sorted(left.crossing):
        here = loops[-1].takes(jump)
        lines.append(Line(f"if {JUMP} == {jump}:"))
        if here and jump == BREAK:
            lines.append(Line(f"{JUMP} = 0", 1))
        lines.append(Line("continue" if here and jump != BREAK else "break", 1))
    return lines


def segmented(parts: list[tuple[list[int], list[Line]]]) -> list[Line]:
    """A block that is gone into at labels, as a loop of one round: parts, each with the numbers of
    the labels that stand before it."""
    lines = [Line("while True:")]
    for numbers, part in parts:
        to = "".join(f" or {JUMP} == {number}" for number in numbers)
        lines.append(Line(f"if not {JUMP}{to}:", 1))
        reset = [Line(f"{JUMP} = 0")] if numbers else []
        lines += indented(indented([*reset, *part]))
    return [*lines, Line("break", 1)]
