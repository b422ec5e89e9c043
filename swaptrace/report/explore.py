"""What `explore` found: as a table, Markdown, DOT and JSON `swaptrace.explore/1`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Group, RenderableType

from swaptrace.report.dot import quoted
from swaptrace.report.layout import FirstFit, Indented, TextTable, spaced, words
from swaptrace.result.explored import Explored, ExploredLine

SCHEMA = "swaptrace.explore/1"


def explore_report(explored: Explored) -> RenderableType:
    """The differences in a table, and what the search amounts to."""
    title = words("").append_text(words(" and ".join(explored.policies), "bold"))
    parts: list[RenderableType] = [title, ""]
    if explored.lines:
        parts += [_table(explored), ""]
    cited = list(_cited(explored))
    if cited:
        parts += [*cited, ""]
    return Group(*parts, *(words(text, style) for text, style in verdict(explored)))


def verdict(explored: Explored) -> Iterator[tuple[str, str]]:
    """What was found and how it is known, in lines with their styles."""
    alone, failures = len(explored.policies) == 1, len(explored.failures)
    if failures:
        what = "violation" if alone else "difference"
        yield f"{failures} kind{'s' * (failures > 1)} of {what}", "red"
    elif explored.complete:
        yield "no violation" if alone else "nothing tells them apart", "green"
    else:
        yield f"not decided: no {'violation' if alone else 'difference'} found", "yellow"
    if len(explored.lines) > failures:
        yield "a warning is no violation: it costs time, but no data", "yellow"
    yield explored.proof, "" if explored.complete else "yellow"


def _table(explored: Explored) -> FirstFit:
    header = ["kind", *explored.policies, "shortest sequence"]
    rows = [[line.title, *map(str, line.values.values()), line.sequence] for line in explored.lines]
    return FirstFit(
        lambda: [TextTable(header, len(header), rows)],
        lambda: spaced(_one(line) for line in explored.lines),
    )


def _cited(explored: Explored) -> Iterator[RenderableType]:
    """The lines of C, once for the kinds that have the same."""
    titles: dict[tuple[str, ...], list[str]] = {}
    for line in explored.lines:
        if line.cited:
            titles.setdefault(line.cited, []).append(line.title)
    for cited, kinds in titles.items():
        yield words(f"the C that decides about {', '.join(kinds)}:")
        yield from (Indented(words(each)) for each in cited)


def _one(line: ExploredLine) -> list[RenderableType]:
    values = ", ".join(f"{name} {value}" for name, value in line.values.items())
    return [words(f"{line.title}: {values}", "bold"), Indented(words(line.sequence))]


def explore_json(explored: Explored) -> str:
    """The same as `swaptrace.explore/1`: plain ASCII, a newline at the end."""
    document = {
        "complete": explored.complete,
        "differences": [_line_json(line) for line in explored.lines],
        **({"kernels": dict(sorted(explored.kernels.items()))} if explored.kernels else {}),
        "machine": dict(sorted(explored.machine.items())),
        "policies": list(explored.policies),
        "proof": explored.proof,
        "schema": SCHEMA,
        "states": explored.states,
    }
    return json.dumps(document, indent=2) + "\n"


def _line_json(line: ExploredLine) -> dict[str, object]:
    """The keys of a step stay as they are: the operation is the first."""
    flag = {"flag": line.flag} if line.flag else {}
    values = {"steps": list(line.steps), "values": dict(sorted(line.values.items()))}
    cited = {"cited": list(line.cited)} if line.cited else {}
    return {**cited, "file": line.file, **flag, "kind": line.kind, **values}


def explore_markdown(explored: Explored) -> str:
    """The same as Markdown."""
    from swaptrace.report.markdown import of_renderable

    return of_renderable(explore_report(explored))


def explore_dot(explored: Explored) -> str:
    """The sequences as a tree in Graphviz DOT: what is common to several is drawn once."""
    lines = ["digraph explore {", "  rankdir=LR;", '  "" [label="mmap", shape=box];']
    drawn: set[tuple[str, ...]] = {()}
    for line in explored.lines:
        for length in range(1, len(line.operations) + 1):
            path = line.operations[:length]
            if path not in drawn:
                drawn.add(path)
                lines.append(f"  {_node(path)} [label={quoted(path[-1])}, shape=plain];")
                lines.append(f"  {_node(path[:-1])} -> {_node(path)};")
        values = "\n".join(f"{name} {value}" for name, value in line.values.items())
        label = quoted(f"{line.title}\n{values}")
        leaf = quoted(f"{line.kind} {line.flag}")
        lines.append(f"  {leaf} [label={label}, shape=note];")
        lines.append(f"  {_node(line.operations)} -> {leaf};")
    return "\n".join([*lines, "}"]) + "\n"


def _node(path: tuple[str, ...]) -> str:
    return quoted(", ".join(path))
