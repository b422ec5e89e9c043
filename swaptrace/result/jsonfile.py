"""Reading saved JSON: every complaint names the file and the place in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from swaptrace.errors import SwaptraceError, quote

MOST: Final = (1 << 63) - 1
"""The highest number that anything counts to."""

MAX_BYTES: Final = 32 << 20
"""How long a saved file may be: a result of a thousand scenarios, or of a million steps."""


def parse(text: str, source: str, *schemas: str) -> Node:
    """The root of a document of one of these schemas; `source` is what messages call it.

    Raises `SwaptraceError` where it is none, or one of another version.
    """
    root = Node(_parse(text, source, _kind(schemas[0])), source)
    _check_schema(root, schemas)
    return root


def _kind(schema: str) -> str:
    """What documents of the schema are called: `result` for `swaptrace.result/1`."""
    return schema.partition("/")[0].rpartition(".")[2]


def _parse(text: str, source: str, kind: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        whole = text.rstrip()
        if not whole:
            raise SwaptraceError(f"{source}: is empty, not a {kind}") from None
        if whole[0] == "{" and (error.pos >= len(whole) or not whole.endswith("}")):
            message = f"{source}: is cut off in line {whole.count(chr(10)) + 1}; make it again"
        else:
            place = f"{source}:{error.lineno}:{error.colno}"
            message = f"{place}: is not JSON, as a saved {kind} must be ({error.msg})"
        raise SwaptraceError(message) from None
    except (ValueError, RecursionError) as error:
        raise SwaptraceError(f"{source}: is not a {kind} ({error})") from None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {quote(twice)} stands twice in one object")
    return keys


def _check_schema(root: Node, schemas: Sequence[str]) -> None:
    found = root.key("schema").text()
    if found in schemas:
        return
    shared, _, version = found.partition("/")
    for schema in schemas:
        if shared == schema.partition("/")[0] and version.isdecimal():
            raise SwaptraceError(
                f"{root.source}: is {found}, from another version of swaptrace; "
                f"this one reads {schema}: update swaptrace or make the {_kind(schema)} again"
            )
    wanted = " or ".join(f"swaptrace {_kind(schema)} ({schema})" for schema in schemas)
    raise SwaptraceError(f"{root.source}: is {quote(found)}, not a {wanted}")


class Node(NamedTuple):
    """A JSON value and where it stands, so that a complaint can name the place."""

    value: object
    source: str
    path: str = ""

    def error(self, wanted: str) -> SwaptraceError:
        is_long = isinstance(self.value, int) and abs(self.value) > MOST
        shown = "a larger one" if is_long else repr(self.value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        place = f"{self.source}: {self.path}" if self.path else self.source
        return SwaptraceError(f"{place}: must be {wanted}, not {shown}")

    def fields(self) -> dict[str, Node]:
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return {name: self._child(name, value) for name, value in self.value.items()}

    def _child(self, name: str, value: object) -> Node:
        plain = name.replace("_", "").isalnum()
        step = f".{name}" if plain else f"[{json.dumps(name)}]"
        return Node(value, self.source, f"{self.path}{step}".removeprefix("."))

    def key(self, name: str) -> Node:
        fields = self.fields()
        if name not in fields:
            place = f"{self.source}: {self.path}" if self.path else self.source
            raise SwaptraceError(f"{place}: the key {name!r} is missing")
        return fields[name]

    def array(self) -> list[Node]:
        if not isinstance(self.value, list):
            raise self.error("an array")
        nodes = enumerate(self.value)
        return [Node(value, self.source, f"{self.path}[{i}]") for i, value in nodes]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error("a string")
        return self.value

    def count(self, least: int = 0) -> int:
        if type(self.value) is not int or self.value < least:
            raise self.error(f"a whole number of at least {least}")
        if self.value > MOST:
            raise self.error(f"a whole number of at most {MOST}")
        return self.value

    def boolean(self) -> bool:
        """The value, which must be true or false."""
        if not isinstance(self.value, bool):
            raise self.error("true or false")
        return self.value

    def setting(self) -> object:
        """A machine key: a scalar, or a mapping of them."""
        if isinstance(self.value, dict):
            return {name: node.setting() for name, node in self.fields().items()}
        if not isinstance(self.value, str | int):
            raise self.error("a string, a whole number, true, false or an object")
        return self.value
