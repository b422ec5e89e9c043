"""Checking against the JSON Schemas, with YAML read as editors read it."""

from __future__ import annotations

import re
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from swaptrace.scenario.jsonschema import Schema


class CoreLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.2 with its core schema: `yes` is a string, `0o17` an integer."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (as in yaml)


def _scalar(tag: str, pattern: str) -> None:
    CoreLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"), None
    )


_scalar("null", "null|Null|NULL|~|")
_scalar("bool", "true|True|TRUE|false|False|FALSE")
_scalar("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_scalar("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")


def _integer(loader: CoreLoader, node: yaml.ScalarNode) -> int | float:
    """An integer; far too many digits are infinity, as in JavaScript."""
    text: str = loader.construct_scalar(node)
    if len(text) > 1000:
        return float("inf")
    return int(text, 0 if text.startswith(("0x", "0o")) else 10)


CoreLoader.add_constructor("tag:yaml.org,2002:int", _integer)


def as_an_editor_reads(text: bytes | str) -> object:
    """The document of the text."""
    return yaml.load(text, CoreLoader)


def mistakes(schema: Schema, document: object) -> list[str]:
    """What is wrong with the document, and where; empty if nothing is."""
    errors = Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]


def closed(schema: Any) -> Any:
    """The schema without room for keys that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        made["additionalProperties"] = False
    return made
