"""Does read-write protection by userfaultfd (7.3) trap every access, wherever the page is?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError, ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text
from tests.ktree.wholes import SMALL, Write, edited
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.naive import naive_replay

START = """\
machine: {kernel: "7.3"}
steps:
- {mmap: buf, size: 64KiB}
- {write: buf, length: 32KiB}
- {read: buf, offset: 32KiB}
- {uffd_writeprotect: buf, mode: rwp}
"""

PROTECTED = {
    "a read of pages and zero pages": ("- {read: buf}", {"minflt": 16, "uffd_rwp": 16}),
    "a write, which reuses or copies": (
        "- {write: buf}",
        {"minflt": 16, "uffd_rwp": 16, "wp_copy": 8},
    ),
    "a read from swap, and then of what is back": (
        "- {madvise: buf, advice: PAGEOUT, length: 32KiB}\n- {read: buf, length: 32KiB}",
        {"majflt": 8, "pswpin": 8, "minflt": 8, "uffd_rwp": 8},
    ),
    "a write to swap, which the swap-in leaves to the retry": (
        "- {madvise: buf, advice: PAGEOUT, length: 32KiB}\n- {write: buf, length: 32KiB}",
        {"majflt": 8, "pswpin": 8, "minflt": 8, "uffd_rwp": 8},
    ),
    "nothing in a child": ("- {fork: child}\n- {read: buf, process: child}", {}),
    "mprotect does not lift it": (
        "- {mprotect: buf, prot: r}\n- {mprotect: buf, prot: rw}\n- {read: buf, length: 4KiB}",
        {"minflt": 1, "uffd_rwp": 1},
    ),
    "the kernel faults it in as well": (
        "- {madvise: buf, advice: POPULATE_READ}",
        {"uffd_rwp": 16},
    ),
    "nothing after it is taken away": (
        "- {uffd_writeprotect: buf, mode: rwp, wp: false}\n- {write: buf, length: 32KiB}",
        {},
    ),
}


@pytest.mark.parametrize("what", PROTECTED)
def test_every_access_is_an_event(what: str) -> None:
    """Does the last step count what it must, and the naive replay the same?"""
    steps, wanted = PROTECTED[what]
    scenario = load_text(START + steps + "\n", what)
    result = replay(scenario, policies.find("merged"), steps=True, pages=True)
    assert result.steps is not None
    assert dict(result.steps[-1].counters) == wanted
    assert not result.violations
    naive = naive_replay(scenario, policies.find("merged"))
    assert (naive.total, naive.pages) == (result.total, result.pages)


REFUSED = {
    "7.2 has no such mode": ("7.2", "- {uffd_writeprotect: buf, mode: rwp}", "EINVAL"),
    "nor has it where the other is registered": (
        "7.2",
        "- {uffd_writeprotect: buf}\n- {uffd_writeprotect: buf, mode: rwp}",
        "EINVAL",
    ),
    "a region has one mode": (
        "7.3",
        "- {uffd_writeprotect: buf, mode: rwp}\n- {uffd_writeprotect: buf}",
        "ENOENT",
    ),
    "not of what is inaccessible": (
        "7.3",
        "- {mprotect: buf, prot: none, length: 4KiB}\n- {uffd_writeprotect: buf, mode: rwp}",
        "EINVAL",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_kernel_refuses(what: str) -> None:
    """Is the errno that of the kernel?"""
    kernel, steps, errno = REFUSED[what]
    text = f'machine: {{kernel: "{kernel}"}}\nsteps:\n- {{mmap: buf, size: 64KiB}}\n{steps}\n'
    with pytest.raises(ScenarioError, match=f"fails with {errno} here"):
        replay(load_text(text, what), policies.find("merged"))


@pytest.mark.parametrize("thp", ["", ", thp: 16KiB"])
@pytest.mark.parametrize(("prot", "errno", "events"), [("r", ", errno: EIO", 16), ("none", "", 8)])
def test_a_debugger_waits_for_no_event(thp: str, prot: str, errno: str, events: int) -> None:
    """Is its write refused, but where the process may do nothing itself: there it goes to the page
    that is there, or to a copy that is protected no more (seen on 7.3.4)?"""
    steps = f"- {{mprotect: buf, prot: {prot}}}\n- {{poke: buf, value: 3{errno}}}\n"
    text = START.replace('"7.3"', f'"7.3"{thp}') + steps
    text += "- {mprotect: buf, prot: rw}\n- {read: buf}\n"
    found = replay(load_text(text, "poke"), policies.find("merged"))
    assert found.total["uffd_rwp"] == events
    assert not found.violations


@pytest.mark.parametrize("what", PROTECTED)
def test_a_tree_counts_the_same(what: str) -> None:
    """Does the C of a fault, with its PAGE_NONE, come to what the built-in model does?"""
    scenario = load_text(START + PROTECTED[what][0] + "\n", what)
    found = replay(scenario, policies.from_argument(f"kernel:{SMALL / 'after'}"), pages=True)
    assert found == replay(scenario, policies.find("merged"), pages=True)


FORGETS = ("	if (trapped)\n		pte = pte_modify(pte, PAGE_NONE);\n", "")
STOPS = ("(trapped)\n", "(userfaultfd_rwp(vma))\n")


@pytest.mark.parametrize("edit", [FORGETS, STOPS], ids=["forgets", "too often"])
def test_a_pte_that_is_not_as_its_bit_says_is_an_error(
    edit: tuple[str, str], written: Write
) -> None:
    """Is it told, not counted, where C maps a page of such a VMA and forgets PAGE_NONE, or sets it
    where nothing is protected?"""
    policy = policies.from_argument(f"kernel:{written('after', edited('after', edit))}")
    steps = "- {madvise: buf, advice: PAGEOUT, length: 32KiB}\n- {read: buf}\n- {write: buf}\n"
    taken = "- {uffd_writeprotect: buf, mode: rwp, wp: false}\n" if edit is STOPS else ""
    scenario = load_text(START + taken + steps, "rwp")
    with pytest.raises(PolicyError, match="a PTE is PAGE_NONE where"):
        replay(scenario, policy)
