"""`swaptrace policies kernel:TREE`: what is interpreted of a tree, and what the model does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swaptrace.errors import printable
from swaptrace.ktree.faults.policy import TreePolicy
from swaptrace.ktree.faults.primitive import Primitive


def listing(policy: TreePolicy) -> str:
    """The functions of the tree, those that the model has for itself, and what it takes for
    granted."""
    programs = [each for each in (policy.program, policy.windows) if each is not None]
    functions = [
        (f"{name}()", f"{each.definition.source.file}:{each.definition.source.first}")
        for program in programs
        for name, each in program.functions.items()
    ]
    known = sorted(pair for program in programs for pair in program.primitives.items())
    own = [(name, each) for name, each in known if each.constant is None]
    assumed = [(name, each) for name, each in known if each.constant is not None]
    sections = (
        ("interpreted, from the first statement to the return", functions),
        ("done by the model", [(f"{name}()", _said(each)) for name, each in own]),
        (
            "taken for granted, so that what it rules out is not looked at",
            [(f"{name}()", f"{each.constant}: {_said(each)}") for name, each in assumed],
        ),
    )
    return "\n".join(line for title, rows in sections for line in _section(title, rows)) + "\n"


def _said(primitive: Primitive) -> str:
    meaning, source = primitive.meaning, primitive.source
    return f"{meaning} ({source})" if meaning else source


def _section(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    yield f"{title}:"
    yield from (f"  {name:<{width}}  {printable(text)}".rstrip() for name, text in listed)
