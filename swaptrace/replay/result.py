"""What a replay found, as frozen values, and its JSON form `swaptrace.result/1`.

Counters that are zero are left out everywhere, so that two results are equal
exactly when their JSON texts are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from swaptrace.counters import WARNINGS
from swaptrace.errors import SwaptraceError
from swaptrace.scenario.schema import Machine

SCHEMA = "swaptrace.result/1"

Counters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StepResult:
    """The counters of one executed leaf step.

    `step` is the path of indices (`4.0`, in a repetition `3[2].0`). Where iterations of
    a `repeat` were not replayed one by one because they leave the state that they found,
    one entry stands for all of them: its path names the first and the last (`3[5-99].0`),
    `counters` are those of one iteration and `times` is how many there are.
    """

    step: str
    line: int
    process: str
    op: str
    counters: Counters
    times: int = 1


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: the step where it first shows, the first page, and how many pages."""

    kind: str
    step: str
    line: int
    process: str
    region: str
    page: int
    pages: int

    @property
    def is_warning(self) -> bool:
        return self.kind in WARNINGS


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One scenario under one policy.

    `windows` is in order of first appearance; `steps` is empty unless asked for;
    `pages` maps process to region to the run-length code of its page map at the end
    (None unless asked for).
    """

    total: Counters
    windows: Mapping[str, Counters]
    violations: tuple[Violation, ...] = ()
    steps: tuple[StepResult, ...] | None = None
    pages: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expected value beside the actual one."""

    window: str
    policy: str
    counter: str
    expected: int
    actual: int

    @property
    def ok(self) -> bool:
        return self.expected == self.actual


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario under every policy that was asked for, in that order."""

    name: str
    file: str
    machine: Mapping[str, object]
    policies: Mapping[str, PolicyResult]
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """Every scenario of a run, and the version of the program that ran it."""

    version: str
    scenarios: tuple[ScenarioResult, ...]


def machine_mapping(machine: Machine) -> Mapping[str, object]:
    """The machine as the result keeps it: every key, under the names of the scenario format."""
    return asdict(machine)


def to_json(result: Result) -> str:
    """The result as `swaptrace.result/1`: keys sorted, plain ASCII, a newline at the end."""
    document = {
        "schema": SCHEMA,
        "version": result.version,
        "scenarios": [_scenario_json(scenario) for scenario in result.scenarios],
    }
    return json.dumps(document, sort_keys=True, indent=2) + "\n"


def _scenario_json(scenario: ScenarioResult) -> dict[str, object]:
    policies = scenario.policies.items()
    return {
        "name": scenario.name,
        "file": scenario.file,
        "machine": scenario.machine,
        "policies": {name: _policy_json(policy) for name, policy in policies},
        "expectations": [{**asdict(e), "ok": e.ok} for e in scenario.expectations],
    }


def _policy_json(policy: PolicyResult) -> dict[str, object]:
    document: dict[str, object] = {
        "total": _nonzero(policy.total),
        "windows": {label: _nonzero(counters) for label, counters in policy.windows.items()},
        "violations": [asdict(violation) for violation in policy.violations],
    }
    if policy.steps is not None:
        document["steps"] = [_step_json(step) for step in policy.steps]
    if policy.pages is not None:
        document["pages"] = {process: dict(maps) for process, maps in policy.pages.items()}
    return document


def _step_json(step: StepResult) -> dict[str, object]:
    document: dict[str, object] = {
        "step": step.step,
        "line": step.line,
        "process": step.process,
        "op": step.op,
        "counters": _nonzero(step.counters),
    }
    if step.times != 1:
        document["times"] = step.times
    return document


def _nonzero(counters: Counters) -> dict[str, int]:
    return {name: count for name, count in counters.items() if count}


def from_json(text: str, source: str = "<result>") -> Result:
    """Read what `to_json` wrote; `source` is what messages call it.

    Keys that this version does not know are ignored. What was a JSON object comes back in the
    order of the text, which `to_json` sorts.
    """
    root = _Node(_parse(text, source), source)
    _check_schema(root)
    scenarios = tuple(_read_scenario(node) for node in root.key("scenarios").array())
    return Result(root.key("version").text(), scenarios)


def _parse(text: str, source: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        whole = text.rstrip()
        if not whole:
            raise SwaptraceError(f"{source}: is empty, not a result") from None
        if whole[0] == "{" and (error.pos >= len(whole) or not whole.endswith("}")):
            message = f"{source}: is cut off in line {whole.count(chr(10)) + 1}; make it again"
        else:
            place = f"{source}:{error.lineno}:{error.colno}"
            message = f"{place}: is not JSON, as a saved result must be ({error.msg})"
        raise SwaptraceError(message) from None
    except (ValueError, RecursionError) as error:
        raise SwaptraceError(f"{source}: is not a result ({error})") from None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return keys


def _check_schema(root: _Node) -> None:
    found = root.key("schema").text()
    family, _, version = found.partition("/")
    if found == SCHEMA:
        return
    if family == SCHEMA.partition("/")[0] and version.isdecimal():
        raise SwaptraceError(
            f"{root.source}: is {found}, from another version of swaptrace; "
            f"this one reads {SCHEMA}: update swaptrace or make the result again"
        )
    raise SwaptraceError(f"{root.source}: is {found!r}, not a swaptrace result ({SCHEMA})")


class _Node(NamedTuple):
    """A JSON value and where it stands, so that a complaint can name the place."""

    value: object
    source: str
    path: str = ""

    def error(self, wanted: str) -> SwaptraceError:
        shown = repr(self.value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        place = f"{self.source}: {self.path}" if self.path else self.source
        return SwaptraceError(f"{place}: must be {wanted}, not {shown}")

    def fields(self) -> dict[str, _Node]:
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return {name: self._child(name, value) for name, value in self.value.items()}

    def _child(self, name: str, value: object) -> _Node:
        plain = name.replace("_", "").isalnum()
        step = f".{name}" if plain else f"[{json.dumps(name)}]"
        return _Node(value, self.source, f"{self.path}{step}".removeprefix("."))

    def key(self, name: str) -> _Node:
        fields = self.fields()
        if name not in fields:
            place = f"{self.source}: {self.path}" if self.path else self.source
            raise SwaptraceError(f"{place}: the key {name!r} is missing")
        return fields[name]

    def array(self) -> list[_Node]:
        if not isinstance(self.value, list):
            raise self.error("an array")
        nodes = enumerate(self.value)
        return [_Node(value, self.source, f"{self.path}[{i}]") for i, value in nodes]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.error("a string")
        return self.value

    def count(self, least: int = 0) -> int:
        if type(self.value) is not int or self.value < least:
            raise self.error(f"a whole number of at least {least}")
        return self.value

    def counters(self) -> dict[str, int]:
        return _nonzero({name: node.count() for name, node in self.fields().items()})

    def setting(self) -> object:
        """A machine key: a scalar, or a mapping of them."""
        if isinstance(self.value, dict):
            return {name: node.setting() for name, node in self.fields().items()}
        if not isinstance(self.value, str | int):
            raise self.error("a string, a whole number, true, false or an object")
        return self.value


def _read_scenario(node: _Node) -> ScenarioResult:
    policies = node.key("policies").fields().items()
    return ScenarioResult(
        name=node.key("name").text(),
        file=node.key("file").text(),
        machine={name: child.setting() for name, child in node.key("machine").fields().items()},
        policies={name: _read_policy(child) for name, child in policies},
        expectations=tuple(_read_expectation(child) for child in node.key("expectations").array()),
    )


def _read_policy(node: _Node) -> PolicyResult:
    fields = node.fields()
    steps, pages = fields.get("steps"), fields.get("pages")
    windows = node.key("windows").fields().items()
    return PolicyResult(
        total=node.key("total").counters(),
        windows={label: child.counters() for label, child in windows},
        violations=tuple(_read_violation(child) for child in node.key("violations").array()),
        steps=None if steps is None else tuple(_read_step(child) for child in steps.array()),
        pages=None if pages is None else _read_pages(pages),
    )


def _read_pages(node: _Node) -> dict[str, dict[str, str]]:
    return {
        process: {region: code.text() for region, code in maps.fields().items()}
        for process, maps in node.fields().items()
    }


def _read_step(node: _Node) -> StepResult:
    times = node.fields().get("times")
    return StepResult(
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        op=node.key("op").text(),
        counters=node.key("counters").counters(),
        times=1 if times is None else times.count(1),
    )


def _read_violation(node: _Node) -> Violation:
    return Violation(
        kind=node.key("kind").text(),
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        region=node.key("region").text(),
        page=node.key("page").count(),
        pages=node.key("pages").count(1),
    )


def _read_expectation(node: _Node) -> Expectation:
    expectation = Expectation(
        window=node.key("window").text(),
        policy=node.key("policy").text(),
        counter=node.key("counter").text(),
        expected=node.key("expected").count(),
        actual=node.key("actual").count(),
    )
    said = node.key("ok")
    if said.value is not expectation.ok:
        raise said.error(json.dumps(expectation.ok))
    return expectation
