"""A kernel image: its version, and where its modules lie."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable
from swaptrace.terminal.files import opened, reason

MAGIC_AT: Final = 0x202
MAGIC: Final = b"HdrS"
VERSION_AT: Final = 0x20E
"""Of a pointer to the version, counted from `SETUP` (Documentation/arch/x86/boot.rst)."""
SETUP: Final = 0x200
RELEASE: Final = re.compile(rb"\d{1,3}\.\d{1,3}[!-.0-~]{0,57}(?![!-~])")
"""What uname(2) calls a release: at most 64 characters (__NEW_UTS_LEN), no spaces, no control
characters; no slash, since modules lie in a directory of that name."""
HEAD: Final = 1 << 17
"""The version lies in the setup code, in the 64 KiB behind `SETUP`."""


def version_of(image: Path) -> str:
    """The release that `uname -r` says under this kernel, as 6.12.0-mine.

    Raises `SwaptraceError` if the file is no image that an x86 boots.
    """
    where = printable(str(image))
    try:
        with opened(image) as file:
            head = file.read(HEAD)
    except OSError as error:
        raise SwaptraceError(f"{where}: {reason(error)}") from error
    if head[MAGIC_AT : MAGIC_AT + len(MAGIC)] != MAGIC:
        raise SwaptraceError(
            f"{where}: this is no bootable image of an x86 kernel "
            "(as /boot/vmlinuz-VERSION or arch/x86/boot/bzImage)"
        )
    found = RELEASE.match(_version_string(head))
    if found is None:
        raise SwaptraceError(f"{where}: this image is damaged or cut off: it names no version")
    return found[0].decode("ascii")


def _version_string(head: bytes) -> bytes:
    """What the header points to; empty where it ends before that."""
    pointer = head[VERSION_AT : VERSION_AT + 2]
    if len(pointer) < 2:
        return b""
    (offset,) = struct.unpack("<H", pointer)
    text, end, _ = head[SETUP + offset :].partition(b"\0")
    return text if end else b""


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
