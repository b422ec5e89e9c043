"""Swap areas: what is active, the header of a new one, swapon(2) and swapoff(2)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable
from swaptrace.verify.observed import SwapArea

SWAPS: Final = Path("/proc/swaps")
PAGE: Final = os.sysconf("SC_PAGESIZE")

SWAP_FLAG_PREFER: Final = 0x8000
HIGHEST: Final = 0x7FFF
"""The highest priority of a swap area (SWAP_FLAG_PRIO_MASK): it is filled before all others."""

MAGIC: Final = b"SWAPSPACE2"
INFO: Final = 1024
"""Where in the header page the version, the last page and the UUID stand (union swap_header)."""
UUID_AT: Final = INFO + 12


def active(swaps: Path = SWAPS) -> Iterator[SwapArea]:
    """The swap areas that are in use."""
    for line in swaps.read_text().splitlines()[1:]:
        device, _, size, used, *_ = line.split()
        yield SwapArea(device, int(size) * 1024, int(used) * 1024)


def header(pages: int, uuid: bytes) -> bytes:
    """The first page of a swap area into which `pages` further ones fit, as mkswap(8) makes it."""
    page = bytearray(PAGE)
    struct.pack_into("=III16s16s", page, INFO, 1, pages, 0, uuid, b"swaptrace")
    page[-len(MAGIC) :] = MAGIC
    return bytes(page)


def make(device: Path, size: int, uuid: bytes) -> None:
    """Write the header of an area of `size` bytes, not counting the header's page."""
    with open(device, "r+b") as file:
        file.write(header(size // PAGE, uuid))
        file.flush()
        os.fsync(file.fileno())


def on(device: Path) -> None:
    """Activate an area, before all others. Raises `SwaptraceError`."""
    _call("swapon", str(device), SWAP_FLAG_PREFER | HIGHEST)


def off(device: Path) -> None:
    """Deactivate an area; what is in it comes back into memory. Raises `SwaptraceError`."""
    _call("swapoff", str(device))


def _call(name: str, device: str, *flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(os.fsencode(device), *flags):
        reason = os.strerror(ctypes.get_errno())
        raise SwaptraceError(f"{name} of {printable(device)}: {reason}")
