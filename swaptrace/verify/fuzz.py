"""`verify --random`: many random scenarios on one kernel; what differs is made small and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from swaptrace.atomic import replace_file
from swaptrace.errors import SwaptraceError
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.observed import Facts
from swaptrace.verify.place import Place
from swaptrace.verify.random_steps import Maker
from swaptrace.verify.run import Judged, Verifier
from swaptrace.verify.settle import settled
from swaptrace.verify.shrink import smaller

PROBE: Final = "steps:\n- mmap: page\n  size: 4KiB\n"
"""The shortest scenario, to learn what the kernel has."""

ROUNDS: Final = 60
"""How many cuts are made at most."""


@dataclass(frozen=True)
class Fuzzer:
    """Random scenarios on one kernel. `overrides` are as of `--set`; what differs goes into
    `directory`."""

    verifier: Verifier
    place: Place
    seed: int
    directory: Path
    overrides: Mapping[str, str]

    def run(self, number: int) -> list[Judged]:
        """Verify so many. Each that differs is written to a file as small as it can be made, and
        the verdict is that of the small one.

        Raises `SwaptraceError` where the kernel cannot run any.
        """
        facts = self.probe()
        made = (self.make(index, facts) for index in range(number))
        judged = self.verifier.run(made, self.place)
        return [
            self.reduced(each) if each.verdict.first_difference is not None else each
            for each in judged
        ]

    def probe(self) -> Facts:
        """What the kernel has."""
        (only,) = self.verifier.each([load_text(PROBE, "probe", self.overrides)], self.place)
        if only.observed is None or only.verdict.status == "skipped":
            raise SwaptraceError(f"no random scenario can run: {only.verdict.reason}")
        return only.observed.facts

    def make(self, index: int, facts: Facts) -> Scenario:
        """The scenario of that number."""
        random = Random(f"{self.seed}/{index}")
        while True:
            maker = Maker(random, facts.page_size, facts.soft_dirty, facts.uffd_wp)
            found = self.settled(maker.scenario(f"random-{self.seed}-{index}"))
            if found is not None:
                return found

    def settled(self, scenario: Scenario) -> Scenario | None:
        """With errnos, if it is valid. They are those of the latest kernel that is modelled."""
        return settled(scenario, self.verifier.named("merged"), self.overrides)

    def reduced(self, judged: Judged) -> Judged:
        """Something smaller that differs as well; it is written to a file."""
        for _ in range(ROUNDS):
            found = self.first_that_differs(self.cuts(judged.scenario))
            if found is None:
                break
            judged = found
        path = self.directory / f"{judged.scenario.name}.yaml"
        replace_file(path, to_yaml(judged.scenario))
        return judged._replace(verdict=replace(judged.verdict, file=str(path)))

    def cuts(self, scenario: Scenario) -> Iterator[Scenario]:
        """The valid ones among all that are one cut smaller."""
        return filter(None, map(self.settled, smaller(scenario)))

    def first_that_differs(self, candidates: Iterator[Scenario]) -> Judged | None:
        """The first that differs, and does so again."""
        while (found := self.next_that_differs(candidates)) is not None:
            (again,) = self.verifier.run([found], self.place)
            if again.verdict.first_difference is not None:
                return again
        return None

    def next_that_differs(self, candidates: Iterator[Scenario]) -> Scenario | None:
        """The next that differs once; no further ones are run."""
        with closing(self.verifier.each(candidates, self.place)) as judged:
            differing = (each for each in judged if each.verdict.first_difference is not None)
            return next((each.scenario for each in differing), None)
