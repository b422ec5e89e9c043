"""Which errno does a negative length give, which the kernel takes for a very large one?

Linux 6.18.44 gave every one of these (`swaptrace verify`), with and without `memlock`.
"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit import emit_c
from tests.replay.naive import naive_replay

MAPPED = "steps:\n- {mmap: buf, size: 64KiB}\n- {write: buf}\n"
REFUSED = [
    ("mincore: buf, length: -1", "ENOMEM"),
    ("mincore: buf, offset: 1, length: -1", "EINVAL"),
    ("mincore: buf, length: -4MiB, vec: false", "ENOMEM"),
    ("munmap: buf, length: -1", "EINVAL"),
    ("munmap: buf, offset: 4KiB, length: -1MiB", "EINVAL"),
    ("mprotect: buf, prot: r, length: -1", "ENOMEM"),
    ("mprotect: buf, prot: r, length: -4KiB", "ENOMEM"),
    ("madvise: buf, advice: MADV_DONTNEED, length: -1", "EINVAL"),
    ("madvise: buf, advice: MADV_POPULATE_READ, length: -5KiB", "EINVAL"),
    ("madvise: buf, advice: MADV_PAGEOUT, target: main, length: -8KiB", "EINVAL"),
    ("mlock: buf, length: -4KiB", "EINVAL"),
    ("munlock: buf, offset: 100, length: -1MiB", "EINVAL"),
]


@pytest.mark.parametrize(("step", "errno"), REFUSED)
def test_a_negative_length_is_refused(step: str, errno: str) -> None:
    """With this errno, in both replays, and is nothing done; is it dumped and emitted as given?"""
    text = f"{MAPPED}- {{{step}, errno: {errno}}}\n- check: {{data: {{buf: unchanged}}}}\n"
    scenario = load_text(text, "negative")
    for way in (replay, naive_replay):
        found = way(scenario, policies.find("merged"))
        assert found.total == {"minflt": 16, "zero_fill": 16}
        assert all(check.ok for check in found.checks)
    again = load_text(to_yaml(scenario), "negative").steps[2]
    assert (again.op, again.errno) == (scenario.steps[2].op, errno)
    assert getattr(again, "span", None) == getattr(scenario.steps[2], "span", "none")
    amount = step.partition("length: ")[2].split(",")[0].rstrip("KMiB")
    assert f", {amount}" in emit_c(scenario).partition('STEP(P_main, "2")')[2][:90]


def test_a_limit_of_locked_memory_comes_first() -> None:
    """Does mlock() count a negative length against RLIMIT_MEMLOCK before it is refused?"""
    lock = "- {mlock: buf, length: -4KiB, errno: ENOMEM}\n"
    replay(load_text(f"machine: {{memlock: 64KiB}}\n{MAPPED}{lock}"), policies.find("merged"))


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("{mincore: buf, length: -1}", "too small; at least 0"),
        ("{munmap: buf, length: -1}", "too small; at least 1"),
        ("{read: buf, length: -1}", "too small; at least 1"),
        ("{uffd_copy: buf, length: -1, errno: EINVAL}", "too small; at least 0"),
        ("{munmap: buf, length: -2GiB, errno: EINVAL}", "too small; at least -1GiB"),
    ],
)
def test_one_that_is_not_to_fail_is_a_mistake(step: str, why: str) -> None:
    """Is a negative length told where it is none that a system call refuses?"""
    with pytest.raises(ScenarioError, match=why):
        load_text(f"{MAPPED}- {step}\n")
