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

import re
from typing import Final, NamedTuple

import numpy as np

from swaptrace.importers.accesses import Accesses, OtherLine, touched
from swaptrace.importers.digits import Flags, Words, hexadecimal, shift, words
from swaptrace.importers.lines import NEWLINE, PART, LineBlock, Positions, Text

NAME: Final = 3
"""Characters before the address."""


FETCH, LOAD, STORE, MODIFY, SPACE, COMMA = b"ILSM ,"
BEHIND_CALL: Final = re.compile(
    rb"(\d{1,10} +[a-z]\w*\(.*)( [LSM] |I  )([0-9a-f]{8,16}),([1-9][0-9]{0,2})", re.DOTALL
)
ZERO: Final = np.uint8(ord("0"))
BEYOND: Final = np.array([4 * (16 - width) for width in range(17)], np.uint64)
"""For an address of so many digits, how many bits of its first eight its last eight have, too."""
MALFORMED: Final = (
    "this is no access as lackey prints them: a hexadecimal address and a size are missing, "
    "as in ' L 1ffefff588,8'"
)


def parse(block: LineBlock) -> Accesses:
    """The accesses of a block. Raises `LogError` for a line that begins as one and is none."""
    starts, rest = _starts(block.lines)
    kind = block.text.take(starts + 1)
    store = (kind == STORE) | (kind == MODIFY)
    data = (store | (kind == LOAD)) & (block.text.take(starts + 2) == SPACE)
    if not data.all():
        rest = np.sort(np.concatenate((rest, starts[~data])))
        starts, store = starts[data], store[data]
    address, size, valid = _numbers(block.text, starts + NAME)
    if not valid.all():
        raise block.wrong(int(starts[np.argmin(valid)]), MALFORMED)
    page, write, crossing = touched(address, size, store)
    return Accesses(page, write, _others(block, rest, starts, crossing))


def behind_call(line: bytes) -> tuple[bytes, Accesses | None]:
    """A line that is no access: without, and with, the access behind a call that strace has begun
    to print: until that returns other processes go on, and write to the same log."""
    match = BEHIND_CALL.fullmatch(line)
    if match is None:
        return line, None
    address, size = (np.array([int(match[n], base)], np.uint64) for n, base in ((3, 16), (4, 10)))
    store = np.array([match[2] in (b" S ", b" M ")])
    if match[2] == b"I  ":
        address, size, store = address[:0], size[:0], store[:0]
    return match[1], Accesses(*touched(address, size, store)[:2])


def _starts(text: Text) -> tuple[Positions, Positions]:
    """Where the lines begin that begin with a space, and those that begin with neither a space
    nor an I. It is looked for in a part at a time, whose masks stay in the cache."""
    found, rest = [], []
    for begin in range(0, len(text) - 1, PART):
        newline = text[begin : begin + PART] == NEWLINE
        first = text[begin + 1 : begin + PART + 1]
        newline = newline[: len(first)]
        indented = first == SPACE
        indented &= newline
        where = np.flatnonzero(indented)
        where += begin + 1
        found.append(where)
        fetch = first == FETCH
        fetch &= newline
        if np.count_nonzero(newline) != len(where) + np.count_nonzero(fetch):
            rest.append(np.flatnonzero(newline & ~indented & ~fetch) + (begin + 1))
    nowhere = np.zeros(0, np.intp)
    return np.concatenate([nowhere, *found]), np.concatenate([nowhere, *rest])


class _Numbers(NamedTuple):
    address: Words
    size: Words
    valid: Flags


def _numbers(text: Text, start: Positions) -> _Numbers:
    """The address and the size that begin at the positions, and whether they are there.

    An address is its last eight digits, and what its first eight have before them.
    """
    width = _widths(text, start)
    comma = start + width
    at = words(text)
    low, valid = hexadecimal(at[comma - 8])
    if (width > 8).any():
        high, left = hexadecimal(at[start])
        high >>= BEYOND.take(width)
        high <<= shift(32)
        low |= high
        valid &= left
    size, known = _size(text, comma)
    valid &= known
    valid &= low + size > low
    return _Numbers(low, size, valid)


def _widths(text: Text, start: Positions) -> Positions:
    """How many characters there are before each comma: 8 to 16. 8 as well if there is none."""
    width = np.full(len(start), 8)
    left = np.flatnonzero(text.take(start + 8, mode="clip") != COMMA)
    for many in range(9, 17):
        if not len(left):
            break
        hit = text.take(start.take(left) + many, mode="clip") == COMMA
        width[left[hit]] = many
        left = left[~hit]
    return width


def _size(text: Text, comma: Positions) -> tuple[Words, Flags]:
    """The decimal number of one to three digits between a comma and a newline, and whether
    there are both."""
    valid = text.take(comma, mode="clip") == COMMA
    size = text.take(comma + 1, mode="clip") - ZERO
    valid &= size <= 9
    second = text.take(comma + 2, mode="clip")
    left = np.flatnonzero(second != NEWLINE)
    many = size.astype(np.uint64)
    for index in (2, 3):
        if not len(left):
            break
        value = text.take(comma.take(left) + index, mode="clip") - ZERO
        many[left] = many[left] * np.uint64(10) + value
        valid[left[value > 9]] = False
        left = left[text.take(comma.take(left) + index + 1, mode="clip") != NEWLINE]
    valid[left] = False
    return many, valid


def _others(
    block: LineBlock, rest: Positions, starts: Positions, crossing: Positions
) -> list[OtherLine]:
    """The lines that are neither accesses nor fetches."""
    if not len(rest):
        return []
    position = np.searchsorted(starts, rest)
    position += np.searchsorted(crossing, position)
    numbers = block.numbers(rest)
    text = block.lines.tobytes()
    return [
        OtherLine(number, text[start : text.index(b"\n", start)], where)
        for number, start, where in zip(
            numbers.tolist(), rest.tolist(), position.tolist(), strict=True
        )
    ]
