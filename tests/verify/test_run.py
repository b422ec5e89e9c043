"""Do verdicts come in the order of the scenarios, whatever becomes of each?"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from dataclasses import asdict
from errno import errorcode
from pathlib import Path

import pytest

from swaptrace.scenario.schema import Scenario
from swaptrace.verify.build import Compiler
from swaptrace.verify.observed import Observed
from swaptrace.verify.place import Job, Outcome
from swaptrace.verify.run import Verifier, exit_code, summary
from swaptrace.verify.verdict import Run, Verdict
from tests.commandline import run
from tests.verify.programs import READ_WRITE, scenario, shown

HUGE = "steps:\n- {mmap: b, size: 4KiB}\n- {repeat: 99999, steps: [{read: b}]}\n"
NUMBERS = {name: number for number, name in errorcode.items()}


class NoCompiler(Compiler):
    """Notes what it was to compile."""

    def build(self, text: str, directory: Path, name: str) -> Path:
        (directory / name).write_text(text)
        return directory / name


class Table:
    """A place where everything is known beforehand. `eager` takes all jobs before it runs any."""

    title = "a table"

    def __init__(self, outcomes: Iterable[Outcome], eager: bool) -> None:
        self.outcomes = iter(outcomes)
        self.eager = eager
        self.closed = False

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        try:
            for job in list(jobs) if self.eager else jobs:
                assert job.binary.is_file()
                yield next(self.outcomes)._replace(name=job.name)
        finally:
            self.closed = True


def printed(observed: Observed) -> str:
    """What a program would have printed."""
    lines = [{"schema": "swaptrace.observed/1", **asdict(observed.facts)}]
    for step in observed.steps:
        errno = 0 if step.errno is None else NUMBERS[step.errno]
        lines.append({**asdict(step), "errno": errno})
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def verifier(directory: Path) -> Verifier:
    return Verifier(NoCompiler(("none",), static=True), directory)


SCENARIOS: list[tuple[Scenario, Outcome | None, str]] = [
    (scenario(HUGE), None, "skipped: it executes 100000 steps; at most 20000 are compared"),
    (scenario(), Outcome("", printed(shown(scenario()))), "agrees: None"),
    (scenario(HUGE), None, "skipped: it executes 100000 steps; at most 20000 are compared"),
    (scenario(), Outcome("", skipped="no swap"), "skipped: no swap"),
    (scenario(), Outcome("", failed="the kernel panicked"), "differs: the kernel panicked"),
    (
        scenario(),
        Outcome("", printed(shown(scenario()))[:2000], failed="killed"),
        "differs: killed",
    ),
    (scenario(), Outcome("", printed(shown(scenario(), "prepatch"))), "differs: None"),
    (scenario(HUGE), None, "skipped: it executes 100000 steps; at most 20000 are compared"),
]


@pytest.mark.parametrize("eager", [False, True])
def test_every_scenario_gets_its_own_verdict(tmp_path: Path, eager: bool) -> None:
    """Are those that cannot run told in their place, and is what differs run again?"""
    scenarios = [each for each, _, _ in SCENARIOS]
    outcomes = [outcome for _, outcome, _ in SCENARIOS if outcome is not None]
    place = Table([*outcomes, outcomes[-1]], eager)
    judged = verifier(tmp_path).run(scenarios, place)
    assert [f"{each.verdict.status}: {each.verdict.reason}" for each in judged] == [
        wanted for _, _, wanted in SCENARIOS
    ]
    assert judged[6].verdict.first_difference is not None
    assert place.closed
    assert next(place.outcomes, None) is None
    assert list(tmp_path.iterdir()) == []
    assert summary(place, judged).kernel == "6.12.1-test"


def test_what_does_not_differ_again_agrees_and_says_so(tmp_path: Path) -> None:
    outcomes = [Outcome("", printed(shown(scenario(), policy))) for policy in ("rfc", "merged")]
    outcomes[0] = Outcome("", printed(shown(scenario(), "prepatch")))
    (judged,) = verifier(tmp_path).run([scenario()], Table(outcomes, False))
    assert judged.verdict.status == "agrees"
    assert judged.verdict.reason == "differed at step 3.0 at first, but not when it was repeated"


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["agrees"], 0),
        (["agrees", "skipped"], 0),
        (["skipped", "skipped"], 4),
        (["agrees", "differs", "skipped"], 1),
    ],
)
def test_the_exit_code(statuses: list[str], code: int) -> None:
    verdicts = tuple(Verdict("x", "x", None, status) for status in statuses)  # type: ignore[arg-type]
    assert exit_code([Run("here", None, verdicts)]) == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one SCENARIO, or let --random N make them; not both"),
        (["rw.yaml", "--random", "3"], "not both"),
        (["rw.yaml", "--setup-zram", "much"], "'much' is not a size"),
        (["rw.yaml", "--policy", "finl"], "did you mean 'final'?"),
        (["rw.yml"], "rw.yml: no such file; did you mean 'rw.yaml'?"),
        (["rw.yaml", "--output", "no/where"], "there is no directory"),
        (["rw.yaml", "--timeout", "0"], "--timeout"),
        (["--random", "1", "--out", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    monkeypatch.setenv("CC", "there-is-no-such-compiler")
    result = run("verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
