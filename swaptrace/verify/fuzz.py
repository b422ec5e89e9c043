"""`verify --random`: many random scenarios on one kernel; what differs is made small and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from swaptrace.errors import SwaptraceError
from swaptrace.features import Feature
from swaptrace.kernels import Rule, follows, modelled
from swaptrace.result.verdict import Status
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.thp import Thp, ThpSize, large_folios
from swaptrace.terminal.atomic import replace_file
from swaptrace.terminal.output import complain
from swaptrace.verify.cause import Cause, cause_of
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.host import Host
from swaptrace.verify.observed import KernelFacts
from swaptrace.verify.place import Place
from swaptrace.verify.random_crowds import PAGE, CrowdMaker
from swaptrace.verify.random_hugetlb import HugePageMaker
from swaptrace.verify.random_steps import Maker
from swaptrace.verify.run import Judged, Verifier
from swaptrace.verify.settle import settled
from swaptrace.verify.shrink import smaller

PROBE: Final = "steps:\n- mmap: page\n  size: 4KiB\n"
"""The shortest scenario, to learn what the kernel has."""

LARGE: Final[tuple[tuple[ThpSize, ...], ...]] = (
    *(("64KiB",),) * 2,
    *(("16KiB",),) * 2,
    ("16KiB", "64KiB"),
    ("32KiB", "128KiB"),
    ("256KiB",),
    ("64KiB", "1MiB"),
    ("2MiB",),
    ("64KiB", "2MiB"),
)
"""Sizes of large folios of a scenario."""

LARGE_SHARE: Final = 1 / 3
"""Of scenarios, that have large folios."""

CROWD_SHARE: Final = 1 / 4
"""Of these, whose folios several processes map."""

HUGE_SHARE: Final = 0.03
"""How many scenarios are of huge pages."""

TRIES: Final = range(40)
"""How many of these are made until one is modelled."""

KSM_SHARE: Final = 0.12
"""Of scenarios, that are about equal pages."""

ROUNDS: Final = 60
"""How many cuts are made at most."""


@dataclass(frozen=True)
class Fuzzer:
    """Random scenarios on one kernel. `overrides` are as of `--set`; what differs goes into
    `directory`. Without `keep_going` the first one that differs is the last."""

    verifier: Verifier
    place: Place
    seed: int
    directory: Path
    overrides: Mapping[str, str]
    keep_going: bool = False

    def run(self, number: int) -> list[Judged]:
        """Verify so many. One that differs is written to a file as small as it can be made, and
        the verdict is that of the small one; of several that differ in the same way, the first.

        Raises `SwaptraceError` where the kernel cannot run any.
        """
        facts = self.probe()
        given = load_text(PROBE, "probe", self.overrides).machine.thp
        judged: list[Judged] = []
        while len(judged) < number:
            judged += self.some(range(len(judged), number), facts, given)
            if not self.keep_going and _ends(judged[-1].verdict.status):
                break
        if len(judged) < number:
            complain(f"Ended after {len(judged)} of {number}; --keep-going verifies all.")
        return list(self.once_per_cause(judged))

    def some(self, indexes: range, facts: KernelFacts, given: tuple[Thp, ...]) -> list[Judged]:
        """The verdicts on these, at most until one says something."""
        found = []
        made = (self.make(index, facts, given) for index in indexes)
        with closing(self.verifier.each(made, self.place)) as judged:
            for each in judged:
                found.append(each)
                if not self.keep_going and _ends(each.verdict.status):
                    break
        return self.verifier.confirmed(found, self.place)

    def once_per_cause(self, judged: Iterable[Judged]) -> Iterator[Judged]:
        """The same, where each cause of a difference is told once."""
        causes: dict[Cause, str] = {}
        for each in judged:
            if each.verdict.status is Status.DIFFERS:
                yield self.once(each, causes)
            elif each.verdict.status is Status.FAILED:
                yield self.written(each)
            else:
                yield each

    def once(self, judged: Judged, causes: dict[Cause, str]) -> Judged:
        """Made small and written to a file, unless one before differs in the same way."""
        cause = _cause(judged)
        small = None
        if cause not in causes:
            small = self.reduced(judged)
            causes[cause] = causes.setdefault(_cause(small), judged.scenario.name)
        name = causes[cause]
        if small is not None and name == judged.scenario.name:
            return self.written(small)
        return judged._replace(verdict=replace(judged.verdict, same_as=name))

    def written(self, judged: Judged) -> Judged:
        """Kept in a file."""
        path = self.directory / f"{judged.scenario.name}.yaml"
        replace_file(path, to_yaml(judged.scenario))
        return judged._replace(verdict=replace(judged.verdict, file=str(path)))

    def probe(self) -> KernelFacts:
        """What the kernel has."""
        (only,) = self.verifier.each([load_text(PROBE, "probe", self.overrides)], self.place)
        if only.observed is None or only.verdict.reason is not None:
            raise SwaptraceError(f"no random scenario can run: {only.verdict.reason}")
        return only.observed.facts

    def make(self, index: int, facts: KernelFacts, given: tuple[Thp, ...] = ()) -> Scenario:
        """The scenario of that number. `given` are the sizes of large folios of all; without
        these some have other ones, as far as the kernel has them."""
        huge = None if given else self.of_huge_pages(index, facts)
        if huge is not None:
            return huge
        random = Random(f"{self.seed}/{index}")
        thp = given or sizes(Random(f"{self.seed}/{index}/thp"), facts)
        crowd = self.of_crowds(index, facts, thp)
        if crowd is not None:
            return crowd
        while True:
            rwp = facts.uffd_wp and follows(modelled(facts.version), Rule.UFFD_RWP)
            merges = facts.ksm and random.random() < KSM_SHARE
            registers = facts.uffd_wp and facts.version >= Feature.UFFD_REGISTER.since
            has = facts.soft_dirty, facts.uffd_wp, rwp, merges, registers
            maker = Maker(random, facts.page_size, *has, thp=thp)
            maker.kernel = modelled(facts.version)
            maker.limits = self.place.limits and follows(maker.kernel, Rule.NO_SLOT_CACHE)
            found = self.settled(maker.scenario(f"random-{self.seed}-{index}"))
            if found is not None:
                return found

    def of_huge_pages(self, index: int, facts: KernelFacts) -> Scenario | None:
        """Now and then one of these, where the number of huge pages can be set."""
        random = Random(f"{self.seed}/{index}/huge")
        own = isinstance(self.place, Host) and self.place.own is not None
        if not own or facts.arch != "x86_64" or random.random() >= HUGE_SHARE:
            return None
        uffd = facts.uffd_wp and facts.version >= Feature.UFFD_REGISTER.since
        made = (HugePageMaker(random, uffd).scenario(f"random-{self.seed}-{index}") for _ in TRIES)
        return next(filter(None, map(self.settled, made)), None)

    def of_crowds(self, index: int, facts: KernelFacts, thp: tuple[Thp, ...]) -> Scenario | None:
        """Often one of these, where folios are large."""
        random, name = Random(f"{self.seed}/{index}/crowd"), f"random-{self.seed}-{index}"
        if not large_folios(thp) or facts.page_size != PAGE or random.random() >= CROWD_SHARE:
            return None
        kernel = modelled(facts.version)
        made = (CrowdMaker(random, thp, kernel).scenario(name) for _ in TRIES)
        return next(filter(None, map(self.settled, made)), None)

    def settled(self, scenario: Scenario) -> Scenario | None:
        """With errnos, if it is valid. They are those of the kernel that it is for."""
        return settled(scenario, self.verifier.named("merged"), self.overrides)

    def reduced(self, judged: Judged) -> Judged:
        """Something smaller that differs as well."""
        for _ in range(ROUNDS):
            found = self.first_that_differs(self.cuts(judged.scenario))
            if found is None:
                break
            judged = found
        return judged

    def cuts(self, scenario: Scenario) -> Iterator[Scenario]:
        """The valid ones among all that are one cut smaller."""
        return filter(None, map(self.settled, smaller(scenario)))

    def first_that_differs(self, candidates: Iterator[Scenario]) -> Judged | None:
        """The first that differs, and does so again."""
        while some := list(islice(candidates, self.place.at_once)):
            for each in self.verifier.run(some, self.place):
                if each.verdict.status is Status.DIFFERS:
                    return each
        return None


def sizes(random: Random, facts: KernelFacts) -> tuple[Thp, ...]:
    """None, or some that a kernel has and whose folios are modelled there."""
    chosen: tuple[ThpSize, ...] = random.choice(LARGE)
    if random.random() >= LARGE_SHARE or facts.version < Feature.LARGE_FOLIOS.since:
        return ()
    return tuple(Thp(size, "always") for size in chosen if size in facts.thp)


def _ends(status: Status) -> bool:
    """Whether a verdict is what was looked for, or lets expect that none comes after it."""
    match status:
        case Status.DIFFERS | Status.FAILED | Status.NOT_RUN:
            return True
        case Status.AGREES | Status.UNSTEADY | Status.SKIPPED:
            return False


def _cause(judged: Judged) -> Cause:
    assert judged.verdict.first_difference is not None
    return cause_of(judged.verdict.first_difference)
