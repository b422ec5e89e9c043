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
from swaptrace.replay.world import static_facts
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.schema import Scenario

SHOWN: Final = ("6.1", "6.6", "6.8", "6.12", "6.14", "6.16", "6.18", "7.0", "7.2", "7.3")

NEVER: Final[Version] = (99, 0)

HEAD: Final = """\
# The history of the swap-in path, by machine

<!-- Made by `pytest tests/test_history.py --promote` of what the replays count. -->

What changed over the kernels {kernels}
in the bundled scenarios without large folios, each kernel under its own policy (`prepatch` below
6.11, `merged` from it on), and by which [rule](model.md#kernel-versions).

Every kernel from 6.1 to 7.3 was replayed; where several rules are of one version, each was left
out in turn. A total that only adds up its windows is left out.

"""


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
        forget()
        try:
            return counted(scenario, kernel)
        finally:
            forget()


def forget() -> None:
    """What is kept of the rules."""
    follows.cache_clear()
    static_facts.cache_clear()


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
    return f"{rule.name.lower().replace('_', ' ')} ({major}.{minor})"


class Change(NamedTuple):
    """What the same rules changed in a window of a scenario."""

    rules: tuple[Rule, ...]
    place: str
    what: str


def section(name: str) -> list[Change]:
    """What each rule, or several together, changed in a bundled scenario."""
    found = rows(load_file(str(bundled.scenarios()[name])))
    groups: dict[tuple[tuple[Rule, ...], str], list[Row]] = {}
    for row in found:
        if row.window != "total" or not explained(row, found):
            groups.setdefault((row.rules, row.window), []).append(row)
    return [
        Change(rules, f"{name} ({window})", courses(of_it))
        for (rules, window), of_it in groups.items()
    ]


def table(changes: Iterable[Change]) -> str:
    """A line for all that the same rules changed, oldest rule first."""
    of_rules: dict[tuple[Rule, ...], dict[str, list[str]]] = {}
    for change in changes:
        places = of_rules.setdefault(change.rules, {})
        places.setdefault(change.what, []).append(change.place)
    lines = {
        rules: "; ".join(f"{', '.join(where)}: {what}" for what, where in places.items())
        for rules, places in of_rules.items()
    }
    return "".join(
        f"- **{' and '.join(map(cited, rules))}**: {lines[rules]}.\n"
        for rules in sorted(lines, key=lambda rules: [rule.since for rule in rules])
    )


def explained(total: Row, found: Sequence[Row]) -> bool:
    """Whether a total changes by what its windows change by, and for the same reasons."""
    windows = [row for row in found if row.window != "total" and row.counter == total.counter]
    sums = tuple(map(sum, zip(*(changes(row) for row in windows), strict=True)))
    return sums == changes(total) and {row.rules for row in windows} == {total.rules}


def changes(row: Row) -> tuple[int, ...]:
    return tuple(after - before for before, after in pairwise(row.values))


def courses(rows: Iterable[Row]) -> str:
    """Counters and what became of them, from one kernel to the next that counts another."""
    of_values: dict[str, list[str]] = {}
    for row in rows:
        later = [after for before, after in pairwise(row.values) if before != after]
        values = " → ".join(map(str, [row.values[0], *later]))
        of_values.setdefault(values, []).append(f"`{row.counter}`")
    return ", ".join(f"{', '.join(names)} {values}" for values, names in of_values.items())


def alike(names: Iterable[str]) -> str:
    """The scenarios of which the list says nothing."""
    return f"All count the same for {', '.join(f'`{name}`' for name in names)}.\n"


REGRESSIONS: Final = """\
## Regressions

Three changes since the series make something worse. The first two tables are complete: of
`swaptrace explore`, with every operation but `mlock` and `munlock`.
"""

DIRTY: Final = """\
### A page that was only read is dirty, on arm64

The series maps a page writable on a read, and arm64's `pte_mkwrite()` made the PTE dirty until
143937ca51cc (`machine.mkwrite_dirties`, one process, zram):
"""

MAPPED: Final = """\
### The swap cache is freed after mapping

Since 4b34f1d82c65 (7.0) the swap cache's reference counts when the kernel asks whether a page has
one owner (two processes, on a disk):
"""

AHEAD: Final = """\
### zram does not read ahead

Since f1879e8a0c60 (7.0) a slot of several processes on zram no longer causes read-ahead. Every
sequence of {operations} on two pages was replayed, shortest first; number {tried} shows it:
{sequence}.

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
    found = [change for changes in sections.values() for change in changes]
    parts = [HEAD.format(kernels=", ".join(SHOWN)) + table(found)]
    parts.append(alike(name for name, changes in sections.items() if not changes))
    dirties = {"machine.mkwrite_dirties": "true"}
    parts += [REGRESSIONS, DIRTY, explored("prepatch,merged", 1, dirties)]
    disk = {"machine.swap.backend": "disk"}
    parts += [MAPPED, explored("merged@6.19,merged@7.0", 2, disk), read_ahead()]
    return "\n".join(parts)
