"""All functions that the model has, by name."""

from __future__ import annotations

from typing import Final

from swaptrace.kernels import Version
from swaptrace.ktree.faults.pagetable import BEFORE_6_3, BEFORE_7_3, PTES, VMAS
from swaptrace.ktree.faults.primitive import Table
from swaptrace.ktree.faults.swapping import FOLIOS, SWAPPING

PRIMITIVES: Final[Table] = {**PTES, **VMAS, **FOLIOS, **SWAPPING}

OLDER: Final[tuple[tuple[Version, Table], ...]] = (
    ((6, 3), BEFORE_6_3),
    ((7, 3), BEFORE_7_3),
)
"""What was another function before a version."""


def primitives(version: Version | None) -> Table:
    """The functions as a kernel of that version has them; of an unknown one, the newest."""
    table = dict(PRIMITIVES)
    for since, older in OLDER:
        if version is not None and version < since:
            table |= older
    return table
