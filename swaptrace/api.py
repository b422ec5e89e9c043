"""The Python interface: what `import swaptrace` offers.

Each function does what the command of its name does. It takes scenarios and policies, and returns
a frozen value with `rows()` (dicts, one for each row of a data frame), `to_json()` (the command's
`--format json`) and, in a notebook, the command's table. All raise `SwaptraceError` with the
message that the command prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final, TypeAlias

from swaptrace import inputs, rows
from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.replay import scenarios as commands
from swaptrace.result.differences import Diff, difference
from swaptrace.result.explanation import Explanation
from swaptrace.result.jsonfile import MAX_BYTES
from swaptrace.result.result import Result, Violation, to_json
from swaptrace.result.snapshot import Snapshot, of_result, read_saved
from swaptrace.rows import Row
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.files import read_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swaptrace.result.explored import Explored
    from swaptrace.result.swept import Swept

Path: TypeAlias = str | PathLike[str]
Scenarios: TypeAlias = Scenario | Path | Iterable[Scenario | Path]
PolicyLike: TypeAlias = str | Policy | type[Policy]

DEFAULT_POLICIES: Final = ("prepatch", "rfc", "final")
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Shown:
    """A value that a notebook shows as the command prints it."""

    def report(self) -> RenderableType:
        """The value as rich prints it."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        from swaptrace.report.notebook import html

        return html(self.report())


@dataclass(frozen=True)
class Replayed(Shown):
    """Scenarios under policies: what `run` returns.

    `result` has all of it as frozen values: counters by window, violations, expectations and, where
    they were asked for, steps, page maps and checkpoints. `undecided` says why what was counted is
    not the last word: what a policy's kernel tree or patch does beyond the model.
    """

    result: Result
    undecided: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every value that the scenarios expect of these policies was counted, every check
        holds, and nothing of them is undecided."""
        scenarios = self.result.scenarios
        met = all(e.ok for scenario in scenarios for e in scenario.expectations)
        policies = (policy for scenario in scenarios for policy in scenario.policies.values())
        hold = all(checked.ok for policy in policies for checked in policy.checks)
        return met and hold and not self.undecided

    @property
    def violations(self) -> tuple[tuple[str, str, Violation], ...]:
        """Each broken promise, with the names of its scenario and its policy."""
        return tuple(
            (scenario.name, name, violation)
            for scenario in self.result.scenarios
            for name, policy in scenario.policies.items()
            for violation in policy.violations
        )

    def rows(self) -> list[Row]:
        """A row for each scenario, window (the total is one) and policy, with every counter."""
        return [row for scenario in self.result.scenarios for row in rows.counted(scenario)]

    def to_json(self) -> str:
        """The result as `swaptrace.result/1`."""
        return to_json(self.result)

    def report(self) -> RenderableType:
        from swaptrace.report.run import run_report

        return run_report(self.result)


@dataclass(frozen=True)
class Compared(Replayed):
    """Policies beside the first of them: what `compare` returns."""

    def rows(self) -> list[Row]:
        """A row for each scenario, window, counter and policy after the first, equal values too."""
        return [row for scenario in self.result.scenarios for row in rows.beside(scenario)]

    def report(self) -> RenderableType:
        from swaptrace.report.compare import compare_report

        return compare_report(self.result)


@dataclass(frozen=True)
class Differed(Shown):
    """Two results beside each other: what `diff` returns."""

    diff: Diff

    @property
    def empty(self) -> bool:
        """Whether both have the same scenarios, policies and windows, with the same values."""
        return self.diff.empty

    def rows(self) -> list[Row]:
        """A row for each counter that both have, equal values too."""
        return [
            {"scenario": row.scenario, "policy": row.policy, **rows.change(row.change)}
            for row in self.diff.rows
        ]

    def to_json(self) -> str:
        """What differs as `swaptrace.diff/1`."""
        from swaptrace.report.diff import diff_json

        return diff_json(self.diff)

    def report(self) -> RenderableType:
        from swaptrace.report.diff import diff_report

        return diff_report(self.diff)


@dataclass(frozen=True)
class Explained(Shown):
    """Why each step of a scenario counts what it counts: what `explain` returns."""

    explanation: Explanation

    def rows(self) -> list[Row]:
        """A row for each transition of each step, with every counter."""
        return [
            rows.transition(step, transition)
            for step in self.explanation.steps
            for transition in step.transitions
        ]

    def to_json(self) -> str:
        """The explanation as `swaptrace.explain/1`."""
        return self.explanation.to_json()

    def report(self) -> RenderableType:
        from swaptrace.report.explain import explain_report

        return explain_report(self.explanation)


@dataclass(frozen=True)
class Gridded(Shown):
    """A scenario on a grid of machines: what `sweep` returns."""

    swept: Swept

    def rows(self) -> list[Row]:
        """A row for each window, machine and policy, with every setting and counter."""
        return list(rows.swept(self.swept))

    def to_json(self) -> str:
        """The grid as `swaptrace.sweep/1`."""
        from swaptrace.result.swept import to_json

        return to_json(self.swept)

    def report(self) -> RenderableType:
        from swaptrace.report.sweep import sweep_report

        return sweep_report(self.swept, (), "total")


@dataclass(frozen=True)
class Searched(Shown):
    """The shortest sequences that tell policies apart: what `explore` returns.

    `explored.complete` says whether what was not found does not exist, `explored.proof` how that is
    known and of what: the machine, the operations and the number of processes.
    """

    explored: Explored

    @property
    def complete(self) -> bool:
        """Whether the search came to its end, so that there is no other difference."""
        return self.explored.complete

    def rows(self) -> list[Row]:
        """A row for each kind of difference, with what each policy shows and the sequence."""
        return [
            {"kind": line.kind, "flag": line.flag, **line.values, "sequence": line.sequence}
            for line in self.explored.lines
        ]

    def to_json(self) -> str:
        """What was found as `swaptrace.explore/1`."""
        from swaptrace.report.explore import explore_json

        return explore_json(self.explored)

    def report(self) -> RenderableType:
        from swaptrace.report.explore import explore_report

        return explore_report(self.explored)


def load(source: Path | IO[str], overrides: Mapping[str, str] = NOTHING) -> Scenario:
    """Read a scenario: a file, the name of a bundled one, or an open text file.

    `overrides` are settings of the machine as `--set` takes them, such as
    `{"machine.swap.backend": "disk"}`.
    """
    if not isinstance(source, str | PathLike):
        from swaptrace.scenario.loader import load_text

        return load_text(source.read(), getattr(source, "name", "<text>"), overrides)
    found = inputs.find(fspath(source))
    if len(found) != 1:
        raise SwaptraceError(f"{fspath(source)}: a directory; load its files one by one")
    return inputs.load_all(found, overrides, None)[0]


def run(
    scenarios: Scenarios,
    policies: Sequence[PolicyLike] = DEFAULT_POLICIES,
    *,
    steps: bool = False,
    pages: bool = False,
    checkpoints: int = 0,
    jobs: int = 1,
) -> Replayed:
    """Replay each scenario under each policy.

    A policy is a name, a path or `kernel:TREE` as `--policies` takes it, a class derived from
    `swaptrace.mm.policy.Policy`, or an object of one. `steps`, `pages` and `checkpoints` ask for
    what the options of these names show; `jobs` is the number of processes.
    """
    return Replayed(*_replay(scenarios, policies, steps, pages, checkpoints, jobs))


def compare(
    scenarios: Scenarios,
    policies: Sequence[PolicyLike],
    *,
    jobs: int = 1,
) -> Compared:
    """Replay each scenario under each policy, to compare them with the first."""
    if len(policies) < 2:
        raise SwaptraceError("compare needs at least two policies")
    return Compared(*_replay(scenarios, policies, False, False, 0, jobs))


def explain(
    scenario: Scenario | Path, policy: PolicyLike = "final", step: str | None = None
) -> Explained:
    """Say why each step, or the one named as by `--step`, counts what it counts."""
    return Explained(commands.explain_one([_loaded(scenario)], policy_of(policy), step))


def explore(
    policies: Sequence[PolicyLike],
    *,
    processes: int = 2,
    operations: Sequence[str] | None = None,
    max_steps: int | None = None,
    max_states: int | None = None,
    single_pages: bool = False,
    overrides: Mapping[str, str] = NOTHING,
) -> Searched:
    """Find the shortest sequences that tell two policies apart, or the violations of one.

    The arguments are the options of the command; `operations` are those of `--ops`.
    """
    from swaptrace.exploration import explorer, findings, graph, witness
    from swaptrace.exploration.search import SearchBounds

    found = tuple(policy_of(policy) for policy in policies)
    if not 1 <= len(found) <= 2:
        raise SwaptraceError(f"explore takes one policy or two, not {len(found)}")
    if not 1 <= processes <= explorer.MOST_PROCESSES:
        raise SwaptraceError(f"processes must be from 1 to {explorer.MOST_PROCESSES}")
    wanted = explorer.operations(None if operations is None else ",".join(operations))
    limits, bounds = graph.Limits(wanted, processes), SearchBounds(max_steps, max_states)
    request = explorer.request_of(found, overrides, limits, bounds, single_pages)
    exploration = explorer.explore(request)
    return Searched(findings.explored(exploration, witness.witnesses(exploration)))


def sweep(
    scenario: Path,
    over: Mapping[str, str],
    policies: Sequence[PolicyLike] = DEFAULT_POLICIES,
    *,
    overrides: Mapping[str, str] = NOTHING,
    jobs: int = 1,
    cells: Path | None = None,
) -> Gridded:
    """Replay a scenario, of a file or a bundled name, on a grid of machines.

    `over` are the values by machine key, as of `--over`; `cells` is where cells are kept.
    """
    from swaptrace.sweep import whole
    from swaptrace.sweep.axes import axes_of
    from swaptrace.sweep.running import cells_of, completed, here
    from swaptrace.sweep.store import Store, default_place

    axes = axes_of([f"{key}={values}" for key, values in over.items()], overrides)
    found = [policy_of(policy) for policy in policies]
    store = Store(default_place(os.environ) if cells is None else FilePath(cells))
    with here(found, jobs, meanwhile=lambda: None) as engine:
        machines = whole.machines_of(
            axes, lambda more: load(scenario, {**overrides, **more}), engine.working_set
        )
        wanted = cells_of([point.scenario for point in machines], found)
        done = completed(
            wanted, store, engine, done=lambda _done, _of: None, spoilt=lambda _error: None
        )
    return Gridded(whole.swept_of(axes, found, machines, done))


def diff(old: Replayed | Path, new: Replayed | Path) -> Differed:
    """Compare two results, or files of them or of baselines, by scenario, policy and window."""
    return Differed(difference(_snapshot(old, "old"), _snapshot(new, "new")))


def policy_of(policy: PolicyLike) -> Policy:
    """The policy that is named or given; one without a name is called as its class."""
    if isinstance(policy, str):
        from swaptrace.policies import from_argument

        return from_argument(policy)
    made = policy() if isinstance(policy, type) else policy
    made.name = made.name or type(made).__name__
    return made


def _replay(
    scenarios: Scenarios,
    policies: Sequence[PolicyLike],
    steps: bool,
    pages: bool,
    checkpoints: int,
    jobs: int,
) -> tuple[Result, tuple[str, ...]]:
    """The result, and why it is not the last word."""
    found = [policy_of(policy) for policy in policies]
    names = sorted(policy.name for policy in found)
    twice = next((one for one, other in pairwise(names) if one == other), None)
    if twice is not None:
        raise SwaptraceError(f"two policies are called {twice!r}")
    result = commands.replay_all(
        [_loaded(each) for each in _each(scenarios)],
        found,
        steps=steps,
        pages=pages,
        checkpoints=checkpoints,
        begin=lambda _scenario, _policy: None,
        jobs=jobs,
    )
    return result, tuple(f"{policy.name}: {why}" for policy in found for why in policy.undecided)


def _each(scenarios: Scenarios) -> Iterable[Scenario | Path]:
    if isinstance(scenarios, Scenario | str | PathLike):
        return (scenarios,)
    return scenarios


def _loaded(scenario: Scenario | Path) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else load(scenario)


def _snapshot(saved: Replayed | Path, called: str) -> Snapshot:
    if isinstance(saved, Replayed):
        return of_result(saved.result, called)
    path = fspath(saved)
    return read_saved(read_text(path, MAX_BYTES), path)
