"""Scenarios as tests of pytest: `pytest --swaptrace scenarios/`.

Every file `*.swaptrace.yaml` that pytest comes across is collected. `--swaptrace` adds to
what pytest collects anyway: it names scenarios as `swaptrace run` does. A file has one test
for each policy that its `expect:` names, as `read-then-write.yaml::final`; it passes if all
that is expected of the policy is counted. Each claim of a `check` step is a test of its own, as
`cow.yaml::final: line 12, pages of buf in main`. A file that cannot be used is a collection error
in the loader's words.

pytest loads this module in every project of its environment, so that it imports nothing of
swaptrace before there is a scenario.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from swaptrace.mm.policy import Policy
    from swaptrace.replay.table import Table
    from swaptrace.result.result import Expectation, PolicyResult
    from swaptrace.scenario.schema import CheckStep, Scenario

SUFFIX = ".swaptrace.yaml"

INI = "swaptrace_policies"
"""The key of pytest's configuration file."""

NAMED = pytest.StashKey[frozenset[Path]]()
"""The scenario files of `--swaptrace`."""

CHOSEN = pytest.StashKey["list[Policy]"]()
"""The policies of `--swaptrace-policies` or the configuration file; without, each scenario says
which. What a scenario says are names: no scenario can have a file loaded."""

TABLES = pytest.StashKey["dict[str, Table]"]()
"""The transitions that are known, by policy."""


class Differs(Exception):
    """Expected values that were not counted; the text is the whole report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--swaptrace` and `--swaptrace-policies`."""
    group = parser.getgroup("swaptrace", "page-fault scenarios (swaptrace)")
    group.addoption(
        "--swaptrace",
        action="append",
        default=[],
        metavar="SCENARIO",
        help="also test what a scenario expects: a file, or a directory with *.yaml. "
        "May be repeated.",
    )
    group.addoption(
        "--swaptrace-policies",
        metavar="A,B,...",
        help="test scenarios under these policies: names, aliases, .py or .c files, or all. "
        "Default: those that a scenario expects something of, which are names only.",
    )
    parser.addini(
        INI,
        "what --swaptrace-policies is where it is not given; files are relative to this one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find what the options name, and have the files collected."""
    named: list[str] = config.getoption("--swaptrace")
    policies: str | None = config.getoption("--swaptrace-policies")
    if policies is not None:
        config.stash[CHOSEN] = _policies(policies)
    elif config.inipath is not None and (text := config.getini(INI)):
        with chdir(config.inipath.parent):
            config.stash[CHOSEN] = _policies(text)
    if named:
        paths = _files(named)
        config.stash[NAMED] = frozenset(path.resolve() for path in paths)
        config.args += [str(path) for path in paths if str(path) not in config.args]


def _policies(text: str) -> list[Policy]:
    from swaptrace import inputs
    from swaptrace.errors import SwaptraceError

    try:
        return inputs.policies(text)
    except SwaptraceError as error:
        raise pytest.UsageError(str(error)) from None


def _files(named: Sequence[str]) -> list[Path]:
    """The scenario files, each once, in the order given."""
    from swaptrace import inputs

    sources, errors = inputs.find_all(named)
    if inputs.FROM_STDIN in sources:
        raise pytest.UsageError("--swaptrace reads files, not standard input")
    if errors:
        raise pytest.UsageError("\n".join(f"--swaptrace: {error}" for error in errors))
    paths = (Path(os.path.abspath(source.path)) for source in sources if source.path is not None)
    return list(dict.fromkeys(paths))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A scenario, if it is one by its name or by the command line."""
    named = parent.config.stash.get(NAMED, frozenset())
    if file_path.name.endswith(SUFFIX) or (named and file_path.resolve() in named):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A scenario file, with an item for each policy and for each claim."""

    def collect(self) -> Iterator[ScenarioItem | CheckItem]:
        from swaptrace.errors import SwaptraceError
        from swaptrace.replay.expecting import unknown

        self.results: dict[str, PolicyResult] = {}

        try:
            scenario = self.load()
            policies = self.config.stash.get(CHOSEN, None)
            error = unknown(scenario, policies or (), "--swaptrace-policies")
            if error is not None:
                raise error
            for policy in _expected_policies(scenario) if policies is None else policies:
                yield from self.items(scenario, policy)
        except SwaptraceError as error:
            raise self.CollectError(str(error)) from None

    def items(self, scenario: Scenario, policy: Policy) -> Iterator[ScenarioItem | CheckItem]:
        """What is expected, if anything is or nothing is checked; and each claim."""
        from swaptrace.mm.policy import is_called
        from swaptrace.replay.checking import checks_in, claims_of, is_made_of
        from swaptrace.result.changes import claim_text

        checks = [each for each in checks_in(scenario.steps) if is_made_of(each, policy)]
        of = {"scenario": scenario, "policy": policy}
        if not checks or any(is_called(policy, expected.policy) for expected in scenario.expect):
            yield ScenarioItem.from_parent(self, name=policy.name, **of)
        for check in checks:
            for claim in claims_of(check):
                name = f"{policy.name}: {claim_text(*claim)}"
                yield CheckItem.from_parent(self, name=name, check=check, claim=claim, **of)

    def replayed(self, scenario: Scenario, policy: Policy) -> PolicyResult:
        """The result under a policy, which all tests of the file share."""
        from swaptrace.replay.engine import replay

        if policy.name not in self.results:
            self.results[policy.name] = replay(scenario, self.table(policy))
        return self.results[policy.name]

    def table(self, policy: Policy) -> Table:
        """The transitions under a policy, which all scenarios share."""
        from swaptrace.replay.table import Table

        tables = self.config.stash.setdefault(TABLES, {})
        if policy.name not in tables:
            tables[policy.name] = Table(policy)
        return tables[policy.name]

    def load(self) -> Scenario:
        """The scenario, whose messages call the file as seen from where pytest was started."""
        from swaptrace.errors import SwaptraceError, printable
        from swaptrace.inputs import InputSource

        shown = os.path.relpath(self.path, self.config.invocation_params.dir)
        try:
            return InputSource(shown, str(self.path)).load({}, None)
        except OSError as error:
            raise SwaptraceError(f"{printable(shown)}: cannot be read: {error.strerror}") from None


def _expected_policies(scenario: Scenario) -> list[Policy]:
    """The policies that the scenario expects or checks something of, in the order of the file; if
    it checks without naming any and expects nothing, that of the scenario's kernel as well."""
    from swaptrace.kernels import policy_of
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import find
    from swaptrace.replay.checking import checks_in

    named = [expected.policy for expected in scenario.expect]
    checks = list(checks_in(scenario.steps))
    named += [name for check in checks for name in check.claims.policies]
    if any(not check.claims.policies for check in checks) and not scenario.expect:
        named.append(policy_of(scenario.machine.kernel))
    names = [ALIASES.get(name, name) for name in named]
    return [find(name) for name in dict.fromkeys(names)]


class PolicyItem(pytest.Item):
    """A test of one scenario under one policy."""

    parent: ScenarioFile

    def __init__(self, *, scenario: Scenario, policy: Policy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.policy = policy

    def replayed(self) -> PolicyResult:
        """The result, which all tests of the file share."""
        return self.parent.replayed(self.scenario, self.policy)

    def check_decided(self) -> None:
        """Raise `Differs` where what was counted is not the last word."""
        if self.policy.undecided:
            doubts = (f"not decided: {self.policy.name}: {why}" for why in self.policy.undecided)
            raise Differs("\n".join(doubts))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any
    ) -> Any:
        """The message alone, where the scenario or the policy is to blame."""
        from swaptrace.errors import SwaptraceError

        if isinstance(excinfo.value, Differs | SwaptraceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)


class CheckItem(PolicyItem):
    """One claim of a `check` step under one policy."""

    def __init__(
        self, *, check: CheckStep, claim: tuple[str, int, str, str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.claim = claim

    def runtest(self) -> None:
        from swaptrace.errors import printable
        from swaptrace.result.judge import failed_check

        for checked in self.replayed().checks:
            if checked.claim == self.claim and not checked.ok:
                failure = failed_check(self.policy.name, checked)
                raise Differs(f"{printable(self.scenario.file)}: {failure}")
        self.check_decided()

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, self.check.line - 1, f"{self.scenario.name} under {self.name}"


class ScenarioItem(PolicyItem):
    """What one scenario expects of one policy."""

    def runtest(self) -> None:
        from swaptrace.replay.scenarios import expectations

        result = self.replayed()
        checked = list(expectations(self.scenario, {self.policy.name: result}))
        if not checked:
            pytest.skip(f"expects nothing of {self.policy.name}")
        if not all(expectation.ok for expectation in checked):
            raise Differs("\n".join(self.report(checked, result)))
        self.check_decided()

    def report(self, checked: Sequence[Expectation], result: PolicyResult) -> Iterator[str]:
        """What differs, as a table; and the promises to user space that were broken."""
        from swaptrace.errors import printable
        from swaptrace.result.changes import violation_text

        wrong = [expectation for expectation in checked if not expectation.ok]
        place = f"{printable(self.scenario.file)} under {self.policy.name}"
        yield f"{place}: {len(wrong)} of {len(checked)} expected values differ"
        yield ""
        rows = [(printable(e.window), e.counter, str(e.expected), str(e.actual)) for e in wrong]
        yield from _table([("window", "counter", "expected", "actual"), *rows])
        if result.violations:
            yield ""
        yield from (printable(violation_text(each)) for each in result.violations)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The line of the first value that is expected, counted from 0."""
        from swaptrace.mm.policy import is_called

        expected = (e for e in self.scenario.expect if is_called(self.policy, e.policy))
        first = next(expected, None)
        line = None if first is None else first.line - 1
        return self.path, line, f"{self.scenario.name} under {self.policy.name}"


def _table(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    """Names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        names = (text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True))
        numbers = (text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True))
        yield "  ".join([*names, *numbers])
