"""What a cell's result depends on, as a digest: equal digests mean equal results.

These are the scenario's text, the content of its traces, the machine, the policy's source and the
program itself. What a policy reads while it decides, as a file of its own, is not looked at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import swaptrace
from swaptrace.errors import SwaptraceError, printable
from swaptrace.mm.policy import Policy
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.files import identity, opened, read_bytes, reason

MAX_SOURCE: Final = 64 << 20

OF_C: Final = frozenset({"swaptrace.csource.policy", "swaptrace.ktree.faults.policy"})
"""Where the classes of policies from C are; by name, as importing a parser of C takes its time."""

BLOCK: Final = 1 << 20


def of_cell(scenario: Scenario, traces: Mapping[str, str], policy: Policy, source: str) -> str:
    """The digest of everything that the scenario under the policy depends on.

    `traces` are the digests of its traces, `source` that of the policy (`of_policy`).
    """
    return digest_of(
        {
            "program": of_program(),
            "scenario": scenario.text,
            "traces": dict(traces),
            "machine": asdict(scenario.machine_under(policy.kernel, policy.pinned)),
            "policy": source,
        }
    )


def digest_of(value: Mapping[str, object]) -> str:
    """SHA-256 of plain values, in hexadecimal."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def of_program() -> str:
    """That of the version and the source of this program."""
    return digest_of({"version": swaptrace.__version__, **_sources(_files_of("swaptrace"))})


def of_policy(policy: Policy) -> str:
    """That of the C that a policy has, or of the Python files of its class and what they are part
    of: what is beside them and they have imported, or the package that they are in."""
    if not OF_C.isdisjoint(each.__module__ for each in type(policy).__mro__):
        return digest_of({"c": _plain(policy.__reduce__()[1][1:])})
    roots = {each.__module__.partition(".")[0] for each in type(policy).__mro__}
    files = {file for root in roots - {"swaptrace", "builtins"} for file in _files_of(root)}
    own = f"{type(policy).__module__}.{type(policy).__qualname__}"
    name = own if own.startswith("swaptrace.") else type(policy).__qualname__
    return digest_of({"class": name, **_sources(files)})


def _plain(value: object) -> object:
    """The same from lists and dicts alone, where order means nothing in that of its members."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | None) else repr(value)


def _files_of(root: str) -> Iterator[str]:
    """The Python files of a package that is installed; of another module those that are loaded."""
    package = sys.modules.get(root)
    if root == "swaptrace" and package is not None and package.__file__ is not None:
        yield from map(str, Path(package.__file__).parent.rglob("*.py"))
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and (name == root or name.startswith(f"{root}.")):
            yield file


def _sources(files: Collection[str] | Iterator[str]) -> dict[str, str]:
    """The digests of files, by their names."""
    found = sorted(files)
    return {
        f"{number} {Path(file).name}": sha256(read_bytes(file, MAX_SOURCE)).hexdigest()
        for number, file in enumerate(found)
    }


def of_traces(scenario: Scenario) -> dict[str, str]:
    """The digests of the contents of a scenario's traces, by their paths in it.

    One that is not there has none; the replay says so. Raises `SwaptraceError` where one was
    changed since the scenario was read.
    """
    found = {}
    for path, known in scenario.traces.items():
        place = scenario.trace_path(path)
        try:
            found[path] = of_file(place)
            same = identity(place) == known
        except OSError as error:
            raise SwaptraceError(f"{printable(place)}: cannot be read: {reason(error)}") from None
        if not same:
            raise SwaptraceError(f"{printable(place)}: was changed while it was read; try again")
    return found


def of_file(path: str) -> str:
    """SHA-256 of a regular file's content, in hexadecimal. Raises `OSError`."""
    digest = sha256()
    with opened(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
