"""Sequences as scenarios: a file that `swaptrace run` replays, and what it shows there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.alphabet import REGION, step_of
from swaptrace.exploration.crowding import crowded_steps
from swaptrace.exploration.divergence import first_divergence
from swaptrace.exploration.explorer import Exploration, Request
from swaptrace.exploration.graph import Graph
from swaptrace.exploration.scope import unusual
from swaptrace.exploration.search import PAGE_MAP, FoundDifference, TakenOperation
from swaptrace.mm.policy import Policy
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.replay.telling import StepHistorian
from swaptrace.result.changes import FAULTS
from swaptrace.result.result import PolicyResult, ScenarioResult, machine_mapping
from swaptrace.scenario.claims import each_page
from swaptrace.scenario.loader import load_text
from swaptrace.terminal.atomic import replace_file

Steps = list[dict[str, Any]]


class Witness(NamedTuple):
    """A difference with its scenario, replayed: `values` is what each policy shows by name.

    Of a counter that is the total, of a violation how often it is reported, of a page map the
    code of the process in which the flag differs. `cited` are the lines where policies in C part.
    `replayed` is the whole replay, with its history, where that is wanted.
    """

    difference: FoundDifference
    steps: Steps
    values: Mapping[str, int | str]
    text: str
    cited: tuple[str, ...] = ()
    replayed: ScenarioResult | None = None

    @property
    def title(self) -> str:
        """The kind, with the flag of a page map."""
        flag = self.difference.flag
        return f"{self.difference.kind} {flag}" if flag else self.difference.kind


def witnesses(exploration: Exploration, history: bool = False) -> list[Witness]:
    """Every difference with its scenario, replayed; `history` asks for the whole replay as well.

    Raises `SwaptraceError` if a replay does not show what was found: the two would disagree. Once
    two policies have parted in what they put into the per-CPU batches, one scenario cannot fill
    both to the same place: what it does not show is left out.
    """
    tables = {policy.name: Table(policy) for policy in exploration.request.policies}
    found = []
    for each in exploration.differences:
        witness = _witness(exploration.request, each, tables, history)
        if witness is not None:
            found.append(witness)
        elif not exploration.found.parted:
            raise SwaptraceError(
                f"internal error: a replay does not show {each.kind} after {short(each.steps)}; "
                "please report it"
            )
    return found


def _witness(
    request: Request, difference: FoundDifference, tables: Mapping[str, Table], history: bool
) -> Witness | None:
    """None if a replay does not show the difference."""
    steps = _steps(request, difference)
    text = scenario_text(request, difference, steps)
    scenario = load_text(text.encode(), file_name(request.policies, difference))
    results = {
        name: replay(
            replace(scenario, machine=replace(scenario.machine, thp=on.thp)),
            table,
            pages=True,
            history=StepHistorian if history else None,
        )
        for (name, table), on in zip(tables.items(), request.machines, strict=True)
    }
    values = _values(difference, results)
    if len(set(values.values())) == 1 and (len(values) == 2 or 0 in values.values()):
        return None
    expected = {
        name: {str(kind): _total(result, kind) for kind in _expected(difference)}
        for (name, result), on in zip(results.items(), request.machines, strict=True)
        if on.thp == request.machine.thp
    }
    text += _yaml({"expect": {"total": expected}})
    replayed = None
    if history:
        shown = {name: replace(result, pages=None) for name, result in results.items()}
        machine = machine_mapping(scenario.machine)
        lines = tuple(text.splitlines())
        replayed = ScenarioResult(scenario.name, scenario.file, machine, shown, source=lines)
    cited = first_divergence(request.policies, scenario)
    return Witness(difference, steps, values, text, cited, replayed)


def _values(
    difference: FoundDifference, results: Mapping[str, PolicyResult]
) -> dict[str, int | str]:
    if difference.kind == PAGE_MAP:
        return _page_maps(difference.flag, results)
    return {name: _total(result, difference.kind) for name, result in results.items()}


def _total(result: PolicyResult, kind: str) -> int:
    """What is counted of a counter, or the pages of a violation."""
    times = sum(v.pages for v in result.violations if v.kind == kind)
    return result.total.get(kind, 0) or times


def _page_maps(flag: str, results: Mapping[str, PolicyResult]) -> dict[str, int | str]:
    """Of the first process whose page has the flag under one policy alone."""
    maps = {name: result.pages or {} for name, result in results.items()}
    for process in next(iter(maps.values())):
        codes: dict[str, int | str] = {name: each[process][REGION] for name, each in maps.items()}
        pages = zip(*(each_page(str(code)) for code in codes.values()), strict=True)
        if any(len({flag in flags for flags in page}) == 2 for page in pages):
            return codes
    return dict.fromkeys(results, "")


def _expected(difference: FoundDifference) -> list[str]:
    """What the scenario expects: the faults, and the counter or violation that it is about."""
    return [*FAULTS, *({difference.kind}.difference(FAULTS, {PAGE_MAP}))]


def _steps(request: Request, difference: FoundDifference) -> Steps:
    if not request.machine.lru_batch:
        return steps_of(difference.steps, request.size)
    mapped, *_ = steps_of((), request.size)
    graph = Graph(request.policies[0], request.machines[0], request.limits)
    return [mapped, *crowded_steps(graph, difference.steps, request.size)]


def steps_of(sequence: tuple[TakenOperation, ...], size: int) -> Steps:
    """The steps of the scenario: the region is mapped, then the operations."""
    mapped = {"mmap": REGION, "size": size}
    return [mapped, *(step_of(t.operation, t.process, t.child) for t in sequence)]


def short(sequence: tuple[TakenOperation, ...]) -> str:
    """The sequence in a line: `write, pageout, fork child, read by child`."""
    return ", ".join(short_steps(sequence))


def short_steps(sequence: tuple[TakenOperation, ...]) -> tuple[str, ...]:
    """Each operation of the sequence in a few words."""
    return tuple(map(_short, sequence))


def _short(taken: TakenOperation) -> str:
    by = "" if taken.process == "main" else f" by {taken.process}"
    return f"{taken.operation} {taken.child}{by}" if taken.child else f"{taken.operation}{by}"


def scenario_text(request: Request, difference: FoundDifference, steps: Steps) -> str:
    """The scenario, without what it expects."""
    names = " and ".join(policy.name for policy in request.policies)
    what = f"{difference.kind} ({difference.flag})" if difference.flag else difference.kind
    differs = f"{names} differ in {what}" if len(request.policies) == 2 else f"{names}: {what}"
    document: dict[str, Any] = {"description": f"The shortest sequence after which {differs}."}
    if len(request.policies) == 1:
        document["description"] = f"The shortest sequence that shows {what} under {names}."
    document["machine"] = unusual(request.machine)
    document["steps"] = steps
    return _yaml(document)


def _yaml(document: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(dict(document), sort_keys=False, width=100)
    return text


def file_name(policies: tuple[Policy, ...], difference: FoundDifference) -> str:
    """What the scenario's file is called: the kind, then the policies."""
    # The name of a kernel tree's policy is a path.
    names = (policy.name.replace("/", "_") for policy in policies)
    parts = [difference.kind, *difference.flag, *names]
    return "-".join(parts) + ".yaml"


def write_all(exploration: Exploration, found: list[Witness], directory: Path) -> list[str]:
    """Write each scenario to a file; their paths, in order. Raises `SwaptraceError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"--out {directory}: cannot be made a directory: {error.strerror}"
        raise SwaptraceError(message) from None
    paths = []
    for witness in found:
        path = directory / file_name(exploration.request.policies, witness.difference)
        replace_file(path, witness.text)
        paths.append(str(path))
    return paths
