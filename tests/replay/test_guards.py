"""Do guards, process_madvise() and pins to read do as mm/madvise.c and mm/gup.c have it?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.naive import naive_replay

GUARDED = """
- {mmap: a, size: 32KiB}
- {memset: a, value: 1}
- {madvise: a, advice: GUARD_INSTALL, length: 16KiB}
"""


def run(steps: str, kernel: str = "6.18", more: str = "") -> PolicyResult:
    text = f"machine: {{kernel: '{kernel}'{more}}}\nsteps:\n{steps}"
    scenario = load_text(text, "a")
    found = replay(scenario, policies.find("merged"), steps=True, pages=True)
    if not more:
        seen = naive_replay(scenario, policies.find("merged"))
        assert found.pages == seen.pages
        assert found.total == seen.total
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_a_guard_gives_the_page_up_and_ends_an_access() -> None:
    """Is access to a guard a SIGSEGV, which counts no fault, and are pages new after it?"""
    counted = run(f"""{GUARDED}
- check: {{pages: {{a: '4S,4PX'}}}}
- {{read: a, offset: 16KiB}}
- {{read: a, order: backward}}
- {{madvise: a, advice: GUARD_REMOVE, length: 8KiB}}
- {{write: a}}
- check: {{pages: {{a: '2PX,2S,4PX'}}}}
""").steps
    assert counted is not None
    assert [step.counters for step in counted[4:6]] == [{}, {"sigsegv": 1}]
    assert counted[7].counters == {"minflt": 2, "zero_fill": 2, "sigsegv": 1}


@pytest.mark.parametrize("limited", ["", ", memory: 1MiB"])
def test_a_guard_stays(limited: str) -> None:
    """Does it outlive a fork, MADV_DONTNEED, MADV_FREE and mprotect, but not munmap?"""
    run(
        f"""{GUARDED}
- {{madvise: a, advice: DONTNEED, length: 4KiB}}
- {{madvise: a, advice: FREE}}
- {{mprotect: a, prot: r}}
- {{mprotect: a, prot: rw}}
- {{madvise: a, advice: PAGEOUT, length: 16KiB}}
- fork: child
- check: {{pages: {{a: '4S,4P'}}}}
  process: child
- {{munmap: a, length: 4KiB}}
- {{mmap: a, size: 4KiB, flags: MAP_FIXED}}
- {{write: a, length: 4KiB}}
- check: {{pages: {{a: '1PX,3S,4P'}}}}
""",
        more=limited,
    )


def test_what_faults_pages_in_fails_at_a_guard() -> None:
    """Is it EFAULT, ENOMEM of mlock, and no guard in what is locked?"""
    run(f"""{GUARDED}
- {{madvise: a, advice: POPULATE_READ, errno: EFAULT}}
- {{madvise: a, advice: POPULATE_WRITE, errno: EFAULT}}
- {{pin: a, mode: get, errno: EFAULT}}
- {{mlock: a, errno: ENOMEM}}
- {{madvise: a, advice: GUARD_INSTALL, errno: EINVAL}}
- {{madvise: a, advice: GUARD_REMOVE}}
""")


def test_an_old_kernel_has_no_guards() -> None:
    """Is it EINVAL before 6.13, and is that said?"""
    old = GUARDED.replace("length: 16KiB", "errno: EINVAL")
    run(old, "6.12")
    with pytest.raises(ScenarioError, match="GUARD_INSTALL fails with EINVAL here"):
        run(GUARDED, "6.12")


def test_the_nearest_name_is_a_sensible_one() -> None:
    """Is a mistyped guard told of guards?"""
    for typed, meant in (("GUARD_REMOV", "GUARD_REMOVE"), ("MADV_GUARD_INSTAL", "GUARD_INSTALL")):
        with pytest.raises(ScenarioError, match=f"did you mean 'MADV_{meant}'"):
            run(f"- {{mmap: a, size: 4KiB}}\n- {{madvise: a, advice: {typed}}}")


def test_advice_on_another_process() -> None:
    """Are hints taken, of the target's own page tables, and nothing else unless it is oneself?"""
    steps = """
- {mmap: a, size: 16KiB}
- {memset: a, value: 1}
- fork: child
- {memset: a, value: 2}
- {madvise: a, advice: PAGEOUT, target: child}
- check: {pages: {a: 4PX}}
- check: {pages: {a: 4S}}
  process: child
- {madvise: a, advice: WILLNEED, target: child}
- {madvise: a, advice: DONTNEED, target: child, errno: EINVAL}
- {madvise: a, advice: COLD, target: child, offset: 1, errno: EINVAL}
- {madvise: a, advice: DONTNEED, target: main%s}
"""
    run(steps % "")
    run(steps % ", errno: EINVAL", "6.12")
    with pytest.raises(ScenarioError, match="no process 'chidl' here; did you mean 'child'"):
        run(steps.replace("PAGEOUT, target: child", "PAGEOUT, target: chidl"))


def test_a_pin_to_read_gets_a_page_of_its_own() -> None:
    """Is what is not exclusive copied (FAULT_FLAG_UNSHARE), the zero page as well?"""
    found = run("""
- {mmap: a, size: 4KiB}
- {write: a}
- {mmap: b, size: 4KiB}
- {read: b}
- {mmap: c, size: 4KiB}
- {write: c}
- {mprotect: c, prot: r}
- fork: child
- {pin: a, mode: longterm_read}
- {pin: b, mode: longterm_read}
- exit: child
- {pin: c, mode: longterm_read}
- check: {pages: {a: 1PX, b: 1PX, c: 1PX}}
- {write: a}
- {write: b}
- check: {violations: []}
""")
    assert found.steps is not None
    pins = [step.counters for step in found.steps if step.op == "pin"]
    assert pins == [{"minflt": 1, "wp_copy": 1}, {"minflt": 1, "wp_copy": 1}, {"minflt": 1}]
