"""What valgrind's `--tool=lackey --trace-mem=yes` prints, a line for each access:

    I  04016b80,3      an instruction is fetched
     S 1ffefff588,8    a store of 8 bytes
     L 04034e40,8      a load
     M 04033e06,1      a load and a store by one instruction

A fetch is no access to anonymous memory, and left out. A modification is one access, a write:
the processor asks for the page once, as for a store, and so takes one fault.

The lines are looked at all at once: the eight characters at a line's start tell what it is, and
those before its comma and its end are numbers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from swaptrace.importers.accesses import Accesses, Line, touched
from swaptrace.importers.digits import Flags, Words, hexadecimal, shift, words
from swaptrace.importers.lines import NEWLINE, Block, Positions, Text

NAME: Final = 3
"""Characters before the address."""


FETCH, LOAD, STORE, MODIFY, SPACE, COMMA = b"ILSM ,"
ZERO: Final = np.uint8(ord("0"))
MALFORMED: Final = (
    "this is no access as lackey prints them: a hexadecimal address and a size are missing, "
    "as in ' L 1ffefff588,8'"
)


def parse(block: Block) -> Accesses:
    """The accesses of a block. Raises `LogError` for a line that begins as one and is none."""
    text = block.lines
    newline, first = text[:-1] == NEWLINE, text[1:]
    indented, fetch = newline & (first == SPACE), newline & (first == FETCH)
    starts = np.flatnonzero(indented) + 1
    rest = starts[:0]
    if np.count_nonzero(newline) != len(starts) + np.count_nonzero(fetch):
        rest = np.flatnonzero(newline & ~indented & ~fetch) + 1
    kind = block.text.take(starts + 1)
    store = (kind == STORE) | (kind == MODIFY)
    data = (store | (kind == LOAD)) & (block.text.take(starts + 2) == SPACE)
    if not data.all():
        rest = np.sort(np.concatenate((rest, starts[~data])))
        starts, store = starts[data], store[data]
    address, size, valid = _numbers(block.text, starts + NAME)
    if not valid.all():
        raise block.wrong(int(starts[np.argmin(valid)]), MALFORMED)
    page, write, before = touched(address, size, store)
    return Accesses(page, write, _others(block, rest, starts, before))


class _Numbers(NamedTuple):
    address: Words
    size: Words
    valid: Flags


def _numbers(text: Text, start: Positions) -> _Numbers:
    """The address and the size that begin at the positions, and whether they are there.

    Lines are looked at together that have addresses of the same width, of which a log has few.
    """
    at = words(text)
    address, size = np.zeros(len(start), np.uint64), np.zeros(len(start), np.uint64)
    valid = np.zeros(len(start), np.bool_)
    left = np.arange(len(start))
    for width in range(8, 17):
        if not len(left):
            break
        comma = start.take(left) + width
        hit = text.take(comma, mode="clip") == COMMA
        here, comma = left.compress(hit), comma.compress(hit)
        left = left.compress(~hit)
        low, right = hexadecimal(at[comma - 8])
        if width > 8:
            high, left_too = hexadecimal(at[comma - width])
            low |= (high >> shift(4 * (16 - width))) << shift(32)
            right &= left_too
        many, known = _size(text, comma)
        address[here], size[here] = low, many
        valid[here] = right & known & (low + many > low)
    return _Numbers(address, size, valid)


def _size(text: Text, comma: Positions) -> tuple[Words, Flags]:
    """The decimal number of one to three digits between a comma and a newline, and whether
    there is one."""
    size = text.take(comma + 1) - ZERO
    valid = size <= 9
    size = size.astype(np.uint64)
    left = text.take(comma + 2) != NEWLINE
    for index in (2, 3):
        if not left.any():
            break
        value = text.take(comma + index) - ZERO
        size[left] = size[left] * np.uint64(10) + value[left]
        valid &= ~left | (value <= 9)
        left &= text.take(comma + index + 1, mode="clip") != NEWLINE
    return size, valid & ~left


def _others(
    block: Block, rest: Positions, starts: Positions, before: Positions | None
) -> list[Line]:
    """The lines that are neither accesses nor fetches."""
    if not len(rest):
        return []
    position = np.searchsorted(starts, rest)
    if before is not None:
        position = before[position]
    numbers = block.numbers(rest)
    text = block.lines.tobytes()
    return [
        Line(number, text[start : text.index(b"\n", start)], where)
        for number, start, where in zip(
            numbers.tolist(), rest.tolist(), position.tolist(), strict=True
        )
    ]
