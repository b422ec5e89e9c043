"""docs/history.md: what ten kernels count for the bundled scenarios, and what changed each number.

Which rule of `swaptrace.kernels` changed a number is found by replaying: under every kernel that is
modelled the version is found in which it changes, and if several rules are of that version, each is
withheld in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Final, NamedTuple
from unittest.mock import patch

from swaptrace import bundled, policies
from swaptrace.exploration.explorer import explore, operations, request_of
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.exploration.witness import short, witnesses
from swaptrace.kernels import KERNELS, Rule, Version, follows, policy_of, version
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.schema import Scenario

SHOWN: Final = ("6.1", "6.6", "6.8", "6.12", "6.14", "6.16", "6.18", "7.0", "7.2", "7.3")

NEVER: Final[Version] = (99, 0)

HEAD: Final = """\
# The history of the swap-in path, by machine

<!-- Made by `pytest tests/test_history.py --promote` of what the replays count. -->

What ten kernels count for the bundled scenarios without large folios, each under the policy that
it has (`prepatch` below 6.11, `merged` from it on). This is what

```sh
{command}
```

says, with the change that made each number another one. Which one that was has been tried as well:
every kernel from 6.1 to 7.3 has been replayed to find the version, and where several rules are of
one version, each was left out in turn. The rules and their commits are those of [the
model](model.md#kernel-versions). Numbers in which all ten agree are left out; a violation is
counted once for each page and process that sees it.
"""


def command() -> str:
    """The command line that counts the same, in lines of half of the kernels."""
    names = [f"{policy_of(kernel)}@{kernel}" for kernel in SHOWN]
    half = len(names) // 2
    first, second = (",".join(part) for part in (names[:half], names[half:]))
    return f"swaptrace compare scenarios --policies {first},\\\n{second}"


def counted(scenario: Scenario, kernel: str) -> dict[tuple[str, str], int]:
    """Every counter by window, and the violations, under the policy that a kernel has."""
    result = replay(scenario, policies.find(f"{policy_of(kernel)}@{kernel}"))
    return dict(_numbers(result))


def _numbers(result: PolicyResult) -> Iterator[tuple[tuple[str, str], int]]:
    windows: Mapping[str, Mapping[str, int]] = {**result.windows, "total": result.total}
    for window, counters in windows.items():
        yield from (((window, counter), value) for counter, value in counters.items())
    for violation in result.violations:
        key = ("total", f"violation {violation.kind}")
        yield key, sum(each.kind == violation.kind for each in result.violations)


def without(rule: Rule, scenario: Scenario, kernel: str) -> dict[tuple[str, str], int]:
    """The same on a kernel that has all its rules but one."""
    since = property(lambda each: NEVER if each is rule else each.value.since)
    with patch.object(Rule, "since", since):
        follows.cache_clear()
        try:
            return counted(scenario, kernel)
        finally:
            follows.cache_clear()


class Row(NamedTuple):
    """A number that differs, under each of the kernels that are shown, and the rules that made it
    so, oldest first."""

    window: str
    counter: str
    values: tuple[int, ...]
    rules: tuple[Rule, ...]


def rows(scenario: Scenario) -> list[Row]:
    """What the kernels that are shown do not all count alike."""
    found = {kernel: counted(scenario, kernel) for kernel in KERNELS}
    keys = dict.fromkeys(key for kernel in SHOWN for key in found[kernel])
    values = {key: tuple(found[kernel].get(key, 0) for kernel in SHOWN) for key in keys}
    different = [key for key in keys if len(set(values[key])) > 1]
    rules: dict[tuple[str, str], list[Rule]] = {key: [] for key in different}
    for before, after in pairwise(KERNELS):
        changed = [
            key for key in different if found[before].get(key, 0) != found[after].get(key, 0)
        ]
        for rule, keys_of_it in causes(scenario, after, found[after], changed):
            for key in keys_of_it:
                rules[key].append(rule)
    return [Row(*key, values[key], tuple(rules[key])) for key in different]


def causes(
    scenario: Scenario,
    kernel: str,
    found: Mapping[tuple[str, str], int],
    changed: Sequence[tuple[str, str]],
) -> Iterator[tuple[Rule, list[tuple[str, str]]]]:
    """The rules that a version brought, and the numbers that are others without them."""
    if not changed:
        return
    of_it = [rule for rule in Rule if rule.since == version(kernel)]
    for rule in of_it:
        if len(of_it) == 1:
            yield rule, list(changed)
            return
        other = without(rule, scenario, kernel)
        yield rule, [key for key in changed if other.get(key, 0) != found.get(key, 0)]


def cited(rule: Rule) -> str:
    """A rule as a table names it."""
    major, minor = rule.since
    name = rule.name.lower().replace("_", " ")
    commit = f", {rule.value.commit}" if rule.value.commit else ""
    return f"{name} ({major}.{minor}{commit})"


def section(name: str) -> str:
    """What is said of a bundled scenario; empty if all kernels that are shown agree."""
    found = rows(load_file(str(bundled.scenarios()[name])))
    if not found:
        return ""
    head = " | ".join(SHOWN)
    lines = [f"## {name}", "", f"| window | number | {head} | changed by |"]
    lines.append("|---|---|" + "--:|" * len(SHOWN) + "---|")
    for row in found:
        values = " | ".join(map(str, row.values))
        rules = "; ".join(map(cited, row.rules))
        lines.append(f"| {row.window} | `{row.counter}` | {values} | {rules} |")
    return "\n".join([*lines, ""])


def alike(names: Iterable[str]) -> str:
    """The scenarios for which no section is made."""
    links = [f"[{name}](../scenarios/{name}.yaml)" for name in names]
    listed = ",\n".join(links)
    return f"## No difference\n\nAll ten kernels count the same for\n{listed}.\n"


REGRESSIONS: Final = """\
## What became worse

Three changes since the series make something worse that was better before. `swaptrace explore`
finds the shortest sequences that show the first two: one page, every operation but `mlock` and
`munlock`, and each table is complete.
"""

DIRTY: Final = """\
### A page that was only read is dirty, on arm64

With the series a page that is read back in is mapped writable, and arm64's `pte_mkwrite()` made the
PTE dirty as well, until 143937ca51cc. `--set machine.mkwrite_dirties=true`, one process, zram:
"""

MAPPED: Final = """\
### The swap cache is let go after mapping

Since 4b34f1d82c65 (7.0) the swap cache's reference counts where it is asked whether a page has one
owner. Two processes, on a disk, so that nothing else of 7.0 plays a part:
"""

AHEAD: Final = """\
### zram does not read ahead

Since f1879e8a0c60 (7.0) nothing is read ahead from zram, where a slot of several processes was
before. `explore` has one page and no neighbours. So here every sequence of these operations on a
region of two pages was replayed, the shortest first:
{operations}.
Number {tried} is the first for which a page is read ahead under `merged@6.19` and `merged@7.0`
counts something else: {sequence}.

| | merged@6.19 | merged@7.0 |
|---|--:|--:|
{table}
"""


def explored(names: str, processes: int, overrides: Mapping[str, str]) -> str:
    """The table of an exploration that came to its end."""
    found = [policies.find(name) for name in names.split(",")]
    ops = tuple(name for name in operations(None) if name not in ("mlock", "munlock"))
    request = request_of(found, overrides, Limits(ops, processes), SearchBounds())
    exploration = explore(request)
    assert exploration.complete
    one, other = exploration.names
    lines = [f"| | {one} | {other} | shortest sequence |", "|---|--:|--:|---|"]
    for each in witnesses(exploration):
        values = " | ".join(map(str, each.values.values()))
        lines.append(f"| `{each.title}` | {values} | {short(each.difference.steps)} |")
    return "\n".join([*lines, ""])


PAIR: Final = {
    "write": "{write: pair}",
    "pageout": "{madvise: pair, advice: MADV_PAGEOUT}",
    "fork": "{fork: child}",
    "read": "{read: pair}",
    "read by child": "{read: pair, process: child}",
}
"""What is tried on two pages, as steps."""


def read_ahead() -> str:
    """The shortest sequence that shows that zram no longer reads ahead."""
    tried = 0
    for length in range(1, 6):
        for sequence in product(PAIR, repeat=length):
            if not possible(sequence):
                continue
            tried += 1
            steps = ", ".join(PAIR[name] for name in sequence)
            scenario = load_text(f"steps: [{{mmap: pair, size: 8KiB}}, {steps}]\n")
            old, new = (counted(scenario, kernel) for kernel in ("6.19", "7.0"))
            if old != new and old.get(("total", "swap_ra"), 0):
                return AHEAD.format(
                    operations=", ".join(PAIR),
                    tried=tried,
                    sequence=", ".join(sequence),
                    table="\n".join(
                        f"| `{key[1]}` | {value} | {new.get(key, 0)} |"
                        for key, value in old.items()
                        if value != new.get(key, 0)
                    ),
                )
    raise AssertionError("nothing shows it")


def possible(sequence: Sequence[str]) -> bool:
    """Whether there is one child at most, and it does nothing before the fork."""
    forks = [at for at, name in enumerate(sequence) if name == "fork"]
    by_child = [at for at, name in enumerate(sequence) if name.endswith("child")]
    return len(forks) <= 1 and all(forks and at > forks[0] for at in by_child)


def page() -> str:
    """The whole page."""
    small = [
        name for name, path in bundled.scenarios().items() if not load_file(str(path)).machine.thp
    ]
    sections = {name: section(name) for name in small}
    parts = [HEAD.format(command=command()), *(text for text in sections.values() if text)]
    parts.append(alike(name for name, text in sections.items() if not text))
    dirties = {"machine.mkwrite_dirties": "true"}
    parts += [REGRESSIONS, DIRTY, explored("prepatch,merged", 1, dirties)]
    disk = {"machine.swap.backend": "disk"}
    parts += [MAPPED, explored("merged@6.19,merged@7.0", 2, disk), read_ahead()]
    return "\n".join(parts)
