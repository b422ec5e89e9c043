"""Is one cause recognised whatever the sizes, and are two told apart?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.result.verdict import Difference, ShownSide
from swaptrace.verify.cause import cause_of, differing


def difference(
    model: dict[str, int],
    kernel: dict[str, int],
    maps: tuple[str, str] = ("", ""),
    op: str = "read",
) -> Difference:
    """One at some step."""
    ours, theirs = ({"main": {"buf": code}} if code else {} for code in maps)
    return Difference(
        "1", 1, "main", op, ShownSide(None, model, ours), ShownSide(None, kernel, theirs)
    )


SMALL = difference({"minflt": 1, "pswpin": 2}, {"minflt": 0, "pswpin": 3}, ("1P", "1PX"))


def test_sizes_make_no_other_cause() -> None:
    large = difference({"minflt": 9, "pswpin": 5}, {"minflt": 4, "pswpin": 77}, ("9P", "7PX,2P"))
    assert cause_of(large) == cause_of(SMALL)


@pytest.mark.parametrize(
    "other",
    [
        difference({"minflt": 0, "pswpin": 2}, {"minflt": 1, "pswpin": 3}, ("1P", "1PX")),
        difference({"minflt": 1}, {"minflt": 0}, ("1P", "1PX")),
        difference({"minflt": 1, "pswpin": 2}, {"minflt": 0, "pswpin": 3}, ("1P", "1PD")),
        difference({"minflt": 1, "pswpin": 2}, {"minflt": 0, "pswpin": 3}, ("1P", "")),
        difference({"minflt": 1, "pswpin": 2}, {"minflt": 0, "pswpin": 3}, ("1P", "1PX"), "write"),
    ],
)
def test_another_direction_counter_flag_or_operation_is_another_cause(other: Difference) -> None:
    assert cause_of(other) != cause_of(SMALL)


FLAGS = st.lists(st.sampled_from(["-", "P", "PX", "S"]), min_size=1, max_size=12)


def coded(pages: list[str]) -> str:
    """A page map as it is written, though with more runs than needed."""
    return ",".join(f"1{flags}" for flags in pages)


@given(FLAGS, FLAGS)
def test_the_flags_that_differ_are_those_of_each_page(model: list[str], kernel: list[str]) -> None:
    """Run by run as page by page?"""
    expected = {(a, b) for a, b in zip(model, kernel, strict=False) if a != b}
    shared = min(len(model), len(kernel))
    expected |= {(flags, "") for flags in model[shared:]}
    expected |= {("", flags) for flags in kernel[shared:]}
    assert set(differing(coded(model), coded(kernel))) == expected
