"""Are random scenarios valid and always the same, and is what differs made small?"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import get_args
from unittest import mock

import pytest

from swaptrace.kernels import implied
from swaptrace.result.verdict import Status
from swaptrace.scenario.fields import UFFD
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.schema import MeasureStep, MmapStep, Pattern, RepeatStep, Scenario, Step
from swaptrace.scenario.thp import Thp
from swaptrace.verify.build import Compiler
from swaptrace.verify.compare import verify_one
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.fuzz import Fuzzer
from swaptrace.verify.host import Host
from swaptrace.verify.observed import KernelFacts, Observed
from swaptrace.verify.place import Place
from swaptrace.verify.random_machine import limited
from swaptrace.verify.random_steps import SIZES
from swaptrace.verify.run import Judged, Verifier
from tests.effort import ALL, examples, exhaustive, some
from tests.verify.programs import FACTS, shown


class Imagined(Verifier):
    """Verifies against a kernel that does what the model does under some policy.

    `stray` runs of each scenario count a page that somebody else swapped in.
    """

    def __init__(self, policy: str, directory: Path, stray: int = 0) -> None:
        super().__init__(Compiler(("none",), static=True), directory)
        self.imagined = policy
        self.stray = stray
        self.runs: dict[str, int] = {}

    def each(
        self,
        scenarios: Iterable[Scenario],
        place: Place,  # noqa: ARG002
    ) -> Generator[Judged, None, None]:
        for scenario in scenarios:
            observed = self.disturbed(scenario, shown(scenario, self.imagined))
            verdict = verify_one(scenario, self.table(observed.facts), observed)
            yield Judged(scenario, verdict, observed)

    def disturbed(self, scenario: Scenario, observed: Observed) -> Observed:
        self.runs[scenario.name] = self.runs.get(scenario.name, 0) + 1
        if self.runs[scenario.name] > self.stray:
            return observed
        first, *rest = observed.steps
        counters = {**first.counters, "pswpin": first.counters.get("pswpin", 0) + 1}
        return replace(observed, steps=(replace(first, counters=counters), *rest))


NOT_MADE = {"trace", "check"}
"""What random scenarios have not: a file, what must hold, and what must end before others do."""


def fuzzer(policy: str, directory: Path, stray: int = 0, keep_going: bool = True) -> Fuzzer:
    return Fuzzer(Imagined(policy, directory, stray), Host(), 1, directory, {}, keep_going)


def made(index: int, facts: KernelFacts = FACTS) -> Scenario:
    return fuzzer("merged", Path()).make(index, facts)


def written(steps: Iterable[Step]) -> Iterable[Step]:
    for step in steps:
        yield step
        if isinstance(step, (MeasureStep, RepeatStep)):
            yield from written(step.steps)


def test_the_same_seed_makes_the_same_scenario() -> None:
    assert [made(i) for i in range(5)] == [made(i) for i in range(5)]
    assert len({to_yaml(made(i)) for i in range(20)}) == 20


@exhaustive
def test_they_use_the_whole_format() -> None:
    """Is there every operation with an effect, errno, order, an unaligned range, a small swap?"""
    scenarios = [made(i) for i in range(240)]
    steps = [step for scenario in scenarios for step in written(scenario.steps)]
    assert {step.op for step in steps} == set(OPERATIONS) - NOT_MADE
    assert {getattr(step, "pattern", None) for step in steps} >= set(get_args(Pattern))
    assert {getattr(step, "order", None) for step in steps} >= {"forward", "backward", "random"}
    assert any(isinstance(step, MmapStep) and step.file_size for step in steps)
    assert {step.errno for step in steps} >= {None, "ENOMEM", "EINVAL"}
    assert any(span.offset % 4096 for step in steps if (span := getattr(step, "span", None)))
    assert len({scenario.machine.swap.size for scenario in scenarios}) > 1
    assert len({scenario.machine.swap.page_cluster for scenario in scenarios}) > 3
    assert any(step.process != "main" for step in steps)


def test_they_do_not_use_what_the_kernel_has_not() -> None:
    facts = replace(FACTS, soft_dirty=False, uffd_wp=False, ksm=False)
    ops = {step.op for i in range(80 if ALL else 15) for step in written(made(i, facts).steps)}
    left_out = {*NOT_MADE, "clear_refs", *UFFD, "ksm_scan", "memory_merge", "pagemap_scan"}
    assert ops <= set(OPERATIONS) - left_out
    assert ops == set(OPERATIONS) - left_out or not ALL


@pytest.mark.parametrize("version", ["6.1", "6.12", "6.18", "7.3"])
def test_what_fails_is_what_fails_on_the_kernel(version: str) -> None:
    """Are the errnos those of the version that the scenarios are to run on, and the machine?"""
    facts = replace(FACTS, kernel=f"{version}.4")
    machines = [made(index, facts).machine for index in range(4)]
    assert {machine.kernel for machine in machines} == {version}
    for name, value in implied(version).items():
        assert {getattr(machine, name) for machine in machines} == {value}


def test_some_limit_swap_where_there_is_a_cgroup() -> None:
    """Is it a limit that pages may reach, of a kernel and a device with which one is modelled?"""
    machines = [limited(Random(i), Machine(), "6.18", 40) for i in range(200)]
    found = [machine for machine in machines if machine.swap_max is not None]
    assert 3 < len(found) < 30
    assert not any(machine.unmodelled for machine in found)
    assert all(10 <= (machine.swap_max or 0) // 4096 <= 72 for machine in found)
    small = replace(Machine(), swap=Swap(size=1 << 20))
    assert all(limited(Random(i), small, "6.18", 40) == small for i in range(200))


def test_several_processes_map_a_large_folio(tmp_path: Path) -> None:
    """Are there scenarios of that where folios are large, and none elsewhere?"""
    random, thp = fuzzer("merged", tmp_path), (Thp("16KiB", "always"),)
    found = [random.of_crowds(index, FACTS, thp) for index in range(60)]
    crowds = [scenario for scenario in found if scenario is not None]
    assert 5 < len(crowds) < 30
    forks = [sum(step.op == "fork" for step in scenario.steps) for scenario in crowds]
    assert max(forks) >= 3
    pins = [any(step.op == "pin" for step in scenario.steps) for scenario in crowds]
    assert {*pins} == {True, False}
    assert crowds[0] in [random.make(index, FACTS, thp) for index in range(12)]
    assert all(random.of_crowds(index, FACTS, ()) is None for index in range(60))


@pytest.mark.parametrize("index", range(examples(20)))
def test_the_text_of_a_scenario_loads_as_the_same(index: int) -> None:
    scenario = made(index)
    again = load_text(to_yaml(scenario), scenario.file)
    assert again == scenario


@exhaustive
@pytest.mark.parametrize("size", some([16 << 10, 64 << 10], 1))
def test_they_are_of_pages_as_large_as_the_kernel_has(size: int, tmp_path: Path) -> None:
    """Is every range of whole pages, and every cut as well?"""
    fuzz = Fuzzer(
        Imagined("prepatch", tmp_path), Host(), 1, tmp_path, {"machine.page_size": str(size)}
    )
    pages = set()
    for index in range(10):
        scenario = fuzz.make(index, replace(FACTS, page_size=size))
        pages |= {
            step.size / size for step in written(scenario.steps) if isinstance(step, MmapStep)
        }
        assert scenario.machine.page_size == size
        assert all(cut.machine.page_size == size for cut in islice(fuzz.cuts(scenario), 20))
    assert pages <= set(SIZES)
    assert len(pages) > 5


@exhaustive
def test_a_kernel_that_does_the_same_agrees_on_all(tmp_path: Path) -> None:
    judged = fuzzer("merged", tmp_path).run(40)
    assert {each.verdict.status for each in judged} == {Status.AGREES}
    assert list(tmp_path.iterdir()) == []


def test_what_differs_is_made_small_and_written_to_a_file_that_replays_it(tmp_path: Path) -> None:
    """Is the difference between two policies cut down to a page that is swapped in and written?"""
    fuzz = fuzzer("prepatch", tmp_path)
    judged = fuzz.run(20 if ALL else 5)
    differing = [each for each in judged if each.verdict.status is Status.DIFFERS]
    told = [each for each in differing if each.verdict.same_as is None]
    assert told != []
    assert len(differing) > len(told) or not ALL
    names = {each.verdict.name for each in told}
    assert {each.verdict.same_as for each in differing} <= {None, *names}
    assert {path.stem for path in tmp_path.iterdir()} == names
    for each in told:
        small = load_file(each.verdict.file)
        assert small.steps == each.scenario.steps
        assert len(small.steps) <= 5
        assert sum(step.size for step in small.steps if isinstance(step, MmapStep)) == 4096
        (again,) = fuzz.verifier.run([small], fuzz.place)
        assert again.verdict.first_difference == each.verdict.first_difference


class Slow(Host):
    """A place where to begin takes long."""

    at_once = 16


@exhaustive
def test_where_to_begin_takes_long_cuts_are_tried_together(tmp_path: Path) -> None:
    """Is what is made small the same, and are fewer runs begun for it?"""
    small, begun = [], []
    for place in (Host(), Slow()):
        fuzz = replace(fuzzer("prepatch", tmp_path), place=place)
        with mock.patch.object(Verifier, "run", autospec=True, side_effect=Verifier.run) as run:
            small.append([each.scenario for each in fuzz.run(4)])
            begun.append(run.call_count)
    assert small[0] == small[1]
    assert 0 < 4 * begun[1] < begun[0]


@exhaustive
def test_it_ends_at_the_first_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Are no further ones run, unless that is asked for, and is it said?"""
    fuzz = fuzzer("prepatch", tmp_path, keep_going=False)
    *before, last = fuzz.run(40)
    assert {each.verdict.status for each in before} <= {Status.AGREES}
    assert last.verdict.status is Status.DIFFERS
    assert len(list(tmp_path.iterdir())) == 1
    message = f"Ended after {len(before) + 1} of 40; --keep-going verifies all.\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("stray", "status", "keep_going"),
    some(
        [
            (1, Status.AGREES, False),
            (1, Status.AGREES, True),
            (4, Status.DIFFERS, True),
            (4, Status.DIFFERS, False),
        ],
        3,
    ),
)
def test_what_others_may_have_added_is_repeated(
    tmp_path: Path,
    stray: int,
    status: Status,
    keep_going: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Is it no reason to end, and a difference only if it is there more than twice?"""
    monkeypatch.setattr("swaptrace.verify.fuzz.ROUNDS", 0)  # nor made small
    judged = fuzzer("merged", tmp_path, stray=stray, keep_going=keep_going).run(1)
    assert [each.verdict.status for each in judged] == [status]


def test_what_differs_twice_is_a_difference(tmp_path: Path) -> None:
    judged = fuzzer("merged", tmp_path, stray=10**9).run(1)
    assert judged[0].verdict.status is Status.DIFFERS
