"""All functions that the model has, by name."""

from __future__ import annotations

from typing import Final

from swaptrace.ktree.faults.pagetable import PTES, VMAS
from swaptrace.ktree.faults.primitive import Table
from swaptrace.ktree.faults.swapping import FOLIOS, SWAPPING

PRIMITIVES: Final[Table] = {**PTES, **VMAS, **FOLIOS, **SWAPPING}
