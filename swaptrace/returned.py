"""What the functions of the Python interface return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swaptrace import rows
from swaptrace.result.differences import Diff
from swaptrace.result.explanation import Explanation
from swaptrace.result.result import Result, Violation, to_json
from swaptrace.rows import Row

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swaptrace.result.explored import Explored
    from swaptrace.result.swept import Swept


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
