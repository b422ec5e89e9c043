"""A kernel image: its version, and where its modules lie."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable

MAGIC_AT: Final = 0x202
MAGIC: Final = b"HdrS"
VERSION_AT: Final = 0x20E
"""Of a pointer to the version, counted from `SETUP` (Documentation/arch/x86/boot.rst)."""
SETUP: Final = 0x200
HEAD: Final = 1 << 16
"""The version lies in the setup code, in the first 64 KiB."""


def version_of(image: Path) -> str:
    """The release that `uname -r` says under this kernel, as 6.12.0-mine.

    Raises `SwaptraceError` if the file is no image that an x86 boots.
    """
    try:
        with image.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise SwaptraceError(f"{printable(str(image))}: {error.strerror}") from error
    if head[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
        raise SwaptraceError(
            f"{printable(str(image))}: this is no bootable image of an x86 kernel "
            "(as /boot/vmlinuz-VERSION or arch/x86/boot/bzImage)"
        )
    (offset,) = struct.unpack_from("<H", head, VERSION_AT)
    text = head[SETUP + offset :].split(b"\0", 1)[0].split(b" ", 1)[0]
    return text.decode("ascii", errors="replace")


def modules_of(image: Path, version: str) -> Path | None:
    """The modules of an image that was unpacked or installed, by its place; None if there are
    none where they are looked for."""
    beside = image.resolve().parent
    guesses = (
        beside.parent / "lib" / "modules" / version,
        beside.parent / "usr" / "lib" / "modules" / version,
        beside,
    )
    return next((path for path in guesses if path.name == version and path.is_dir()), None)
