"""From a scenario file to a `Scenario`, or to every error of it at once.

The way of a file: `source` lets text through that is safe to look at, `nodes` makes
mappings, lists and scalars of it, `machine` and `steps` (with `operations` and `values`)
read what they say, `names` walks the steps and holds them against each other. What is
wrong goes into one `Report`, which is raised as a `ScenarioError`; nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from swaptrace.counters import ALL_COUNTERS, VIOLATIONS
from swaptrace.errors import did_you_mean, printable, quote
from swaptrace.scenario.claims import Expected, NamedPolicy
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.machine import read_machine
from swaptrace.scenario.names import Declarations
from swaptrace.scenario.nodes import MappingNode, Node, NodeEntry, a_kind, known_entries, parse
from swaptrace.scenario.operations import TOTAL
from swaptrace.scenario.schema import (
    CheckStep,
    MeasureStep,
    PinStep,
    RepeatStep,
    Scenario,
    Step,
    TraceStep,
)
from swaptrace.scenario.source import Report, decode, read_file
from swaptrace.scenario.steps import ParsedStep, StepReader
from swaptrace.scenario.values import Reader, integer, line_of_text, plain_text, read
from swaptrace.terminal.files import Identity, identity

KEYS: Final = ("name", "description", "machine", "steps", "expect")
COUNT: Final = integer(0, None)
NO_OVERRIDES: Final[Map[str, str]] = MappingProxyType({})
OF_THE_RUN: Final = {
    kind: f"{kind} is a violation, which only the whole run has; expect it of 'total'"
    for kind in VIOLATIONS
}
"""What to say of violations that are expected of a window."""


def load_file(path: str, overrides: Map[str, str] = NO_OVERRIDES) -> Scenario:
    """The scenario in a file, named after the file unless it has a name.

    `overrides` are settings of the machine by their full keys, as `machine.swap.backend`,
    with their values as text. Raises `ScenarioError` with every problem of the file and
    of the overrides.
    """
    return load_text(read_file(path), path, overrides, printable(PurePath(path).stem))


def load_text(
    text: bytes | str,
    file: str = "<string>",
    overrides: Map[str, str] = NO_OVERRIDES,
    name: str | None = None,
) -> Scenario:
    """The scenario in a text; `file` is what messages call it, `name` its name if it has none."""
    decoded, source = decode(text, file)
    report = Report()
    root = parse(decoded, source, report)
    if not isinstance(root, MappingNode):
        report.stop(root.mark, f"a scenario is a mapping with the key 'steps', not {a_kind(root)}")
    entries = known_entries(root, KEYS, "a scenario", report)
    section = {key: entry.node for key, entry in entries.items()}
    machine, said = read_machine(section.get("machine"), overrides, report)
    reader = StepReader(report, machine.page_size)
    if "steps" not in section:
        report.add(root.mark, "a scenario needs 'steps'")
    parsed = reader.steps(section["steps"]) if "steps" in section else ()
    steps = Declarations(report, machine.page_size, reader.lost).steps(parsed)
    no_pins(parsed, machine, report)
    scenario = Scenario(
        name=text_of(section, "name", line_of_text, name or "scenario", report),
        description=text_of(section, "description", plain_text, "", report),
        machine=machine,
        steps=steps,
        expect=tuple(expectations(section.get("expect"), reader, report)),
        named=(*named_policies(section.get("expect")), *checked_policies(parsed)),
        file=file,
        text=source.lines,
        said=said,
    )
    report.check()
    return replace(scenario, traces=dict(identities(scenario, steps)))


def identities(scenario: Scenario, steps: Iterable[Step]) -> Iterator[tuple[str, Identity]]:
    """Which files the traces of steps are, as far as they are there: that they cannot be read is
    for the replay to say."""
    for step in steps:
        if isinstance(step, MeasureStep | RepeatStep):
            yield from identities(scenario, step.steps)
        elif isinstance(step, TraceStep):
            with suppress(OSError, ValueError):
                yield step.path, identity(scenario.trace_path(step.path))


def text_of(
    section: Map[str, Node], key: str, reader: Reader[str], default: str, report: Report
) -> str:
    """The text under a key that may be left out."""
    return read(report, section[key], key, reader, default) if key in section else default


def expectations(node: Node | None, steps: StepReader, report: Report) -> Iterator[Expected]:
    """The `expect:` section: for each window, for each policy, counters and their values; for the
    whole run violations as well, in pages."""
    windows = (TOTAL, *steps.labels)
    for window, in_window in members(node, report):
        if window not in windows and window not in steps.lost:
            hint = did_you_mean(window, windows)
            report.add(in_window.key, f"no step measures {quote(window)}; {hint}")
        valid, why = ALL_COUNTERS, OF_THE_RUN
        if window == TOTAL:
            valid, why = (*ALL_COUNTERS, *VIOLATIONS), {}
        for policy, counts in members(in_window.node, report):
            if not policy.strip() or not policy.isprintable():
                report.add(
                    counts.key, f"{quote(policy)} is not a policy's name; for example 'final'"
                )
            if not isinstance(counts.node, MappingNode):
                members(counts.node, report)
                continue
            known = known_entries(counts.node, valid, "expect", report, why)
            for counter, (mark, value) in known.items():
                count = read(report, value, counter, COUNT, 0)
                yield Expected(window, policy, counter, count, mark.line)


def named_policies(node: Node | None) -> Iterator[NamedPolicy]:
    """The policies of the `expect:` section, as far as it is in order."""
    windows = node.entries.values() if isinstance(node, MappingNode) else ()
    for window in windows:
        if isinstance(window.node, MappingNode):
            for name, entry in window.node.entries.items():
                yield NamedPolicy(name, entry.key.line, entry.key.column)


def no_pins(steps: Iterable[ParsedStep], machine: Machine, report: Report) -> None:
    """What reclaim makes of a pinned page among others is not modelled, nor how the pinned pages
    of a user count against RLIMIT_MEMLOCK."""
    for parsed in steps:
        if isinstance(parsed.step, PinStep) and machine.memory is not None:
            message = "pin is not modelled under a memory limit; leave machine.memory out"
            report.add(parsed.marks["step"], message)
        elif isinstance(parsed.step, PinStep) and machine.memlock is not None:
            message = "pin is not modelled under a limit of locked memory"
            report.add(parsed.marks["step"], f"{message}; leave machine.memlock out")
        no_pins(parsed.steps, machine, report)


def checked_policies(steps: Iterable[ParsedStep]) -> Iterator[NamedPolicy]:
    """The policies that `check` steps name."""
    for parsed in steps:
        if isinstance(parsed.step, CheckStep):
            for number, name in enumerate(parsed.step.claims.policies):
                mark = parsed.mark(f"policies {number}")
                yield NamedPolicy(name, mark.line, mark.column, "check")
        yield from checked_policies(parsed.steps)


def members(node: Node | None, report: Report) -> list[tuple[str, NodeEntry]]:
    """The entries of a mapping in the `expect:` section."""
    if isinstance(node, MappingNode):
        return list(node.entries.items())
    if node is not None:
        form = "`WINDOW: {POLICY: {COUNTER: VALUE}}`, as `total: {final: {minflt: 0}}`"
        report.add(node.mark, f"expect is {form}; a mapping belongs here, not {a_kind(node)}")
    return []
