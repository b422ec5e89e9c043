"""Do the scenarios of the kernel's own tests hold, and does the documentation say which there are?

`scenarios/selftests/tests.csv` lists the test functions, how many assertions each makes, and how
many of them its scenario says; there, a comment numbers each. `pytest --promote` makes the table of
docs/selftests.md anew.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from swaptrace import bundled, policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.leaves import written
from tests.commandline import run
from tests.effort import exhaustive, part
from tests.kernel.selftests import recorded
from tests.replay.naive import naive_replay

FILES = bundled.selftests()
PAGE = Path(__file__).parent.parent / "docs" / "selftests.md"
TABLE: Final = re.compile(r"(?<=<!-- selftests -->\n).*?(?=<!-- /selftests -->)", re.DOTALL)
NUMBERED: Final = re.compile(r"#.*\bassertions? (\d+)(?: and (\d+))?")
NUMBERS: Final = ("assertions", "said", "scenarios")
LARGE: Final = 2 << 20
"""Regions of more bytes are not replayed page by page, nor are large folios."""


class Row(NamedTuple):
    """A line of the list."""

    source: str
    test: str
    assertions: int
    said: int
    scenario: str
    missing: str


@cache
def rows() -> list[Row]:
    """The list."""
    folder = bundled.directory()
    assert folder is not None
    with (folder / "selftests" / "tests.csv").open() as file:
        return [
            Row(r["source"], r["test"], int(r["assertions"]), int(r["said"]), *rest(r))
            for r in csv.DictReader(file)
        ]


def rest(row: Mapping[str, str]) -> tuple[str, str]:
    return row["scenario"], row["missing"]


def table() -> str:
    """The table of the page: a line for each suite, and the sums."""
    return "".join(f"{line}\n" for line in _table())


def _table() -> Iterator[str]:
    kernels = recorded()
    head = ["source", "assertions", "said", "scenarios", "model", *kernels, "missing"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('--:' if name in NUMBERS else '---' for name in head)}|"
    listed = rows()
    for source in dict.fromkeys(map(suite, listed)):
        yield line(source, [row for row in listed if suite(row) == source], kernels)
    yield line("all", listed, kernels)


def suite(row: Row) -> str:
    """The file of a kselftest; LTP, whose files are small, as a whole."""
    return row.source.partition(" mm/")[2] or row.source.partition(" ")[0]


def line(title: str, of_it: Sequence[Row], kernels: Mapping[str, Mapping[str, str]]) -> str:
    """What the rows of a source come to."""
    names = [row.scenario for row in of_it if row.scenario]
    found = [[seen.get(name, "not run") for name in names] for seen in kernels.values()]
    statuses = [tally(each) for each in ([model(name) for name in names], *found)]
    sums = [sum(row.assertions for row in of_it), sum(row.said for row in of_it), len(names)]
    missing = [row.missing for row in of_it for _ in range(row.assertions - row.said)]
    cells = [title, *map(str, sums), *statuses, "" if title == "all" else tally(missing)]
    return f"| {' | '.join(cells)} |"


def tally(words: Sequence[str]) -> str:
    """Each word with how often it is there."""
    counts = Counter("agree" if word == "agrees" else word for word in words)
    return ", ".join(f"{count} {word}" for word, count in counts.items())


@cache
def model(name: str) -> str:
    """Whether the model does what the test asserts."""
    scenario = load_file(str(FILES[name]))
    found = replay(scenario, policies.find("merged"))
    return "agrees" if not failures(scenario, found, "merged") else "differs"


def failures(scenario: Scenario, found: PolicyResult, policy: str) -> list[object]:
    """The claims that do not hold, and the expectations of the policy."""
    windows = {"total": found.total, **found.windows}
    unmet = [e for e in scenario.expect if windows[e.window].get(e.counter, 0) != e.value]
    claims = [check for check in found.checks if not check.ok]
    return [*claims, *(each for each in unmet if each.policy == policy)]


@pytest.mark.parametrize("name", part(FILES, 10, first=5))
def test_holds_under_every_kernels_own_policy(name: str) -> None:
    """Does every claim hold, before and after 6.11, and does the other replay say the same?"""
    scenario = load_file(str(FILES[name]))
    sizes = [getattr(step, "size", 0) for step in written(scenario.steps)]
    for policy in ("prepatch", "merged"):
        found = replay(scenario, policies.find(policy))
        assert failures(scenario, found, policy) == []
        if max(sizes) <= LARGE and not scenario.machine.thp:
            assert naive_replay(scenario, policies.find(policy)).checks == found.checks


@pytest.mark.parametrize("name", FILES)
def test_numbers_its_assertions_and_names_its_test(name: str) -> None:
    """Has each assertion of the list a place in the file, whose head says where it is from?"""
    (row,) = [row for row in rows() if row.scenario == name]
    text = FILES[name].read_text()
    numbers = {int(n) for found in NUMBERED.findall(text) for n in found if n}
    assert numbers == set(range(1, row.said + 1))
    assert row.source.rpartition("/")[2].removeprefix("LTP ") in text.splitlines()[0]


def test_the_list_and_the_files_are_the_same() -> None:
    """Is no file without a line, and none said that is not there, or more than there is to say?"""
    assert sorted(row.scenario for row in rows() if row.scenario) == sorted(FILES)
    for row in rows():
        assert bool(row.said) == bool(row.scenario)
        assert (row.said < row.assertions) == bool(row.missing)
        assert row.said <= row.assertions


@exhaustive
def test_the_page_has_the_table(request: pytest.FixtureRequest) -> None:
    """Does docs/selftests.md say what is so?"""
    text = PAGE.read_text()
    if request.config.getoption("--promote", default=False):
        text = TABLE.sub(lambda _: table(), text)
        PAGE.write_text(text)
    assert TABLE.findall(text) == [table()]


UNPINNABLE: Final = ("cow-ro_pin_file", "cow-ro_pin_zeropage")
"""Only CONFIG_GUP_TEST pins pages to read that are not anonymous, and no kernel here has it."""


def test_kernels_agree() -> None:
    """Has each scenario run on a kernel, but those that none here can, and does none differ?"""
    statuses = list(recorded().values())
    assert {status for seen in statuses for status in seen.values()} <= {"agrees", "skipped"}
    for name in FILES:
        agrees = any(seen.get(name) == "agrees" for seen in statuses)
        assert agrees or name in UNPINNABLE, name


def test_they_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does `swaptrace run selftests/` know them, wherever it is called?"""
    monkeypatch.chdir(tmp_path)
    for argument in ("selftests/", "selftests", "scenarios/selftests"):
        shown = run("check", argument).stdout.splitlines()
        assert shown == [f"scenarios/selftests/{name}.yaml: ok" for name in FILES]
