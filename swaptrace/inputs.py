"""From what the user named to scenarios and policies, or to every error at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from swaptrace import bundled
from swaptrace.errors import InputErrors, SwaptraceError, did_you_mean, printable, quote
from swaptrace.mm.policy import Policy
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.files import read_at_most, read_text, reason

STDIN = "-"
ALL = "all"

LABEL = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
"""What a policy may be called by `LABEL=NAME`."""

SCENARIOS = "scenarios"
"""The directory that `compare` looks for. Where there is none it stands for the bundled scenarios,
which say that they are in it: a result must not depend on where swaptrace is installed."""


SELFTESTS = "selftests"
"""Stands for the bundled scenarios of the kernel's own tests, where there is no such directory."""


class InputSource(NamedTuple):
    """Where a scenario is to be read from: a path, or None for standard input.

    `file` is what messages and results call it.
    """

    file: str
    path: str | None

    def load(self, overrides: Mapping[str, str], stdin: BinaryIO | None) -> Scenario:
        """Read and validate it. Raises `ScenarioError` with everything that is wrong."""
        from swaptrace.scenario.loader import load_file, load_text
        from swaptrace.scenario.source import MAX_BYTES

        if self.path == self.file:
            return load_file(self.path, overrides)
        if self.path is not None:
            data = read_at_most(self.path, MAX_BYTES)
            return load_text(data, self.file, overrides, name=Path(self.path).stem)
        if stdin is None:
            raise SwaptraceError(f"{self.file}: standard input is closed")
        return load_text(stdin.read(MAX_BYTES + 1), self.file, overrides, name="stdin")


FROM_STDIN = InputSource("<stdin>", None)


def find(argument: str) -> list[InputSource]:
    """What one SCENARIO of the command line stands for."""
    if argument == STDIN:
        return [FROM_STDIN]
    path = Path(argument)
    if path.is_dir():
        return _in_directory(argument, path)
    if path.exists():
        return [InputSource(argument, argument)]
    shipped = bundled.scenarios()
    if argument in shipped:
        return [_bundled(argument, shipped[argument])]
    if argument == SCENARIOS and shipped:
        return list(all_bundled().values())
    if argument.removesuffix("/") in (SELFTESTS, f"{SCENARIOS}/{SELFTESTS}"):
        found = bundled.selftests()
        return [InputSource(f"{SCENARIOS}/{SELFTESTS}/{p.name}", str(p)) for p in found.values()]
    if "/" not in argument and path.suffix not in (".yaml", ".yml"):
        hint = f"; {did_you_mean(argument, shipped)}" if shipped else ""
        raise SwaptraceError(f"no file, directory or bundled scenario {quote(argument)}{hint}")
    raise SwaptraceError(f"{printable(argument)}: no such file{_sibling(path)}")


def _in_directory(argument: str, path: Path) -> list[InputSource]:
    files = sorted(child.name for child in path.glob("*.yaml") if not child.is_dir())
    if not files:
        other = next(path.glob("*.yml"), None)
        hint = f"; rename {printable(other.name)} to .yaml" if other else ""
        raise SwaptraceError(f"{printable(argument)}: the directory has no *.yaml in it{hint}")
    prefix = argument if argument.endswith("/") else f"{argument}/"
    return [InputSource(prefix + name, prefix + name) for name in files]


def _sibling(path: Path) -> str:
    """What is in the same directory and may have been meant."""
    if not path.parent.is_dir():
        return f", nor a directory {quote(str(path.parent))}"
    names = [child.name for child in path.parent.glob("*.yaml")]
    hint = did_you_mean(path.name, names)
    return f"; {hint}" if hint.startswith("did you mean") else ""


def _bundled(name: str, path: Path) -> InputSource:
    return InputSource(f"{SCENARIOS}/{name}.yaml", str(path))


def all_bundled() -> dict[str, InputSource]:
    """Every bundled scenario by name."""
    return {name: _bundled(name, path) for name, path in bundled.scenarios().items()}


def find_all(arguments: Iterable[str]) -> tuple[list[InputSource], list[SwaptraceError]]:
    """What all SCENARIOs stand for, in order, and those that stand for nothing."""
    sources: list[InputSource] = []
    errors: list[SwaptraceError] = []
    for argument in arguments:
        try:
            found = find(argument)
            if FROM_STDIN in found and FROM_STDIN in sources:
                raise SwaptraceError("-: standard input can be read only once")
            sources += found
        except SwaptraceError as error:
            errors.append(error)
        except OSError as error:
            errors.append(_unreadable(argument, error))
    return sources, errors


def defaults() -> list[InputSource]:
    """What `compare` takes without a SCENARIO."""
    if not Path(SCENARIOS).is_dir() and not bundled.scenarios():
        raise SwaptraceError("no directory ./scenarios and no bundled ones: name a SCENARIO")
    return find(SCENARIOS)


def try_each(
    sources: Iterable[InputSource], overrides: Mapping[str, str], stdin: BinaryIO | None
) -> Iterator[Scenario | SwaptraceError]:
    """The scenario of each source, or what is wrong with it."""
    for source in sources:
        try:
            yield source.load(overrides, stdin)
        except SwaptraceError as error:
            yield error
        except OSError as error:
            yield _unreadable(source.file, error)


def _unreadable(file: str, error: OSError) -> SwaptraceError:
    return SwaptraceError(f"{printable(file)}: cannot be read: {reason(error)}")


def load_all(
    sources: Iterable[InputSource],
    overrides: Mapping[str, str],
    stdin: BinaryIO | None,
    errors: Iterable[SwaptraceError] = (),
) -> list[Scenario]:
    """All scenarios, in order. Raises one error with `errors` and all that is wrong with any."""
    loaded: list[Scenario] = []
    wrong = list(errors)
    for found in try_each(sources, overrides, stdin):
        if isinstance(found, Scenario):
            loaded.append(found)
        else:
            wrong.append(found)
    if wrong:
        raise InputErrors(wrong)
    return loaded


def policies(
    text: str, defines: Collection[str] = (), builtin: Collection[str] = ()
) -> list[Policy]:
    """The policies of `--policies`, in the order given; `all` stands for those not named there.

    `defines` and `builtin` are the names of `--define` and `--builtin`.
    """
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import available

    wanted = [name.strip() for name in text.split(",")]
    if not all(wanted):
        raise SwaptraceError(f"--policies {quote(text)}: a name is missing beside a comma")
    explicit = {ALIASES.get(name, name) for name in wanted}
    rest = [name for name in available() if name not in explicit] if ALL in wanted else []
    found: dict[str, Policy] = {}
    given: dict[str, str] = {}
    for name in (name for item in wanted for name in (rest if item == ALL else [item])):
        policy = _labelled(name, defines, builtin)
        if policy.name in found:
            raise SwaptraceError(_twice(policy.name, given[policy.name], name))
        found[policy.name], given[policy.name] = policy, name
    return list(found.values())


def _labelled(text: str, defines: Collection[str], builtin: Collection[str]) -> Policy:
    """The policy of `NAME` or `LABEL=NAME`."""
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import available, from_argument

    label, _, name = text.partition("=")
    if not name or not LABEL.fullmatch(label) or Path(text).exists():
        return from_argument(text, defines, builtin)
    if label in ALIASES or label in available():
        raise SwaptraceError(f"--policies {quote(text)}: {label!r} is a policy; use another label")
    policy = from_argument(name, defines, builtin)
    policy.name = label
    return policy


def _twice(name: str, first: str, second: str) -> str:
    files = [given for given in (first, second) if given.endswith((".py", ".c"))]
    advice = f"rename {printable(files[-1])}" if files and first != second else "name it once"
    return f"--policies: {quote(first)} and {quote(second)} are both called {name!r}; {advice}"


def list_policies() -> tuple[list[tuple[str, str, str, str]], list[SwaptraceError]]:
    """Name, alias, title and origin of every policy, and of those that cannot be loaded why."""
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import available, find

    aliases = {name: alias for alias, name in ALIASES.items()}
    rows: list[tuple[str, str, str, str]] = []
    errors: list[SwaptraceError] = []
    for name in available():
        try:
            policy = find(name)
        except SwaptraceError as error:
            errors.append(error)
        else:
            rows.append((name, aliases.get(name, ""), policy.title, policy.origin))
    return rows, errors


def policy_source(
    name: str, defines: Collection[str] = (), builtin: Collection[str] = ()
) -> tuple[str, Policy]:
    """The text of the file that defines a policy, of one in C the lines that decide; and it."""
    from inspect import getsourcefile

    from swaptrace.policies import MAX_SOURCE, from_argument

    policy = from_argument(name, defines, builtin)
    if name.startswith("kernel:") or name.endswith(".c"):
        return _in_c(policy), policy
    file = name if name.endswith(".py") else getsourcefile(type(policy))
    if file is None:
        raise SwaptraceError(f"policy {policy.name!r} was installed without its source")
    return read_text(file, MAX_SOURCE), policy


def _in_c(policy: Policy) -> str:
    """What was taken of C."""
    from swaptrace.csource.listing import listing
    from swaptrace.ktree.faults.listing import listing as listing_of_tree
    from swaptrace.ktree.faults.policy import TreePolicy

    return listing_of_tree(policy) if isinstance(policy, TreePolicy) else listing(policy)


def first_sentence(text: str) -> str:
    """The text up to the first full stop or question mark, in one line."""
    line = " ".join(text.split())
    ends = [at + 1 for at in map(line.find, (". ", "? ", "! ")) if at >= 0]
    return line[: min(ends)] if ends else line
