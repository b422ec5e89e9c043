"""Do verdicts come in the order of the scenarios, whatever becomes of each?"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from dataclasses import asdict, replace
from errno import errorcode
from pathlib import Path

import pytest

from swaptrace.result.verdict import KernelRun, Status, Verdict
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.exitcodes import ExitCode
from swaptrace.verify.build import Compilation, Compiler
from swaptrace.verify.observed import Observed
from swaptrace.verify.place import Ending, Job, JobOutcome
from swaptrace.verify.record import observations
from swaptrace.verify.run import Verifier, exit_code, summary
from tests.commandline import run
from tests.verify.programs import READ_WRITE, scenario, shown

DAMAGED = "the program's output is damaged: line 1: 'x' is no JSON object"
ENDLESS = ("0", "-1", "nan", "inf", "-inf", "1e300", "604801")
HUGE = "steps:\n- {mmap: b, size: 4KiB}\n- {repeat: 99999, steps: [{read: b}]}\n"
NUMBERS = {name: number for number, name in errorcode.items()}


class Compiled(Compilation):
    """There is nothing to wait for."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def result(self) -> Path:
        return self._binary

    def end(self) -> None:
        pass


class NoCompiler(Compiler):
    """Notes what it was to compile."""

    def begin(self, text: str, directory: Path, name: str) -> Compilation:
        (directory / name).write_text(text)
        return Compiled(directory / name)


class Table:
    """A place where everything is known beforehand. `eager` takes all jobs before it runs any."""

    title = "a table"
    at_once = 1
    limits = False

    def __init__(self, outcomes: Iterable[JobOutcome], eager: bool) -> None:
        self.outcomes = iter(outcomes)
        self.eager = eager
        self.closed = False

    def run(self, jobs: Iterable[Job]) -> Generator[JobOutcome, None, None]:
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


SCENARIOS: list[tuple[Scenario, JobOutcome | None, str]] = [
    (scenario(HUGE), None, "skipped: it executes 100000 steps; at most 20000 are compared"),
    (scenario(), JobOutcome("", printed(shown(scenario()))), "agrees: None"),
    (scenario(HUGE), None, "skipped: it executes 100000 steps; at most 20000 are compared"),
    (scenario(), JobOutcome("", "", Ending.SKIPPED, "no swap"), "skipped: no swap"),
    (scenario(), JobOutcome("", "", Ending.NOT_RUN, "no QEMU"), "not run: no QEMU"),
    (
        scenario(),
        JobOutcome("", printed(shown(scenario()))[:2000], Ending.FAILED, "killed"),
        "failed: killed",
    ),
    (
        scenario(),
        JobOutcome("", '{"failed": "cannot set up: no"}\n'),
        "not run: the program could not begin: cannot set up: no",
    ),
    (
        scenario(),
        JobOutcome("", "x\n"),
        "failed: the program's output is damaged: line 1: 'x' is no JSON object",
    ),
    (scenario(), JobOutcome("", "x\n", Ending.FAILED, "killed"), "failed: killed"),
    (scenario(), JobOutcome("", printed(shown(scenario(), "prepatch"))), "differs: None"),
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
    assert judged[-2].verdict.first_difference is not None
    assert place.closed
    assert next(place.outcomes, None) is None
    assert list(tmp_path.iterdir()) == []
    assert summary(place, judged).kernel == "6.12.1-test"


def stray(step: int, number: int) -> JobOutcome:
    """A run in which somebody else swapped in so many pages during that step."""
    observed = shown(scenario())
    steps = list(observed.steps)
    counters = {**steps[step].counters}
    counters["pswpin"] = counters.get("pswpin", 0) + number
    steps[step] = replace(steps[step], counters=counters)
    return JobOutcome("", printed(replace(observed, steps=tuple(steps))))


FIRST = JobOutcome("", printed(shown(scenario(), "prepatch")))
KILLED = JobOutcome("", FIRST.stdout[:2000], Ending.FAILED, "the program was killed by SIGKILL")

AGREED = JobOutcome("", printed(shown(scenario())))

REPETITIONS: list[tuple[JobOutcome, Status, str | None]] = [
    (FIRST, Status.DIFFERS, None),
    (AGREED, Status.UNSTEADY, "agreed when it was repeated"),
    (JobOutcome("", "", Ending.SKIPPED, "no swap"), Status.UNSTEADY, "was skipped when"),
    (JobOutcome("", "", Ending.NOT_RUN, "no time"), Status.UNSTEADY, "was not run when"),
    (KILLED, Status.FAILED, "the program was killed by SIGKILL"),
]
"""The second run of a scenario that differed at step 3.0, and what both come to."""


@pytest.mark.parametrize(("second", "status", "reason"), REPETITIONS)
def test_what_differed_and_is_repeated(
    tmp_path: Path, second: JobOutcome, status: Status, reason: str | None
) -> None:
    """Does it differ only if it does so again, fail if that fails, and is it else unsteady?"""
    (judged,) = verifier(tmp_path).run([scenario()], Table([FIRST, second], False))
    assert judged.verdict.status is status
    assert (reason or "") in (judged.verdict.reason or "")
    if status is Status.UNSTEADY:
        assert judged.verdict.first_difference is not None
        assert judged.verdict.repetition is not None
        assert (judged.verdict.reason or "").startswith("differed at step 3.0, but ")
        assert exit_code([summary(Table([], False), [judged])]) is ExitCode.UNDECIDED


def test_what_was_killed_is_not_repeated(tmp_path: Path) -> None:
    """Can a second run that agrees take nothing back?"""
    killed = JobOutcome("", FIRST.stdout, Ending.FAILED, "the program was killed by SIGKILL")
    place = Table([killed, JobOutcome("", printed(shown(scenario())))], False)
    (judged,) = verifier(tmp_path).run([scenario()], place)
    assert judged.verdict.status is Status.FAILED
    assert judged.verdict.first_difference is not None
    assert next(place.outcomes, None) is not None


def test_of_two_differences_what_repeated_is_shown(tmp_path: Path) -> None:
    """Is noise beside a real difference left out, and what was recorded not taken for steady?"""
    observed = shown(scenario(), "prepatch")
    last = replace(observed.steps[3], counters={**observed.steps[3].counters, "pswpin": 9})
    noisy = JobOutcome("", printed(replace(observed, steps=(*observed.steps[:3], last))))
    (judged,) = verifier(tmp_path).run([scenario()], Table([FIRST, noisy], False))
    difference = judged.verdict.first_difference
    assert judged.verdict.status is Status.DIFFERS
    assert difference is not None
    assert difference.kernel.counters == {"minflt": 4}
    assert list(observations([judged])) == []


def disturbed(outcome: JobOutcome) -> JobOutcome:
    """The same run, between whose steps somebody else swapped."""
    return outcome._replace(stdout=outcome.stdout.replace('"elsewhere": {}', BY_OTHERS, 1))


BY_OTHERS = '"elsewhere": {"pswpin": 1}'


DISTURBED: list[tuple[list[JobOutcome], Status]] = [
    ([stray(1, 3), AGREED, AGREED], Status.AGREES),
    ([stray(1, 3), stray(2, 1), AGREED, stray(1, 9), AGREED], Status.AGREES),
    ([stray(1, number) for number in range(1, 9)], Status.UNSTEADY),
    ([stray(1, 3), AGREED, FIRST], Status.UNSTEADY),
    ([FIRST, stray(1, 3), AGREED], Status.UNSTEADY),
    ([stray(1, 3), FIRST, FIRST], Status.DIFFERS),
    ([stray(1, 3), AGREED, stray(1, 3), stray(1, 3)], Status.DIFFERS),
    ([disturbed(stray(1, 3))] * 2 + [stray(1, 3)], Status.DIFFERS),
    ([disturbed(stray(1, 3))] * 8, Status.UNSTEADY),
    ([disturbed(FIRST)] * 2, Status.DIFFERS),
    ([stray(3, -4)] * 2, Status.DIFFERS),
    ([stray(3, -4), AGREED], Status.UNSTEADY),
    ([stray(1, 3), KILLED], Status.FAILED),
]
"""Runs of a scenario, in some of which others swapped or may have, and what they come to."""


@pytest.mark.parametrize(("runs", "status"), DISTURBED)
def test_what_others_may_have_counted_is_repeated_until_it_is_decided(
    tmp_path: Path, runs: list[JobOutcome], status: Status
) -> None:
    """Do two whole runs that agree outweigh only what others can have added, and is that a
    difference if it is there three times alike?"""
    place = Table(runs, False)
    (judged,) = verifier(tmp_path).run([scenario()], place)
    assert judged.verdict.status is status
    assert next(place.outcomes, None) is None


def test_a_scan_that_found_something_else_twice_is_a_difference(tmp_path: Path) -> None:
    """Is what PAGEMAP_SCAN found compared in both runs?"""
    observed = shown(scenario())
    last = replace(observed.steps[-1], scan="nothing")
    other = JobOutcome("", printed(replace(observed, steps=(*observed.steps[:-1], last))))
    (judged,) = verifier(tmp_path).run([scenario()], Table([other, other], False))
    difference = judged.verdict.first_difference
    assert judged.verdict.status is Status.DIFFERS
    assert difference is not None
    assert difference.kernel.scan == "nothing"


def test_what_was_disturbed_once_is_no_observation(tmp_path: Path) -> None:
    outcomes = [stray(1, 3), AGREED, AGREED]
    judged = verifier(tmp_path).run([scenario()], Table(outcomes, False))
    assert list(observations(judged)) == []


def test_who_else_swapped_is_told(tmp_path: Path) -> None:
    """Does a verdict have what was counted between the steps, where the program does nothing?"""
    observed = shown(scenario())
    first, second, *rest = observed.steps
    second = replace(second, elsewhere={"pswpout": 3})
    third = replace(rest[0], elsewhere={"pswpin": 2, "pswpout": 1})
    noisy = printed(replace(observed, steps=(first, second, third, *rest[1:])))
    (judged,) = verifier(tmp_path).run([scenario()], Table([JobOutcome("", noisy)], False))
    assert judged.verdict.status is Status.AGREES
    assert judged.verdict.elsewhere == {"pswpin": 2, "pswpout": 4}


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ("", ExitCode.OK),
        ("agrees", ExitCode.OK),
        ("agrees, skipped", ExitCode.OK),
        ("skipped, skipped", ExitCode.SKIPPED),
        ("agrees, differs, skipped", ExitCode.FAILED),
        ("differs, not run, unsteady", ExitCode.FAILED),
        ("failed, not run", ExitCode.FAILED),
        ("agrees, not run, unsteady", ExitCode.WRONG),
        ("skipped, not run", ExitCode.WRONG),
        ("agrees, unsteady, skipped", ExitCode.UNDECIDED),
    ],
)
def test_the_exit_code(statuses: str, code: ExitCode) -> None:
    """Does a difference go before all, and is what was skipped no more than nothing?"""
    each = [Status(word) for word in statuses.split(", ") if word]
    verdicts = tuple(Verdict("x", "x", None, status) for status in each)
    assert exit_code([KernelRun("here", None, verdicts)]) is code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one SCENARIO, or let --random N make them; not both"),
        (["rw.yaml", "--random", "3"], "not both"),
        (["rw.yaml", "--setup-zram", "much"], "'much' is not a size"),
        (["rw.yaml", "--policy", "finl"], "did you mean 'final'?"),
        (["rw.yml"], "rw.yml: no such file; did you mean 'rw.yaml'?"),
        (["rw.yaml", "--output", "no/where"], "there is no directory"),
        *((["rw.yaml", "--timeout", text], "at most 604800") for text in ENDLESS),
        (["rw.yaml", "--keep-going"], "--keep-going belongs to --random"),
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
