"""What DynamoRIO's `drrun -t drmemtrace -tool view` prints, a line for each record:

           7           1:     4711 ifetch       3 byte(s) @ 0x00007f... 48 89 e7   mov    %rsp, %rdi
           8           2:     4711 write        8 byte(s) @ 0x00007f... by PC 0x00007f...
           9           2:     4711 read         8 byte(s) @ 0x00007f... by PC 0x00007f...
          10           3:     4711 <marker: timestamp 13329862842478849>

Only `read` and `write` are accesses to data; prefetches and flushes fault on nothing. The end of
a line always has the same form, so it is looked at from there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from swaptrace.importers.accesses import Accesses, touched
from swaptrace.importers.digits import Flags, Words, hexadecimal, shift, words
from swaptrace.importers.lines import NEWLINE, LineBlock, Positions, Text

BY_PC: Final = b" by PC 0x"
BYTES_AT: Final = b" byte(s) @ 0x"
NAME: Final = 12
"""How wide the kind of a record is written."""

SIZE: Final = 2
"""How wide the size is written, at least."""

DIGITS: Final = 16
TAIL: Final = len(BYTES_AT) + DIGITS + len(BY_PC) + DIGITS


def _eight(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(text.ljust(8).encode(), "little"))


READ, WRITE = _eight("read"), _eight("write")


def parse(block: LineBlock) -> Accesses:
    """The accesses of a block. Raises `LogError` for a line that begins as one and is none."""
    ends = np.flatnonzero(block.lines == NEWLINE)
    starts, ends = ends[:-1] + 1, ends[1:]
    size_end = ends - TAIL
    fits = size_end - starts > NAME + SIZE
    fits &= _is(block.text, np.maximum(ends - DIGITS - len(BY_PC), 0), BY_PC)
    starts, size_end = starts[fits], size_end[fits]
    at = words(block.text)
    size, name = _size(block.text, size_end)
    kind = at[np.maximum(name, 0)]
    store = kind == WRITE
    data = store | (kind == READ)
    starts, size_end, size, store = starts[data], size_end[data], size[data], store[data]
    address, valid = _address(at, size_end + len(BYTES_AT))
    valid &= (size > 0) & _is(block.text, size_end, BYTES_AT)
    if not valid.all():
        raise block.wrong(int(starts[np.argmin(valid)]), "this is no record of drmemtrace's view")
    page, write, _ = touched(address, size, store)
    return Accesses(page, write)


def _is(text: Text, position: Positions, wanted: bytes) -> Flags:
    """Whether some text stands at each position."""
    found = np.ones(len(position), np.bool_)
    for index, character in enumerate(wanted):
        found &= text.take(position + index, mode="clip") == character
    return found


def _size(text: Text, end: Positions) -> tuple[Words, Positions]:
    """The decimal number of up to four digits before each position, and where the kind of the
    record before it begins. 0 if there is no number."""
    size = np.zeros(len(end), np.uint64)
    digits = np.zeros(len(end), np.intp)
    for index in range(4):
        value = text.take(np.maximum(end - 1 - index, 0)) - np.uint8(ord("0"))
        here = (value <= 9) & (digits == index)
        size[here] += value[here] * np.uint64(10**index)
        digits[here] += 1
    return size, end - np.maximum(digits, SIZE) - NAME


def _address(at: Words, start: Positions) -> tuple[Words, Flags]:
    """The sixteen hexadecimal digits from each position on."""
    high, left = hexadecimal(at[start])
    low, right = hexadecimal(at[start + 8])
    return high << shift(32) | low, left & right
