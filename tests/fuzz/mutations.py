"""Inputs made of others by small changes, for hypothesis."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

ODD = (
    b"\0",
    b"\xff",
    b"\n",
    b" ",
    b"-1",
    b"0x",
    b"9" * 30,
    b"9" * 5000,
    b"'",
    b'"',
    b"(",
    b"{",
    b"=",
)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with some stretches of bytes removed, repeated, replaced or moved."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 4, 8, 40])))
        new = draw(
            st.one_of(st.binary(max_size=4), st.sampled_from(ODD), st.just(data[start:end] * 2))
        )
        data = data[:start] + new + data[end:]
    return data
