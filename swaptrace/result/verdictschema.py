"""The JSON Schema of what `verify --format json` prints, which is in `docs/verify.schema.json`."""

from __future__ import annotations

from typing import Final

from swaptrace.result.verdict import SCHEMA, Status
from swaptrace.scenario.jsonschema import DIALECT, Schema

TEXT: Final[Schema] = {"type": "string"}
COUNTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "integer"}}
PAGE_MAPS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": TEXT},
}


def verify_schema() -> Schema:
    """The schema of `swaptrace.verify/2`: of one kernel, or of several in a list."""
    kernel = {
        "place": described("Where the scenarios ran: running kernel, or the path of an image."),
        "kernel": {"description": "Its release; null if none ran.", "type": ["string", "null"]},
        "scenarios": {
            "description": "In the order given.",
            "type": "array",
            "items": {"$ref": "#/$defs/Verdict"},
        },
    }
    several = {"kernels": {"type": "array", "items": {"$ref": "#/$defs/Kernel"}}}
    name = {"schema": {"const": SCHEMA}}
    return {
        "$schema": DIALECT,
        "title": f"swaptrace verify ({SCHEMA})",
        "anyOf": [closed({**name, **kernel}), closed({**name, **several})],
        "$defs": {
            "Kernel": closed(kernel),
            "Verdict": closed(
                {"name": described("The scenario's name."), "file": TEXT, **outcome()},
                optional=set(outcome()) - {"status"},
            ),
            "Outcome": closed(outcome(), optional=set(outcome()) - {"status"}),
            "Difference": difference(),
            "Side": side(),
        },
    }


def outcome() -> dict[str, Schema]:
    """What a run of a scenario came to."""
    return {
        "policy": described("What the kernel was compared with."),
        "status": {
            "description": "What the scenario comes to.",
            "enum": [status.value for status in Status],
        },
        "reason": described("Why it is that, where no difference says it."),
        "first_difference": {"$ref": "#/$defs/Difference"},
        "repetition": {"$ref": "#/$defs/Outcome"},
        "elsewhere": {
            "description": "What /proc/vmstat counted between the steps: others swapped.",
            **COUNTS,
        },
        "same_as": described("The random scenario before it that differs in the same way."),
    }


def difference() -> Schema:
    """The first step that differs."""
    return closed(
        {
            "step": described("The path of indices, as in a result."),
            "line": {"type": "integer", "minimum": 1},
            "process": TEXT,
            "op": TEXT,
            "model": {"$ref": "#/$defs/Side"},
            "kernel": {"$ref": "#/$defs/Side"},
        }
    )


def side() -> Schema:
    """What differs, as it is on one side."""
    keys: dict[str, Schema] = {
        "errno": {"type": ["string", "null"]},
        "counters": COUNTS,
        "pages": PAGE_MAPS,
        "scan": described("What a pagemap_scan found."),
    }
    return closed(keys, optional=set(keys))


def described(meaning: str) -> Schema:
    """A text that means this."""
    return {"description": meaning, **TEXT}


def closed(keys: dict[str, Schema], optional: set[str] | None = None) -> Schema:
    """An object with these keys, of which all but the optional ones are always there."""
    required = [key for key in keys if key not in (optional or ())]
    return {"type": "object", "properties": keys, "required": required}
