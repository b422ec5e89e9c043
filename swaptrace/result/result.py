"""What a replay found, as frozen values, and its JSON form `swaptrace.result/1`.

Counters that are zero are left out everywhere, so that two results are equal
exactly when their JSON texts are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from swaptrace.counters import WARNINGS
from swaptrace.frozen import FrozenValue
from swaptrace.result.jsonfile import Node, parse
from swaptrace.scenario.hardware import LIMITED, Machine
from swaptrace.scenario.thp import OF_LARGE_FOLIOS

if TYPE_CHECKING:
    from swaptrace.result.history import History
    from swaptrace.result.lrugen import LruGen

SCHEMA = "swaptrace.result/1"

Counters = Mapping[str, int]
ClaimKind = Literal["pages", "data", "vmas", "violations", "scan"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepResult(FrozenValue):
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Violation(FrozenValue):
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Checked(FrozenValue):
    """A claim of a `check` step beside what there was: the first time that it did not hold, or else
    the first time. `region` is empty where the claim is of neither pages nor data."""

    kind: ClaimKind
    step: str
    line: int
    process: str
    region: str
    expected: str
    actual: str
    ok: bool

    @property
    def claim(self) -> tuple[ClaimKind, int, str, str]:
        """Which claim it is: its kind, line, process and region."""
        return self.kind, self.line, self.process, self.region


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Checkpoint(FrozenValue):
    """What an `access` or `trace` step has counted after `accesses` of its accesses.

    `step` and `times` are as of `StepResult`: several iterations of a `repeat` may have one.
    """

    step: str
    line: int
    process: str
    op: str
    accesses: int
    counters: Counters
    times: int = 1
    lru_gen: LruGen | None = None


class Note(NamedTuple):
    """What is to be said of the step in a line of the scenario."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PolicyResult(FrozenValue):
    """One scenario under one policy.

    `windows` is in order of first appearance; `steps` is empty unless asked for;
    `pages` maps process to region to the run-length code of its page map at the end
    (None unless asked for). `checkpoints` are in order (None unless asked for), `checks` in the
    order of the file. `notes` are what is to be said of a line's step; they are not part of the
    JSON, which holds what is counted. Nor is `history`, which pictures are drawn from (None unless
    asked for). `undecided` says why none of it is the last word (`mm.policy.Policy`).
    """

    total: Counters
    windows: Mapping[str, Counters]
    violations: tuple[Violation, ...] = ()
    steps: tuple[StepResult, ...] | None = None
    pages: Mapping[str, Mapping[str, str]] | None = None
    checkpoints: tuple[Checkpoint, ...] | None = None
    checks: tuple[Checked, ...] = ()
    notes: tuple[Note, ...] = field(default=(), compare=False)
    undecided: tuple[str, ...] = ()
    history: History | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expectation(FrozenValue):
    """An expected value beside the actual one."""

    window: str
    policy: str
    counter: str
    expected: int
    actual: int

    @property
    def ok(self) -> bool:
        return self.expected == self.actual


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScenarioResult(FrozenValue):
    """One scenario under every policy that was asked for, in that order.

    `source` is its file, line by line, where histories were asked for; it is no part of the JSON
    form.
    """

    name: str
    file: str
    machine: Mapping[str, object]
    policies: Mapping[str, PolicyResult]
    expectations: tuple[Expectation, ...] = ()
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result(FrozenValue):
    """Every scenario of a run, and the version of the program that ran it."""

    version: str
    scenarios: tuple[ScenarioResult, ...]


def machine_mapping(machine: Machine) -> Mapping[str, object]:
    """The machine as the result keeps it: every key, under the names of the scenario format.

    Without a memory limit, none of the keys that say how it is kept; without large folios none
    of theirs; `memlock`, `swap_max`, `lru_batch` and `hugepages` only where they are set.
    """
    whole = {**asdict(machine), "thp": dict(machine.thp)}
    for key in () if machine.thp else ("thp", *OF_LARGE_FOLIOS):
        del whole[key]
    for key in ("memlock", "lru_batch", "swap_max"):
        if whole[key] is None or whole[key] is False:  # a limit of 0 is one
            del whole[key]
    if not machine.hugepages:
        del whole["hugepages"]
    return {key: value for key, value in whole.items() if machine.memory or key not in LIMITED}


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
        "policies": {name: policy_json(policy) for name, policy in policies},
        "expectations": [{**asdict(e), "ok": e.ok} for e in scenario.expectations],
    }


def policy_json(policy: PolicyResult) -> dict[str, object]:
    """One scenario under one policy, as `to_json` has it."""
    document: dict[str, object] = {
        "total": _nonzero(policy.total),
        "windows": {label: _nonzero(counters) for label, counters in policy.windows.items()},
        "violations": [asdict(violation) for violation in policy.violations],
    }
    if policy.steps is not None:
        document["steps"] = [_entry_json(step) for step in policy.steps]
    if policy.pages is not None:
        document["pages"] = {process: dict(maps) for process, maps in policy.pages.items()}
    if policy.checks:
        document["checks"] = [asdict(checked) for checked in policy.checks]
    if policy.undecided:
        document["undecided"] = list(policy.undecided)
    if policy.checkpoints is not None:
        document["checkpoints"] = [_entry_json(point) for point in policy.checkpoints]
    return document


def _entry_json(entry: StepResult | Checkpoint) -> dict[str, object]:
    document = {**asdict(entry), "counters": _nonzero(entry.counters)}
    if entry.times == 1:
        del document["times"]
    if document.get("lru_gen", True) is None:
        del document["lru_gen"]
    return document


def _nonzero(counters: Counters) -> dict[str, int]:
    return {name: count for name, count in counters.items() if count}


def from_json(text: str, source: str = "<result>") -> Result:
    """Read what `to_json` wrote; `source` is what messages call it.

    Keys that this version does not know are ignored. What was a JSON object comes back in the
    order of the text, which `to_json` sorts.
    """
    root = parse(text, source, SCHEMA)
    scenarios = tuple(_read_scenario(node) for node in root.key("scenarios").array())
    return Result(root.key("version").text(), scenarios)


def _read_scenario(node: Node) -> ScenarioResult:
    policies = node.key("policies").fields().items()
    return ScenarioResult(
        name=node.key("name").text(),
        file=node.key("file").text(),
        machine={name: child.setting() for name, child in node.key("machine").fields().items()},
        policies={name: read_policy(child) for name, child in policies},
        expectations=tuple(_read_expectation(child) for child in node.key("expectations").array()),
    )


def read_policy(node: Node) -> PolicyResult:
    """What `policy_json` wrote. Raises `SwaptraceError`."""
    fields = node.fields()
    steps, pages, points = (fields.get(key) for key in ("steps", "pages", "checkpoints"))
    checks, undecided = fields.get("checks"), fields.get("undecided")
    windows = node.key("windows").fields().items()
    return PolicyResult(
        total=read_counters(node.key("total")),
        windows={label: read_counters(child) for label, child in windows},
        violations=tuple(_read_violation(child) for child in node.key("violations").array()),
        steps=None if steps is None else tuple(_read_step(child) for child in steps.array()),
        pages=None if pages is None else _read_pages(pages),
        checkpoints=None if points is None else tuple(map(_read_checkpoint, points.array())),
        checks=tuple(map(_read_checked, checks.array())) if checks is not None else (),
        undecided=tuple(each.text() for each in undecided.array()) if undecided else (),
    )


def read_counters(node: Node) -> dict[str, int]:
    """Counts by name, those of 0 left out. Raises `SwaptraceError`."""
    return _nonzero({name: child.count() for name, child in node.fields().items()})


def _read_pages(node: Node) -> dict[str, dict[str, str]]:
    return {
        process: {region: code.text() for region, code in maps.fields().items()}
        for process, maps in node.fields().items()
    }


def _read_step(node: Node) -> StepResult:
    return StepResult(
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        op=node.key("op").text(),
        counters=read_counters(node.key("counters")),
        times=_read_times(node),
    )


def _read_checkpoint(node: Node) -> Checkpoint:
    from swaptrace.result.lrugen import read_lru_gen  # few results have it

    lru_gen = node.fields().get("lru_gen")
    return Checkpoint(
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        op=node.key("op").text(),
        accesses=node.key("accesses").count(),
        counters=read_counters(node.key("counters")),
        times=_read_times(node),
        lru_gen=None if lru_gen is None else read_lru_gen(lru_gen),
    )


def _read_times(node: Node) -> int:
    times = node.fields().get("times")
    return 1 if times is None else times.count(1)


def _read_violation(node: Node) -> Violation:
    return Violation(
        kind=node.key("kind").text(),
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        region=node.key("region").text(),
        page=node.key("page").count(),
        pages=node.key("pages").count(1),
    )


def _read_checked(node: Node) -> Checked:
    kind = node.key("kind")
    if kind.text() not in get_args(ClaimKind):
        raise kind.error(" or ".join(get_args(ClaimKind)))
    return Checked(
        kind=cast("ClaimKind", kind.text()),
        step=node.key("step").text(),
        line=node.key("line").count(1),
        process=node.key("process").text(),
        region=node.key("region").text(),
        expected=node.key("expected").text(),
        actual=node.key("actual").text(),
        ok=node.key("ok").boolean(),
    )


def _read_expectation(node: Node) -> Expectation:
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
