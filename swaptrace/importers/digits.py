"""Numbers out of text, eight characters at a time and all lines at once.

Eight characters are one 64-bit word, the first of them in its lowest byte. A step works on all
the bytes of a word, and on all words of an array.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from swaptrace.importers.lines import PADDING, Text

Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

ONES: Final = np.uint64(0x0101010101010101)
LOW: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
SIXES: Final = np.uint64(0x0606060606060606)
ZEROES: Final = np.uint64(0x3030303030303030)
BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)
TO_BYTES: Final = np.uint64(1 << 12 | 1)
TO_PAIRS: Final = np.uint64(1 << 24 | 1)
TO_VALUE: Final = np.uint64(1 << 48 | 1)
LETTER: Final = np.uint64(ord("a") - ord("0") - 10)
"""How much further than a digit of the same sequence a letter stands in ASCII."""


def shift(bits: int) -> np.uint64:
    """A number of bits, of the type that shifts of words need."""
    return np.uint64(bits)


def words(text: Text) -> Words:
    """The eight bytes from each byte on, without a copy. `text` ends with `PADDING`."""
    shape = (len(text) - PADDING + 1,)
    return np.ndarray(shape, dtype="<u8", buffer=text, strides=(1,))


def hexadecimal(of: Words) -> tuple[Words, Flags]:
    """The value of eight digits, 0 to 9 and a to f, and whether they are such.

    A multiplication that adds a word to itself, shifted, brings neighbours together: digits into
    bytes, these into pairs, these into the value. What it leaves between them is masked.
    """
    nibbles = of >> shift(6)
    nibbles &= ONES
    nibbles *= np.uint64(9)
    nibbles += of & LOW
    nibbles &= LOW  # of what is no digit, a part is lost
    text = nibbles + SIXES
    text >>= shift(4)
    text &= ONES
    text *= LETTER
    text += nibbles
    text += ZEROES
    valid = text == of
    nibbles *= TO_BYTES
    nibbles >>= shift(8)
    nibbles &= BYTES
    nibbles *= TO_PAIRS
    nibbles >>= shift(16)
    nibbles &= PAIRS
    nibbles *= TO_VALUE
    nibbles >>= shift(32)
    return nibbles, valid
