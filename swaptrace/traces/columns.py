"""The columns of a trace file as its reader gives them, and what a reader is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from swaptrace.errors import SwaptraceError, printable

MAX_NAMES: Final = 1 << 16
LONGEST_NAME: Final = 256


class TraceError(SwaptraceError):
    """A file that is no trace, or a broken one."""


class RawColumns(NamedTuple):
    """Rows of a file as they stand there: whole numbers, and names or numbers of names."""

    page: npt.NDArray[np.int64] | npt.NDArray[np.uint64]
    write: npt.NDArray[np.int64]
    region: npt.NDArray[np.int64] | None = None
    process: npt.NDArray[np.int64] | None = None


class Reader(Protocol):
    """How one kind of file is read."""

    @property
    def regions(self) -> list[str]:
        """The names that a region's number means, as far as they have been met."""

    @property
    def processes(self) -> list[str]:
        """The same of processes."""

    @property
    def count(self) -> int | None:
        """How many rows there are, where the file says so."""

    def rows(self, size: int) -> Iterator[RawColumns]:
        """The rows, so many at a time."""


Make = Callable[[str, io.FileIO], Reader]
"""Makes the reader of a file: what it is called, and it, open and at its beginning."""


def shown(path: str) -> str:
    """A path as a message shows it."""
    return printable(path)
