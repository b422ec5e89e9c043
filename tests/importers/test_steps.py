"""Do the steps of an import mean what the calls meant? By hand, page by page, beside a replay."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.importers import convert
from swaptrace.importers.recorder import AccessRecorder
from swaptrace.importers.scenario import Target, directory_of, write
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_file
from tests.effort import examples
from tests.importers.logs import blocks_of, lines

BASE = 0x4000000
PAGES = 12
SPAN = st.tuples(st.integers(0, PAGES - 1), st.integers(1, 6)).map(
    lambda pair: (pair[0], min(PAGES, sum(pair)))
)
OPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["mmap", "munmap", "madvise"]), SPAN),
        st.tuples(st.sampled_from(["read", "write"]), SPAN),
        st.tuples(st.sampled_from(["read", "write"]), SPAN),
    ),
    min_size=2,
    max_size=25,
)


class Program:
    """A program and its kernel, page by page: what it logs, and the faults that it takes."""

    def __init__(self) -> None:
        self.pages: dict[int, str] = {}
        self.log: list[str] = []
        self.faults = 0

    def do(self, op: str, start: int, end: int) -> None:
        """One call on a range, or an access to each page of it that is mapped."""
        where, size = f"{BASE + start * 4096:#x}", (end - start) * 4096
        here = range(start, end)
        if op == "mmap":
            flags = "MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED"
            self.log.append(
                f"1 mmap({where}, {size}, PROT_READ|PROT_WRITE, {flags}, -1, 0) = {where}"
            )
            self.pages |= dict.fromkeys(here, "none")
        elif op == "munmap":
            self.log.append(f"1 munmap({where}, {size}) = 0")
            for page in here:
                self.pages.pop(page, None)
        elif op == "madvise":
            if all(page in self.pages for page in here):
                self.log.append(f"1 madvise({where}, {size}, MADV_DONTNEED) = 0")
                self.pages |= dict.fromkeys(here, "none")
        else:
            for page in sorted(self.pages.keys() & set(here)):
                self.access(page, op == "write")

    def access(self, page: int, store: bool) -> None:
        """A fault for a page that is not there, and for a write to the zero page."""
        self.log.append(f" {'S' if store else 'L'} {BASE + page * 4096:08x},8")
        before = self.pages[page]
        after = "own" if store or before == "own" else "zero"
        self.faults += before != after
        self.pages[page] = after


@settings(max_examples=examples(40))
@given(ops=OPS)
def test_a_replay_takes_the_faults_that_the_program_took(
    ops: list[tuple[str, tuple[int, int]]],
) -> None:
    """Whatever is mapped again, split, freed and left out?"""
    program = Program()
    program.do("mmap", 0, 3)
    for op, (start, end) in ops:
        program.do(op, start, end)
    program.do("mmap", PAGES, PAGES + 1)
    program.do("write", PAGES, PAGES + 1)
    with tempfile.TemporaryDirectory() as directory:
        target = Target(Path(directory), "log", "A test.")
        with directory_of(target) as place:
            recorder = AccessRecorder(place, every_access=False)
            convert.convert_lackey(blocks_of(lines(program.log)), "log", recorder)
            write(recorder, target)
            recorder.close()
        total = replay(load_file(str(target.scenario())), policies.find("final")).total
    assert total["minflt"] == program.faults
    assert "sigsegv" not in total
