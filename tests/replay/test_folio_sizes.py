"""Which sizes come back from swap, as policies, the machine and the documentation say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError, SwaptraceError
from swaptrace.mm.column import Vma
from swaptrace.policies.merged import Merged
from swaptrace.replay import engine
from tests.effort import exhaustive
from tests.replay import swapin_sizes
from tests.replay.test_large_folios import micro


class Ordered(Merged):
    """Swaps no more than 16 KiB in; `wanted` is the order."""

    name = "ordered"
    wanted = 2

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:  # noqa: ARG002
        return min(self.wanted, orders[0])


@pytest.mark.parametrize("kernel", ["6.18", "7.3"])
def test_a_policy_says_how_much_is_swapped_in(kernel: str) -> None:
    """Does a fault bring in as much as it wants of what is possible, and no more?"""
    policy = Ordered()
    for wanted, majflt in ((0, 512), (2, 128), (4, 32), (9, 32)):
        policy.wanted = wanted
        sizes = {"thp.64KiB": "always", "thp.16KiB": "always", "kernel": kernel}
        total = engine.replay(micro(**sizes), policy).total
        assert (total["majflt"], total.get("mthp_swpin", 0)) == (majflt, majflt if wanted else 0)


def test_an_order_that_is_not_possible_is_an_error() -> None:
    """Is it said which were?"""
    policy = Ordered()
    policy.wanted = 3
    sizes = {"thp.64KiB": "always", "thp.16KiB": "always"}
    with pytest.raises(PolicyError, match=r"swapin_order\(\) returned 3; the orders are 4, 2, 0"):
        engine.replay(micro(**sizes), policy)


def test_nothing_comes_back_whole_where_zswap_was_ever_on() -> None:
    """Whatever the swap device is?"""
    total = engine.replay(micro(thp="64KiB", zswap_never_enabled="false"), Ordered()).total
    assert (total["majflt"], total["mthp_swpout"], total.get("mthp_swpin", 0)) == (512, 32, 0)
    with pytest.raises(SwaptraceError, match="zswap_never_enabled: means nothing without large"):
        micro(zswap_never_enabled="false")


TABLE = re.compile(r"^\| (\d+ [KM]iB) \| (\d+) \|$", re.MULTILINE)
MINOR = re.compile(r"^Minor faults: (\d+) under `prepatch`, (\d+) under `final`", re.M)


def test_the_table_of_the_documentation_is_what_is_counted() -> None:
    """Has each size the faults that the page says, read and written back?"""
    text = (Path(__file__).parents[2] / "docs" / "large-folios.md").read_text(encoding="utf-8")
    rows = TABLE.findall(text)
    assert [size for size, *_ in rows] == ["4 KiB", "16 KiB", "64 KiB", "1 MiB", "2 MiB"]
    minor = MINOR.search(text)
    assert minor is not None
    for size, majflt in rows:
        machine = {} if size == "4 KiB" else {"thp": size.replace(" ", "")}
        for policy, expected in zip(("prepatch", "final"), minor.groups(), strict=True):
            steps = engine.replay(micro(**machine), policies.find(policy), steps=True).steps
            assert steps is not None
            counted = steps[-1].counters
            found = (counted.get("majflt", 0), counted.get("minflt", 0))
            assert found == (int(majflt), int(expected)), (size, policy)


@exhaustive
def test_the_table_of_workloads_is_what_is_counted() -> None:
    """Has each workload in each memory the faults and reads that the page says, by size?"""
    table = swapin_sizes.TABLE.search(swapin_sizes.PAGE.read_text())
    assert table is not None
    head, *rows = table.group().splitlines(keepends=True)[1:]
    assert len(rows) == len(swapin_sizes.WORKLOADS)
    assert swapin_sizes.HEAD.endswith(head)
    for row, name in zip(rows, swapin_sizes.WORKLOADS, strict=True):
        assert row == str(swapin_sizes.line(name))
