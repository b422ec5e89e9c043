"""What differs between two snapshots: two saved results, or a run and its baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple, TypeVar

from swaptrace.result.changes import TOTAL, Change, used
from swaptrace.result.snapshot import Broken, Snapshot, SnapshotCounts


class DifferenceRow(NamedTuple):
    """One counter of one window, in both of them."""

    scenario: str
    policy: str
    change: Change


class MissingPart(NamedTuple):
    """What only one of the two has: a scenario, a policy of it (else empty), or a window."""

    scenario: str
    policy: str = ""
    window: str = ""

    @property
    def within(self) -> str:
        """What it is, apart from the scenario's name."""
        if self.window:
            return f"{self.policy}, {self.window}: the window"
        return f"{self.policy}: the policy" if self.policy else "the scenario"


class Promise(NamedTuple):
    """A violation that only one of the two has, in a scenario and policy that both have or not."""

    scenario: str
    policy: str
    broken: Broken

    @property
    def is_warning(self) -> bool:
        return self.broken.is_warning

    @property
    def what(self) -> str:
        return str(self.broken)


class MachineSetting(NamedTuple):
    """A machine key that differs, as `swap.backend`."""

    scenario: str
    key: str
    old: object
    new: object


class Diff(NamedTuple):
    """Two snapshots and everything that differs between them.

    `rows` is every value that both have, the equal ones too; `added` and `gone` are what one of
    the two lacks, `broken` the violations that only the new one has, `mended` those that only the
    old one has.
    """

    old: Snapshot
    new: Snapshot
    rows: tuple[DifferenceRow, ...]
    added: tuple[MissingPart, ...]
    gone: tuple[MissingPart, ...]
    broken: tuple[Promise, ...]
    mended: tuple[Promise, ...]
    settings: tuple[MachineSetting, ...]

    @property
    def changed(self) -> tuple[DifferenceRow, ...]:
        return tuple(row for row in self.rows if row.change.difference)

    @property
    def empty(self) -> bool:
        """Whether the values are the same."""
        return not (self.changed or self.added or self.gone or self.broken or self.mended)


def difference(old: Snapshot, new: Snapshot) -> Diff:
    """Match two snapshots by scenario, policy and window."""
    return Diff(
        old=old,
        new=new,
        rows=tuple(_rows(old, new)),
        added=tuple(_only_in(new, old)),
        gone=tuple(_only_in(old, new)),
        broken=tuple(_promises(new, old)),
        mended=tuple(_promises(old, new)),
        settings=tuple(_settings(old, new)),
    )


Value = TypeVar("Value")


def _common(
    old: Mapping[str, Value], new: Mapping[str, Value]
) -> Iterator[tuple[str, Value, Value]]:
    """What both have, in the order of the new one."""
    return ((name, old[name], new[name]) for name in new if name in old)


def _rows(old: Snapshot, new: Snapshot) -> Iterator[DifferenceRow]:
    for scenario, old_policies, new_policies in _common(old.scenarios, new.scenarios):
        for policy, before, after in _common(old_policies, new_policies):
            for change in _changes(before, after):
                yield DifferenceRow(scenario, policy, change)


def _changes(before: SnapshotCounts, after: SnapshotCounts) -> Iterator[Change]:
    """In the order of tables: the total last."""
    common = list(_common(before.windows, after.windows))
    for window, old, new in sorted(common, key=lambda each: each[0] == TOTAL):
        for counter in used([old, new]):
            yield Change(window, counter, old.get(counter, 0), new.get(counter, 0))


def _only_in(one: Snapshot, other: Snapshot) -> Iterator[MissingPart]:
    for scenario, policies in one.scenarios.items():
        if scenario not in other.scenarios:
            yield MissingPart(scenario)
            continue
        for policy, counted in policies.items():
            there = other.scenarios[scenario].get(policy)
            if there is None:
                yield MissingPart(scenario, policy)
            else:
                missing = (name for name in counted.windows if name not in there.windows)
                yield from (MissingPart(scenario, policy, window) for window in missing)


def _promises(one: Snapshot, other: Snapshot) -> Iterator[Promise]:
    for scenario, policies in one.scenarios.items():
        for policy, counted in policies.items():
            there = other.scenarios.get(scenario, {}).get(policy)
            known = Counter(there.broken if there else ())
            only = Counter(counted.broken) - known
            yield from (Promise(scenario, policy, broken) for broken in only.elements())


def _settings(old: Snapshot, new: Snapshot) -> Iterator[MachineSetting]:
    for scenario, before, after in _common(old.machines, new.machines):
        was, now = dict(_leaves(before)), dict(_leaves(after))
        for key in dict.fromkeys(chain(was, now)):
            if was.get(key) != now.get(key):
                yield MachineSetting(scenario, key, was.get(key), now.get(key))


def _leaves(machine: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in machine.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
