"""Is what a scenario needs the memory that it touches, and never less?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from swaptrace.verify.needs import needs
from swaptrace.verify.observed import ObservedStep
from tests.effort import examples
from tests.verify.programs import FACTS, scenario, shown
from tests.verify.test_random import fuzzer

KIB = 1 << 10

STEPS = {
    "nothing": ("", 0),
    "a byte": ("- {write: buf, length: 1}", 4),
    "a range over the border of a page": (
        "- {memset: buf, value: 1, offset: 4000, length: 200}",
        8,
    ),
    "one page twice": ("- {write: buf, length: 4KiB}\n- {read: buf, length: 4KiB}", 4),
    "ranges that overlap": (
        "- {write: buf, length: 8KiB}\n- {write: buf, offset: 4KiB, length: 8KiB}",
        12,
    ),
    "strides": ("- {write: buf, stride: 1MiB, length: 1GiB}", 4096),
    "strides, repeated": (
        "- repeat: 9\n  steps: [{write: buf, stride: 1MiB, length: 1GiB}]",
        4096,
    ),
    "a pattern": ("- {access: buf, pattern: uniform, count: 5}", 20),
    "a pattern, repeated": (
        "- repeat: 9\n  steps: [{access: buf, pattern: uniform, count: 5}]",
        20,
    ),
    "a pattern on few pages": ("- {access: buf, pattern: zipf, count: 500, length: 8KiB}", 8),
    "populated": ("- {madvise: buf, advice: MADV_POPULATE_WRITE, length: 16KiB}", 16),
    "populated by another, who has it not": (
        "- {fork: child}\n- {mmap: new, size: 16KiB}\n- {madvise: new, advice: "
        "MADV_POPULATE_WRITE, target: main, process: child, errno: EINVAL}",
        16,
    ),
    "locked": ("- {mlock: buf, length: 16KiB}", 16),
    "not touched": ("- {mprotect: buf, prot: r}\n- {madvise: buf, advice: MADV_PAGEOUT}", 0),
    "by a child": ("- {write: buf, length: 8KiB}\n- {fork: child}", 16),
    "by a child that has exited": (
        "- {write: buf, length: 8KiB}\n- {fork: child}\n- {exit: child}\n- {fork: other}",
        16,
    ),
    "a trace": ("- {trace: x.csv, region: small}", 64),
}


@pytest.mark.parametrize("name", STEPS)
def test_as_much_as_is_touched(name: str) -> None:
    """Of a region of 1 TiB, of which most is only mapped."""
    steps, kib = STEPS[name]
    text = f"steps:\n- {{mmap: buf, size: 1TiB}}\n- {{mmap: small, size: 64KiB}}\n{steps}\n"
    assert needs(scenario(text)).memory == kib * KIB


@pytest.mark.parametrize("index", range(examples(40)))
def test_never_less_than_the_model_has_pages(index: int) -> None:
    """Do random scenarios have no page, in memory or in swap, that is not counted?

    One has none at all where the region is gone before the first access.
    """
    made = fuzzer("merged", Path()).make(index, FACTS)
    steps = shown(made).steps
    pages = max(sum(map(populated, maps(step))) for step in steps)
    assert pages * 4096 <= needs(made).memory
    assert pages or {name for step in steps for name in step.counters} == {"sigsegv"}


def maps(step: ObservedStep) -> Iterator[str]:
    """The page maps after a step."""
    return (code for regions in step.pages.values() for code in regions.values())


def populated(code: str) -> int:
    """How many pages of a page map are in memory or in swap."""
    runs = re.findall(r"(\d+)([^,]+)", code)
    return sum(int(count) for count, flags in runs if {"P", "S"} & set(flags))
