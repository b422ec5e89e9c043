"""Do several mappings of one file share its pages, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.explain import explain
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.remap import MremapStep, RemapFlag
from swaptrace.scenario.schema import MmapStep, RepeatStep, Scenario, Step
from tests.effort import examples
from tests.replay.naive import naive_replay
from tests.replay.strategies import PAGE, scenarios
from tests.replay.test_naive import agree
from tests.replay.test_shared import counted, modelled, ran, without_readahead

A = "- {mmap: a, size: 128KiB, shared: true, file: f}\n"
B = "- {mmap: b, size: 64KiB, shared: true, file: {name: f, offset: 32KiB}}\n"
STACK = "- {mmap: s, size: 64KiB, flags: MAP_GROWSDOWN}\n- {munmap: s, length: 60KiB}\n"
MOVES: tuple[RemapFlag, ...] = ("MREMAP_MAYMOVE", "MREMAP_FIXED")
PRIVATE = "- {mmap: p, size: 64KiB, file: {name: f, offset: 32KiB}}\n"


def test_what_the_page_cache_has_takes_a_minor_fault() -> None:
    """Does one fault map all that is there around, and does a hole take one of its own?"""
    start = f"{A}- {{memset: a, offset: 32KiB, length: 32KiB, value: 1}}\n{B}"
    result = ran(f"{start}- {{read: b}}\n- check: {{data: {{b: '8:0x01,8:0'}}}}\n")
    assert result.total["minflt"] == 8 + 1 + 8
    assert result.total["fault_around"] == 7


def test_what_one_writes_the_other_reads() -> None:
    """Also in a process that was not forked from the one that mapped the file first?"""
    ran(
        f"- fork: c\n{A}{B.replace('}}', '}, process: c}')}- {{memset: a, value: 1}}\n"
        "- {memset: b, value: 2, length: 4KiB, process: c}\n- {read: a}\n"
        "- {read: b, process: c}\n- {check: {data: {b: '1:0x02,15:0x01'}}, process: c}\n"
        "- check: {data: {a: '8:0x01,1:0x02,23:0x01'}}\n"
    )


def test_dirty_bits_are_each_mappings_own() -> None:
    """Does a read through the one not make the other's entry dirty, and a write its own alone?"""
    result = ran(f"{A}- {{memset: a, value: 1}}\n{B}- {{read: b}}\n- {{write: b, length: 4KiB}}\n")
    assert counted(result)[0] == {}
    assert counted(result)[1] == {"minflt": 1, "fault_around": 15}


@pytest.mark.parametrize("last", ["munmap: b", "mprotect: b, prot: none"])
def test_pageout_leaves_what_is_mapped_twice(last: str) -> None:
    """Does MADV_PAGEOUT take a page when the last but one mapping has gone?"""
    result = ran(
        f"{A}- {{memset: a, value: 1}}\n{B}- {{read: b}}\n- {{madvise: a, advice: PAGEOUT}}\n"
        f"- {{{last}}}\n- {{madvise: a, advice: PAGEOUT}}\n"
    )
    assert counted(result)[2] == {"pswpout": 16}
    assert counted(result)[0] == ({"pswpout": 16} if last == "munmap: b" else {})


def test_a_page_in_swap_is_read_once() -> None:
    """Is what the one has brought back a minor fault for the other?"""
    result = ran(
        f"{A}{B}- {{memset: b, value: 1}}\n- {{madvise: b, advice: PAGEOUT}}\n"
        "- {read: a, offset: 32KiB, length: 64KiB}\n- {read: b}\n"
    )
    assert counted(result)[1] == {"majflt": 16, "pswpin": 16}
    assert counted(result)[0] == {"minflt": 1, "fault_around": 15}


def test_a_private_mapping_sees_the_file_until_it_has_a_copy() -> None:
    """Is a later write to the file seen where nothing was written, and again after DONTNEED?"""
    ran(
        f"{A}{PRIVATE}- {{memset: a, value: 1}}\n- {{read: p}}\n- {{memset: p, value: 2}}\n"
        "- {memset: a, value: 3}\n- check: {data: {p: 0x02}}\n"
        "- {madvise: p, advice: DONTNEED}\n- {read: p}\n- check: {data: {p: 0x03}}\n"
        "- {memset: a, value: 4}\n- {read: p}\n- check: {data: {p: 0x04, a: 0x04}}\n"
    )


def test_remove_unmaps_everywhere_but_copies() -> None:
    """Does MADV_REMOVE through the one mapping make holes for all?"""
    ran(
        f"{A}{B}{PRIVATE}- {{memset: a, value: 1}}\n- {{read: b}}\n- {{write: p, value: 2}}\n"
        "- {madvise: b, advice: REMOVE, length: 32KiB}\n"
        "- check: {pages: {a: '8PDX,8D,8PD,8PDX', b: '8D,8PD', p: 16PDX}}\n"
        "- {read: a}\n- check: {data: {a: '8:0x01,8:0,16:0x01', p: 0x02}}\n",
        "kernel: 6.18, soft_dirty: true",
    )


def test_a_file_stays_when_nothing_maps_it() -> None:
    """Has a later mapping its data, also after the process has gone that wrote them?"""
    result = ran(
        f"- fork: c\n{A.replace('file: f', 'file: f, process: c')}"
        "- {memset: a, value: 1, process: c}\n- exit: c\n"
        f"{B}- {{read: b}}\n- check: {{data: {{b: 0x01}}}}\n"
        "- {munmap: b}\n- {mmap: b, size: 128KiB, file: f}\n- {read: b}\n"
        "- check: {data: {b: 0x01}}\n"
    )
    assert counted(result)[1] == {"minflt": 2, "fault_around": 30}


def test_a_mapping_behind_the_end_is_a_sigbus() -> None:
    """Is the size that of the file, whoever maps more of it?"""
    end = "- {mmap: b, size: 128KiB, shared: true, file: {name: f, offset: 64KiB}}\n"
    result = ran(f"{A}{end}- {{write: b}}\n")
    assert counted(result)[0] == {"minflt": 16, "sigbus": 1}
    beyond = end.replace("offset: 64KiB", "offset: 1MiB")
    assert counted(ran(f"{A}{beyond}- {{read: b}}\n"))[0] == {"sigbus": 1}


def test_a_mapping_that_moves_takes_its_pages_along() -> None:
    """Is no access a fault afterwards, whatever else maps the file?"""
    result = ran(
        f"{A}{B}{PRIVATE}- {{memset: a, value: 1}}\n- {{read: b}}\n- {{memset: p, value: 2}}\n"
        "- {mremap: b, size: 64KiB, to: 0x80001000, flags: [MREMAP_MAYMOVE, MREMAP_FIXED]}\n"
        "- {mremap: p, size: 64KiB, to: 0x90001000, flags: [MREMAP_MAYMOVE, MREMAP_FIXED]}\n"
        "- {read: b}\n- {read: p}\n- {write: b}\n- check: {data: {p: 0x02}, pages: {b: 16PD}}\n"
    )
    assert [counted(result)[step] for step in (1, 2, 3)] == [{}] * 3


def test_shared_memory_that_shrinks_keeps_what_it_had() -> None:
    """Are its data there when it grows again, and is there nothing behind its first size?"""
    result = ran(
        "- {mmap: s, size: 64KiB, shared: true}\n- {memset: s, value: 1}\n"
        "- {mremap: s, size: 16KiB}\n- {mremap: s, size: 96KiB}\n- {read: s, length: 64KiB}\n"
        "- check: {data: {s: '16:0x01,8:0'}}\n- {read: s}\n"
    )
    assert counted(result)[2] == {"minflt": 1, "fault_around": 11}
    assert counted(result)[0] == {"sigbus": 1}


def test_a_child_moves_its_own_mapping_alone() -> None:
    """Does the parent's stay where it is, with the same pages?"""
    result = ran(
        f"{A}- {{memset: a, value: 1}}\n- fork: c\n"
        "- {mremap: a, size: 256KiB, flags: [MREMAP_MAYMOVE, MREMAP_FIXED], to: 0x80000000, "
        "process: c}\n- {memset: a, length: 4KiB, value: 2, process: c}\n"
        "- {munmap: a, process: c}\n"
        "- {read: a}\n- check: {data: {a: '1:0x02,31:0x01'}, pages: {a: 32PDX}, vmas: {a: 32}}\n",
        "kernel: 6.18",
    )
    assert counted(result)[1] == {}


@pytest.mark.parametrize("kind", ["shared: true, ", ""])
def test_what_leaves_an_empty_mapping_has_the_pages(kind: str) -> None:
    """Does MREMAP_DONTUNMAP take the page tables, and does the old place map the object anew?"""
    result = ran(
        f"- {{mmap: a, size: 64KiB, {kind}file: f}}\n- {{memset: a, value: 1}}\n"
        "- {mremap: a, size: 64KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP]}\n"
        "- {read: b}\n- {read: a}\n"
    )
    assert counted(result)[1] == {}
    again = {"minflt": 1, "fault_around": 15}
    assert counted(result)[0] == again
    ran(
        f"- {{mmap: a, size: 64KiB, {kind}file: f}}\n- {{memset: a, value: 1}}\n"
        "- {mremap: a, size: 64KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP]}\n"
        f"- {{read: a}}\n- check: {{data: {{b: 0x01, a: {'0x01' if kind else 0}}}}}\n"
    )


@pytest.mark.parametrize("start", [f"{A}{B}{PRIVATE}", f"{STACK}{A}{B}"])
def test_a_trace_is_its_accesses_one_by_one(start: str, tmp_path: Path) -> None:
    """Of several regions, one of them behind its end, and where a mapping may grow?"""
    names = [line.split()[2].rstrip(",") for line in start.splitlines() if "mmap" in line]
    made = [(7 * n % 16, n % 3 > 0, names[n * n % len(names)]) for n in range(60)]
    lines = [f"{page},{int(write)},{name}" for page, write, name in made]
    (tmp_path / "t.csv").write_text("\n".join(["page,write,region", *lines, "900,1,b", "1,0,b"]))
    out = "- {madvise: b, advice: PAGEOUT}\n"
    single = [
        f"- {{{'write' if write else 'read'}: {name}, offset: {page * PAGE}, length: 1}}\n"
        for page, write, name in made
    ]
    text = f"machine: {{kernel: 6.18}}\nsteps:\n{start}"
    (tmp_path / "a.yaml").write_text(f"{text}{'- {trace: t.csv}'}\n{out}- {{read: b}}\n")
    found = replay(load_file(str(tmp_path / "a.yaml")), policies.find("merged"), pages=True)
    wanted = ran(f"{start}{''.join(single)}{out}- {{read: b}}\n")
    assert found.pages == wanted.pages
    assert found.total == {**wanted.total, "sigsegv": 1}


def test_explained_by_region_where_a_process_has_several() -> None:
    """Is it said which mapping does what?"""
    text = f"machine: {{kernel: 6.18}}\nsteps:\n{A}- {{memset: a, value: 1}}\n{B}- {{write: b}}\n"
    (told,) = explain(load_text(text), policies.find("merged")).steps[-1].transitions
    assert told.event == "main (b) writes"
    assert [line.split(":")[0] for line in told.before] == ["main (a)", "main (b)"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            A + "- {mmap: b, size: 4KiB, file: {name: f, size: 4KiB}}\n",
            "file 'f' has 128KiB already",
        ),
        (
            "- {mmap: a, size: 2MiB, shared: true, file: f, flags: MAP_HUGETLB}\n" + B,
            "a file of hugetlbfs has one mapping",
        ),
        (A + B.replace("32KiB", "100"), "mmap fails with EINVAL here"),
        (
            A.replace("file", "at: 0x40000000, file")
            + "- {mmap: b, size: 4KiB, shared: true, at: 0x40020000, "
            "file: {name: f, offset: 128KiB}}\n",
            "goes on in the file as the one that it touches does",
        ),
        (
            "- {mmap: a, size: 64KiB, shared: true, at: 0x40000000, file: f}\n"
            "- {mmap: b, size: 4KiB, shared: true, at: 0x40020000, "
            "file: {name: f, offset: 128KiB}}\n- {mremap: a, size: 128KiB}\n",
            "goes on in the file as the one that it touches does",
        ),
        (A + PRIVATE + "- check: {data: {p: unchanged}}\n", "until it has a copy"),
    ],
)
def test_what_is_wrong_or_not_modelled_is_said(steps: str, said: str) -> None:
    """Is it an error, in these words?"""
    with pytest.raises(ScenarioError, match=said):
        ran(steps, "kernel: 6.18, hugepages: 1")


@st.composite
def mapped_twice(draw: st.DrawFn, registers: bool = False) -> Scenario:
    """A random scenario on a file that is mapped as two regions."""
    kinds = ((True, "f"), (True, "f"), (False, "f"))
    made = draw(scenarios(registers=registers, objects=kinds).filter(modelled))
    first = made.steps[0]
    assert isinstance(first, MmapStep)
    second = replace(
        first,
        region="q",
        shared=draw(st.booleans()),
        file_size=None,
        file_offset=PAGE * draw(st.sampled_from([0, 0, 1, 3, 16, 50])),
    )

    def elsewhere(step: Step) -> Step:
        if isinstance(step, RepeatStep):
            return replace(step, steps=tuple(map(elsewhere, step.steps)))
        moves = getattr(step, "region", None) == "r" and draw(st.booleans())
        return replace(step, region="q") if moves else step  # type: ignore[arg-type]

    rest = [elsewhere(step) for step in made.steps[1:]]
    if made.machine.kernel != "6.1" and draw(st.booleans()):
        place = draw(st.integers(0, len(rest)))
        grown = first.size + PAGE * draw(st.sampled_from([0, 0, 3, 30]))
        at = draw(st.sampled_from([None, 1 << 33, (1 << 33) + 5 * PAGE]))
        flags: tuple[RemapFlag, ...] = ("MREMAP_MAYMOVE",) if at is None else MOVES
        moved = MremapStep(line=1, region="q", size=grown, to=at, flags=flags)
        rest.insert(place, moved)
    if any(step.op == "exit" and step.process == "main" for step in rest):
        rest = [step for step in rest if not isinstance(step, MremapStep)]
    return without_readahead(replace(made, steps=(first, second, *rest)))


@settings(max_examples=examples(150))
@given(st.booleans().flatmap(mapped_twice), st.sampled_from(["prepatch", "merged"]))
def test_replay_by_runs_equals_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, promises and page maps, or refuse the same?"""
    with mock.patch.object(Replay, "check_errno"):
        refused = refusal(lambda: replay(scenario, policies.find(policy)))
        if refused:
            assert refusal(lambda: naive_replay(scenario, policies.find(policy))) == refused
            return
    agree(scenario, policy)


def refusal(replayed: Callable[[], object]) -> str:
    """What a replay says that it does not model; "" if it goes to the end."""
    try:
        replayed()
    except ScenarioError as error:
        return str(error)
    return ""
