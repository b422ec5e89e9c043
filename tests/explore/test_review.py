"""Is docs/review-of-the-rfc.md what the explorer finds? `pytest --promote` makes it again."""

from __future__ import annotations

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

What a search over every state of a page finds in the drafts of "mm: swap: reuse exclusive folio
directly instead of wp page faults" (`swaptrace policies` says what each does): the violations and
warnings of each, and what it costs or saves compared with `final`, with the shortest sequence. One
process, zram, every operation but `mlock` and `munlock`; the search is complete. Values are totals.
With `mlock`, and as scenarios: `swaptrace explore --policies rfc,final --processes 1 --out DIR`.
"""


def explored(*names: str) -> Exploration:
    found = tuple(policies.find(name) for name in names)
    return explore(Request(found, machine_of({}), Limits(UNLOCKED, 1), SearchBounds()))


def page() -> str:
    """The whole page."""
    drafts = "\n".join(["| draft | states | shows |", "|---|--:|---|", *map(draft, SERIES)])
    table = ["| draft | | draft's | `final`'s | shortest sequence |", "|---|---|--:|--:|---|"]
    table += [line for name in SERIES if name != "final" for line in compared(name)]
    return (
        "\n\n".join([HEAD.rstrip(), drafts, "\n".join(table), " ".join(lost_after_fork())]) + "\n"
    )


def draft(name: str) -> str:
    """What a draft shows, as a line of a table."""
    alone = explored(name)
    broken = [f"`{each.title}` ({short(each.difference.steps)})" for each in witnesses(alone)]
    return f"| {name} | {alone.found.states} | {', '.join(broken) or 'nothing'} |"


def compared(name: str) -> Iterator[str]:
    """The lines of the table for a draft."""
    beside = explored(name, "final")
    if beside.questions:
        yield f"| {name} | | | | no difference: proof by equal decisions |"
    yield from (f"| {name} {row(each)}" for each in witnesses(beside))


def row(witness: Witness) -> str:
    """A difference as a line of a table."""
    values = " | ".join(str(value) for value in witness.values.values())
    return f"| `{witness.title}` | {values} | {short(witness.difference.steps)} |"


def lost_after_fork() -> Iterator[str]:
    """The way to lose data that needs two processes, and who has it."""
    ops = ("read", "write", "pageout", "free", "fork")
    losing = []
    for name in SERIES:
        request = Request((policies.find(name),), machine_of({}), Limits(ops, 2), SearchBounds())
        if any(each.difference.kind == "lost_write" for each in witnesses(explore(request))):
            losing.append(f"`{name}`")
    yield "With two processes data is lost by"
    yield "[MADV_FREE after a fork](../scenarios/madv-free-after-fork.yaml), which the series"
    yield "neither caused nor fixed, under"
    yield f"{', '.join(losing)}."


@exhaustive
def test_the_page_is_what_the_explorer_finds(request: pytest.FixtureRequest) -> None:
    """Is each sequence of the page still the shortest, and is none missing?"""
    if request.config.getoption("--promote"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
