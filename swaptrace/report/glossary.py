"""What the counters and promises mean: `swaptrace counters`, and `--verbose` under a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from swaptrace.counters import NAMED, Named, ViolationKind
from swaptrace.report.layout import FirstFit, listing, words
from swaptrace.result.changes import counters_in, used, windows_of
from swaptrace.result.result import Result

MODEL: Final = "the model only"


def counter_listing() -> FirstFit:
    """Every counter: what it means, where the kernel counts it, and where it can be read."""
    header = ["counter", "meaning", "kernel function (6.12)", "shown by"]
    return listing(header, [[each, *_about(each)] for each in NAMED])


def promise_listing() -> FirstFit:
    """Every promise to user space, by what breaking it is called."""
    rows = [[kind, kind.promise + " (a warning)" * kind.warning] for kind in ViolationKind]
    return listing(["violation", "the promise that is broken"], rows)


def one(name: str) -> list[Text] | None:
    """All that there is to say of a counter or a violation; None if there is none of that name."""
    for counter in NAMED:
        if counter == name:
            meaning, function, shown = _about(counter)
            facts = (meaning, f"kernel function (6.12): {function}", f"shown by: {shown}")
            return [words(name, "bold"), *map(words, facts)]
    for kind in ViolationKind:
        if kind == name:
            what = "warning" if kind.warning else "violation"
            return [words(name, "bold"), words(f"{what}: this promise is broken: {kind.promise}")]
    return None


def names() -> list[str]:
    """Everything that `one` explains."""
    return [*NAMED, *ViolationKind]


def beneath(result: Result) -> RenderableType:
    """What the counters mean that the tables of a result show."""
    policies = [policy for each in result.scenarios for policy in each.policies.values()]
    shown = used(counters_in(p, window) for p in policies for window in windows_of([p]))
    return listing(["counter", "meaning"], list(_meanings(shown)))


def _meanings(shown: Iterable[str]) -> Iterator[list[str]]:
    known = {str(each): each.meaning for each in NAMED}
    return ([name, known[name]] for name in shown if name in known)


def _about(counter: Named) -> tuple[str, str, str]:
    return counter.meaning, f"{counter.function}()", counter.shown or MODEL
