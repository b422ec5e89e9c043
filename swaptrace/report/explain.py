"""What `explain` prints for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType

from swaptrace.report.layout import Indented, spaced, words
from swaptrace.result.explanation import ExplainedStep, Explanation, Transition
from swaptrace.result.lrugen import LruGen


def explain_report(explanation: Explanation) -> RenderableType:
    """Each step with its transitions, a blank line between two."""
    title = words(explanation.name, "bold").append_text(
        words(f"  ({explanation.file}) under {explanation.policy}", "dim")
    )
    return Group(*spaced([[title], *(_step(step) for step in explanation.steps)]))


def _step(step: ExplainedStep) -> Iterator[RenderableType]:
    counted = f": {_counters(step.counters)}" if step.counters else ""
    yield words(f"step {step.step}, line {step.line}: {step.op} by {step.process}{counted}", "bold")
    if not step.transitions:
        yield Indented(words("no page changes"))
    for transition in step.transitions:
        yield from _transition(transition)
    if step.lru_gen is not None:
        yield from _generations(step.lru_gen)


def _generations(lru: LruGen) -> Iterator[RenderableType]:
    """Of the multi-generational LRU after the step: generations, and tiers that have counted."""
    for each in lru.generations:
        lazyfree = f", {each.lazyfree} given up" if each.lazyfree else ""
        yield Indented(words(f"generation {each.generation}: {each.anon} anonymous{lazyfree}"))
    for tier in lru.tiers:
        counts = f"{tier.refaulted} refaulted, {tier.evicted} evicted, {tier.protected} protected"
        yield Indented(words(f"tier {tier.tier}, {tier.type}: {counts}"))


def _transition(transition: Transition) -> Iterator[RenderableType]:
    pages = f"{transition.pages} page{'' if transition.pages == 1 else 's'} of {transition.region}"
    at_once = f", {transition.at_once} at a time" if transition.at_once > 1 else ""
    yield Indented(words(f"{pages}{at_once}: {transition.event}"))
    same = transition.before == transition.after
    facts = [
        *(("before  ", view) for view in transition.before),
        *(("after   ", view) for view in (("the same",) if same else transition.after)),
        *([("counts  ", _counters(transition.counters))] if transition.counters else []),
        *([("decided ", " > ".join(transition.path))] if transition.path else []),
        *(("because ", reason) for reason in transition.reasons),
        *(("C       ", line) for line in transition.cited),
    ]
    for label, text in facts:
        yield Indented(words(f"  {label}{text}"))
    for violation in transition.violations:
        yield Indented(words(f"  breaks  {violation}", "red"))


def _counters(counters: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counters.items())
