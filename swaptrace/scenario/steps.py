"""The `steps:` section as a tree of steps, each read by its operation's function.

What is wrong with a step is reported and the step kept as far as it can be, so that one
mistake is not followed by complaints about the region that it did not map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from swaptrace.errors import did_you_mean, nearest, quote
from swaptrace.frozen import FrozenValue
from swaptrace.scenario import meant
from swaptrace.scenario.fields import StepFields
from swaptrace.scenario.nodes import (
    Listing,
    MappingNode,
    Node,
    NodeEntry,
    Scalar,
    a_kind,
    known_entries,
)
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.schema import MeasureStep, Step
from swaptrace.scenario.source import Report, SourceMark

MAX_NESTING: Final = 16
"""How deeply `measure` and `repeat` may be nested."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParsedStep(FrozenValue):
    """A step as it stands in the file, and the positions of its keys' values.

    `steps` are the inner ones; those of `step` itself are not filled in yet.
    """

    step: Step
    marks: dict[str, SourceMark]
    steps: tuple[ParsedStep, ...] = ()

    def mark(self, key: str) -> SourceMark:
        """Where the key's value stands; the operation's, if the key was left out."""
        return self.marks.get(key, self.marks["step"])


@dataclass(slots=True)
class StepReader:
    """Reads steps. `labels` are the windows seen so far; `lost` the names that belong to
    steps nobody could make sense of, so that nothing can be said about them."""

    report: Report
    page_size: int
    labels: dict[str, SourceMark] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def steps(self, node: Node, outer: tuple[ParsedStep, ...] = ()) -> tuple[ParsedStep, ...]:
        """A list of steps, inside of the `outer` ones, whose process also executes them."""
        if not isinstance(node, Listing):
            hint = "is a list, each step after a '- '"
            self.report.add(node.mark, f"steps {hint}, not {a_kind(node)}")
            return ()
        if not node.items:
            self.report.add(node.mark, "steps is an empty list; give it at least one step")
        parsed = (self.step(item, outer) for item in node.items)
        return tuple(step for step in parsed if step is not None)

    def step(self, node: Node, outer: tuple[ParsedStep, ...]) -> ParsedStep | None:
        """One step; None if it is not clear which."""
        if not isinstance(node, MappingNode) or not node.entries:
            hint = "is a mapping, as `- mmap: buf`"
            self.report.add(node.mark, f"a step {hint}, not {a_kind(node)}")
            return None
        found = self.operation(node)
        if found is None:
            self.lost |= {e.node.text for e in node.entries.values() if isinstance(e.node, Scalar)}
            return None
        op, key = found
        mark, argument = node.entries[key]
        rest = MappingNode(node.mark, {k: e for k, e in node.entries.items() if k != key})
        keys = OPERATIONS[op].keys
        entries = known_entries(rest, keys, op, self.report, misplaced(op))
        executor = outer[-1].step.process if outer else "main"
        fields = StepFields(op, mark, argument, entries, executor, self.report, self.page_size)
        step = OPERATIONS[op].build(fields)
        marks = {key: entry.node.mark for key, entry in entries.items()}
        parsed = ParsedStep(
            step, {**marks, **fields.marks, "step": mark, "argument": argument.mark}
        )
        if "steps" not in keys:
            return parsed
        return self.nesting(parsed, entries, outer)

    def operation(self, node: MappingNode) -> tuple[str, str] | None:
        """The operation, and the key that it stands under: the first one, if all is well."""
        first = next(iter(node.entries))
        if first in OPERATIONS:
            return first, first
        later = next((key for key in node.entries if key in OPERATIONS), None)
        mark = node.entries[first].key
        if later is not None:
            self.report.add(
                node.entries[later].key,
                f"the operation, {later}, must be the first key of its step, before {quote(first)}",
            )
            return later, later
        if first in meant.OPERATIONS:
            self.report.add(mark, f"unknown operation {quote(first)}; {meant.OPERATIONS[first]}")
            return None
        hint = did_you_mean(first, OPERATIONS)
        self.report.add(mark, f"unknown operation {quote(first)}; {hint}")
        near = nearest(first, OPERATIONS)
        return None if near is None else (near, first)

    def nesting(
        self, parsed: ParsedStep, entries: dict[str, NodeEntry], outer: tuple[ParsedStep, ...]
    ) -> ParsedStep:
        """A `measure` or `repeat` with its inner steps."""
        step, mark = parsed.step, parsed.marks["step"]
        if isinstance(step, MeasureStep):
            self.labels.setdefault(step.label, mark)
            for around in outer:
                if isinstance(around.step, MeasureStep):
                    where = f"{quote(around.step.label)} of line {around.step.line}"
                    self.report.add(mark, f"measure inside of measure {where}; windows do not nest")
        if len(outer) == MAX_NESTING:
            self.report.stop(mark, f"measure and repeat nest more than {MAX_NESTING} deep here")
        if "steps" not in entries:
            self.report.add(mark, f"{step.op} needs 'steps'")
            return parsed
        inner = self.steps(entries["steps"].node, (*outer, parsed))
        return ParsedStep(step, parsed.marks, inner)


@cache
def misplaced(op: str) -> dict[str, str]:
    """What to say of keys that mean something, but not with this operation."""
    why = {
        key: f"{key} is an operation of its own, and a step has one; begin another with '- {key}'"
        for key in OPERATIONS
    }
    own = {key for keys in OPERATIONS.values() for key in keys.keys} - set(OPERATIONS[op].keys)
    for key in sorted(own):
        takers = ", ".join(name for name, (_, keys) in OPERATIONS.items() if key in keys)
        why[key] = f"{op} takes no {quote(key)}; only {takers}"
    if op == "read_write":
        why["value"] = "read_write takes no 'value'; it writes back what it read"
    return why
