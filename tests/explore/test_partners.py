"""Is it kept track of which process of one graph is which of the other?"""

from __future__ import annotations

from itertools import permutations, product

import pytest

from swaptrace.explore.graph import Places
from swaptrace.explore.partners import after, placed

PEOPLE = "abc"


def beside(first: str, second: str) -> Places:
    """The permutation between two orders of the same processes."""
    return tuple(second.index(each) for each in first)


@pytest.mark.parametrize("operation", ["fork", "exit", "read"])
def test_an_operation_keeps_each_process_beside_itself(operation: str) -> None:
    """For every two orders of up to three processes, and whoever executes it?"""
    for count in (1, 2, 3):
        orders = ["".join(order) for order in permutations(PEOPLE[:count])]
        for first, second in product(orders, orders):
            for process, name in enumerate(first):
                one, two = first, second
                if operation == "fork":
                    one, two = one + "z", two + "z"
                elif operation == "exit":
                    one, two = one.replace(name, ""), two.replace(name, "")
                assert after(beside(first, second), operation, process) == beside(one, two)


def test_new_numbers_keep_each_process_beside_itself() -> None:
    """Wherever each graph puts its processes?"""
    orders = ["".join(order) for order in permutations(PEOPLE)]
    for first, second, one, two in product(orders, repeat=4):
        ours, theirs = beside(first, one), beside(second, two)
        assert placed(beside(first, second), ours, theirs) == beside(one, two)
