"""Reading the observations, and holding the model against one."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from swaptrace import policies
from swaptrace.counters import COUNTERS
from swaptrace.replay.engine import Replay
from swaptrace.replay.pagemap import page_maps
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.leaves import leaves
from swaptrace.verify.observed import COUNTED

FOLDER = Path(__file__).parent / "observations"
FOLIOS = Path(__file__).parent / "folios"
"""Those of machines with large folios."""

SCENARIOS = "scenarios"

OF_FOLIOS = frozenset(name for name in COUNTERS if name.startswith(("mthp_", "thp_")))
"""Counted for large folios alone, in hugepages-*/stats and /proc/vmstat."""

PageMaps = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class Observation:
    """What one kernel showed for one scenario, under every policy that gave the same."""

    file: str
    scenario: str
    kernel: str
    machine: Mapping[str, Any]
    policies: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...]

    @property
    def backend(self) -> str:
        return str(self.machine["swap"]["backend"])

    @property
    def counted(self) -> frozenset[str]:
        """What was counted: where there were two sizes of folios, not what is counted by size."""
        return COUNTED - OF_FOLIOS if len(self.machine.get("thp", ())) > 1 else COUNTED | OF_FOLIOS

    def load(self) -> Scenario:
        """The scenario on the machine of the observation."""
        return on_machine(self.scenario, tuple(overrides("machine", self.machine)))


@cache
def on_machine(scenario: str, machine: tuple[tuple[str, str], ...]) -> Scenario:
    """A scenario, once for all policies and kernels that share a machine."""
    return load_text(scenario_texts()[scenario], scenario, dict(machine))


def overrides(prefix: str, machine: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A machine as `--set` would give it."""
    for key, value in machine.items():
        if isinstance(value, Mapping):
            yield from overrides(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", str(value).lower() if isinstance(value, bool) else str(value)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, compressed or as `swaptrace verify --record` writes it."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else open(path) as file:
        for line in file:
            yield json.loads(line)


@cache
def recorded(folder: Path = FOLDER) -> dict[str, list[dict[str, Any]]]:
    """What each file of observations holds, by its name without endings."""
    return {name: list(lines(path)) for name, path in paths(folder).items()}


def paths(folder: Path) -> dict[str, Path]:
    """Each file of observations by its name without endings."""
    found = sorted([*folder.glob("*.jsonl.xz"), *folder.glob("*.jsonl")])
    return {path.name.partition(".jsonl")[0]: path for path in found}


@cache
def scenario_texts() -> dict[str, str]:
    """The YAML of each observed scenario by name.

    A recorded observation has it in itself. Two of the same name must have the same text.
    """
    texts: dict[str, str] = {}
    for file, items in [*recorded().items(), *recorded(FOLIOS).items()]:
        for item in items:
            name = item["name"] if file == SCENARIOS else item["scenario"]
            text = item.get("yaml")
            assert text is None or texts.setdefault(name, text) == text, f"{file}: {name}"
    return texts


@cache
def observations(folder: Path = FOLDER) -> tuple[Observation, ...]:
    """All of them, file by file."""
    return tuple(
        Observation(
            file=file,
            scenario=item["scenario"],
            kernel=item["kernel"],
            machine=item["machine"],
            policies=tuple(item["policies"]),
            steps=tuple(item["steps"]),
        )
        for file, items in recorded(folder).items()
        if file != SCENARIOS
        for item in items
    )


@cache
def table(policy: str) -> Table:
    """One table per policy for all observations."""
    return Table(policies.from_argument(policy))


@dataclass(frozen=True)
class Difference:
    """The first step after which model and kernel are not the same."""

    observation: Observation
    policy: str
    step: int
    model: tuple[Mapping[str, int], PageMaps]
    kernel: tuple[Mapping[str, int], PageMaps]
    before: PageMaps

    def __str__(self) -> str:
        o = self.observation
        return "\n".join(
            [
                f"{o.file}: {o.scenario} under {self.policy} on {o.kernel}, {dict(o.machine)}",
                scenario_texts()[o.scenario].rstrip(),
                f"first difference after step {self.step}:",
                f"  counters model  {dict(self.model[0])}",
                f"           kernel {dict(self.kernel[0])}",
                f"  pages before    {self.before}",
                f"  pages model     {self.model[1]}",
                f"        kernel    {self.kernel[1]}",
            ]
        )


@cache
def first_difference(observation: Observation, policy: str) -> Difference | None:
    """Replay the scenario step by step beside the observation."""
    scenario = observation.load()
    replay = Replay(scenario, table(policy), steps=True)
    seen: PageMaps = {}
    executed = zip(leaves(scenario.steps), observation.steps, strict=True)
    for number, ((path, step), shown) in enumerate(executed):
        replay.leaf(step, path, None, replay.record)
        assert replay.record.steps is not None
        counted = replay.record.steps[-1].counters
        counters = {name: n for name, n in counted.items() if name in observation.counted}
        before, seen = seen, shown.get("pages", seen)
        model = (counters, page_maps(replay.world))
        kernel = (shown.get("counters", {}), seen)
        if model != kernel:
            return Difference(observation, policy, number, model, kernel, before)
    return None
