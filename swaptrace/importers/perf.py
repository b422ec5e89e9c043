"""What `perf script -F comm,tid,time,event,addr` prints, a line for each sample:

               a 25347 25850.334792: page-faults:     56058919d038
          python  4711 25851.000123: cpu/mem-stores/P:     7f3a5c0012a8

A sample is one of many accesses, or a fault; it does not say how many bytes it touched, so it is
one page. An event with `load` in its name is a read; one with `store`, and a page fault, of which
perf does not tell what it was, is a write.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from swaptrace.errors import quote
from swaptrace.importers.accesses import PAGE_SHIFT, Accesses, OtherLine
from swaptrace.importers.lines import LineBlock

TAIL: Final = re.compile(rb"\d+ \d+\.\d+: (?P<event>\S+) (?P<addr>[0-9a-f]{1,16})")
"""The last four words of a sample; those before are the command's name."""
FAULTS: Final = ("page-fault", "major-fault", "minor-fault", "faults")


def parse(block: LineBlock) -> Accesses:
    """The accesses of a block. Raises `LogError` for an event that is no access to memory."""
    found: list[tuple[int, bool]] = []
    others = []
    for number, line in enumerate(block.lines[1:].tobytes().split(b"\n")[:-1], start=block.line):
        words = line.rsplit(None, 4)
        sample = TAIL.fullmatch(b" ".join(words[-4:]))
        if sample is None:
            others.append(OtherLine(number, line, len(found)))
            continue
        event = sample["event"].decode("utf-8", "replace").rstrip(":")
        if "load" not in event and "store" not in event and not event.startswith(FAULTS):
            raise block.wrong(
                block.start_of(number),
                f"event {quote(event)} is no access: use loads, stores or page-faults, as "
                "`perf record -d -e page-faults -c 1`",
            )
        found.append((int(sample["addr"], 16) >> PAGE_SHIFT, "load" not in event))
    page = np.array([page for page, _ in found], np.uint64)
    return Accesses(page, np.array([write for _, write in found], np.bool_), others)
