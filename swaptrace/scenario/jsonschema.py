"""The JSON Schema (draft 2020-12) of the scenario format, for editors.

It is made from what the loader itself uses: the tables of keys, the functions that read
each operation's keys, and the limits of the readers of values. So it follows the loader
without a second copy to edit. `docs/scenario.schema.json` is made by
`pytest tests/test_schemas.py --promote`.

A schema sees one value at a time. That regions and processes exist, that ranges are aligned
and lie within their region, that the operation is the first key of its step: these only
`swaptrace check` sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from inspect import cleandoc, getclosurevars
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from swaptrace.counters import NAMED, ViolationKind
from swaptrace.scenario import addresses, checks, described, loader, machine, values
from swaptrace.scenario.claims import Claims
from swaptrace.scenario.fields import StepFields
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.nodes import Scalar
from swaptrace.scenario.operations import OPERATIONS, TOTAL
from swaptrace.scenario.schema import AccessStep, Step
from swaptrace.scenario.source import Report, SourceMark, SourceText
from swaptrace.scenario.values import Invalid, Reader

T = TypeVar("T")
U = TypeVar("U")
Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TEXT: Final = ("string", "number", "boolean")
"""What a text without quotes may be to an editor."""

DIGITS: Final = values.INTEGER.pattern.removeprefix("-?")
PRINTED: Final = values.UNSAFE.pattern.replace("[", "[^", 1)
"""One character that the loader lets through in a text."""

LINE: Final = "^{0}*\\S{0}*$".format(rf"{PRINTED[:-1]}\t\n]")
"""A text of one line that is not blank."""


def scenario_schema() -> Schema:
    """The schema of a whole scenario."""
    sections = {
        "name": {"type": [*TEXT], "pattern": LINE},
        "description": {
            "type": [*TEXT, "null"],
            "pattern": f"^{PRINTED}*$",
        },
        "machine": machine_section(),
        "steps": {"$ref": "#/$defs/steps"},
        "expect": expect_section(),
    }
    known = {key: {"description": described.SECTIONS[key], **sections[key]} for key in loader.KEYS}
    return {
        "$schema": DIALECT,
        "title": "swaptrace scenario",
        **mapping(known, required=["steps"]),
        "$defs": definitions(),
    }


def mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """A mapping that has these keys and no others."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    needed = list(required)
    return {**schema, "required": needed} if needed else schema


def machine_section() -> Schema:
    """`machine:`, with every default."""
    defaults = asdict(Machine())
    swap_defaults = defaults.pop("swap")
    swap = {key: setting(f"swap.{key}", swap_defaults[key]) for key in machine.SWAP_KEYS}
    backend = of_reader(machine.READERS["swap.backend"])
    keys = {key: setting(key, defaults[key]) for key in machine.KEYS if key not in machine.SECTIONS}
    sizes = {key: setting(f"thp.{key}", None) for key in machine.THP_KEYS}
    one = {"if": {"type": "object"}, "then": mapping(sizes), "else": of_reader(values.THP_SIZE)}
    either: Schema = {"if": {"type": "object"}, "then": mapping(swap), "else": backend}
    what = f"{described.MACHINE['swap']} In short only its backend: `swap: zram`."
    folios = f"{described.MACHINE['thp']} In short one size that is always used: `thp: 64KiB`."
    sections = {"swap": {"description": what, **either}, "thp": {"description": folios, **one}}
    return mapping({**keys, **sections})


def setting(path: str, default: object) -> Schema:
    """One key of the machine; a size has the default that a person would write."""
    shown = values.human(default) if path.endswith("size") and type(default) is int else default
    what: Schema = {"description": described.MACHINE[path]}
    if default is not None:
        what["default"] = "never" if path in machine.PERIODS else shown
    return {**what, **of_reader(machine.READERS[path])}


def expect_section() -> Schema:
    """`expect:`, where windows and policies have any name."""
    policies = {"type": "object", "propertyNames": {"pattern": LINE}}
    total = {**policies, "additionalProperties": {"$ref": "#/$defs/counts_of_the_run"}}
    window = {**policies, "additionalProperties": {"$ref": "#/$defs/counters"}}
    known = {TOTAL: {"description": "The whole run.", **total}}
    return {"type": "object", "properties": known, "additionalProperties": window}


def counters(violations: bool) -> Schema:
    """The counters that a policy is expected to have; of the whole run also the violations."""
    count = of_reader(loader.COUNT)
    known = {str(each): {"description": each.meaning, **count} for each in NAMED}
    if violations:
        promises = {kind.value: f"Broken: {kind.promise}" for kind in ViolationKind}
        known |= {kind: {"description": text, **count} for kind, text in promises.items()}
    return mapping(known)


def definitions() -> dict[str, Schema]:
    """The steps, which refer to each other, and the counters."""
    inside = [op for op in OPERATIONS if op != "measure"]
    return {
        "counters": counters(violations=False),
        "counts_of_the_run": counters(violations=True),
        "steps": steps(OPERATIONS),
        "steps_of_measure": steps(f"{op}_in_measure" if op == "repeat" else op for op in inside),
        **{op: operation(op) for op in OPERATIONS},
        "repeat_in_measure": operation("repeat", within_measure=True),
    }


def steps(names: Iterable[str]) -> Schema:
    """A list of steps, each as one of these definitions."""
    step = {"type": "object", "anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    return {"type": "array", "minItems": 1, "items": step}


class TakenKey(NamedTuple):
    """How an operation reads one of its keys; `several` is that it takes a list of such values,
    `parts` that it takes a mapping of these, the first in short."""

    reader: Reader[Any]
    required: bool = False
    default: object = None
    several: bool = False
    parts: Mapping[str, Reader[Any]] | None = None

    @property
    def schema(self) -> Schema:
        """What is accepted."""
        one = of_reader(self.reader)
        if self.parts:
            parts = {part: of_reader(reader) for part, reader in self.parts.items()}
            inner = mapping(told(described.FILE, parts), [next(iter(parts))])
            return {"if": {"type": "object"}, "then": inner, "else": one}
        listed = {"type": "array", "items": one, "uniqueItems": True}
        return {"anyOf": [one, listed]} if self.several else one


class KeyRecorder(StepFields):
    """A step without any keys, which notes those that its operation asks for."""

    def __init__(self, op: str) -> None:
        mark = SourceMark(SourceText("", ()), 1, 1)
        super().__init__(op, mark, Scalar(mark, ""), {}, "main", Report(), Machine().page_size)
        self.argument_taken = TakenKey(values.name)
        self.taken: dict[str, TakenKey] = {}
        self.reads_claims = False

    @property
    def may_fail(self) -> bool:
        return "errno" in OPERATIONS[self.op].keys

    def claims(self) -> Claims:
        self.reads_claims = True
        return Claims()

    def main(self, reader: Reader[T], otherwise: T) -> T:
        self.argument_taken = TakenKey(reader)
        return otherwise

    def main_flags(self, reader: Reader[T]) -> tuple[T, ...]:
        self.argument_taken = TakenKey(reader, several=True)
        return ()

    def in_parts(self, key: str, readers: Mapping[str, Reader[Any]]) -> dict[str, Any]:
        self.taken[key] = TakenKey(next(iter(readers.values())), parts=readers)
        return {}

    def flags(self, key: str, reader: Reader[T]) -> tuple[T, ...]:
        self.taken[key] = TakenKey(reader, several=True)
        return ()

    def get(self, key: str, reader: Reader[T], default: U) -> T | U:
        self.taken[key] = TakenKey(reader, default=default)
        return default

    def require(self, key: str, reader: Reader[T], otherwise: T) -> T:
        self.taken[key] = TakenKey(reader, required=True)
        return otherwise


def operation(op: str, within_measure: bool = False) -> Schema:
    """One operation: its own key, those that it takes, and which of them it needs."""
    recorder = KeyRecorder(op)
    step = OPERATIONS[op].build(recorder)
    what = described.ARGUMENTS.get(op, described.REGION)
    # An editor shows the text of the key and not that of the step.
    shown = f"{of_step(op, step)} The value: {what[0].lower()}{what[1:]}"
    reads = check_argument() if recorder.reads_claims else recorder.argument_taken.schema
    argument: Schema = {"description": shown, **reads}
    if op == "measure":
        argument["not"] = {"const": TOTAL}
        within_measure = True
    keys = OPERATIONS[op].keys
    of_keys = {
        key: inner_steps(within_measure) if key == "steps" else of_key(key, recorder.taken[key])
        for key in keys
    }
    needed = [key for key in keys if key == "steps" or recorder.taken[key].required]
    schema = {"description": of_step(op, step), **mapping({op: argument, **of_keys}, [op, *needed])}
    if "order" in keys:
        random: Schema = {"properties": {"order": {"const": "random"}}, "required": ["order"]}
        schema["dependentSchemas"] = {"seed": random}
    return schema


def check_argument() -> Schema:
    """The claims of a `check`, of which there is at least one; regions have any name."""
    pages = a_string(checks.PAGE_CODE, examples=["16PX", "8PX,8S"])
    data = {"anyOf": [an_integer(1, 255), a_string(checks.DATA_CODE, examples=["zero", "0x11"])]}
    parts: dict[str, Schema] = {
        "pages": by_region(pages),
        "data": by_region(data),
        "vmas": by_region({"anyOf": [an_integer(1, None), a_string(checks.VMAS.pattern)]}),
        "violations": {
            "type": "array",
            "items": of_reader(checks.VIOLATION),
            "uniqueItems": True,
        },
        "scan": scan_claim(),
        "policies": {"type": "array", "items": {"type": [*TEXT], "pattern": LINE}, "minItems": 1},
    }
    either = [{"required": [key]} for key in checks.KEYS if key != "policies"]
    return {**mapping(told(described.CLAIMS, parts)), "anyOf": either}


def scan_claim() -> Schema:
    """What is claimed of a scan."""
    parts: dict[str, Schema] = {
        "regions": of_reader(values.WORD),
        "walk_end": of_reader(values.OFFSET),
        "pages": a_string(checks.SCAN_PAGES, examples=["8WP,8-"]),
    }
    return {**mapping(told(described.SCAN, parts)), "minProperties": 1}


def told(words: Mapping[str, str], parts: Mapping[str, Schema]) -> dict[str, Schema]:
    """Parts with their descriptions."""
    return {part: {"description": words[part], **parts[part]} for part in parts}


def by_region(claim: Schema) -> Schema:
    """A claim for each region."""
    return {"type": "object", "minProperties": 1, "additionalProperties": claim}


def inner_steps(within_measure: bool) -> Schema:
    """The steps of a `measure` or `repeat`; windows do not nest."""
    steps = "steps_of_measure" if within_measure else "steps"
    return {"description": described.KEYS["steps"], "$ref": f"#/$defs/{steps}"}


def of_key(key: str, taken: TakenKey) -> Schema:
    """A key of a step, with its default where that is a name."""
    schema: Schema = {"description": described.KEYS[key], **taken.schema}
    if isinstance(taken.default, bool) or taken.default in schema.get("enum", ()):
        schema["default"] = taken.default
    return schema


def of_step(op: str, step: Step) -> str:
    """What the step does."""
    if isinstance(step, AccessStep):
        return described.ACCESSES[op]
    return summary(type(step))


def summary(cls: type) -> str:
    """The first sentence of a class's docstring, without what only a programmer looks up."""
    whole = " ".join(cleandoc(cls.__doc__ or "").split())
    sentence = whole.partition(". ")[0].partition("; see ")[0]
    return re.sub(r" \(None: [^)]*\)", "", sentence).removesuffix(".") + "."


def of_reader(reader: Reader[Any]) -> Schema:
    """What a reader accepts, as an editor sees it, which knows numbers and booleans.

    Quoted, each is a string that the loader reads just so.
    """
    if reader in FUNCTIONS:
        return FUNCTIONS[reader]()
    maker = reader.__qualname__.partition(".")[0]
    return MADE_BY[maker](**getclosurevars(reader).nonlocals)


def an_integer(low: int, high: int | None, **_: object) -> Schema:
    """What `values.integer` reads."""
    limits = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"anyOf": [{"type": "integer", **limits}, {"type": "string", "pattern": f"^{DIGITS}$"}]}


def a_real(low: float, high: float, **_: object) -> Schema:
    """What `values.real` reads."""
    number = {"type": "number", "minimum": low, "maximum": high}
    below = "|".join(str(whole) for whole in range(int(low), int(high)))
    quoted = rf"0*(({below})(\.[0-9]+)?|{high:g}(\.0+)?)"
    return {"anyOf": [number, {"type": "string", "pattern": f"^({quoted})$"}]}


def a_size(low: int, high: int, **_: object) -> Schema:
    """What `values.size` reads; completion offers none, so examples show how it is written."""
    number = "[1-9][0-9]*" if low else "(0|[1-9][0-9]*)"
    with_unit = f"{number}[{''.join(values.UNITS)}](iB)?"
    return {
        "anyOf": [
            {"type": "integer", "minimum": low, "maximum": high},
            {"type": "string", "pattern": f"^({DIGITS}|{with_unit})$"},
        ],
        "examples": ["4KiB", "2MiB"],
    }


def a_choice(values: Mapping[str, object], prefix: str, **_: object) -> Schema:
    """What `values.choice` reads; a kernel's version is a number where it is not quoted."""
    short = [value.removeprefix(prefix) for value in values if prefix]
    numbers = {float(value): None for value in values if value.replace(".", "").isdecimal()}
    return {"enum": [*values, *short, *numbers]}


def some_bits(of_name: Reader[Any], of_number: Reader[Any], **_: object) -> Schema:
    """What `values.bits` reads."""
    return {"anyOf": [of_reader(of_name), *of_reader(of_number)["anyOf"]]}


def a_period() -> Schema:
    """What `values.period` reads."""
    integers = an_integer(1, values.MAX_COUNT)
    return {"anyOf": [{"const": "never"}, *integers["anyOf"]]}


def a_page_size() -> Schema:
    """What `values.page_size` reads of the powers of two."""
    sizes = [size for size in (1 << bit for bit in range(32)) if accepts(values.page_size, size)]
    return {"enum": [*map(values.human, sizes), *(f"{size >> 10}K" for size in sizes), *sizes]}


def accepts(reader: Reader[Any], value: object) -> bool:
    """Whether the loader would take the value."""
    try:
        reader(str(value))
    except Invalid:
        return False
    return True


def a_string(pattern: str, **more: object) -> Schema:
    """A string as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$", **more}


MADE_BY: Final[Mapping[str, Callable[..., Schema]]] = {
    "integer": an_integer,
    "size": a_size,
    "choice": a_choice,
    "bits": some_bits,
    "real": a_real,
}
"""For the readers that a function of `values` makes: what makes their schema of their limits."""

FUNCTIONS: Final[Mapping[Reader[Any], Callable[[], Schema]]] = {
    values.advice: lambda: {"anyOf": [of_reader(values.OF_NAME), of_reader(values.OF_NUMBER)]},
    values.name: lambda: a_string(values.NAME.pattern),
    values.errno_name: lambda: a_string("E[A-Z0-9]+", examples=["ENOMEM", "EINVAL", "EAGAIN"]),
    values.page_size: a_page_size,
    values.period: a_period,
    values.path: lambda: {"type": ["string", "number", "boolean"], "minLength": 1},
    values.address: lambda: an_integer(values.MMAP_MIN_ADDR, addresses.ADDRESS_LIMIT - 1),
    values.boolean: lambda: {
        "anyOf": [{"type": "boolean"}, a_string("true|True|TRUE|false|False|FALSE")]
    },
    values.true: lambda: {"anyOf": [{"const": True}, a_string("true|True|TRUE")]},
}
"""For the other readers."""
