"""A diff that is too large to be held, as what two versions of Linux differ by, made short.

Of files that cannot be part of the fault path only the line is kept that names them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from swaptrace.errors import PolicyError, printable
from swaptrace.ktree.faults.source import FILES
from swaptrace.ktree.spec import MAKEFILE
from swaptrace.terminal.files import opened, reason

MOST: Final = 1 << 30
"""Bytes of a diff; 6.12 to 7.3 differ by half as many."""

LONGEST: Final = 64 * 1024
"""Bytes of a line that are read at a time."""

_FILE: Final = re.compile(rb"diff --git a/(\S+) b/(\S+)")

_WANTED: Final = frozenset({MAKEFILE, *FILES})


def condensed(path: Path, most: int) -> bytes:
    """What is left of a plain diff that git made. Raises `PolicyError` where that is more than
    `most`."""
    shown = printable(str(path))
    kept = bytearray()
    try:
        with opened(path) as raw:
            file = io.BufferedReader(raw)
            for piece in _kept(file, shown):
                kept += piece
                if len(kept) > most:
                    raise PolicyError(f"{shown}: what is looked at of it is too large")
    except OSError as error:
        raise PolicyError(f"{shown}: cannot be read: {reason(error)}") from None
    return bytes(kept)


def _kept(file: BinaryIO, shown: str) -> Iterator[bytes]:
    wanted, begins, size = True, True, 0
    while line := file.readline(LONGEST):
        size += len(line)
        if size > MOST:
            raise PolicyError(f"{shown}: larger than {MOST // 2**20} MiB")
        header = _FILE.match(line) if begins else None
        if header is not None:
            wanted = any(_is_wanted(name.decode("utf-8", "replace")) for name in header.groups())
        if wanted or header is not None:
            yield line
        begins = line.endswith(b"\n")


def _is_wanted(name: str) -> bool:
    return name.startswith("mm/") or name in _WANTED
