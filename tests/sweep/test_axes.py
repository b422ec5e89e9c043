"""Does `--over` mean what it says, and does each mistake get an answer?"""

from __future__ import annotations

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.sweep.axes import Share, axes_of, axis_of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("machine.reclaim=classic, lru", "classic lru"),
        ("machine.memory=4MiB..64MiB/4", "4MiB 24MiB 44MiB 64MiB"),
        ("machine.memory=4MiB..64MiB*5", "4MiB 8MiB 16MiB 32MiB 64MiB"),
        ("machine.memory=1MiB..2MiB/4", "1MiB 1344KiB 1728KiB 2MiB"),
        ("machine.memory=25%..100%/4", "25% 50% 75% 100%"),
        ("machine.memory=12.5%..50%*3", "12.5% 25% 50%"),
        ("machine.memory=50%,1MiB", "50% 1MiB"),
        ("machine.swap.page_cluster=0..3", "0 1 2 3"),
        ("machine.swap=zram,disk", "zram disk"),
    ],
)
def test_the_values_of_an_axis(text: str, values: str) -> None:
    """Are both ends there, and the points between them as far from each other?"""
    assert [str(value) for value in axis_of(text).values] == values.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine.memory", "is not KEY=VALUES"),
        ("machine.memory=", "is not KEY=VALUES"),
        ("memory=1MiB", "unknown key 'memory'; did you mean 'machine.memory'?"),
        ("machine.memry=1MiB", "did you mean 'machine.memory'?"),
        ("machine.memory=4MB", "did you mean '4MiB'?"),
        ("machine.memory=1MiB,,2MiB", "a value is missing beside a comma"),
        ("machine.memory=1MiB,1MiB", "is there twice"),
        ("machine.memory=4MiB..64MiB", "says how many values it has"),
        ("machine.memory=4MiB..64MiB/one", "says how many values it has"),
        ("machine.memory=4MiB..64MiB/1", "at least 2"),
        ("machine.memory=64MiB..4MiB/3", "does not go upwards"),
        ("machine.memory=4KiB..8KiB/9", "no 9 different values"),
        ("machine.memory=5%..4MiB/3", "one end of the range is a share"),
        ("machine.memory=0%", "is not between 0 and 10000%"),
        ("machine.page_size=50%", "only machine.memory and machine.swap.size can be"),
        ("machine.reclaim=classic..lru/2", "has no ranges"),
        ("machine.swap.page_cluster=0..5*3", "equal ratios begin above 0"),
        ("machine.kernel=5.0", "'5.0'"),
    ],
)
def test_a_wrong_axis_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    """Is the option repeated, and the mistake named?"""
    with pytest.raises(SwaptraceError) as error:
        axis_of(text)
    assert str(error.value).startswith(f"--over {text}: ")
    assert message in str(error.value)


def test_axes_that_exclude_each_other_are_refused() -> None:
    """Does each setting have one place, and the grid an end?"""
    memory = "machine.memory=1MiB,2MiB"
    with pytest.raises(SwaptraceError, match="is an axis already"):
        axes_of([memory, memory], {})
    with pytest.raises(SwaptraceError, match="--set gives"):
        axes_of([memory], {"machine.memory": "1MiB"})
    many = ["machine.memory=1MiB..64MiB/500", "machine.stat_flush=1..500/500"]
    with pytest.raises(SwaptraceError, match="250,000 machines"):
        axes_of(many, {})


def test_a_share_is_whole_pages_and_at_least_one() -> None:
    """Does rounding never lead to a machine without memory?"""
    share = axis_of("machine.memory=33%").values[0]
    assert isinstance(share, Share)
    assert share.of(10 * 4096, 4096) == 3 * 4096
    assert share.of(4096, 4096) == 4096
