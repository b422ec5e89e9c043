"""Do accesses behind the end of a file fail, and those before it as ever?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.replay.explain import explain
from swaptrace.scenario.loader import load_text
from tests.replay.test_shared import counted, ran

KINDS = ("", "shared: true, ")


def mapped(size: str, kind: str = "shared: true, ") -> str:
    """A mapping of 32 pages of a file."""
    return f"- {{mmap: a, size: 128KiB, {kind}file: {{name: f, size: {size}}}}}\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("access", ["read", "write", "read_write", "memset"])
def test_an_access_beyond_the_end_is_a_sigbus(access: str, kind: str) -> None:
    """Does it end the step, behind the last page, which a part of the file is enough for?"""
    value = ", value: 1" if access == "memset" else ""
    result = ran(mapped("17KiB", kind) + f"- {{{access}: a{value}}}\n")
    assert counted(result)[0]["sigbus"] == 1
    assert result.total["minflt"] == (10 if (access, kind) == ("read_write", "") else 5)
    assert result.pages is not None
    assert result.pages["main"]["a"] == "5PDX,27D"


@pytest.mark.parametrize("kind", KINDS)
def test_a_size_in_short_is_that_of_the_mapping(kind: str) -> None:
    """Is a file of another size the same, if it is no smaller?"""
    steps = "- {memset: a, value: 1}\n- {madvise: a, advice: DONTNEED}\n- {read: a}\n"
    short = ran(f"- {{mmap: a, size: 128KiB, {kind}file: f}}\n{steps}")
    assert ran(mapped("1MiB", kind) + steps).total == short.total
    assert ran(mapped("128KiB", kind) + steps).total == short.total
    assert ran(mapped("127KiB", kind) + steps).total == short.total
    assert "sigbus" not in short.total


def test_a_read_that_fails_maps_the_neighbours_that_are_there() -> None:
    """Is do_fault_around() done before shmem_fault() fails, by a read alone?"""
    start = mapped("40KiB") + "- {write: a, length: 40KiB}\n- {madvise: a, advice: DONTNEED}\n"
    beyond = "a, offset: 56KiB, length: 4KiB"
    read = ran(f"{start}- {{read: {beyond}}}\n")
    assert counted(read)[0] == {"fault_around": 10, "sigbus": 1}
    assert counted(ran(f"{start}- {{write: {beyond}}}\n"))[0] == {"sigbus": 1}


@pytest.mark.parametrize("advice", ["POPULATE_READ", "POPULATE_WRITE"])
@pytest.mark.parametrize("kind", KINDS)
def test_populating_beyond_the_end_is_an_efault(advice: str, kind: str) -> None:
    """Are pages before the end there, and is nothing counted of the one that fails?"""
    result = ran(mapped("16KiB", kind) + f"- {{madvise: a, advice: {advice}, errno: EFAULT}}\n")
    assert result.total["minflt"] == 4
    assert "sigbus" not in result.total


def test_other_calls_beyond_the_end() -> None:
    """Is mlock() refused, MAP_POPULATE not, and is there nothing to find, to give up or to
    bring?"""
    result = ran(
        mapped("16KiB", "shared: true, flags: MAP_POPULATE, ")
        + "- {mlock: a, errno: ENOMEM}\n- {munlock: a}\n- {mincore: a}\n"
        "- check: {scan: {pages: '4P,28-'}}\n"
        "- {pin: a, mode: get, errno: EFAULT}\n- {madvise: a, advice: WILLNEED}\n"
        "- {madvise: a, advice: PAGEOUT}\n- {madvise: a, advice: REMOVE}\n"
        "- {write: a, offset: 16KiB}\n"
    )
    assert (result.total["minflt"], result.total["sigbus"]) == (4, 1)


def test_a_child_meets_the_end_as_well() -> None:
    """Is it the file's end, whoever maps it, and does an anonymous page lie over it?"""
    result = ran(
        mapped("16KiB", "") + "- {write: a}\n- fork: c\n- {write: a, process: c}\n"
        "- {mmap: a, size: 64KiB, offset: 64KiB, flags: MAP_FIXED}\n- {write: a, offset: 64KiB}\n"
        "- check: {pages: {a: '4PDX,12D,16PDX'}}\n"
    )
    assert result.total["sigbus"] == 2


def test_a_protected_page_beyond_the_end() -> None:
    """Is its marker still there after the access that fails?"""
    result = ran(
        mapped("16KiB") + "- {uffd_register: a, mode: wp}\n- {uffd_writeprotect: a}\n"
        "- {read: a, offset: 16KiB}\n- {write: a, offset: 16KiB}\n"
    )
    assert result.total == {"sigbus": 2}


def test_explain_says_so() -> None:
    """Is the page shown as one beyond the end, and the function that decided?"""
    scenario = load_text("steps:\n" + mapped("16KiB") + "- {read: a, offset: 16KiB}\n")
    (change,) = explain(scenario, policies.find("merged")).steps[1].transitions
    assert change.before == ("beyond the end of the file; VMA rw shared",)
    assert change.path == ("do_read_fault", "shmem_fault")
