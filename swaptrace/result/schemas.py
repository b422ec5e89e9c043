"""The JSON Schemas (draft 2020-12) that come with swaptrace: of scenarios, results, and verdicts.

`scenario.schema.json`, `result.schema.json` and `verify.schema.json` in docs/ are what `files`
gives; after a change of the format, `pytest tests/test_schemas.py --promote` makes them again.

The schema of a result is made from the classes of `replay.result`. It asks for every key that
`to_json` always writes and lets others pass, as `from_json` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from swaptrace.backends import BACKENDS
from swaptrace.counters import NAMED, VIOLATIONS
from swaptrace.result.history import History
from swaptrace.result.lrugen import LruGen
from swaptrace.result.result import (
    SCHEMA,
    Checked,
    Checkpoint,
    Expectation,
    PolicyResult,
    Result,
    ScenarioResult,
    StepResult,
    Violation,
)
from swaptrace.result.swept import SCHEMA as SWEEP
from swaptrace.result.verdictschema import verify_schema
from swaptrace.scenario.described import MACHINE
from swaptrace.scenario.hardware import KERNEL_DEFAULTS, LIMITED, Machine, Swap
from swaptrace.scenario.jsonschema import DIALECT, Schema, scenario_schema, summary
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.thp import OF_LARGE_FOLIOS, ThpEnabled, ThpSize

OPTIONAL: Final = {
    (StepResult, "times"),
    (Checkpoint, "times"),
    (Checkpoint, "lru_gen"),
    (PolicyResult, "steps"),
    (PolicyResult, "pages"),
    (PolicyResult, "checkpoints"),
    (PolicyResult, "checks"),
    (PolicyResult, "undecided"),
    (Machine, "thp"),
    (Machine, "memlock"),
    (Machine, "lru_batch"),
    (Machine, "swap_max"),
    (Machine, "hugepages"),
    *((Machine, key) for key in (*LIMITED, *OF_LARGE_FOLIOS)),
}
"""The keys that `to_json` may leave out."""

NOT_IN_JSON: Final = {
    (PolicyResult, "notes"),
    (PolicyResult, "history"),
    (ScenarioResult, "source"),
}
"""What values hold and `to_json` does not write."""

FROM_ONE: Final = ("line", "pages", "times")
"""The numbers that are never 0."""

LIMITS: Final[Mapping[tuple[type, str], Schema]] = {
    (StepResult, "op"): {
        "enum": [op for op, (_, keys) in OPERATIONS.items() if "steps" not in keys]
    },
    (Violation, "kind"): {"enum": list(VIOLATIONS)},
    (Machine, "kernel"): {"enum": list(KERNEL_DEFAULTS)},
    (Swap, "backend"): {"enum": list(BACKENDS)},
}
"""What is said of a key beyond its type."""

MEANINGS: Final[Mapping[str, str]] = {
    "name": "The scenario's name.",
    "file": "The path as it was given.",
    "version": "The version of swaptrace that replayed.",
    "scenarios": "In the order of the command line.",
    "machine": "What it ran on, every key.",
    "policies": "The results by the policies' names.",
    "expectations": "What the scenario expects of these policies.",
    "total": "What the whole run counts.",
    "windows": "What each window counts, by its label.",
    "violations": "The broken promises to user space, and the warnings.",
    "pages": "With --pages: process to region to the run-length code of its page map.",
    "steps": "With --steps: the executed leaf steps in order.",
    "step": "The path of indices: 4.0; in a repetition 3[2].0, or 3[5-99].0 for several.",
    "line": "The step's line in the scenario file.",
    "process": "Who executed it.",
    "op": "The operation.",
    "counters": "What one execution counts.",
    "times": "For how many iterations the entry stands; left out for one.",
    "kind": "Which promise; spurious_soft_dirty is only a warning.",
    "region": "The region's name.",
    "page": "The first page.",
    "window": "A window's label, or total.",
    "policy": "The policy's name.",
    "counter": "The counter's name.",
    "expected": "What the scenario says.",
    "actual": "What the replay counts.",
    "checkpoints": "With --checkpoints: what long steps have counted after equal parts of them.",
    "checks": "Each claim of a `check` step; left out without one.",
    "undecided": "Why nothing of it is the last word; left out where it is.",
    "ok": "Whether it holds.",
    "lru_gen": "The multi-generational LRU at this moment; left out without one.",
    "generations": "From the oldest to the youngest.",
    "generation": "Its number.",
    "anon": "How many anonymous pages.",
    "lazyfree": "How many pages that were given up (MADV_FREE).",
    "tiers": "Those of which anything is known.",
    "type": "Which pages.",
    "tier": "Its number.",
    "refaulted": "Pages that came back.",
    "evicted": "Pages that were evicted.",
    "protected": "Pages that eviction spared.",
    "accesses": "How many of the step's accesses there have been.",
}
OF_CLASS: Final[Mapping[type, Mapping[str, str]]] = {
    Violation: {
        "step": "The path of the step where it first shows.",
        "pages": "How many pages.",
    },
    Checked: {
        "kind": "What the claim is of.",
        "step": "The path of the step, where it does not hold the first that shows it.",
        "process": "Whose pages.",
        "region": "The region's name; empty where the claim is of neither pages nor data.",
        "actual": "What there was.",
    },
}
"""Keys that mean something else in these objects."""


def files() -> dict[str, str]:
    """The schemas as they stand in docs/, by their file names."""
    made = {
        "scenario.schema.json": scenario_schema(),
        "result.schema.json": result_schema(),
        "sweep.schema.json": sweep_schema(),
        "verify.schema.json": verify_schema(),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in made.items()}


def result_schema() -> Schema:
    """The schema of `swaptrace.result/1`."""
    definitions: dict[str, Schema] = {"Counters": counters()}
    whole = of_class(Result, definitions)
    whole["properties"] = {"schema": {"const": SCHEMA}, **whole["properties"]}
    whole["required"] = ["schema", *whole["required"]]
    expectation = definitions[Expectation.__name__]
    expectation["properties"]["ok"] = {"type": "boolean", "description": "Whether they agree."}
    expectation["required"].append("ok")
    return {
        "$schema": DIALECT,
        "title": f"swaptrace result ({SCHEMA})",
        **whole,
        "$defs": definitions,
    }


def sweep_schema() -> Schema:
    """The schema of `swaptrace.sweep/1`."""
    definitions: dict[str, Schema] = {"Counters": counters()}
    text: Schema = {"type": "string"}
    texts: Schema = {"type": "array", "items": text}
    by_window = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
    cell: dict[str, Schema] = {
        "settings": {"type": "object", "additionalProperties": text},
        "machine": of_type(Machine, "machine", definitions),
        "policy": text,
        "working_set": {"type": "integer", "minimum": 0},
        "counted": of_class(PolicyResult, definitions),
        "accesses": {**by_window, "description": "Of access and trace steps, by window."},
        "misses": {**by_window, "description": "How many of them found no page."},
        "killed": of_keys({"line": {"type": "integer", "minimum": 1}, "message": text}),
    }
    ends = [{"required": ["counted", "accesses", "misses"]}, {"required": ["killed"]}]
    always = {"required": ["settings", "machine", "policy"], "oneOf": ends}
    whole: dict[str, Schema] = {
        "schema": {"const": SWEEP},
        "version": text,
        "name": text,
        "file": text,
        "axes": {"type": "array", "items": of_keys({"key": text, "values": texts})},
        "policies": texts,
        "cells": {"type": "array", "items": {"type": "object", "properties": cell, **always}},
    }
    head = {"$schema": DIALECT, "title": f"swaptrace sweep ({SWEEP})"}
    return {**head, **of_keys(whole), "$defs": definitions}


def of_keys(properties: dict[str, Schema]) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": [*properties]}


def counters() -> Schema:
    """Counters by name; one that is zero may be left out."""
    count: Schema = {"type": "integer", "minimum": 0}
    known = {str(each): {"description": each.meaning, **count} for each in NAMED}
    return {"type": "object", "properties": known, "additionalProperties": count}


def of_class(cls: type[Any], definitions: dict[str, Schema]) -> Schema:
    """The JSON object that a class becomes; the classes within go to the definitions."""
    hints = get_type_hints(cls, localns={each.__name__: each for each in (History, LruGen)})
    properties = {
        field.name: {
            "description": meaning(cls, field.name),
            **of_type(hints[field.name], field.name, definitions),
            **LIMITS.get((cls, field.name), {}),
        }
        for field in fields(cls)
        if (cls, field.name) not in NOT_IN_JSON
    }
    return {
        "description": summary(cls),
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if (cls, name) not in OPTIONAL],
    }


def meaning(cls: type[Any], name: str) -> str:
    """What a key means in the object of this class."""
    if cls in (Machine, Swap):
        return MACHINE[f"swap.{name}" if cls is Swap else name]
    return OF_CLASS.get(cls, MEANINGS).get(name, MEANINGS[name])


def of_type(hint: Any, name: str, definitions: dict[str, Schema]) -> Schema:
    """The JSON of a type; the machine is kept as a mapping, but of its class's keys."""
    if name == "machine":
        hint = Machine
    if name == "thp":
        return {
            "type": "object",
            "propertyNames": {"enum": ["enabled", *get_args(ThpSize)]},
            "additionalProperties": {"enum": list(get_args(ThpEnabled))},
        }
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = of_class(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint == Mapping[str, int]:
        return {"$ref": "#/$defs/Counters"}
    arguments = [each for each in get_args(hint) if each is not NoneType]
    if get_origin(hint) is Mapping:
        values = of_type(arguments[1], "", definitions)
        return {"type": "object", "additionalProperties": values}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": of_type(arguments[0], "", definitions)}
    if get_origin(hint) is Literal:
        return {"enum": arguments}
    if arguments:  # or None
        return of_type(arguments[0], name, definitions)
    return scalar(hint, name)


def scalar(hint: type[Any], name: str) -> Schema:
    """The JSON of a plain value."""
    if hint is int:
        return {"type": "integer", "minimum": int(name in FROM_ONE)}
    return {"type": {str: "string", bool: "boolean"}[hint]}
