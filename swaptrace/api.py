"""The Python interface: what `import swaptrace` offers.

Each function does what the command of its name does. It takes scenarios and policies, and returns
a frozen value with `rows()` (dicts, one for each row of a data frame), `to_json()` (the command's
`--format json`) and, in a notebook, the command's table. All raise `SwaptraceError` with the
message that the command prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import IO, Final, TypeAlias

from swaptrace import inputs
from swaptrace.errors import SwaptraceError
from swaptrace.mm.policy import Policy
from swaptrace.replay import scenarios as commands
from swaptrace.result.differences import difference
from swaptrace.result.jsonfile import MAX_BYTES
from swaptrace.result.result import Result
from swaptrace.result.snapshot import Snapshot, of_result, read_saved
from swaptrace.returned import Compared, Differed, Explained, Gridded, Replayed, Searched
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.files import read_text

Path: TypeAlias = str | PathLike[str]
Scenarios: TypeAlias = Scenario | Path | Iterable[Scenario | Path]
PolicyLike: TypeAlias = str | Policy | type[Policy]
Policies: TypeAlias = PolicyLike | Sequence[PolicyLike]

DEFAULT_POLICIES: Final = ("prepatch", "rfc", "final")
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


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
    policies: Policies = DEFAULT_POLICIES,
    *,
    steps: bool = False,
    pages: bool = False,
    checkpoints: int = 0,
    jobs: int = 1,
) -> Replayed:
    """Replay each scenario under each policy.

    A policy is a name, a path or `kernel:TREE` as `--policies` takes it, a class derived from
    `swaptrace.mm.policy.Policy`, or an object of one; several are a sequence, or a text
    with commas. `steps`, `pages` and `checkpoints` ask for what the options of these names show;
    `jobs` is the number of processes.
    """
    return Replayed(*_replay(scenarios, policies, steps, pages, checkpoints, jobs))


def compare(
    scenarios: Scenarios,
    policies: Policies,
    *,
    jobs: int = 1,
) -> Compared:
    """Replay each scenario under each policy, to compare them with the first."""
    if len(_listed(policies)) < 2:
        raise SwaptraceError("compare needs at least two policies")
    return Compared(*_replay(scenarios, policies, False, False, 0, jobs))


def explain(
    scenario: Scenario | Path, policy: PolicyLike = "final", step: str | None = None
) -> Explained:
    """Say why each step, or the one named as by `--step`, counts what it counts."""
    return Explained(commands.explain_one([_loaded(scenario)], policy_of(policy), step))


def explore(
    policies: Policies,
    *,
    processes: int = 2,
    operations: str | Sequence[str] | None = None,
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

    found = tuple(map(policy_of, _listed(policies)))
    if not 1 <= len(found) <= 2:
        raise SwaptraceError(f"explore takes one policy or two, not {len(found)}")
    if not 1 <= processes <= explorer.MOST_PROCESSES:
        raise SwaptraceError(f"processes must be from 1 to {explorer.MOST_PROCESSES}")
    if not isinstance(operations, str | None):
        operations = ",".join(operations)
    wanted = explorer.operations(operations)
    limits, bounds = graph.Limits(wanted, processes), SearchBounds(max_steps, max_states)
    request = explorer.request_of(found, overrides, limits, bounds, single_pages)
    exploration = explorer.explore(request)
    return Searched(findings.explored(exploration, witness.witnesses(exploration)))


def sweep(
    scenario: Path,
    over: Mapping[str, str],
    policies: Policies = DEFAULT_POLICIES,
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
    found = [policy_of(policy) for policy in _listed(policies)]
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


def _listed(policies: Policies) -> Sequence[PolicyLike]:
    if isinstance(policies, str):
        return policies.split(",")
    return (policies,) if isinstance(policies, Policy | type) else policies


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
    policies: Policies,
    steps: bool,
    pages: bool,
    checkpoints: int,
    jobs: int,
) -> tuple[Result, tuple[str, ...]]:
    """The result, and why it is not the last word."""
    found = [policy_of(policy) for policy in _listed(policies)]
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
