"""Random numbers that stay the same for ever, here and in the C that `emit-c` writes.

Draw `i` of a stream is the 64-bit number mix(key + (i + 1) * GOLDEN), where `mix` is the finalizer
of SplitMix64 and key = mix(seed + stream * GOLDEN): each can be had without those before it.
Only integers and the IEEE operations + - * / are used, whose results are the same everywhere.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Draws: TypeAlias = npt.NDArray[np.uint64]
Reals: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

GOLDEN: Final = 0x9E3779B97F4A7C15
WORD: Final = (1 << 64) - 1

ACCESS_STREAM: Final = 0
"""Of each access the upper half draws the page, the lower half whether it writes."""
HOT_STREAM: Final = 1
"""The upper half of each draw: whether the access goes to a hot page."""
ORDER_STREAM: Final = 2
"""The keys by which pages are sorted into a random order."""

HALF: Final = 1 << 32


def mix(numbers: Draws) -> Draws:
    """The finalizer of SplitMix64, in place."""
    numbers ^= numbers >> np.uint64(30)
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(27)
    numbers *= np.uint64(0x94D049BB133111EB)
    numbers ^= numbers >> np.uint64(31)
    return numbers


def key(seed: int, stream: int) -> int:
    """Where the draws of a stream begin."""
    return int(mix(np.array([(seed + stream * GOLDEN) & WORD], np.uint64))[0])


def draws(seed: int, stream: int, first: int, count: int) -> Draws:
    """So many draws of a stream, from number `first` on."""
    start = (key(seed, stream) + (first + 1) * GOLDEN) & WORD
    numbers = np.arange(count, dtype=np.uint64)
    numbers *= np.uint64(GOLDEN)
    numbers += np.uint64(start)
    return mix(numbers)


def upper(numbers: Draws) -> Draws:
    """The upper 32 bits of each."""
    return numbers >> np.uint64(32)


def below(numbers: Draws, bound: int) -> Draws:
    """Numbers below `bound` (at most 2^32), as likely as each other, of the upper halves."""
    scaled: Draws = upper(numbers) * np.uint64(bound)
    return upper(scaled)


def threshold(share: float) -> int:
    """The half-words below this are that share of all."""
    return int(share * HALF)


def order(seed: int, count: int) -> Indices:
    """0 to count - 1 in a random order: sorted by their draws."""
    return np.argsort(draws(seed, ORDER_STREAM, 0, count), kind="stable")


def zipf_limits(count: int, exponent: float) -> Draws:
    """Of each rank the upper limit of the 53-bit numbers that draw it, for weights rank^-exponent.

    The weights are added up in order of rank.
    """
    total = np.cumsum(power(np.arange(1, count + 1, dtype=np.float64), -exponent))
    limits: Draws = (total / total[-1] * float(1 << 53)).astype(np.uint64)
    return limits


LOG2_LAST: Final = 33
EXP2_TERMS: Final = 20
LN2: Final = 0.6931471805599453


def power(bases: Reals, exponent: float) -> Reals:
    """base^exponent of bases from 1 on, within some units of the last place."""
    return exp2(log2(bases) * exponent)


def log2(x: Reals) -> Reals:
    """The logarithm: of the part in [1, 2) by the series of the inverse hyperbolic tangent."""
    mantissa, shift = np.frexp(x)  # in [0.5, 1)
    t = (mantissa * 2.0 - 1.0) / (mantissa * 2.0 + 1.0)
    square = t * t
    total = np.zeros_like(t)
    for term in range(LOG2_LAST, 0, -2):
        total = total * square + 1.0 / term
    return total * t * 2.0 / LN2 + (shift - 1.0)


def exp2(x: Reals) -> Reals:
    """2^x: of the fraction by the series of the exponential function."""
    whole = np.floor(x)
    t = (x - whole) * LN2
    total = np.ones_like(t)
    for term in range(EXP2_TERMS, 0, -1):
        total = total * t / term + 1.0
    return np.ldexp(total, whole.astype(np.int64))
