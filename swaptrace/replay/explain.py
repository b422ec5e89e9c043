"""Why a step counts what it counts: its distinct transitions, in words.

A step that touches half a million pages takes a handful of distinct transitions. Each
is told as the page's state before and after, the number of pages that took it, what it
counted for each, and the kernel functions that decided.
"""

from __future__ import annotations

from swaptrace.counters import COUNTERS
from swaptrace.mm.event import Unmap
from swaptrace.mm.policy import Policy
from swaptrace.replay.citing import cited_lines
from swaptrace.replay.engine import Replay
from swaptrace.replay.explainblocks import region_transition
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Taken, Tally
from swaptrace.replay.wording import column_words, event_words
from swaptrace.result.explanation import ExplainedStep, Explanation, Transition
from swaptrace.scenario.schema import ForkStep, Scenario, Step


def explain(scenario: Scenario, policy: Policy) -> Explanation:
    """Every step that is replayed, explained. Raises as `engine.replay` does."""
    table = Table(policy)
    table.tells = True
    explained: list[ExplainedStep] = []

    def observe(path: str, step: Step, tally: Tally) -> None:
        child = step.child if isinstance(step, ForkStep) else ""
        transitions = [
            transition(table, taken, pages, child) for taken, pages in tally.taken.items()
        ]
        changes = tally.changes.items()
        transitions += [region_transition(each, times, child) for each, times in changes]
        explained.append(
            ExplainedStep(
                path,
                step.line,
                step.process,
                step.op,
                tally.counters(),
                tuple(transitions),
                None if run.world.arena is None else run.world.arena.lru_gen(),
            )
        )

    run = Replay(scenario, table, observe=observe)
    run.steps(scenario.steps, "", None, run.record)
    return Explanation(scenario.name, scenario.file, policy.name, tuple(explained))


def transition(table: Table, taken: Taken, pages: int, child: str) -> Transition:
    """One transition in words; `child` is the name of the process that a fork makes."""
    before = table.columns[taken.column]
    row = table.row(taken.event, taken.column)
    names = [*taken.members, child]
    after_names = list(names)
    if isinstance(taken.event, Unmap) and taken.event.gone:
        del after_names[taken.event.process]
    return Transition(
        pages=pages,
        region=taken.region,
        event=event_words(taken.event, names),
        before=column_words(before, names),
        after=column_words(table.columns[row.new], after_names),
        counters={name: n for name, n in zip(COUNTERS, row.counts, strict=True) if n},
        path=row.path,
        violations=tuple(f"{kind} ({after_names[p]})" for kind, p in row.violations),
        cited=tuple(cited_lines(table.policy, before, taken.event)),
    )
