"""A stretch of an access trace, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Pages = npt.NDArray[np.uint32]
Writes = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.uint16]

CHUNK = 1 << 16
"""How many accesses are handled at a time: their arrays stay in the CPU's cache."""


class Chunk(NamedTuple):
    """Accesses one after another, in arrays of one length.

    `page` is the page of its region, from 0; `write` whether it is a store; `region` and
    `process` are indices into the names that the trace goes with, None where all are 0.
    """

    page: Pages
    write: Writes
    region: Numbers | None = None
    process: Numbers | None = None
