"""Is docs/review-of-the-rfc.md what the explorer finds? `pytest --promote` makes it again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from swaptrace import policies
from swaptrace.exploration.explorer import Exploration, Request, explore, machine_of
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.exploration.witness import Witness, short, witnesses
from swaptrace.policies import SERIES
from tests.commandline import ROOT
from tests.effort import exhaustive
from tests.explore.sequences import ALL

PAGE = ROOT / "docs" / "review-of-the-rfc.md"

UNLOCKED = tuple(name for name in ALL if name not in ("mlock", "munlock"))

HEAD = """\
# The review of the series, by machine

<!-- Made by `pytest tests/explore/test_review.py --promote` of what the explorer finds. -->

In the discussion of "mm: swap: reuse exclusive folio directly instead of wp page faults" the
mistakes of each draft were found by thinking. Here is what a search over every state of a page
finds: for each draft the promises that it breaks, and what it costs or saves compared with the
version that the discussion ended with, each with the shortest sequence that shows it. One process,
zram, every operation but `mlock` and `munlock`. Each table is complete: the search came to its end.
The values are totals. `swaptrace explore --policies rfc,final --processes 1` does the same with
`mlock`, and writes the sequences to scenarios with `--out DIR`.
"""


def explored(*names: str) -> Exploration:
    found = tuple(policies.find(name) for name in names)
    return explore(Request(found, machine_of({}), Limits(UNLOCKED, 1), SearchBounds()))


def page() -> str:
    """The whole page."""
    drafts = [name for name in SERIES if name != "final"]
    sections = ["\n".join(section(name)) for name in drafts]
    return "\n\n".join([HEAD.rstrip(), *sections, "\n".join(the_end())]) + "\n"


def section(name: str) -> Iterator[str]:
    """One draft: what it does, what it breaks, what it costs."""
    policy = policies.find(name)
    yield f"## {name}: {policy.origin}"
    yield ""
    yield inspect.cleandoc(inspect.getmodule(type(policy)).__doc__ or "")
    yield ""
    alone = explored(name)
    yield from broken(witnesses(alone), alone.found.states)
    beside = explored(name, "final")
    if beside.questions:
        yield f"It cannot be told apart from `final`: {beside.proof}."
        return
    yield "Compared with `final`:"
    yield ""
    yield f"| | {name} | final | shortest sequence |"
    yield "|---|--:|--:|---|"
    yield from map(row, witnesses(beside))


def broken(found: list[Witness], states: int) -> Iterator[str]:
    """The promises that a draft breaks."""
    if not found:
        yield f"It breaks no promise in any of the {states} states."
    for each in found:
        yield f"It breaks a promise, `{each.title}`: {short(each.difference.steps)}."
    yield ""


def row(witness: Witness) -> str:
    """A difference as a line of a table."""
    values = " | ".join(str(value) for value in witness.values.values())
    return f"| `{witness.title}` | {values} | {short(witness.difference.steps)} |"


def the_end() -> Iterator[str]:
    """What is left of the series."""
    yield "## final"
    yield ""
    yield from broken(witnesses(explored("final")), explored("final").found.states)
    yield from lost_after_fork()


def lost_after_fork() -> Iterator[str]:
    """The way to lose data that needs two processes, and who has it."""
    ops = ("read", "write", "pageout", "free", "fork")
    losing = []
    for name in SERIES:
        request = Request((policies.find(name),), machine_of({}), Limits(ops, 2), SearchBounds())
        if any(each.difference.kind == "lost_write" for each in witnesses(explore(request))):
            losing.append(f"`{name}`")
    yield "In two processes there is a way to lose data that the series neither made nor mended:"
    yield "[MADV_FREE after a fork](../scenarios/madv-free-after-fork.yaml). It is in"
    yield f"{', '.join(losing)}."


@exhaustive
def test_the_page_is_what_the_explorer_finds(request: pytest.FixtureRequest) -> None:
    """Is each sequence of the page still the shortest, and is none missing?"""
    if request.config.getoption("--promote"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
