"""What an explanation says, as frozen values, and its JSON form `swaptrace.explain/1`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, NamedTuple

from swaptrace.result.lrugen import LruGen

SCHEMA: Final = "swaptrace.explain/1"


class Transition(NamedTuple):
    """`pages` pages of `region` went from `before` to `after`, each counting `counters`.

    `event` says what happened to them, `before` and `after` tell each process's view in
    words, `path` names the kernel functions that decided, `violations` what was broken; `cited`
    are the lines of C that were executed to decide, of a policy in C. With large folios so many
    pages went `at_once`, which together count `counters`; `reasons` say why a size was not used.
    """

    pages: int
    region: str
    event: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    counters: Mapping[str, int]
    path: tuple[str, ...]
    violations: tuple[str, ...]
    cited: tuple[str, ...] = ()
    at_once: int = 1
    reasons: tuple[str, ...] = ()


class ExplainedStep(NamedTuple):
    """One executed leaf step with its transitions in the order in which they first happen: causes
    before effects. Of those that nothing orders the most frequent comes first. `lru_gen` is the
    multi-generational LRU after the step."""

    step: str
    line: int
    process: str
    op: str
    counters: Mapping[str, int]
    transitions: tuple[Transition, ...]
    lru_gen: LruGen | None = None


class Explanation(NamedTuple):
    """A scenario under one policy. Iterations of a `repeat` that are multiplied do not appear."""

    name: str
    file: str
    policy: str
    steps: tuple[ExplainedStep, ...]

    def to_json(self) -> str:
        """Sorted keys; the same text for the same explanation."""
        steps = [_step_json(step) for step in self.steps]
        document = {"schema": SCHEMA, **self._asdict(), "steps": steps}
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _step_json(step: ExplainedStep) -> dict[str, object]:
    """Without `lru_gen` where the machine has none."""
    document = {**step._asdict(), "transitions": [_transition_json(t) for t in step.transitions]}
    del document["lru_gen"]
    return document if step.lru_gen is None else {**document, "lru_gen": asdict(step.lru_gen)}


def _transition_json(transition: Transition) -> dict[str, object]:
    """Without what is said of large folios alone, where there are none."""
    document = transition._asdict()
    for key in ("at_once", "reasons"):
        if document[key] == Transition._field_defaults[key]:
            del document[key]
    return document
