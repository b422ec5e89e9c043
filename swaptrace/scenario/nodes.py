"""YAML without its surprises: mappings, lists and scalars, each with its position.

A scalar is its text, quoted or not, so that `kernel: 6.10` is no number and `prot: no` no
boolean. What can make a small file large or change its meaning (anchors, aliases, merge
keys, tags, several documents, duplicate keys) is refused. Nothing is ever expanded, and
the nesting is bounded, so that a hostile file costs no more than its size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as Map
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import yaml

from swaptrace.errors import did_you_mean, nearest, quote
from swaptrace.scenario.garbage import no_collections
from swaptrace.scenario.source import Report, SourceMark, SourceText

MAX_DEPTH: Final = 64
"""How deeply lists and mappings may be nested."""

NO_REASONS: Final[Map[str, str]] = MappingProxyType({})

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(NamedTuple):
    mark: SourceMark
    text: str


class Listing(NamedTuple):
    mark: SourceMark
    items: tuple[Node, ...]


class NodeEntry(NamedTuple):
    """A key's position and its value."""

    key: SourceMark
    node: Node


class MappingNode(NamedTuple):
    mark: SourceMark
    entries: dict[str, NodeEntry]


Node: TypeAlias = Scalar | Listing | MappingNode


def parse(text: str, source: SourceText, report: Report) -> Node:
    """The one document of the text. What YAML itself refuses ends the report at once."""
    try:
        with no_collections(), parsing(text) as next_event:
            return NodeComposer(next_event, source, report).document()
    except yaml.MarkedYAMLError as error:
        refuse(error, source, report)
    except yaml.YAMLError as error:
        report.stop(SourceMark(source, 1, 1), f"not YAML: {error}")


@contextmanager
def parsing(text: str) -> Iterator[Callable[[], Any]]:
    """What gives the parser's next event: yaml.parse(), without a generator in between."""
    loader = LOADER(text)
    try:
        yield loader.get_event
    finally:
        loader.dispose()


class NodeComposer:
    """Builds nodes from the parser's events, which are untyped, as yaml is."""

    def __init__(self, next_event: Callable[[], Any], source: SourceText, report: Report) -> None:
        self.next = next_event
        self.source = source
        self.report = report

    def mark(self, mark: Any) -> SourceMark:
        """A position of the parser's, which counts from 0."""
        return within(self.source, mark.line + 1, mark.column + 1)

    def document(self) -> Node:
        """The root of the only document."""
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            self.report.stop(
                SourceMark(self.source, 1, 1), "the file is empty; a scenario has at least `steps:`"
            )
        root = self.node(self.next(), 0)
        self.next()  # the document's end
        following = self.next()
        if isinstance(following, yaml.DocumentStartEvent):
            self.report.add(
                self.mark(following.start_mark),
                "a second document; a scenario file holds one (leave this `---` out)",
            )
        return root

    def node(self, event: Any, depth: int) -> Node:
        """The node that begins with this event, and all below it."""
        mark = self.mark(event.start_mark)
        if type(event) is yaml.ScalarEvent and event.anchor is None and event.tag is None:
            return Scalar(mark, event.value)
        if isinstance(event, yaml.AliasEvent):
            self.report.add(mark, f"alias {quote(f'*{event.anchor}')}: write the value out here")
            return Scalar(mark, "")
        if event.anchor is not None:
            self.report.add(mark, f"anchor {quote(f'&{event.anchor}')}: leave it out")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report.add(mark, f"tag {quote(tag)}: leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(mark, event.value)
        if depth == MAX_DEPTH:
            self.report.stop(mark, f"nested more than {MAX_DEPTH} levels deep; no scenario is")
        if isinstance(event, yaml.SequenceStartEvent):
            return Listing(mark, tuple(self.items(depth + 1)))
        return self.mapping(mark, depth + 1)

    def items(self, depth: int) -> Iterator[Node]:
        """The items up to the end of the list."""
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            yield self.node(event, depth)

    def mapping(self, mark: SourceMark, depth: int) -> MappingNode:
        """The entries up to the end of the mapping, each key once."""
        entries: dict[str, NodeEntry] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key, value = self.node(event, depth), self.node(self.next(), depth)
            if not isinstance(key, Scalar):
                self.report.stop(key.mark, f"{a_kind(key)} cannot be a key; a key is a name")
            if key.text == "<<":
                self.report.add(key.mark, "merge key '<<': write the keys out here")
            elif key.text in entries:
                first = entries[key.text].key.line
                message = f"key {quote(key.text)} is given twice (first in line {first})"
                self.report.add(key.mark, message)
            else:
                entries[key.text] = NodeEntry(key.mark, value)
        return MappingNode(mark, entries)


def known_entries(
    node: MappingNode,
    valid: Collection[str],
    owner: str,
    report: Report,
    why: Map[str, str] = NO_REASONS,
) -> dict[str, NodeEntry]:
    """The entries whose keys are valid; the others are reported.

    A key that is nearly a valid one is then read as that, so that its value is checked too
    and nobody misses it. `why` explains keys that are valid elsewhere.
    """
    if all(key in valid for key in node.entries):
        return node.entries
    known = {key: entry for key, entry in node.entries.items() if key in valid}
    for key, entry in node.entries.items():
        if key in known:
            continue
        if key in why:
            report.add(entry.key, why[key])
            continue
        report.add(entry.key, f"unknown key {quote(key)} of {owner}; {did_you_mean(key, valid)}")
        meant = nearest(key, valid)
        if meant is not None:
            known.setdefault(meant, entry)
    return known


def a_kind(node: Node) -> str:
    """What the node is, for a message."""
    match node:
        case Scalar(text=""):
            return "an empty value"
        case Scalar():
            return quote(node.text)
        case Listing():
            return "a list" if node.items else "an empty list"
        case MappingNode():
            return "a mapping" if node.entries else "an empty mapping"


def within(source: SourceText, line: int, column: int) -> SourceMark:
    """The position; or the end of the last line that says anything, for one after it."""
    lines = source.lines
    if line < len(lines) or (line == len(lines) and lines[-1]):
        return SourceMark(source, line, column)
    line = next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip()), 1)
    return SourceMark(source, line, len(lines[line - 1].rstrip()) + 1)


def refuse(error: Any, source: SourceText, report: Report) -> NoReturn:
    """Report what the parser does not accept, in words that help to mend it."""
    here = error.problem_mark or error.context_mark
    begin = error.context_mark or here
    at = within(source, here.line + 1, here.column + 1)
    start = within(source, begin.line + 1, begin.column + 1)
    line = source.lines[at.line - 1]
    problem, context = str(error.problem), str(error.context)
    message = f"not YAML: {problem}"
    if "\t" in line[: at.column] and ("tab" in problem or "cannot start" in problem):
        message = "a tab; YAML indents with spaces only"
        at = SourceMark(source, at.line, line.index("\t") + 1)
    elif "unexpected end of stream" in problem and "quoted" in context:
        at, message = start, "this quote is never closed"
    elif "flow" in context:
        bracket, end = ("{", "}") if "mapping" in context else ("[", "]")
        message = f"the '{bracket}' of line {start.line} goes on with ',' or ends with '{end}'"
    elif "expected key" in problem or "<block end>" in problem or "'-' indicator" in problem:
        what = "mapping" if "mapping" in context else "list"
        message = f"this does not go on with the {what} of line {start.line}; is it indented wrong?"
        if line[: at.column - 1].strip():
            message = f"{quote(line[at.column - 1 :])} cannot follow the value before it"
    elif "mapping values" in problem:
        message = "no ':' can be here; is a line indented wrong, or a value to be quoted?"
    elif "expected ':'" in problem:
        at, message = start, "this is no `key: value`"
    elif "cannot start" in problem or "node content" in problem:
        message = f"no value begins with {quote(line[at.column - 1 :][:1])}; quote it"
    report.stop(at, message)
