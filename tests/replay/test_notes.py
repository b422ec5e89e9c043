"""Is a step that did nothing, or less than it seems, said to be so?"""

from __future__ import annotations

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from tests.commandline import run

FORKED = """\
steps:
  - {mmap: buf, size: 64KiB}
  - {memset: buf, value: 1}
  - fork: child
  - {write: buf, length: 16KiB}
  - {madvise: buf, advice: MADV_PAGEOUT}
"""


def test_pages_that_several_processes_map_are_counted() -> None:
    """Does MADV_PAGEOUT say how many of its pages it passes over, and where?"""
    result = replay(load_text(FORKED, "f.yaml"), Table(policies.find("final")))
    left = "MADV_PAGEOUT left 12 of 16 pages: mapped by several processes"
    assert [tuple(note) for note in result.notes] == [(6, left)]


def test_nothing_is_said_where_nothing_was_left() -> None:
    """Of a process alone, or of one that has only the zero page?"""
    alone = FORKED.replace("  - fork: child\n", "")
    unwritten = FORKED.replace("  - {memset: buf, value: 1}\n", "  - read: buf\n")
    unwritten = unwritten.replace("  - {write: buf, length: 16KiB}\n", "")
    for text in (alone, unwritten):
        assert replay(load_text(text, "f.yaml"), Table(policies.find("final"))).notes == ()


def test_it_is_said_of_each_iteration_once() -> None:
    """Of a `repeat` that is folded, too, and under a memory limit?"""
    steps = FORKED.replace("  - {madvise", "  - repeat: 9\n    steps:\n      - {madvise")
    for machine in ("", "machine: {memory: 1MiB}\n"):
        found = replay(load_text(machine + steps, "f.yaml"), Table(policies.find("final"))).notes
        assert len(found) == 1


def test_it_stands_below_the_table_once() -> None:
    """For all policies together?"""
    shown = run("run", "-", "-p", "prepatch,final", stdin=FORKED)
    assert shown.exit_code == 0
    assert shown.stdout.count("note: line 6: MADV_PAGEOUT left 12 of 16 pages") == 1
